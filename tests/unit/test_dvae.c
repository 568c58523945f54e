/* What a tokenizer answers: against the double-precision oracle for sizes that have no published
 * vector, and against itself - masked or not, in one batch or one by one, on any number of
 * workers. */
#include "check.h"

#include <beit/beit.h>

#include "core/context.h"
#include "dvae/dvae.h"
#include "dvae64.h"

enum { B = 11, C = 3, H = 24, W = 16, V = 9, GH = H / 4, GW = W / 4, GRID = GH * GW };
enum { PICTURE = C * H * W }; /* 11 pictures are two sub-batches */

static const char *const backends[] = {"reference", "cblas"};

/* OpenAI's, three layers: a quarter as many positions. */
static beit_dvae_config_t dalle_config(void)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.init_seed = 3;
    config.arch = BEIT_DVAE_DALLE;
    config.image_height = config.image_width = 16;
    config.vocab_size = V;
    config.hidden_dim = 8;
    config.decoder_init = 4;
    config.blocks_per_group = 1;
    return config;
}

static beit_dvae_config_t config_of(int32_t layout, int32_t residuals)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.init_seed = 3;
    config.layout = layout;
    config.num_resnet_blocks = residuals;
    config.image_height = config.image_width = 16; /* nominal only */
    config.vocab_size = V;
    config.codebook_dim = 6;
    config.hidden_dim = 8;
    config.num_layers = 2;
    return config;
}

/* Biases of 0 would hide what is done with them. */
static float amplified(float x, size_t i)
{
    return x == 0 ? 0.1f * (float)sin((double)i) : 2 * x;
}

/* A tokenizer whose answers depend on the picture, which initial weights hardly do. */
static beit_dvae_t *create(beit_context_t *ctx, const beit_dvae_config_t *config)
{
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, ctx, config));
    beit_params_t *params = beit_dvae_params(dvae);
    for (size_t p = 0; p < beit_params_count(params); p++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, p, &info));
        for (size_t i = 0; i < params->list->items[p].count; i++)
            ((float *)info.value.data)[i] = amplified(((float *)info.value.data)[i], i);
    }
    return dvae;
}

/* A context of its own for each test; NULL when this build lacks the backend. */
static beit_context_t *context_on(const char *backend, int32_t threads)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = beit_backend_builtin(backend);
    config.threads = threads;
    beit_context_t *ctx = NULL;
    if (config.backend)
        check_ok(beit_context_create(&ctx, &config));
    return ctx;
}

static void on_every_backend(void (*test)(beit_context_t *ctx))
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        beit_context_t *ctx = context_on(backends[i], 2);
        if (ctx)
            test(ctx);
        beit_context_unref(ctx);
    }
}

/* ---- data ---- */

static float pixels[B * PICTURE];

static void paint(void)
{
    for (int i = 0; i < B * PICTURE; i++)
        pixels[i] = (float)(0.5 + 0.5 * sin(0.31 * i + 0.002 * i * (i % 7)));
}

static beit_tensor_t pictures(float *data, int64_t batch)
{
    return beit_tensor_make(data, BEIT_F32, 4, (const int64_t[]){batch, C, H, W});
}

static beit_tensor_t grids(void *data, beit_dtype_t dtype, int64_t batch)
{
    return beit_tensor_make(data, dtype, 3, (const int64_t[]){batch, GH, GW});
}

/* ---- against the oracle ---- */

/* Outputs are a few dozen sums of a few dozen terms; so large are their errors, relative to the
 * largest of them, or to 1. */
#define ERROR 2e-6

static double error_of(const double *wanted, int64_t n)
{
    double largest = 1;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(wanted[i]));
    return ERROR * largest;
}

static int codes_in(const int32_t *ids, int64_t n)
{
    uint64_t histogram[V] = {0};
    beit_token_usage_t usage = {.struct_size = sizeof usage};
    check_ok(beit_token_usage(ids, (size_t)n, V, histogram, &usage));
    return (int)usage.used;
}

/* Channels last, as the oracle has them, against channels first. */
static void check_maps(const float *found, const double *wanted, int64_t channels,
                       int64_t positions)
{
    const double error = error_of(wanted, B * channels * positions);
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t p = 0; p < positions; p++)
                check_near((double)found[(b * channels + c) * positions + p],
                           wanted[(b * positions + p) * channels + c], error);
}

/* Each id is that of the largest logit, or of a near tie. */
static void check_choice(const int32_t *ids, const double *logits, int64_t rows)
{
    const double error = error_of(logits, rows * V);
    for (int64_t r = 0; r < rows; r++) {
        double best = logits[r * V];
        for (int64_t v = 1; v < V; v++)
            best = fmax(best, logits[r * V + v]);
        check_near(logits[r * V + ids[r]], best, 2 * error);
    }
}

static void check_oracle(beit_context_t *ctx, const beit_dvae_config_t *config)
{
    static float logits[B * V * GRID], decoded[B * PICTURE];
    static double wide[B * PICTURE], wanted_logits[B * GRID * V], wanted[B * PICTURE];
    static int32_t ids[B * GRID];
    const int64_t h = H >> config->num_layers, w = W >> config->num_layers;
    beit_dvae_t *dvae = create(ctx, config);
    dvae64_t *oracle = dvae64_create(beit_dvae_params(dvae), beit__dvae_config(dvae));
    for (int i = 0; i < B * PICTURE; i++)
        wide[i] = (double)pixels[i];
    dvae64_logits(oracle, B, H, W, wide, wanted_logits);

    const beit_tensor_t x = pictures(pixels, B), y = pictures(decoded, B);
    const beit_tensor_t z = beit_tensor_make(logits, BEIT_F32, 4, (const int64_t[]){B, V, h, w});
    const beit_tensor_t t = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){B, h * w});
    check_ok(beit_dvae_encode(dvae, &x, &z));
    check_maps(logits, wanted_logits, V, h * w);
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    check_choice(ids, wanted_logits, B * h * w);
    assert_true(codes_in(ids, B * h * w) >= 3);

    for (int64_t i = 0; i < B * h * w; i++)
        ids[i] = (int32_t)(i * i % V); /* other codes, to see that they matter */
    dvae64_decode(oracle, B, h, w, ids, wanted);
    check_ok(beit_dvae_decode(dvae, &t, &y));
    check_maps(decoded, wanted, C, H * W);
    dvae64_destroy(oracle);
    beit_dvae_destroy(dvae);
}

static void oracle_on(beit_context_t *ctx)
{
    const beit_dvae_config_t configs[] = {config_of(BEIT_DVAE_LAYOUT_U, 0),
                                          config_of(BEIT_DVAE_LAYOUT_L, 0),
                                          config_of(BEIT_DVAE_LAYOUT_L, 2), dalle_config()};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        check_oracle(ctx, &configs[i]);
}

static void test_oracle(void **state)
{
    (void)state;
    paint();
    on_every_backend(oracle_on);
}

/* ---- against itself ---- */

static void masked_on(beit_context_t *ctx)
{
    static int32_t all[B * GRID], some[B * GRID];
    static uint8_t mask[B * GRID];
    const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U, 0);
    beit_dvae_t *dvae = create(ctx, &config);
    const beit_tensor_t x = pictures(pixels, B), m = grids(mask, BEIT_U8, B);
    const beit_tensor_t t = grids(all, BEIT_I32, B), s = grids(some, BEIT_I32, B);
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    assert_true(codes_in(all, B * GRID) >= 3);
    for (int every = 0; every <= 5; every++) { /* no position, all, every second, ... */
        for (int i = 0; i < B * GRID; i++)
            mask[i] = every > 0 && i % every == 0;
        check_ok(beit_dvae_tokenize(dvae, &x, &m, &s));
        for (int i = 0; i < B * GRID; i++)
            assert_int_equal(some[i], mask[i] ? all[i] : -1);
    }
    beit_dvae_destroy(dvae);
}

/* More positions than go through the head at once, of one picture and of two. */
static void many_positions_on(beit_context_t *ctx)
{
    enum { SIDE = 160, POSITIONS = SIDE * SIDE / 16, PAIR = 2 };
    static float pair[PAIR * C * SIDE * SIDE], logits[PAIR * V * POSITIONS];
    static int32_t ids[PAIR * POSITIONS];
    for (int i = 0; i < PAIR * C * SIDE * SIDE; i++)
        pair[i] = (float)(0.5 + 0.5 * sin(0.31 * i + 0.002 * i * (i % 7)));
    const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_L, 0);
    beit_dvae_t *dvae = create(ctx, &config);
    const beit_tensor_t x =
        beit_tensor_make(pair, BEIT_F32, 4, (const int64_t[]){PAIR, C, SIDE, SIDE});
    const beit_tensor_t z =
        beit_tensor_make(logits, BEIT_F32, 4, (const int64_t[]){PAIR, V, SIDE / 4, SIDE / 4});
    const beit_tensor_t t = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){PAIR, POSITIONS});
    check_ok(beit_dvae_encode(dvae, &x, &z));
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    for (int i = 0; i < PAIR * POSITIONS; i++) {
        const float *at = logits + i / POSITIONS * V * POSITIONS + i % POSITIONS;
        for (int v = 0; v < V; v++)
            assert_true((double)at[ids[i] * POSITIONS] >= (double)at[v * POSITIONS] - 2 * ERROR);
    }
    assert_true(codes_in(ids, PAIR * POSITIONS) >= 3);
    beit_dvae_destroy(dvae);
}

static void test_many_positions(void **state)
{
    (void)state;
    on_every_backend(many_positions_on);
}

static void test_masked(void **state)
{
    (void)state;
    paint();
    on_every_backend(masked_on);
}

static void reconstruct_on(beit_context_t *ctx)
{
    static float direct[B * PICTURE], steps[B * PICTURE], one[PICTURE];
    static int32_t ids[B * GRID];
    for (int dalle = 0; dalle <= 1; dalle++) {
        const beit_dvae_config_t config = dalle ? dalle_config() : config_of(BEIT_DVAE_LAYOUT_L, 1);
        beit_dvae_t *dvae = create(ctx, &config);
        const int64_t positions = dalle ? GRID / 4 : GRID;
        const beit_tensor_t x = pictures(pixels, B), y = pictures(direct, B);
        const beit_tensor_t s = pictures(steps, B), first = pictures(one, 1);
        const beit_tensor_t t = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){B, positions});
        check_ok(beit_dvae_reconstruct(dvae, &x, &y));
        check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
        check_ok(beit_dvae_decode(dvae, &t, &s));
        assert_memory_equal(direct, steps, sizeof direct);
        const beit_tensor_t last = pictures(pixels + (B - 1) * PICTURE, 1);
        check_ok(beit_dvae_reconstruct(dvae, &last, &first));
        for (int i = 0; i < PICTURE; i++) /* other tiles, other rounding */
            check_near((double)one[i], (double)direct[(B - 1) * PICTURE + i], ERROR);
        beit_dvae_destroy(dvae);
    }
}

static void test_reconstruct(void **state)
{
    (void)state;
    paint();
    on_every_backend(reconstruct_on);
}

static void answers(const char *backend, int32_t threads, float *logits, float *decoded)
{
    beit_context_t *ctx = context_on(backend, threads);
    beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U, 0);
    config.hidden_dim = 40; /* several tiles and tasks */
    beit_dvae_t *dvae = create(ctx, &config);
    const beit_tensor_t x = pictures(pixels, B), y = pictures(decoded, B);
    const beit_tensor_t z = beit_tensor_make(logits, BEIT_F32, 4, (const int64_t[]){B, V, GH, GW});
    check_ok(beit_dvae_encode(dvae, &x, &z));
    check_ok(beit_dvae_reconstruct(dvae, &x, &y));
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

static void test_workers(void **state)
{
    (void)state;
    static float logits[2][B * V * GRID], decoded[2][B * PICTURE];
    const int32_t workers[] = {2, 3, 7};
    paint();
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (!beit_backend_builtin(backends[i]))
            continue;
        answers(backends[i], 1, logits[0], decoded[0]);
        for (size_t j = 0; j < sizeof workers / sizeof *workers; j++) {
            answers(backends[i], workers[j], logits[1], decoded[1]);
            assert_memory_equal(logits[0], logits[1], sizeof logits[0]);
            assert_memory_equal(decoded[0], decoded[1], sizeof decoded[0]);
        }
    }
}

/* ---- full size ---- */

/* OpenAI's encoder as published tokenizes a view of pre-training: 26 GMAC. */
static void test_published_size(void **state)
{
    (void)state;
    enum { SIDE = 112, TOKENS = 196 };
    beit_context_t *ctx = context_on("cblas", 0); /* the reference takes a minute */
    if (!ctx)
        skip();
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.arch = BEIT_DVAE_DALLE;
    config.parts = BEIT_DVAE_ENCODER_ONLY;
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, ctx, &config));
    assert_int_equal(beit_params_elements(beit_dvae_params(dvae)), 53786240);
    float *picture = malloc(C * SIDE * SIDE * sizeof *picture);
    int32_t ids[TOKENS];
    for (int i = 0; i < C * SIDE * SIDE; i++)
        picture[i] = (float)(0.5 + 0.4 * sin(0.01 * i));
    const beit_tensor_t x =
        beit_tensor_make(picture, BEIT_F32, 4, (const int64_t[]){1, C, SIDE, SIDE});
    const beit_tensor_t t = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){1, TOKENS});
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    for (int i = 0; i < TOKENS; i++)
        assert_in_range(ids[i], 0, 8191);
    free(picture);
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),  cmocka_unit_test(test_many_positions),
        cmocka_unit_test(test_masked),  cmocka_unit_test(test_reconstruct),
        cmocka_unit_test(test_workers), cmocka_unit_test(test_published_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
