/* Training of a DiscreteVAE as an objective. The gradient of a step of n pictures is divided by n
 * when it is applied; every term's own reduction is folded into the factor with which a
 * micro-batch adds it, so that micro-batches add up to the undivided batch. One term cannot: the
 * balance of a micro-batch is that of its own mean choice, and the step's is their mean. */
#include "core/alloc.h"
#include "core/status.h"
#include "core/tensor.h"
#include "train/private.h"
#include "train/schedule.h"

/* Elements of a picture, and its codes. */
static double elements_of(const beit_dvae_config_t *dvae, int64_t height, int64_t width)
{
    return (double)dvae->channels * (double)height * (double)width;
}

static int64_t positions_of(const beit_dvae_config_t *dvae, int64_t height, int64_t width)
{
    return (height >> dvae->num_layers) * (width >> dvae->num_layers);
}

/* Several accumulate calls must add up to one. */
static beit_status_t check_union(const beit_trainer_t *trainer, int64_t height, int64_t width)
{
    const beit__totals_t *pending = &trainer->pending;
    if (pending->samples == 0)
        return BEIT_OK;
    if (pending->height != height || pending->width != width)
        return beit__fail(BEIT_E_SHAPE,
                          "token_pixels: %lld x %lld pixels, but this step began with %lld x %lld",
                          (long long)height, (long long)width, (long long)pending->height,
                          (long long)pending->width);
    if (trainer->config.kl_weight > 0 &&
        beit__dvae_config(trainer->dvae)->kl_reduction == BEIT_KL_UPSTREAM_SUM)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "the published KL term is a sum over the whole batch, which several "
                          "calls cannot make up: accumulate all pictures of the step in one call, "
                          "or use another kl_reduction");
    return BEIT_OK;
}

static beit_status_t grow_tokens(beit_trainer_t *trainer, int64_t positions)
{
    if (positions <= trainer->positions)
        return BEIT_OK;
    const size_t micro = (size_t)trainer->config.micro_batch;
    int32_t *tokens = beit__calloc(trainer->ctx, micro * (size_t)positions, sizeof *tokens);
    if (!tokens)
        return BEIT_E_NOMEM;
    beit__free(trainer->ctx, trainer->tokens, micro * (size_t)trainer->positions * sizeof *tokens);
    trainer->tokens = tokens;
    trainer->positions = positions;
    return BEIT_OK;
}

static beit_status_t check(beit_trainer_t *trainer, beit__slice_t *slice)
{
    const beit_dvae_config_t *dvae = beit__dvae_config(trainer->dvae);
    const beit_tensor_t *view = &slice->batch->token_pixels;
    const int64_t shape[] = {BEIT__ANY, dvae->channels, BEIT__ANY, BEIT__ANY};
    BEIT__TRY(beit__tensor_check(view, "token_pixels", BEIT_F32, 4, shape));
    const int64_t height = view->shape[2], width = view->shape[3];
    const int64_t stride = (int64_t)1 << dvae->num_layers;
    if (height % stride || width % stride)
        return beit__fail(BEIT_E_SHAPE,
                          "token_pixels: %lld x %lld pixels, expected multiples of %lld",
                          (long long)height, (long long)width, (long long)stride);
    if (slice->backward)
        BEIT__TRY(check_union(trainer, height, width));
    BEIT__TRY(grow_tokens(trainer, positions_of(dvae, height, width)));
    slice->total = view->shape[0];
    return beit__dvae_reserve_training(trainer->dvae, trainer->config.micro_batch, height, width);
}

/* What one nat of a row's KL adds to n times the loss, n being the pictures of the step. */
static double kl_factor(int32_t reduction, double pictures, double positions)
{
    switch (reduction) {
    case BEIT_KL_MEAN_PER_POSITION:
        return 1 / positions;
    case BEIT_KL_MEAN_PER_IMAGE:
        return 1;
    default:
        return pictures;
    }
}

static beit_status_t count_codes(const beit_trainer_t *trainer, size_t codes,
                                 beit__totals_t *totals)
{
    beit_token_usage_t usage = {.struct_size = sizeof usage};
    BEIT__TRY(beit_token_usage(trainer->tokens, codes, beit__dvae_config(trainer->dvae)->vocab_size,
                               totals->histogram, &usage));
    totals->perplexity = usage.perplexity;
    return BEIT_OK;
}

static beit_status_t pass(beit_trainer_t *trainer, const beit__slice_t *slice,
                          beit__totals_t *totals)
{
    const beit_dvae_config_t *dvae = beit__dvae_config(trainer->dvae);
    const beit_trainer_config_t *cfg = &trainer->config;
    const beit_tensor_t *view = &slice->batch->token_pixels;
    const int64_t height = view->shape[2], width = view->shape[3];
    const int64_t positions = positions_of(dvae, height, width);
    const double count = (double)slice->count;
    const double kl = kl_factor(dvae->kl_reduction, (double)slice->total, (double)positions);
    const beit__dvae_batch_t batch = {
        .pixels = (const float *)view->data + slice->first * view->shape[1] * height * width,
        .sample_ids = slice->ids,
        .batch = slice->count,
        .height = height,
        .width = width,
        .seed = cfg->seed,
        .step = trainer->step,
        .tau = (float)beit__schedule_temperature(cfg, trainer->step),
        .recon_scale = (float)(1 / elements_of(dvae, height, width)),
        .kl_scale = (float)(kl * (double)cfg->kl_weight),
        .balance_scale = (float)(count * (double)cfg->balance_weight),
        .sharpness_scale = (float)(count * (double)cfg->sharpness_weight),
        .backward = slice->backward,
    };
    beit__dvae_terms_t terms = {.tokens = trainer->tokens};
    BEIT__TRY(beit__dvae_train(trainer->dvae, &batch, &terms));
    totals->samples += (uint64_t)slice->count;
    totals->recon += terms.recon_sum;
    totals->kl += terms.kl_sum;
    totals->balance += count * terms.balance;
    totals->sharpness += count * terms.sharpness;
    totals->height = height;
    totals->width = width;
    totals->loss = totals->recon + totals->kl + totals->balance + totals->sharpness;
    return count_codes(trainer, (size_t)(slice->count * positions), totals);
}

static double divisor(const beit__totals_t *totals)
{
    return (double)totals->samples;
}

static void report(const beit_trainer_t *trainer, const beit__totals_t *totals,
                   beit_step_report_t *out)
{
    const beit_dvae_config_t *dvae = beit__dvae_config(trainer->dvae);
    const beit_trainer_config_t *cfg = &trainer->config;
    const double n = (double)totals->samples;
    const double positions = (double)positions_of(dvae, totals->height, totals->width);
    out->recon_loss = totals->recon / (n * elements_of(dvae, totals->height, totals->width));
    out->kl = totals->kl * kl_factor(dvae->kl_reduction, n, positions) / n;
    out->balance = totals->balance / n;
    out->sharpness = totals->sharpness / n;
    out->loss = out->recon_loss + (double)cfg->kl_weight * out->kl +
                (double)cfg->balance_weight * out->balance +
                (double)cfg->sharpness_weight * out->sharpness;
    out->perplexity = totals->perplexity;
    out->temperature = beit__schedule_temperature(cfg, trainer->step);
}

static beit_params_t *gradients(const beit_trainer_t *trainer)
{
    return beit__dvae_gradients(trainer->dvae);
}

const beit__objective_t beit__objective_dvae = {check, pass, divisor, report, gradients};
