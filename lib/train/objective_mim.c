/* Masked image modeling as an objective: masks from the masker, labels from the tokenizer at the
 * masked positions only, the model's summed cross-entropy. Gradients are sums over masked patches
 * and are divided by their number when they are applied, so pictures with different numbers of
 * masked patches weigh as in one undivided batch. */
#include <string.h>

#include "core/status.h"
#include "core/tensor.h"
#include "train/private.h"

typedef struct grid {
    int64_t rows, cols, patches;
} grid_t;

static grid_t grid_of(const beit_trainer_t *trainer)
{
    const beit_model_config_t *model = beit__model_config(trainer->model);
    const int64_t rows = model->image_height / model->patch_size;
    const int64_t cols = model->image_width / model->patch_size;
    return (grid_t){rows, cols, rows * cols};
}

/* (B,N), or (B,rows,cols), which is the same memory. */
static beit_status_t check_grid(const beit_tensor_t *view, const char *name, beit_dtype_t dtype,
                                int64_t total, grid_t grid)
{
    const int64_t flat[] = {total, grid.patches}, square[] = {total, grid.rows, grid.cols};
    return view->ndim == 3 ? beit__tensor_check(view, name, dtype, 3, square)
                           : beit__tensor_check(view, name, dtype, 2, flat);
}

static beit_status_t check_views(const beit_trainer_t *trainer, beit__slice_t *slice, grid_t grid)
{
    const beit_batch_t *batch = slice->batch;
    const beit_model_config_t *model = beit__model_config(trainer->model);
    const int64_t shape[] = {BEIT__ANY, model->channels, model->image_height, model->image_width};
    BEIT__TRY(beit__tensor_check(&batch->pixels, "pixels", BEIT_F32, 4, shape));
    slice->total = batch->pixels.shape[0];
    if (batch->mask.data)
        BEIT__TRY(check_grid(&batch->mask, "mask", BEIT_U8, slice->total, grid));
    else if (!trainer->masker)
        return beit__fail(BEIT_E_ARGUMENT, "the batch brings no mask and the trainer no masker");
    if (batch->tokens.data)
        return check_grid(&batch->tokens, "tokens", BEIT_I32, slice->total, grid);
    if (!trainer->dvae)
        return beit__fail(BEIT_E_ARGUMENT, "the batch brings no tokens and the trainer no "
                                           "tokenizer");
    const beit_dvae_config_t *dvae = beit__dvae_config(trainer->dvae);
    const int64_t view[] = {slice->total, dvae->channels, grid.rows << dvae->num_layers,
                            grid.cols << dvae->num_layers};
    return beit__tensor_check(&batch->token_pixels, "token_pixels", BEIT_F32, 4, view);
}

/* The mask of picture i of the whole batch: the batch's own, or drawn into `row`. */
static beit_status_t mask_of(const beit_trainer_t *trainer, const beit__slice_t *slice, int64_t i,
                             grid_t grid, uint8_t *row, const uint8_t **mask)
{
    *mask = row;
    if (!slice->batch->mask.data)
        return beit_masker_generate(trainer->masker, trainer->config.seed, slice->batch->epoch,
                                    beit__slice_id(slice, i), row, (size_t)grid.patches, NULL);
    *mask = (const uint8_t *)slice->batch->mask.data + i * grid.patches;
    return BEIT_OK;
}

/* Count a picture's masked patches; where the batch brings tokens, those are checked there. */
static beit_status_t check_picture(const beit_trainer_t *trainer, const beit_batch_t *batch,
                                   int64_t i, grid_t grid, const uint8_t *mask, int64_t *masked)
{
    const int32_t vocab = beit__model_config(trainer->model)->vocab_size;
    const int32_t *tokens =
        batch->tokens.data ? (const int32_t *)batch->tokens.data + i * grid.patches : NULL;
    for (int64_t n = 0; n < grid.patches; n++) {
        if (mask[n] > 1)
            return beit__fail(BEIT_E_ARGUMENT, "mask[%lld,%lld] is %d, expected 0 or 1",
                              (long long)i, (long long)n, mask[n]);
        if (mask[n] && tokens && (tokens[n] < 0 || tokens[n] >= vocab))
            return beit__fail(BEIT_E_ARGUMENT, "tokens[%lld,%lld] is %d, expected 0 to %d",
                              (long long)i, (long long)n, tokens[n], vocab - 1);
        *masked += mask[n];
    }
    return BEIT_OK;
}

static beit_status_t check(beit_trainer_t *trainer, beit__slice_t *slice)
{
    const grid_t grid = grid_of(trainer);
    BEIT__TRY(check_views(trainer, slice, grid));
    int64_t masked = 0;
    for (int64_t i = 0; i < slice->total; i++) {
        const uint8_t *mask;
        BEIT__TRY(mask_of(trainer, slice, i, grid, trainer->mask, &mask));
        BEIT__TRY(check_picture(trainer, slice->batch, i, grid, mask, &masked));
    }
    if (masked == 0)
        return beit__fail(BEIT_E_ARGUMENT, "no patch of the batch's %lld pictures is masked",
                          (long long)slice->total);
    return BEIT_OK;
}

/* Tokens at the masked positions of a micro-batch. */
static beit_status_t tokens_of(beit_trainer_t *trainer, const beit__slice_t *slice, grid_t grid,
                               const uint8_t *mask, const int32_t **tokens, double *seconds)
{
    const beit_batch_t *batch = slice->batch;
    if (batch->tokens.data) {
        *tokens = (const int32_t *)batch->tokens.data + slice->first * grid.patches;
        return BEIT_OK;
    }
    const double start = beit__seconds();
    const beit_tensor_t *whole = &batch->token_pixels;
    const int64_t view[] = {slice->count, whole->shape[1], whole->shape[2], whole->shape[3]};
    const int64_t flat[] = {slice->count, grid.patches};
    float *first = (float *)whole->data + slice->first * view[1] * view[2] * view[3];
    const beit_tensor_t pixels = beit_tensor_make(first, BEIT_F32, 4, view);
    const beit_tensor_t where = beit_tensor_make((uint8_t *)mask, BEIT_U8, 2, flat);
    const beit_tensor_t out = beit_tensor_make(trainer->tokens, BEIT_I32, 2, flat);
    BEIT__TRY(beit_dvae_tokenize(trainer->dvae, &pixels, &where, &out));
    *tokens = trainer->tokens;
    *seconds += beit__seconds() - start;
    return BEIT_OK;
}

static beit_status_t masks_of(beit_trainer_t *trainer, const beit__slice_t *slice, grid_t grid,
                              const uint8_t **mask)
{
    for (int64_t k = 0; k < slice->count; k++) {
        const uint8_t *row;
        BEIT__TRY(mask_of(trainer, slice, slice->first + k, grid, trainer->mask + k * grid.patches,
                          &row));
        if (k == 0)
            *mask = row;
    }
    return BEIT_OK;
}

/* The labels in batch order: sample by sample, then patch by patch. Returns their number. */
static int64_t gather_labels(const uint8_t *mask, const int32_t *tokens, int64_t count,
                             int32_t *labels)
{
    int64_t masked = 0;
    for (int64_t i = 0; i < count; i++)
        if (mask[i])
            labels[masked++] = tokens[i];
    return masked;
}

static beit_status_t pass(beit_trainer_t *trainer, const beit__slice_t *slice,
                          beit__totals_t *totals)
{
    const grid_t grid = grid_of(trainer);
    const int64_t count = slice->count * grid.patches;
    totals->samples += (uint64_t)slice->count;
    const uint8_t *mask = NULL;
    BEIT__TRY(masks_of(trainer, slice, grid, &mask));
    if (!memchr(mask, 1, (size_t)count))
        return BEIT_OK;
    const int32_t *tokens = NULL;
    BEIT__TRY(tokens_of(trainer, slice, grid, mask, &tokens, &totals->tokenize_seconds));
    const int64_t masked = gather_labels(mask, tokens, count, trainer->labels);
    const beit_tensor_t *pixels = &slice->batch->pixels;
    const beit__mim_batch_t batch = {
        .pixels = (const float *)pixels->data +
                  slice->first * pixels->shape[1] * pixels->shape[2] * pixels->shape[3],
        .mask = mask,
        .labels = trainer->labels,
        .sample_ids = slice->ids,
        .batch = slice->count,
        .masked = masked,
        .seed = trainer->config.seed,
        .step = trainer->step,
        .training = slice->backward,
        .backward = slice->backward,
    };
    BEIT__TRY(beit__model_mim(trainer->model, &batch, &totals->loss, &totals->correct));
    totals->masked += (uint64_t)masked;
    return BEIT_OK;
}

static double divisor(const beit__totals_t *totals)
{
    return (double)totals->masked;
}

static void report(const beit_trainer_t *trainer, const beit__totals_t *totals,
                   beit_step_report_t *out)
{
    (void)trainer;
    out->masked = totals->masked;
    out->loss = totals->loss / (double)totals->masked;
    out->accuracy = (double)totals->correct / (double)totals->masked;
}

static beit_params_t *gradients(const beit_trainer_t *trainer)
{
    return beit_model_gradients(trainer->model);
}

const beit__objective_t beit__objective_mim = {check, pass, divisor, report, gradients};
