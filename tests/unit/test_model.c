/* What a model promises beyond its numbers, which the golden and gradient tests check: that its
 * calls agree with each other, that batches, growth and workers do not change results, what it
 * says to wrong arguments, and that a refused allocation leaves it as it was. */
#include "check.h"

#include <beit/beit.h>
#include <stdbool.h>

#include "core/philox.h"
#include "failing_alloc.h"
#include "model/model.h"
#include "toy_device.h"

enum { B = 5, C = 3, H = 12, W = 16, P = 4, N = 12, T = N + 1, D = 24, DEPTH = 3, V = 19 };
enum { ENOUGH = B * T * D }; /* for features or logits */

static beit_model_config_t config_of(int32_t depth)
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

static beit_context_t *context_on(const beit_backend_ops_t *backend, int32_t threads)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = backend;
    config.threads = threads;
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    return ctx;
}

static beit_model_t *model_in(beit_context_t *ctx, int32_t depth)
{
    const beit_model_config_t config = config_of(depth);
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    return model;
}

static beit_model_t *make_model(void)
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

static int make_data(void **state)
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

static int64_t masked_in(int64_t batch)
{
    int64_t masked = 0;
    for (int64_t i = 0; i < batch * N; i++)
        masked += mask[i];
    return masked;
}

static beit_tensor_t pixels_of(int64_t batch)
{
    return beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){batch, C, H, W});
}

static beit_tensor_t mask_of(int64_t batch)
{
    return beit_tensor_make(mask, BEIT_U8, 2, (const int64_t[]){batch, N});
}

static beit_tensor_t rows_of(float *data, int64_t rows)
{
    return beit_tensor_make(data, BEIT_F32, 2, (const int64_t[]){rows, V});
}

static beit_forward_options_t training_options(void)
{
    beit_forward_options_t options;
    beit_forward_options_init(&options, sizeof options);
    options.seed = 8;
    options.step = 3;
    options.sample_ids = sample_ids;
    options.training = 1;
    return options;
}

static beit_status_t forward(beit_model_t *model, int64_t batch, bool training, float *logits)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view = rows_of(logits, masked_in(batch));
    const beit_forward_options_t options = training_options();
    return beit_model_forward(model, &pixel_view, &mask_view, training ? &options : NULL, &view);
}

static beit_status_t predict(beit_model_t *model, int64_t batch, float *logits)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view =
        beit_tensor_make(logits, BEIT_F32, 3, (const int64_t[]){batch, N, V});
    return beit_model_predict(model, &pixel_view, &mask_view, &view);
}

static beit_status_t encode(beit_model_t *model, int64_t batch, int32_t block, float *features)
{
    const beit_tensor_t pixel_view = pixels_of(batch), mask_view = mask_of(batch);
    const beit_tensor_t view =
        beit_tensor_make(features, BEIT_F32, 3, (const int64_t[]){batch, T, D});
    return beit_model_encode(model, &pixel_view, &mask_view, block, &view);
}

static beit__mim_batch_t mim_batch(int64_t first, int64_t batch)
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
static float *gradients_of(beit_model_t *model, size_t *count)
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

static float *mim_gradients(beit_model_t *model, int64_t batch, double *loss, size_t *count)
{
    const beit__mim_batch_t whole = mim_batch(0, batch);
    int64_t correct = 0;
    *loss = 0;
    check_ok(beit_model_reserve(model, batch, 1));
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit__model_mim(model, &whole, loss, &correct));
    return gradients_of(model, count);
}

/* Two ways to sum the same terms in float32: 1e-5 of the largest value leaves room for that. */
static void check_close(const float *found, const float *wanted, size_t count)
{
    double scale = 0;
    for (size_t i = 0; i < count; i++)
        scale = fmax(scale, fabs((double)wanted[i]));
    assert_true(scale > 0);
    for (size_t i = 0; i < count; i++)
        check_near((double)found[i], (double)wanted[i], 1e-5 * scale);
}

/* ---- agreement ---- */

static void test_predict_and_forward(void **state)
{
    (void)state;
    static float some[B * N * V], all[B * N * V], gathered[B * N * V];
    beit_model_t *model = make_model();
    check_ok(forward(model, B, false, some));
    check_ok(predict(model, B, all));
    int64_t row = 0;
    for (int i = 0; i < B * N; i++)
        if (mask[i])
            memcpy(gathered + row++ * V, all + i * V, V * sizeof(float));
    check_close(some, gathered, (size_t)row * V);
    beit_model_destroy(model);
}

static void test_mask(void **state)
{
    (void)state;
    static float with[B * N * V], without[B * N * V], changed[B * N * V];
    beit_model_t *model = make_model();
    check_ok(predict(model, B, with));
    const beit_tensor_t pixel_view = pixels_of(B);
    const beit_tensor_t view = beit_tensor_make(without, BEIT_F32, 3, (const int64_t[]){B, N, V});
    check_ok(beit_model_predict(model, &pixel_view, NULL, &view));
    assert_memory_not_equal(with, without, sizeof with);
    /* what stands under the mask is not seen, and any other value than 0 masks */
    for (int i = 0; i < B * N; i++)
        for (int c = 0; mask[i] && c < C; c++)
            for (int y = 0; y < P; y++)
                for (int x = 0; x < P; x++) {
                    const int row = i % N / (W / P) * P + y, col = i % N % (W / P) * P + x;
                    pixels[((i / N * C + c) * H + row) * W + col] = 100;
                }
    for (int i = 0; i < B * N; i++)
        mask[i] = mask[i] ? 255 : 0;
    check_ok(predict(model, B, changed));
    assert_memory_equal(with, changed, sizeof with);
    make_data(NULL);
    beit_model_destroy(model);
}

/* Features at the last block through norm and head are the predictions; those of an earlier block
 * are the last ones of a model that ends there. */
static void test_features(void **state)
{
    (void)state;
    static float features[B * T * D], normed[B * T * D], logits[B * N * V], by_hand[B * N * V];
    beit_context_t *ctx = context_on(NULL, 2);
    beit_model_t *model = model_in(ctx, DEPTH), *shallow = model_in(ctx, 1);
    beit_params_t *params = beit_model_params(model), *fewer = beit_model_params(shallow);
    for (size_t t = 0; t < beit_params_count(fewer); t++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        size_t index;
        check_ok(beit_params_info(fewer, t, &info));
        check_ok(beit_params_find(params, info.name, &index));
        check_ok(beit_params_read(params, index, &info.value));
    }
    for (int block = 0; block < DEPTH; block++) {
        check_ok(encode(model, B, block, features));
        check_ok(encode(model, B, BEIT_FEATURES_NORMED, normed));
        assert_memory_not_equal(features, normed, sizeof features);
    }
    check_ok(encode(model, B, 0, features));
    check_ok(encode(shallow, B, 0, normed));
    assert_memory_equal(features, normed, sizeof features);

    check_ok(encode(model, B, DEPTH - 1, features));
    check_ok(encode(model, B, BEIT_FEATURES_NORMED, normed));
    for (int r = 0; r < B * T; r++) { /* norm weight 1, bias 0 */
        double mean = 0, variance = 0;
        for (int d = 0; d < D; d++)
            mean += (double)features[r * D + d] / D;
        for (int d = 0; d < D; d++)
            variance += pow((double)features[r * D + d] - mean, 2) / D;
        for (int d = 0; d < D; d++)
            check_near((double)normed[r * D + d],
                       ((double)features[r * D + d] - mean) / sqrt(variance + 1e-6), 1e-5);
    }
    size_t head;
    check_ok(beit_params_find(params, "lm_head.weight", &head));
    const float *w = beit__params_at(params, head);
    for (int i = 0; i < B * N; i++)
        for (int v = 0; v < V; v++) { /* bias 0 */
            double sum = 0;
            for (int d = 0; d < D; d++)
                sum += (double)w[v * D + d] * (double)normed[(i / N * T + 1 + i % N) * D + d];
            by_hand[i * V + v] = (float)sum;
        }
    check_ok(predict(model, B, logits));
    check_close(logits, by_hand, B * N * V);
    beit_model_destroy(shallow);
    beit_model_destroy(model);
    beit_context_unref(ctx);
}

/* The public pair and the trainer's call agree, given the same loss. */
static void test_pair_and_mim(void **state)
{
    (void)state;
    static float logits[B * N * V];
    beit_model_t *model = make_model();
    double wanted_loss;
    size_t count;
    float *wanted = mim_gradients(model, B, &wanted_loss, &count);

    check_ok(beit_model_zero_gradients(model));
    check_ok(forward(model, B, true, logits));
    double loss = 0;
    const int64_t masked = masked_in(B);
    for (int64_t r = 0; r < masked; r++) {
        float *z = logits + r * V;
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += exp((double)z[v]);
        loss += log(sum) - (double)z[labels[r]];
        for (int v = 0; v < V; v++)
            z[v] = (float)(exp((double)z[v]) / sum - (v == labels[r]));
    }
    const beit_tensor_t view = rows_of(logits, masked);
    check_near(loss, wanted_loss, 1e-5 * loss);
    check_ok(beit_model_backward(model, &view));
    float *found = gradients_of(model, &count);
    check_close(found, wanted, count);
    free(found);

    check_ok(beit_model_backward(model, &view)); /* once more: gradients add up */
    found = gradients_of(model, &count);
    for (size_t i = 0; i < count; i++)
        wanted[i] *= 2;
    check_close(found, wanted, count);
    free(found);
    free(wanted);
    beit_model_destroy(model);
}

/* Evaluation: the loss without drawing, in whichever storage, and nothing else changes. */
static void test_evaluation(void **state)
{
    (void)state;
    static float logits[B * N * V];
    beit_model_t *model = make_model();
    beit__mim_batch_t batch = mim_batch(0, B);
    batch.training = batch.backward = false;
    double loss = 0, again = 0, by_hand = 0;
    int64_t correct = 0, correct_again = 0;
    check_ok(beit__model_mim(model, &batch, &loss, &correct));
    assert_null(beit_model_gradients(model));
    check_ok(forward(model, B, false, logits));
    for (int64_t r = 0; r < masked_in(B); r++) {
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += exp((double)logits[r * V + v]);
        by_hand += log(sum) - (double)logits[r * V + labels[r]];
    }
    check_near(loss, by_hand, 1e-5 * loss);
    batch.backward = true;
    check_ok(beit__model_mim(model, &batch, &again, &correct_again));
    check_near(again, loss, 1e-6 * loss);
    assert_int_equal(correct_again, correct);

    double nothing = 0.25;
    batch.masked = 0;
    check_ok(beit__model_mim(model, &batch, &nothing, &correct));
    assert_true(nothing == 0.25);
    beit_model_destroy(model);
}

/* ---- batches ---- */

/* A batch is the sum of its parts, dropout and stochastic depth included. */
static void test_parts(void **state)
{
    (void)state;
    beit_model_t *model = make_model();
    double wanted_loss, loss = 0;
    size_t count;
    float *wanted = mim_gradients(model, B, &wanted_loss, &count);
    check_ok(beit_model_zero_gradients(model));
    static const int64_t parts[][2] = {{0, 2}, {2, 1}, {3, 2}};
    int64_t correct = 0;
    for (size_t i = 0; i < 3; i++) {
        const beit__mim_batch_t part = mim_batch(parts[i][0], parts[i][1]);
        check_ok(beit__model_mim(model, &part, &loss, &correct));
    }
    check_near(loss, wanted_loss, 1e-5 * wanted_loss);
    float *found = gradients_of(model, &count);
    check_close(found, wanted, count);
    free(found);
    free(wanted);
    beit_model_destroy(model);
}

static void test_draws(void **state)
{
    (void)state;
    static float rest[B * N * V], one[B * N * V], other[B * N * V];
    beit_model_t *model = make_model();
    const beit_tensor_t pixel_view = pixels_of(B), mask_view = mask_of(B);
    const int64_t masked = masked_in(B);
    const size_t bytes = (size_t)masked * V * sizeof(float);
    const beit_tensor_t view = rows_of(other, masked);
    check_ok(forward(model, B, false, rest));
    check_ok(forward(model, B, true, one));
    assert_memory_not_equal(one, rest, bytes);
    check_ok(forward(model, B, true, other));
    assert_memory_equal(one, other, bytes);
    static const uint64_t other_ids[B] = {30, 10, 40, 150, 90};
    for (int change = 0; change < 3; change++) {
        beit_forward_options_t options = training_options();
        options.seed += change == 0;
        options.step += change == 1;
        options.sample_ids = change == 2 ? other_ids : options.sample_ids;
        check_ok(beit_model_forward(model, &pixel_view, &mask_view, &options, &view));
        assert_memory_not_equal(one, other, bytes);
    }
    beit_model_destroy(model);
}

/* Larger batches than ever, in both storages, between a forward and its backward pass. */
static void test_growth(void **state)
{
    (void)state;
    static float logits[ENOUGH], unused[ENOUGH];
    size_t count;
    float *wanted[2], *found;
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        beit_model_t *model = make_model();
        check_ok(forward(model, 2, true, logits));
        if (disturbed) {
            check_ok(predict(model, B, unused));
            check_ok(encode(model, B - 1, 0, unused));
        }
        const beit_tensor_t view = rows_of(logits, masked_in(2)); /* as good a gradient as any */
        check_ok(beit_model_backward(model, &view));
        wanted[disturbed] = gradients_of(model, &count);

        double loss;
        found = mim_gradients(model, B, &loss, &count);
        beit_model_t *fresh = make_model();
        float *alone = mim_gradients(fresh, B, &loss, &count);
        assert_memory_equal(found, alone, count * sizeof *found);
        free(alone);
        free(found);
        beit_model_destroy(fresh);
        beit_model_destroy(model);
    }
    assert_memory_equal(wanted[0], wanted[1], count * sizeof *wanted[0]);
    free(wanted[0]);
    free(wanted[1]);
}

/* ---- workers and backends ---- */

static float *gradients_on(const beit_backend_ops_t *backend, int32_t threads, size_t *count)
{
    beit_context_t *ctx = context_on(backend, threads);
    beit_model_t *model = model_in(ctx, DEPTH);
    double loss;
    float *gradients = mim_gradients(model, B, &loss, count);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    return gradients;
}

static void test_workers(void **state)
{
    const beit_backend_ops_t *backend = beit_backend_builtin(*state);
    if (!backend)
        skip(); /* not in this build */
    size_t count;
    float *wanted = gradients_on(backend, 1, &count);
    static const int32_t threads[] = {2, 3, 7};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        float *found = gradients_on(backend, threads[i], &count);
        assert_memory_equal(found, wanted, count * sizeof *found);
        free(found);
    }
    free(wanted);
}

/* Nothing here touches tensor memory: a device's addresses trap on the host. */
static void test_device(void **state)
{
    (void)state;
    size_t count;
    float *wanted = gradients_on(beit_backend_builtin("reference"), 1, &count);
    float *found = gradients_on(&toy_device_ops, 1, &count);
    assert_memory_equal(found, wanted, count * sizeof *found);
    free(found);
    free(wanted);
    static float logits[2][B * N * V], features[2][B * T * D];
    for (int i = 0; i < 2; i++) {
        beit_context_t *ctx =
            context_on(i == 0 ? beit_backend_builtin("reference") : &toy_device_ops, 1);
        beit_model_t *model = model_in(ctx, DEPTH);
        check_ok(predict(model, B, logits[i]));
        check_ok(encode(model, B, BEIT_FEATURES_NORMED, features[i]));
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(beit_model_params(model), 0, &info));
        assert_int_equal(info.value.data == NULL, i);
        beit_model_destroy(model);
        beit_context_unref(ctx);
    }
    assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
    assert_memory_equal(features[0], features[1], sizeof features[0]);
    assert_int_equal(toy_device_counts.live_bytes, 0);
}

/* ---- messages ---- */

static void test_shapes(void **state)
{
    (void)state;
    static float out[ENOUGH];
    beit_model_t *model = make_model();
    const int64_t M = masked_in(2);
    const beit_tensor_t good_pixels = pixels_of(2), good_mask = mask_of(2);
    const beit_tensor_t good_logits = rows_of(out, M);
    const int64_t wrong_channels[4] = {2, C + 1, H, W}, wrong_width[4] = {2, C, H, W - P};
    const struct {
        beit_tensor_t pixels, mask, logits;
        beit_status_t status;
        const char *message;
    } cases[] = {
        {beit_tensor_make(pixels, BEIT_F32, 4, wrong_channels), good_mask, good_logits,
         BEIT_E_SHAPE, "pixels: dim 1 is 4, expected 3"},
        {beit_tensor_make(pixels, BEIT_F32, 4, wrong_width), good_mask, good_logits, BEIT_E_SHAPE,
         "pixels: dim 3 is 12, expected 16"},
        {beit_tensor_make(pixels, BEIT_F32, 3, wrong_width), good_mask, good_logits, BEIT_E_SHAPE,
         "pixels: ndim is 3, expected 4"},
        {beit_tensor_make(NULL, BEIT_F32, 4, good_pixels.shape), good_mask, good_logits,
         BEIT_E_ARGUMENT, "pixels: data is NULL"},
        {good_pixels, mask_of(3), good_logits, BEIT_E_SHAPE, "mask: dim 0 is 3, expected 2"},
        {good_pixels, beit_tensor_make(mask, BEIT_I32, 2, good_mask.shape), good_logits,
         BEIT_E_SHAPE, "mask: dtype is 3 (i32), expected 2 (u8)"},
        {good_pixels, good_mask, rows_of(out, M + 1), BEIT_E_SHAPE, "logits: dim 0 is"},
        {good_pixels, good_mask, beit_tensor_make(out, BEIT_F32, 1, &M), BEIT_E_SHAPE,
         "logits: ndim is 1, expected 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_status(
            beit_model_forward(model, &cases[i].pixels, &cases[i].mask, NULL, &cases[i].logits),
            cases[i].status);
        check_error_has(cases[i].message);
    }
    check_status(beit_model_forward(model, &good_pixels, NULL, NULL, &good_logits),
                 BEIT_E_ARGUMENT);
    check_error_has("mask is NULL");
    static uint8_t empty[2 * N];
    const beit_tensor_t empty_mask = beit_tensor_make(empty, BEIT_U8, 2, good_mask.shape);
    check_status(beit_model_forward(model, &good_pixels, &empty_mask, NULL, &good_logits),
                 BEIT_E_ARGUMENT);
    check_error_has("mask: none of 24 patches is masked, expected at least 1");
    check_status(beit_model_predict(model, &good_pixels, &good_mask, &good_logits), BEIT_E_SHAPE);
    check_status(encode(model, 2, DEPTH, out), BEIT_E_ARGUMENT);
    check_error_has("block is 3, expected 0 to 2, or -1 (normed)");
    check_status(encode(model, 2, -2, out), BEIT_E_ARGUMENT);
    check_status(beit_model_encode(model, &good_pixels, &good_mask, 0, &good_logits), BEIT_E_SHAPE);
    check_error_has("features: ndim is 2, expected 3");
    beit_forward_options_t options = training_options();
    options.training = 2;
    check_status(beit_model_forward(model, &good_pixels, &good_mask, &options, &good_logits),
                 BEIT_E_ARGUMENT);
    check_error_has("forward options: training is 2, expected 0 or 1");
    assert_null(beit_model_gradients(model)); /* nothing was planned for refused calls */
    beit_model_destroy(model);
}

static void test_states(void **state)
{
    (void)state;
    static float out[ENOUGH];
    beit_model_t *model = make_model();
    const beit_tensor_t view = rows_of(out, masked_in(2));
    check_status(beit_model_backward(model, &view), BEIT_E_STATE);
    check_error_has("backward needs a forward pass before it");
    check_status(beit_model_zero_gradients(model), BEIT_E_STATE);
    check_ok(forward(model, 2, false, out));
    const beit_tensor_t other = rows_of(out, masked_in(1));
    check_status(beit_model_backward(model, &other), BEIT_E_SHAPE);
    check_error_has("logits_grad: dim 0 is");
    check_ok(beit_model_backward(model, &view));
    double loss;
    size_t count;
    free(mim_gradients(model, 2, &loss, &count)); /* the trainer's pass is not the host's */
    check_status(beit_model_backward(model, &view), BEIT_E_STATE);

    check_status(beit_model_reserve(model, 0, 1), BEIT_E_ARGUMENT);
    check_error_has("batch is 0, expected 1 to 165191049"); /* 2^31 / 13 rows */
    check_status(beit_model_reserve(model, INT64_MAX, 0), BEIT_E_ARGUMENT);
    beit_model_destroy(model);
}

static void test_null(void **state)
{
    (void)state;
    assert_null(beit_model_params(NULL));
    assert_null(beit_model_gradients(NULL));
    check_status(beit_model_reserve(NULL, 1, 0), BEIT_E_ARGUMENT);
    check_status(beit_model_zero_gradients(NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_forward(NULL, NULL, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_backward(NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_predict(NULL, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_encode(NULL, NULL, NULL, 0, NULL), BEIT_E_ARGUMENT);
    check_error_has("model is NULL");
}

/* ---- memory ---- */

static void test_reserve(void **state)
{
    (void)state;
    static float out[ENOUGH];
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    beit_model_t *model = model_in(ctx, DEPTH);
    check_ok(beit_model_reserve(model, B, 1));
    assert_non_null(beit_model_gradients(model));
    uint64_t weights, gradients, activations;
    beit__model_memory(model, &weights, &gradients, &activations);
    assert_int_equal(weights, gradients);
    assert_true(weights >= 4 * beit_params_elements(beit_model_params(model)));
    assert_true(weights + gradients + activations <= memory.bytes);
    assert_true(weights + gradients + activations > memory.bytes - 200000); /* lists, context */

    memory.requests = 0;
    for (int64_t batch = B; batch >= 1; batch--) {
        check_ok(predict(model, batch, out));
        check_ok(encode(model, batch, BEIT_FEATURES_NORMED, out));
        check_ok(forward(model, batch, true, out));
        const beit_tensor_t view = rows_of(out, masked_in(batch));
        check_ok(beit_model_backward(model, &view));
        check_ok(beit_model_reserve(model, batch, 1));
    }
    assert_int_equal(memory.requests, 0);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.mismatches, 0);
}

/* Each allocation of a growing reserve fails in turn. What was planned works on, and the forward
 * pass under way can still be finished. */
static void test_failed_growth(void **state)
{
    (void)state;
    static float logits[B * N * V], out[B * N * V];
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    beit_model_t *model = model_in(ctx, DEPTH);
    check_ok(beit_model_reserve(model, 2, 1));
    check_ok(forward(model, 2, true, logits));
    const beit_tensor_t view = rows_of(logits, masked_in(2));
    check_ok(beit_model_backward(model, &view));
    size_t count, failures = 0;
    float *wanted = gradients_of(model, &count);

    const size_t blocks = memory.blocks;
    for (;; failures++) {
        memory.requests = 0;
        memory.fail_at = failures + 1;
        const beit_status_t status = beit_model_reserve(model, B, 1);
        memory.fail_at = 0;
        if (status == BEIT_OK)
            break;
        check_status(status, BEIT_E_NOMEM);
        assert_true(memory.blocks >= blocks); /* shared storage may have grown already */
        check_ok(beit_model_zero_gradients(model));
        if (failures % 2)
            check_ok(predict(model, 2, out));
        check_ok(beit_model_backward(model, &view));
        float *found = gradients_of(model, &count);
        assert_memory_equal(found, wanted, count * sizeof *found);
        free(found);
    }
    assert_true(failures >= 4);
    check_status(beit_model_backward(model, &view), BEIT_E_STATE); /* kept storage is a new one */
    check_ok(forward(model, 2, true, out));
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit_model_backward(model, &view));
    float *found = gradients_of(model, &count);
    assert_memory_equal(found, wanted, count * sizeof *found);
    free(found);
    free(wanted);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.mismatches, 0);
}

static void test_failed_creation(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    const size_t blocks = memory.blocks;
    const beit_model_config_t config = config_of(1);
    size_t failures = 0;
    for (;; failures++) {
        memory.requests = 0;
        memory.fail_at = failures + 1;
        beit_model_t *model = NULL;
        const beit_status_t status = beit_model_create(&model, ctx, &config);
        if (status == BEIT_OK) {
            beit_model_destroy(model);
            break;
        }
        check_status(status, BEIT_E_NOMEM);
        assert_null(model);
        assert_int_equal(memory.blocks, blocks);
    }
    assert_true(failures >= 5);
    beit_context_unref(ctx);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.mismatches, 0);
}

static void test_references(void **state)
{
    (void)state;
    static float out[ENOUGH];
    beit_model_t *model = make_model();
    assert_ptr_equal(beit__model_ref(model), model);
    beit_model_destroy(model); /* still held */
    check_ok(predict(model, 1, out));
    assert_int_equal(beit__model_config(model)->embed_dim, D);
    assert_non_null(beit__model_context(model));
    assert_non_null(beit__model_run(model));
    beit_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predict_and_forward),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_pair_and_mim),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_growth),
        cmocka_unit_test_prestate(test_workers, "reference"),
        cmocka_unit_test_prestate(test_workers, "cblas"),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_failed_growth),
        cmocka_unit_test(test_failed_creation),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
