/* A tokenizer's training passes, apart from the gradient's correctness (grad/test_grad_dvae.c):
 * what adds up, what the noise depends on, evaluation, memory, workers, references. */
#include "check.h"

#include <beit/beit.h>

#include "core/context.h"
#include "dvae/dvae.h"
#include "failing_alloc.h"

enum { B = 4, C = 3, H = 16, W = 24, V = 9, PICTURE = C * H * W, POSITIONS = (H / 4) * (W / 4) };

static const char *const backends[] = {"reference", "cblas"};
enum { BACKENDS = sizeof backends / sizeof *backends };

static beit_dvae_config_t small_config(int32_t sampling)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.init_seed = 5;
    config.layout = BEIT_DVAE_LAYOUT_L;
    config.num_resnet_blocks = 1;
    config.image_height = H;
    config.image_width = W;
    config.vocab_size = V;
    config.codebook_dim = 6;
    config.hidden_dim = 24;
    config.num_layers = 2;
    config.sampling = sampling;
    config.input_norm = BEIT_DVAE_NORM_NONE;
    return config;
}

static float pixels[B * PICTURE];
static const uint64_t sample_ids[B] = {40, 7, 1000000000000, 3};

static void paint(void)
{
    for (int i = 0; i < B * PICTURE; i++)
        pixels[i] = (float)(0.5 + 0.5 * sin(0.31 * i + 0.002 * i * (i % 7)));
}

/* `count` pictures from `first` on, with their own numbers. */
static beit__dvae_batch_t batch_of(int64_t first, int64_t count)
{
    return (beit__dvae_batch_t){.pixels = pixels + first * PICTURE,
                                .sample_ids = sample_ids + first,
                                .batch = count,
                                .height = H,
                                .width = W,
                                .seed = 1,
                                .step = 2,
                                .tau = 0.8f,
                                .recon_scale = 0.01f,
                                .kl_scale = 0.1f,
                                .backward = true};
}

static beit_dvae_t *create(beit_context_t *ctx, int32_t sampling)
{
    const beit_dvae_config_t config = small_config(sampling);
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, ctx, &config));
    check_ok(beit__dvae_reserve_training(dvae, B, H, W));
    return dvae;
}

static size_t floats_of(const beit_params_t *params)
{
    return params->list->floats;
}

static float *copy_of(const beit_params_t *params)
{
    float *copy = malloc(floats_of(params) * sizeof *copy);
    memcpy(copy, params->data, floats_of(params) * sizeof *copy);
    return copy;
}

static void clear(beit_params_t *params)
{
    memset(params->data, 0, floats_of(params) * sizeof *params->data);
}

static double norm_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* ---- sums ---- */

/* Gradients and sums of two calls are those of their union: sample by sample the same noise,
 * whatever the batch. Float32 sums in another order differ by 1e-6 of their norm. */
static void test_calls_add_up(void **state)
{
    (void)state;
    paint();
    for (int32_t sampling = BEIT_SAMPLING_SOFT; sampling <= BEIT_SAMPLING_REINMAX; sampling++) {
        beit_dvae_t *dvae = create(NULL, sampling);
        beit_params_t *gradients = beit__dvae_gradients(dvae);
        beit__dvae_terms_t whole = {0}, parts = {0};
        const beit__dvae_batch_t all = batch_of(0, B), head = batch_of(0, 1);
        const beit__dvae_batch_t tail = batch_of(1, B - 1);
        check_ok(beit__dvae_train(dvae, &all, &whole));
        float *wanted = copy_of(gradients);
        clear(gradients);
        check_ok(beit__dvae_train(dvae, &head, &parts));
        check_ok(beit__dvae_train(dvae, &tail, &parts));
        check_near(parts.recon_sum, whole.recon_sum, 1e-5 * whole.recon_sum);
        check_near(parts.kl_sum, whole.kl_sum,
                   1e-4 * whole.kl_sum); /* much smaller than its terms */
        const size_t n = floats_of(gradients);
        const double scale = norm_of(wanted, n);
        assert_true(scale > 1e-3);
        for (size_t i = 0; i < n; i++)
            wanted[i] -= gradients->data[i];
        assert_true(norm_of(wanted, n) < 1e-5 * scale);
        free(wanted);
        beit_dvae_destroy(dvae);
    }
}

static double recon_with(beit_dvae_t *dvae, uint64_t seed, uint64_t step, uint64_t id)
{
    beit__dvae_batch_t batch = batch_of(0, 1);
    beit__dvae_terms_t terms = {0};
    batch.seed = seed;
    batch.step = step;
    batch.sample_ids = &id;
    check_ok(beit__dvae_train(dvae, &batch, &terms));
    return terms.recon_sum;
}

static void test_noise_is_keyed(void **state)
{
    (void)state;
    paint();
    beit_dvae_t *dvae = create(NULL, BEIT_SAMPLING_SOFT);
    const double once = recon_with(dvae, 1, 2, 3);
    assert_true(recon_with(dvae, 1, 2, 3) == once);
    assert_true(recon_with(dvae, 9, 2, 3) != once);
    assert_true(recon_with(dvae, 1, 9, 3) != once);
    assert_true(recon_with(dvae, 1, 2, 9) != once);
    assert_true(recon_with(dvae, 1, 2, 3 + ((uint64_t)1 << 32)) != once);
    beit_dvae_destroy(dvae);
}

/* ---- evaluation ---- */

static void test_evaluation(void **state)
{
    (void)state;
    static float out[B * PICTURE];
    int32_t wanted[B * POSITIONS], tokens[B * POSITIONS];
    paint();
    beit_dvae_t *dvae = create(NULL, BEIT_SAMPLING_SOFT);
    const beit_tensor_t x = beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){B, C, H, W});
    const beit_tensor_t y = beit_tensor_make(out, BEIT_F32, 4, (const int64_t[]){B, C, H, W});
    const beit_tensor_t t = beit_tensor_make(wanted, BEIT_I32, 2, (const int64_t[]){B, POSITIONS});
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    check_ok(beit_dvae_reconstruct(dvae, &x, &y));
    double error = 0;
    for (int i = 0; i < B * PICTURE; i++)
        error += pow((double)out[i] - (double)pixels[i], 2);

    beit__dvae_batch_t batch = batch_of(0, B);
    beit__dvae_terms_t soft = {.tokens = tokens}, hard = {.tokens = tokens};
    check_ok(beit__dvae_train(dvae, &batch, &soft));
    assert_memory_equal(tokens, wanted, sizeof tokens); /* of the logits, not of the noisy choice */
    float *gradients = copy_of(beit__dvae_gradients(dvae));
    memset(tokens, 0, sizeof tokens);
    batch.backward = false;
    batch.sample_ids = NULL;
    check_ok(beit__dvae_train(dvae, &batch, &hard));
    assert_memory_equal(tokens, wanted, sizeof tokens);
    check_near(hard.recon_sum, error, 1e-6 * error);
    assert_true(hard.recon_sum != soft.recon_sum);
    check_near(hard.kl_sum, soft.kl_sum, 0);
    check_near(hard.balance, soft.balance, 0);
    check_near(hard.sharpness, soft.sharpness, 0);
    assert_memory_equal(gradients, beit__dvae_gradients(dvae)->data,
                        floats_of(beit__dvae_gradients(dvae)) * sizeof *gradients);
    free(gradients);
    beit_dvae_destroy(dvae);
}

/* ---- workers ---- */

static float *gradients_with(const char *backend, int32_t threads, int32_t sampling, size_t *n)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = beit_backend_builtin(backend);
    config.threads = threads;
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    beit_dvae_t *dvae = create(ctx, sampling);
    beit__dvae_batch_t batch = batch_of(0, B);
    beit__dvae_terms_t terms = {0};
    batch.balance_scale = batch.sharpness_scale = 0.1f;
    check_ok(beit__dvae_train(dvae, &batch, &terms));
    float *copy = copy_of(beit__dvae_gradients(dvae));
    *n = floats_of(beit__dvae_gradients(dvae));
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
    return copy;
}

static void test_workers(void **state)
{
    (void)state;
    const int32_t workers[] = {2, 3, 7};
    paint();
    for (int b = 0; b < BACKENDS; b++)
        for (int32_t sampling = BEIT_SAMPLING_SOFT;
             beit_backend_builtin(backends[b]) && sampling <= BEIT_SAMPLING_REINMAX; sampling++) {
            size_t n;
            float *wanted = gradients_with(backends[b], 1, sampling, &n);
            for (size_t j = 0; j < sizeof workers / sizeof *workers; j++) {
                float *found = gradients_with(backends[b], workers[j], sampling, &n);
                assert_memory_equal(found, wanted, n * sizeof *found);
                free(found);
            }
            free(wanted);
        }
}

/* ---- memory ---- */

static void test_no_allocation(void **state)
{
    (void)state;
    paint();
    for (int b = 0; b < BACKENDS; b++) {
        failing_alloc_t memory = {0};
        beit_context_t *ctx = NULL;
        if (!beit_backend_builtin(backends[b]))
            continue;
        check_ok(failing_context(&ctx, &memory, backends[b], 2));
        beit_dvae_t *dvae = create(ctx, BEIT_SAMPLING_STRAIGHT_THROUGH);
        const size_t requests = memory.requests;
        beit__dvae_batch_t batch = batch_of(0, B);
        beit__dvae_terms_t terms = {0};
        check_ok(beit__dvae_train(dvae, &batch, &terms));
        batch.height = H - 4;
        check_ok(beit__dvae_train(dvae, &batch, &terms));
        batch.backward = false;
        check_ok(beit__dvae_train(dvae, &batch, &terms));
        batch.batch = 1;
        check_ok(beit__dvae_train(dvae, &batch, &terms));
        assert_int_equal(memory.requests, requests);
        beit_dvae_destroy(dvae);
        beit_context_unref(ctx);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.mismatches, 0);
    }
}

static void test_reported_memory(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, "reference", 1));
    beit_dvae_t *dvae = create(ctx, BEIT_SAMPLING_SOFT);
    uint64_t weights, gradients, activations;
    beit__dvae_memory(dvae, &weights, &gradients, &activations);
    const uint64_t least = beit_params_elements(beit_dvae_params(dvae)) * sizeof(float);
    assert_true(weights >= least && weights < least + least / 2); /* padding */
    assert_int_equal(gradients, weights);
    assert_true(activations > 0);
    const uint64_t total = weights + gradients + activations;
    assert_true(memory.bytes >= total && memory.bytes < total + 100000); /* names and tables */
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    const beit_dvae_config_t config = small_config(BEIT_SAMPLING_SOFT);
    beit_status_t status = BEIT_E_NOMEM;
    size_t n = 0;
    while (status != BEIT_OK) {
        failing_alloc_t memory = {0};
        beit_context_t *ctx = NULL;
        beit_dvae_t *dvae = NULL;
        check_ok(failing_context(&ctx, &memory, "reference", 1));
        check_ok(beit_dvae_create(&dvae, ctx, &config));
        memory.fail_at = memory.requests + ++n;
        status = beit__dvae_reserve_training(dvae, B, H, W);
        if (status != BEIT_OK) {
            check_status(status, BEIT_E_NOMEM);
            check_ok(beit__dvae_reserve_training(dvae, B, H, W));
        }
        beit_dvae_destroy(dvae);
        beit_context_unref(ctx);
        assert_int_equal(memory.blocks, 0);
    }
    assert_true(n > 3); /* gradients, maps and indices at least were refused once */
}

/* ---- refusals and references ---- */

static void test_refusals(void **state)
{
    (void)state;
    beit_dvae_t *dvae = NULL;
    beit_dvae_config_t config = small_config(BEIT_SAMPLING_SOFT);
    config.parts = BEIT_DVAE_ENCODER_ONLY;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    check_status(beit__dvae_reserve_training(dvae, 1, H, W), BEIT_E_UNSUPPORTED);
    assert_string_equal(beit_last_error(),
                        "dvae: training needs encoder and decoder, but parts is 1, not 0");
    assert_null(beit__dvae_gradients(dvae));
    beit_dvae_destroy(dvae);

    config.parts = BEIT_DVAE_BOTH;
    config.arch = BEIT_DVAE_DALLE;
    config.num_layers = 3;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    check_status(beit__dvae_reserve_training(dvae, 1, H, W), BEIT_E_UNSUPPORTED);
    check_error_has("train one with arch DISCRETE");
    beit_dvae_destroy(dvae);
}

static void test_references(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, "reference", 1));
    beit_dvae_t *dvae = create(ctx, BEIT_SAMPLING_SOFT);
    assert_ptr_equal(beit__dvae_ref(dvae), dvae);
    assert_ptr_equal(beit__dvae_context(dvae), ctx);
    assert_ptr_equal(beit__dvae_run(dvae)->ctx, ctx);
    beit_context_unref(ctx);
    beit_dvae_destroy(dvae);
    const beit__dvae_batch_t batch = batch_of(0, 1);
    beit__dvae_terms_t terms = {0};
    check_ok(beit__dvae_train(dvae, &batch, &terms));
    beit_dvae_destroy(dvae);
    assert_int_equal(memory.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_add_up),  cmocka_unit_test(test_noise_is_keyed),
        cmocka_unit_test(test_evaluation),    cmocka_unit_test(test_workers),
        cmocka_unit_test(test_no_allocation), cmocka_unit_test(test_reported_memory),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
