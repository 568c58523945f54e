/* A small model with every kind of randomness, pictures for it, and its calls in one line each. */
#ifndef TESTS_MODEL_CASE_H
#define TESTS_MODEL_CASE_H

#include "check.h"

#include <beit/beit.h>
#include <stdbool.h>

#include "core/philox.h"
#include "model/model.h"

enum { B = 5, C = 3, H = 12, W = 16, P = 4, N = 12, T = N + 1, D = 24, DEPTH = 3, V = 19 };
enum { ENOUGH = B * T * D }; /* for features or logits */

static inline beit_model_config_t config_of(int32_t depth)
{
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    config.init_seed = 5;
    config.image_height = H;
    config.image_width = W;
    config.patch_size = P;
    config.channels = C;
    config.vocab_size = V;
    config.embed_dim = D;
    config.depth = depth;
    config.heads = 3;
    config.abs_pos = 1;
    config.drop_path = 0.4f;
    config.drop_rate = config.attn_drop_rate = 0.1f;
    config.init_std = 0.2f; /* so that outputs depend on inputs */
    return config;
}

static inline beit_context_t *context_on(const beit_backend_ops_t *backend, int32_t threads)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = backend;
    config.threads = threads;
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    return ctx;
}

static inline beit_model_t *model_in(beit_context_t *ctx, int32_t depth)
{
    const beit_model_config_t config = config_of(depth);
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    return model;
}

static inline beit_model_t *make_model(void)
{
    beit_context_t *ctx = context_on(NULL, 2);
    beit_model_t *model = model_in(ctx, DEPTH);
    beit_context_unref(ctx); /* the model holds it */
    return model;
}

/* ---- data ---- */

static float pixels[B * C * H * W];
static uint8_t mask[B * N];
static int32_t labels[B * N];
static const uint64_t sample_ids[B] = {3, 1, 4, 15, 9};

static inline int make_data(void **state)
{
    (void)state;
    beit__draws_t draws = beit__draws(1, BEIT__STREAM_JITTER, 0, 0, 0);
    for (int i = 0; i < B * C * H * W; i++)
        pixels[i] = (float)beit__draw_uniform(&draws, -1, 1);
    for (int i = 0; i < B * N; i++) {
        mask[i] = beit__draw_below(&draws, 5) < 2;
        labels[i] = (int32_t)beit__draw_below(&draws, V);
    }
    return 0;
}

static inline int64_t masked_in(int64_t batch)
{
    int64_t masked = 0;
    for (int64_t i = 0; i < batch * N; i++)
        masked += mask[i];
    return masked;
}

static inline beit_tensor_t pixels_of(int64_t batch)
{
    return beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){batch, C, H, W});
}

static inline beit_tensor_t mask_of(int64_t batch)
{
    return beit_tensor_make(mask, BEIT_U8, 2, (const int64_t[]){batch, N});
}

static inline beit_tensor_t rows_of(float *data, int64_t rows)
{
    return beit_tensor_make(data, BEIT_F32, 2, (const int64_t[]){rows, V});
}

static inline beit_forward_options_t training_options(void)
{
    beit_forward_options_t options;
    beit_forward_options_init(&options, sizeof options);
    options.seed = 8;
    options.step = 3;
    options.sample_ids = sample_ids;
    options.training = 1;
    return options;
}

static inline beit_status_t forward(beit_model_t *model, int64_t batch, bool training,
                                    float *logits)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view = rows_of(logits, masked_in(batch));
    const beit_forward_options_t options = training_options();
    return beit_model_forward(model, &pixel_view, &mask_view, training ? &options : NULL, &view);
}

static inline beit_status_t predict(beit_model_t *model, int64_t batch, float *logits)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view =
        beit_tensor_make(logits, BEIT_F32, 3, (const int64_t[]){batch, N, V});
    return beit_model_predict(model, &pixel_view, &mask_view, &view);
}

static inline beit_status_t encode(beit_model_t *model, int64_t batch, int32_t block,
                                   float *features)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view =
        beit_tensor_make(features, BEIT_F32, 3, (const int64_t[]){batch, T, D});
    return beit_model_encode(model, &pixel_view, &mask_view, block, &view);
}

static inline beit__mim_batch_t mim_batch(int64_t first, int64_t batch)
{
    int64_t before = 0, masked = 0;
    for (int64_t i = 0; i < (first + batch) * N; i++)
        *(i < first * N ? &before : &masked) += mask[i];
    return (beit__mim_batch_t){.pixels = pixels + first * C * H * W,
                               .mask = mask + first * N,
                               .labels = labels + before,
                               .sample_ids = sample_ids + first,
                               .batch = batch,
                               .masked = masked,
                               .seed = 8,
                               .step = 3,
                               .training = true,
                               .backward = true};
}

/* A copy of all gradients; free it. */
static inline float *gradients_of(beit_model_t *model, size_t *count)
{
    const beit_params_t *params = beit_model_gradients(model);
    assert_non_null(params);
    *count = (size_t)beit_params_elements(params);
    float *all = malloc(*count * sizeof *all), *at = all;
    for (size_t t = 0; t < beit_params_count(params); t++) {
        const int64_t elements = (int64_t)params->list->items[t].count;
        const beit_tensor_t view = beit_tensor_make(at, BEIT_F32, 1, &elements);
        check_ok(beit_params_read(params, t, &view));
        at += elements;
    }
    return all;
}

static inline float *mim_gradients(beit_model_t *model, int64_t batch, double *loss, size_t *count)
{
    const beit__mim_batch_t whole = mim_batch(0, batch);
    int64_t correct = 0;
    *loss = 0;
    check_ok(beit_model_reserve(model, batch, 1));
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit__model_mim(model, &whole, loss, &correct));
    return gradients_of(model, count);
}

#endif
