/* The trainer's handle: what is refused at creation and in a batch, with which words; the guard
 * against numbers that are not finite; stopping; reports; who keeps whom alive. */
#include <beit/backend.h>
#include <stdbool.h>

#include "check.h"
#include "fixture.h"

static beit_context_t *ctx;
static fixture_t f;

static int set_up(void **state)
{
    (void)state;
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.threads = 1;
    if (beit_context_create(&ctx, &cfg) != BEIT_OK)
        return -1;
    return fixture_create(&f, ctx) == BEIT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_destroy(&f);
    beit_context_unref(ctx);
    return 0;
}

/* ---- configuration ---- */

static void check_config(beit_trainer_config_t cfg, const char *reason)
{
    beit_trainer_t *trainer = (beit_trainer_t *)1;
    check_status(beit_trainer_create_mim(&trainer, f.model, f.dvae, f.masker, &cfg),
                 BEIT_E_ARGUMENT);
    check_error_has(reason);
    assert_null(trainer);
    check_status(beit_trainer_create_dvae(&trainer, f.dvae, &cfg), BEIT_E_ARGUMENT);
}

#define check_setting(field, value, reason)                                                        \
    do {                                                                                           \
        beit_trainer_config_t cfg_ = fixture_trainer_config();                                     \
        cfg_.field = (value);                                                                      \
        check_config(cfg_, (reason));                                                              \
    } while (0)

static void impossible_settings_are_named(void **state)
{
    (void)state;
    check_setting(total_steps, 0, "total_steps is 0, expected at least 1");
    check_setting(warmup_steps, 101, "warmup_steps is 101, expected at most total_steps, 100");
    check_setting(decay_interval, 0, "decay_interval is 0");
    check_setting(micro_batch, 0, "micro_batch is 0, expected 1 to 65536");
    check_setting(micro_batch, -3, "micro_batch is -3");
    check_setting(optimizer, 3, "optimizer is 3, expected 1 to 2");
    check_setting(lr_schedule, 0, "lr_schedule is 0, expected 1 to 3");
    check_setting(temperature_schedule, 5, "temperature_schedule is 5, expected 1 to 4");
    check_setting(lr, -1, "lr is -1, expected at least 0");
    check_setting(lr, NAN, "lr is nan");
    check_setting(min_lr, INFINITY, "min_lr is inf");
    check_setting(warmup_lr, -1, "warmup_lr is -1");
    check_setting(lr_decay, 0, "lr_decay is 0, expected more than 0");
    check_setting(clip_norm, -1, "clip_norm is -1");
    check_setting(beta1, 1, "beta1 is 1, expected at least 0 and less than 1");
    check_setting(beta2, -0.1f, "beta2 is -0.1");
    check_setting(eps, 0, "eps is 0");
    check_setting(weight_decay, -1, "weight_decay is -1");
    check_setting(weight_decay_end, NAN, "weight_decay_end is nan");
    check_setting(temperature, 0, "temperature is 0");
    check_setting(temperature_end, 0, "temperature_end is 0");
    check_setting(temperature_rate, -1, "temperature_rate is -1");
    check_setting(kl_weight, -1, "kl_weight is -1");
    check_setting(balance_weight, -1, "balance_weight is -1");
    check_setting(sharpness_weight, INFINITY, "sharpness_weight is inf");
    beit_trainer_config_t cfg = fixture_trainer_config();
    beit_trainer_t *trainer;
    cfg.struct_size = 4;
    check_status(beit_trainer_create_mim(&trainer, f.model, NULL, NULL, &cfg), BEIT_E_ABI);
}

static void defaults_are_the_published_recipe(void **state)
{
    (void)state;
    beit_trainer_config_t cfg, found = {.struct_size = sizeof found};
    beit_trainer_config_init(&cfg, sizeof cfg);
    assert_true(cfg.lr == 1.5e-3f && cfg.min_lr == 1e-5f && cfg.warmup_lr == 0);
    assert_true(cfg.weight_decay == 0.05f && cfg.clip_norm == 3 && cfg.eps == 1e-8f);
    assert_int_equal(cfg.total_steps, 500000);
    assert_int_equal(cfg.warmup_steps, 10000);
    assert_int_equal(cfg.optimizer, BEIT_ADAMW);
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, f.model, NULL, NULL, NULL));
    check_ok(beit_trainer_config(trainer, &found));
    assert_memory_equal(&cfg, &found, sizeof cfg);
    check_status(beit_trainer_config(NULL, &found), BEIT_E_ARGUMENT);
    beit_trainer_destroy(trainer);
}

/* ---- parts that do not fit ---- */

static void parts_must_fit(void **state)
{
    (void)state;
    beit_trainer_t *trainer;
    beit_masker_config_t masker_cfg = fixture_masker_config();
    masker_cfg.cols = 5;
    beit_masker_t *masker;
    check_ok(beit_masker_create(&masker, ctx, &masker_cfg));
    check_status(beit_trainer_create_mim(&trainer, f.model, NULL, masker, NULL), BEIT_E_MISMATCH);
    check_error_has("the masker's grid is 4 x 5, the model has 4 x 4 patches (32 x 32 pixels, "
                    "patches of 8)");
    beit_masker_destroy(masker);

    beit_dvae_config_t dvae_cfg = fixture_dvae_config();
    beit_dvae_t *dvae;
    dvae_cfg.image_height = 32;
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_status(beit_trainer_create_mim(&trainer, f.model, dvae, NULL, NULL), BEIT_E_MISMATCH);
    check_error_has("8 x 4 tokens (32 x 16 pixels, 2 stages of stride 2), the model has 4 x 4");
    beit_dvae_destroy(dvae);
    dvae_cfg = fixture_dvae_config();
    dvae_cfg.vocab_size = 9;
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_status(beit_trainer_create_mim(&trainer, f.model, dvae, NULL, NULL), BEIT_E_MISMATCH);
    check_error_has("the tokenizer has 9 codes, the model predicts 8");
    beit_dvae_destroy(dvae);
    dvae_cfg.parts = BEIT_DVAE_DECODER_ONLY;
    dvae_cfg.vocab_size = 8;
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_status(beit_trainer_create_mim(&trainer, f.model, dvae, NULL, NULL), BEIT_E_MISMATCH);
    check_error_has("no encoder");
    check_status(beit_trainer_create_dvae(&trainer, dvae, NULL), BEIT_E_UNSUPPORTED);
    beit_dvae_destroy(dvae);

    beit_dvae_config_init(&dvae_cfg, sizeof dvae_cfg);
    dvae_cfg.arch = BEIT_DVAE_DALLE;
    dvae_cfg.hidden_dim = 8;
    dvae_cfg.vocab_size = 8;
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_status(beit_trainer_create_dvae(&trainer, dvae, NULL), BEIT_E_UNSUPPORTED);
    check_error_has("OpenAI's dVAE cannot be trained");
    beit_dvae_destroy(dvae);

    check_status(beit_trainer_create_mim(&trainer, NULL, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_trainer_create_mim(NULL, f.model, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_trainer_create_dvae(&trainer, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_trainer_create_dvae(NULL, f.dvae, NULL), BEIT_E_ARGUMENT);
}

/* A trainer keeps what it uses, across contexts too: masks and tokens pass through host memory. */
static void a_trainer_outlives_the_hosts_handles(void **state)
{
    (void)state;
    beit_context_t *other;
    check_ok(beit_context_create(&other, NULL));
    const beit_model_config_t model_cfg = fixture_model_config();
    const beit_dvae_config_t dvae_cfg = fixture_dvae_config();
    const beit_masker_config_t masker_cfg = fixture_masker_config();
    const beit_trainer_config_t cfg = fixture_trainer_config();
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *trainer;
    check_ok(beit_model_create(&model, other, &model_cfg));
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_ok(beit_masker_create(&masker, NULL, &masker_cfg));
    check_ok(beit_trainer_create_mim(&trainer, model, dvae, masker, &cfg));
    beit_masker_destroy(masker);
    beit_dvae_destroy(dvae);
    beit_model_destroy(model);
    beit_context_unref(other);
    const beit_batch_t batch = fixture_batch(1);
    check_ok(beit_trainer_step(trainer, &batch, NULL));
    beit_trainer_destroy(trainer);
    beit_trainer_destroy(NULL);
}

/* ---- batches that do not fit ---- */

static uint8_t mask[FIXTURE_BATCH * FIXTURE_PATCHES];
static int32_t tokens[FIXTURE_BATCH * FIXTURE_PATCHES];
static const int64_t grid[] = {FIXTURE_BATCH, FIXTURE_PATCHES};

static beit_batch_t full_batch(void)
{
    for (int i = 0; i < FIXTURE_BATCH * FIXTURE_PATCHES; i++) {
        mask[i] = i % 3 == 0;
        tokens[i] = i % FIXTURE_VOCAB;
    }
    beit_batch_t batch = fixture_batch(1);
    batch.mask = beit_tensor_make(mask, BEIT_U8, 2, grid);
    batch.tokens = beit_tensor_make(tokens, BEIT_I32, 2, grid);
    return batch;
}

static void check_batch(const beit_batch_t *batch, beit_status_t status, const char *reason)
{
    check_status(beit_trainer_accumulate(f.mim, batch), status);
    check_error_has(reason);
    check_status(beit_trainer_apply(f.mim, NULL), BEIT_E_STATE); /* nothing was begun */
}

static void batches_are_checked_before_they_count(void **state)
{
    (void)state;
    beit_batch_t batch = full_batch();
    batch.pixels.shape[1] = 4;
    check_batch(&batch, BEIT_E_SHAPE, "pixels: dim 1 is 4, expected 3");
    batch = full_batch();
    batch.pixels.data = NULL;
    check_batch(&batch, BEIT_E_ARGUMENT, "pixels");
    batch = full_batch();
    batch.mask.shape[0] = 2;
    check_batch(&batch, BEIT_E_SHAPE, "mask: dim 0 is 2, expected 3");
    batch = full_batch();
    batch.tokens.dtype = BEIT_I64;
    check_batch(&batch, BEIT_E_SHAPE, "tokens");
    batch = full_batch();
    mask[17] = 255;
    check_batch(&batch, BEIT_E_ARGUMENT, "mask[1,1] is 255, expected 0 or 1");
    batch = full_batch();
    tokens[33] = FIXTURE_VOCAB; /* in the second micro-batch, and masked */
    check_batch(&batch, BEIT_E_ARGUMENT, "tokens[2,1] is 8, expected 0 to 7");
    batch = full_batch();
    tokens[33] = -1;
    check_batch(&batch, BEIT_E_ARGUMENT, "tokens[2,1] is -1");
    batch = full_batch();
    memset(mask, 0, sizeof mask);
    check_batch(&batch, BEIT_E_ARGUMENT, "no patch of the batch's 3 pictures is masked");
    batch = full_batch();
    batch.tokens.data = NULL;
    batch.token_pixels.shape[3] = 8;
    check_batch(&batch, BEIT_E_SHAPE, "token_pixels: dim 3 is 8, expected 16");
    batch = full_batch();
    batch.struct_size = 1;
    check_batch(&batch, BEIT_E_ABI, "beit_batch");
    check_batch(NULL, BEIT_E_ARGUMENT, "beit_batch is NULL");
    check_status(beit_trainer_accumulate(NULL, &batch), BEIT_E_ARGUMENT);
    check_status(beit_trainer_apply(NULL, NULL), BEIT_E_ARGUMENT);
}

static void what_nobody_brings_is_missed(void **state)
{
    (void)state;
    beit_trainer_t *bare;
    const beit_trainer_config_t cfg = fixture_trainer_config();
    check_ok(beit_trainer_create_mim(&bare, f.model, NULL, NULL, &cfg));
    beit_batch_t batch = full_batch();
    check_ok(beit_trainer_step(bare, &batch, NULL));
    batch.mask.data = NULL;
    check_status(beit_trainer_step(bare, &batch, NULL), BEIT_E_ARGUMENT);
    check_error_has("brings no mask and the trainer no masker");
    batch = full_batch();
    batch.tokens.data = NULL;
    check_status(beit_trainer_step(bare, &batch, NULL), BEIT_E_ARGUMENT);
    check_error_has("brings no tokens and the trainer no tokenizer");
    beit_trainer_destroy(bare);
}

/* ---- reports ---- */

static void reports_are_complete(void **state)
{
    (void)state;
    const beit_batch_t batch = fixture_batch(2);
    beit_step_report_t report = {.struct_size = sizeof report};
    const uint64_t before = beit_trainer_steps(f.mim);
    check_ok(beit_trainer_step(f.mim, &batch, &report));
    assert_int_equal(report.step, before + 1);
    assert_int_equal(report.samples, FIXTURE_BATCH);
    assert_true(report.masked >= 1 && report.masked <= 7 * FIXTURE_BATCH);
    assert_true(report.loss > 0 && report.accuracy >= 0 && report.accuracy <= 1);
    assert_true(report.grad_norm > 0 && report.weight_decay == (double)0.05f);
    assert_true(report.seconds > 0);
    assert_true(report.tokenize_seconds > 0 && report.tokenize_seconds < report.seconds);
    check_near(report.lr, (double)1.5e-3f * (double)before / 9, 1e-9);

    check_ok(beit_trainer_step(f.dvae_trainer, &batch, &report));
    assert_true(report.recon_loss > 0 && report.balance > 0 && report.sharpness > 0);
    assert_true(report.kl > 0 && report.temperature == (double)0.9f);
    assert_true(report.perplexity >= 1 && report.perplexity <= FIXTURE_VOCAB);
    assert_int_equal(report.masked, 0);
    check_near(report.loss,
               report.recon_loss + (double)0.01f * (report.kl + report.balance + report.sharpness),
               1e-12);

    report.struct_size = 8;
    check_status(beit_trainer_step(f.mim, &batch, &report), BEIT_E_ABI);
    check_ok(beit_trainer_accumulate(f.mim, &batch));
    check_status(beit_trainer_apply(f.mim, &report), BEIT_E_ABI);
    check_ok(beit_trainer_apply(f.mim, NULL)); /* it was not lost */
    check_status(beit_trainer_evaluate(f.mim, &batch, NULL), BEIT_E_ARGUMENT);
    check_status(beit_trainer_evaluate(f.mim, &batch, &report), BEIT_E_ABI);
}

/* The step of half a batch, then the other half, with or without an evaluation in between. */
static beit_step_report_t step_in_halves(beit_trainer_t *trainer, bool evaluate)
{
    beit_step_report_t a = {.struct_size = sizeof a}, b = a;
    for (unsigned half = 0; half < 2; half++) {
        beit_batch_t batch = fixture_batch(half);
        check_ok(beit_trainer_accumulate(trainer, &batch));
        if (!evaluate)
            continue;
        batch = fixture_batch(8); /* other pictures, other codes */
        check_ok(beit_trainer_evaluate(trainer, &batch, &a));
        check_ok(beit_trainer_evaluate(trainer, &batch, &b));
        assert_true(a.loss == b.loss && a.accuracy == b.accuracy && a.samples == FIXTURE_BATCH);
    }
    check_ok(beit_trainer_apply(trainer, &a));
    return a;
}

/* Evaluation repeats, changes nothing, and may stand between accumulate and apply. */
static void evaluation_is_quiet(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = fixture_trainer_config();
    cfg.kl_weight = 0; /* the published term wants one call */
    fixture_t pair[2];
    beit_step_report_t reports[2][2];
    for (int i = 0; i < 2; i++) {
        beit_trainer_t *dvae_trainer;
        check_ok(fixture_create(&pair[i], ctx));
        check_ok(beit_trainer_create_dvae(&dvae_trainer, pair[i].dvae, &cfg));
        for (int step = 0; step < 2; step++) {
            reports[i][0] = step_in_halves(pair[i].mim, i == 0);
            reports[i][1] = step_in_halves(dvae_trainer, i == 0);
        }
        beit_trainer_destroy(dvae_trainer);
        fixture_destroy(&pair[i]);
    }
    for (int t = 0; t < 2; t++) {
        const beit_step_report_t *a = &reports[0][t], *b = &reports[1][t];
        assert_int_equal(a->samples, 2 * FIXTURE_BATCH);
        assert_true(a->loss == b->loss && a->accuracy == b->accuracy);
        assert_true(a->grad_norm == b->grad_norm && a->perplexity == b->perplexity);
    }
}

static void memory_is_reported(void **state)
{
    (void)state;
    beit_memory_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_memory(f.mim, &report));
    const uint64_t floats = 4 * beit_params_elements(beit_model_params(f.model));
    assert_true(report.weights >= floats && report.weights < 2 * floats); /* padded */
    assert_int_equal(report.gradients, report.weights);
    assert_int_equal(report.moments, 2 * report.weights);
    assert_true(report.activations > 0 && report.tokenizer > 0);
    assert_int_equal(report.total, report.weights + report.gradients + report.moments +
                                       report.activations + report.tokenizer);
    check_ok(beit_trainer_memory(f.dvae_trainer, &report));
    assert_int_equal(report.tokenizer, 0);
    assert_true(report.weights >= 4 * beit_params_elements(beit_dvae_params(f.dvae)));
    check_status(beit_trainer_memory(NULL, &report), BEIT_E_ARGUMENT);
    report.struct_size = 0;
    check_status(beit_trainer_memory(f.mim, &report), BEIT_E_ABI);
    assert_null(beit_trainer_moments(NULL, 0));
    assert_null(beit_trainer_gradients(NULL));
    assert_int_equal(beit_trainer_steps(NULL), 0);
}

/* ---- numbers that are not finite ---- */

static float *first_value(const beit_params_t *params, const char *name)
{
    size_t index;
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_find(params, name, &index));
    check_ok(beit_params_info(params, index, &info));
    return info.value.data;
}

static void bad_numbers_change_nothing(void **state)
{
    (void)state;
    const beit_batch_t batch = fixture_batch(4);
    beit_params_t *weights = beit_model_params(f.model);
    float *pixel = (float *)batch.pixels.data + 2 * 3 * FIXTURE_SIDE * FIXTURE_SIDE + 5;
    float *weight = first_value(weights, "lm_head.bias");
    const float *moment = first_value(beit_trainer_moments(f.mim, 0), "lm_head.bias");
    const uint64_t steps = beit_trainer_steps(f.mim);
    const float kept_pixel = *pixel, kept_weight = *weight, kept_moment = *moment;

    *pixel = NAN;
    check_status(beit_trainer_step(f.mim, &batch, NULL), BEIT_E_NUMERIC);
    check_error_has("pixels is not in picture 2 of the batch");
    *pixel = kept_pixel;
    *weight = INFINITY;
    check_status(beit_trainer_step(f.mim, &batch, NULL), BEIT_E_NUMERIC);
    check_error_has("the weights 'lm_head.bias'");
    *weight = kept_weight;
    assert_int_equal(beit_trainer_steps(f.mim), steps);
    check_status(beit_trainer_apply(f.mim, NULL), BEIT_E_STATE); /* what there was is gone */

    check_ok(beit_trainer_accumulate(f.mim, &batch));
    *first_value(beit_trainer_gradients(f.mim), "norm.weight") = NAN;
    check_status(beit_trainer_apply(f.mim, NULL), BEIT_E_NUMERIC);
    check_error_has("the gradient of 'norm.weight' is not finite");
    check_status(beit_trainer_apply(f.mim, NULL), BEIT_E_STATE);
    assert_int_equal(beit_trainer_steps(f.mim), steps);
    assert_true(*weight == kept_weight && *moment == kept_moment);

    beit_step_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_step(f.mim, &batch, &report)); /* and the trainer goes on */
    assert_int_equal(report.step, steps + 1);
    assert_true(isfinite(report.grad_norm) && *moment != kept_moment);

    float *token_pixel = batch.token_pixels.data;
    *token_pixel = NAN;
    check_status(beit_trainer_step(f.dvae_trainer, &batch, NULL), BEIT_E_NUMERIC);
    check_error_has("token_pixels is not in picture 0");
    *token_pixel = 0;
    check_ok(beit_trainer_step(f.dvae_trainer, &batch, NULL));
}

/* ---- stopping ---- */

static void a_request_stops_before_the_next_micro_batch(void **state)
{
    (void)state;
    const beit_batch_t batch = fixture_batch(5);
    const uint64_t steps = beit_trainer_steps(f.mim);
    check_ok(beit_trainer_accumulate(f.mim, &batch));
    beit_trainer_request_stop(f.mim);
    check_status(beit_trainer_accumulate(f.mim, &batch), BEIT_E_CANCELLED);
    check_error_has("before picture 0 of 3");
    check_status(beit_trainer_apply(f.mim, NULL), BEIT_E_STATE); /* discarded */
    check_ok(beit_trainer_step(f.mim, &batch, NULL));            /* once is enough */
    assert_int_equal(beit_trainer_steps(f.mim), steps + 1);
    check_ok(beit_trainer_accumulate(f.mim, &batch));
    beit_trainer_request_stop(f.mim);
    check_ok(beit_trainer_apply(f.mim, NULL)); /* a finished step is not thrown away */
    beit_step_report_t report = {.struct_size = sizeof report};
    check_status(beit_trainer_evaluate(f.mim, &batch, &report), BEIT_E_CANCELLED);
    beit_trainer_request_stop(NULL);
}

/* An executor through which the test reaches into a running step. */
static struct {
    beit_trainer_t *trainer;
    int loops, stop_at;
} stopper;

static unsigned one_worker(void *user)
{
    (void)user;
    return 1;
}

static beit_status_t stopping_loop(void *user, size_t n, beit_task_fn fn, void *arg)
{
    (void)user;
    if (++stopper.loops == stopper.stop_at)
        beit_trainer_request_stop(stopper.trainer);
    for (size_t i = 0; i < n; i++)
        fn(arg, i, 0);
    return BEIT_OK;
}

static void a_request_stops_in_the_midst(void **state)
{
    (void)state;
    const beit_executor_t executor = {
        .struct_size = sizeof executor, .workers = one_worker, .parallel_for = stopping_loop};
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.executor = &executor;
    beit_context_t *own;
    fixture_t running;
    check_ok(beit_context_create(&own, &cfg));
    check_ok(fixture_create(&running, own));
    beit_context_unref(own);
    stopper.trainer = running.mim;
    stopper.loops = 0;
    stopper.stop_at = 20; /* well within the first of two micro-batches */
    const beit_batch_t batch = fixture_batch(6);
    check_status(beit_trainer_step(running.mim, &batch, NULL), BEIT_E_CANCELLED);
    check_error_has("before picture 2 of 3");
    assert_int_equal(beit_trainer_steps(running.mim), 0);
    check_ok(beit_trainer_step(running.mim, &batch, NULL));
    fixture_destroy(&running);
}

static int stop_after(void *user, const beit_step_report_t *report)
{
    assert_true(report->struct_size == sizeof *report && report->loss > 0);
    return report->step >= *(const uint64_t *)user;
}

static void progress_may_stop(void **state)
{
    (void)state;
    uint64_t last = 2;
    beit_trainer_config_t cfg = fixture_trainer_config();
    cfg.progress = stop_after;
    cfg.progress_user = &last;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, f.model, f.dvae, f.masker, &cfg));
    const beit_batch_t batch = fixture_batch(7);
    beit_step_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_step(trainer, &batch, &report));
    check_status(beit_trainer_step(trainer, &batch, &report), BEIT_E_CANCELLED);
    assert_int_equal(report.step, 2); /* the step counts and is reported */
    assert_int_equal(beit_trainer_steps(trainer), 2);
    last = 10;
    check_ok(beit_trainer_step(trainer, &batch, &report));
    beit_trainer_destroy(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_settings_are_named),
        cmocka_unit_test(defaults_are_the_published_recipe),
        cmocka_unit_test(parts_must_fit),
        cmocka_unit_test(a_trainer_outlives_the_hosts_handles),
        cmocka_unit_test(batches_are_checked_before_they_count),
        cmocka_unit_test(what_nobody_brings_is_missed),
        cmocka_unit_test(reports_are_complete),
        cmocka_unit_test(evaluation_is_quiet),
        cmocka_unit_test(memory_is_reported),
        cmocka_unit_test(bad_numbers_change_nothing),
        cmocka_unit_test(a_request_stops_before_the_next_micro_batch),
        cmocka_unit_test(a_request_stops_in_the_midst),
        cmocka_unit_test(progress_may_stop),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
