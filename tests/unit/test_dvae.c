/* What a tokenizer answers: against the double-precision oracle for sizes that have no published
 * vector, and against itself - masked or not, in one batch or one by one, on any number of
 * workers. Then messages, and memory. */
#include "check.h"

#include <beit/beit.h>

#include "core/context.h"
#include "dvae/dvae.h"
#include "dvae64.h"
#include "failing_alloc.h"

enum { B = 11, C = 3, H = 24, W = 16, V = 9, GH = H / 4, GW = W / 4, GRID = GH * GW };
enum { PICTURE = C * H * W }; /* 11 pictures are two sub-batches */

static const char *const backends[] = {"reference", "cblas"};

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
            ((float *)info.value.data)[i] *= 2;
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

/* Outputs are of order 1 and come from a few dozen sums of a few dozen terms. */
#define ERROR 2e-6

static void check_oracle(beit_context_t *ctx, int32_t layout, int32_t residuals)
{
    static float logits[B * V * GRID], decoded[B * PICTURE];
    static double wide[B * PICTURE], wanted_logits[B * GRID * V], wanted[B * PICTURE];
    static int32_t ids[B * GRID];
    const beit_dvae_config_t config = config_of(layout, residuals);
    beit_dvae_t *dvae = create(ctx, &config);
    dvae64_t *oracle = dvae64_create(beit_dvae_params(dvae), beit__dvae_config(dvae));
    for (int i = 0; i < B * PICTURE; i++)
        wide[i] = (double)pixels[i];
    dvae64_logits(oracle, B, H, W, wide, wanted_logits);

    const beit_tensor_t x = pictures(pixels, B), y = pictures(decoded, B);
    const beit_tensor_t z = beit_tensor_make(logits, BEIT_F32, 4, (const int64_t[]){B, V, GH, GW});
    const beit_tensor_t t = grids(ids, BEIT_I32, B);
    check_ok(beit_dvae_encode(dvae, &x, &z));
    check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
    for (int b = 0; b < B; b++)
        for (int p = 0; p < GRID; p++) {
            const double *row = wanted_logits + (b * GRID + p) * V;
            double best = row[0];
            for (int v = 0; v < V; v++) {
                check_near((double)logits[(b * V + v) * GRID + p], row[v], ERROR);
                best = fmax(best, row[v]);
            }
            check_near(row[ids[b * GRID + p]], best, 2 * ERROR); /* the maximum, or a near tie */
        }

    dvae64_decode(oracle, B, GH, GW, ids, wanted);
    check_ok(beit_dvae_decode(dvae, &t, &y));
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++)
            for (int p = 0; p < H * W; p++)
                check_near((double)decoded[(b * C + c) * H * W + p],
                           wanted[(b * H * W + p) * C + c], ERROR);
    dvae64_destroy(oracle);
    beit_dvae_destroy(dvae);
}

static void oracle_on(beit_context_t *ctx)
{
    check_oracle(ctx, BEIT_DVAE_LAYOUT_U, 0);
    check_oracle(ctx, BEIT_DVAE_LAYOUT_L, 0);
    check_oracle(ctx, BEIT_DVAE_LAYOUT_L, 2);
}

static void test_oracle(void **state)
{
    (void)state;
    paint();
    on_every_backend(oracle_on);
}

/* ---- against itself ---- */

static int codes_in(const int32_t *ids, int n)
{
    uint64_t histogram[V] = {0};
    beit_token_usage_t usage = {.struct_size = sizeof usage};
    check_ok(beit_token_usage(ids, (size_t)n, V, histogram, &usage));
    return (int)usage.used;
}

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
    for (int every = 0; every <= 3; every++) { /* no position, all, every second, every third */
        for (int i = 0; i < B * GRID; i++)
            mask[i] = every > 0 && i % every == 0;
        check_ok(beit_dvae_tokenize(dvae, &x, &m, &s));
        for (int i = 0; i < B * GRID; i++)
            assert_int_equal(some[i], mask[i] ? all[i] : -1);
    }
    beit_dvae_destroy(dvae);
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
    for (int32_t arch = BEIT_DVAE_DISCRETE; arch <= BEIT_DVAE_DALLE; arch++) {
        beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_L, 1);
        config.arch = arch;
        config.decoder_init = 4;
        config.input_norm = BEIT_DVAE_NORM_NONE;
        config.num_layers = arch == BEIT_DVAE_DALLE ? 3 : 2;
        beit_dvae_t *dvae = create(ctx, &config);
        const int64_t positions = arch == BEIT_DVAE_DALLE ? GRID / 4 : GRID;
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

/* ---- messages ---- */

static void test_messages(void **state)
{
    (void)state;
    static float x[2 * PICTURE];
    static int32_t ids[2 * GRID];
    static uint8_t mask[2 * GRID];
    const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U, 0);
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    const beit_tensor_t p = pictures(x, 2), t = grids(ids, BEIT_I32, 2),
                        m = grids(mask, BEIT_U8, 2);

    beit_tensor_t odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){1, C, 22, W});
    check_status(beit_dvae_tokenize(dvae, &odd, NULL, &t), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "pixels: height is 22, expected a multiple of 4");
    odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){1, C, H, 14});
    check_status(beit_dvae_reconstruct(dvae, &odd, &odd), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "pixels: width is 14, expected a multiple of 4");
    odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){1, 1, 4, 65540});
    check_status(beit_dvae_encode(dvae, &odd, &odd), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "pixels: dim 1 is 1, expected 3");

    odd = beit_tensor_make(ids, BEIT_I32, 3, (const int64_t[]){2, GH, GW - 1});
    check_status(beit_dvae_tokenize(dvae, &p, NULL, &odd), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "tokens: dim 2 is 3, expected 4");
    odd = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){2, GRID - 1});
    check_status(beit_dvae_decode(dvae, &odd, &p), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "tokens: dim 1 is 23, expected 24");
    odd = beit_tensor_make(mask, BEIT_U8, 3, (const int64_t[]){1, GH, GW});
    check_status(beit_dvae_tokenize(dvae, &p, &odd, &t), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "mask: dim 0 is 1, expected 2");
    check_status(beit_dvae_tokenize(dvae, &p, &m, &m), BEIT_E_SHAPE);
    check_error_has("tokens: dtype is 2 (u8), expected 3 (i32)");
    odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){2, V + 1, GH, GW});
    check_status(beit_dvae_encode(dvae, &p, &odd), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "logits: dim 1 is 10, expected 9");
    odd = pictures(x, 1);
    check_status(beit_dvae_reconstruct(dvae, &p, &odd), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "out: dim 0 is 1, expected 2");

    ids[5] = V;
    check_status(beit_dvae_decode(dvae, &t, &p), BEIT_E_ARGUMENT);
    assert_string_equal(beit_last_error(), "tokens: element 5 is 9, expected 0 to 8");
    ids[5] = -1; /* as masked tokenization leaves them */
    check_status(beit_dvae_decode(dvae, &t, &p), BEIT_E_ARGUMENT);
    check_status(beit_dvae_tokenize(NULL, &p, NULL, &t), BEIT_E_ARGUMENT);
    check_status(beit_dvae_tokenize(dvae, NULL, NULL, &t), BEIT_E_ARGUMENT);
    check_status(beit_dvae_tokenize(dvae, &p, NULL, NULL), BEIT_E_ARGUMENT);
    beit_dvae_destroy(dvae);
}

/* ---- memory ---- */

static void test_no_allocation(void **state)
{
    (void)state;
    static int32_t ids[B * GRID];
    static uint8_t mask[B * GRID];
    paint();
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        failing_alloc_t memory = {0};
        beit_context_t *ctx = NULL;
        if (!beit_backend_builtin(backends[i]))
            continue;
        check_ok(failing_context(&ctx, &memory, backends[i], 2));
        const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U, 0);
        beit_dvae_t *dvae = NULL;
        check_ok(beit_dvae_create(&dvae, ctx, &config));
        check_ok(beit__dvae_reserve_tokenize(dvae, B, H, W));
        const size_t requests = memory.requests;
        for (int64_t batch = B; batch >= 1; batch -= 5) {
            const beit_tensor_t x = pictures(pixels, batch), t = grids(ids, BEIT_I32, batch);
            const beit_tensor_t m = grids(mask, BEIT_U8, batch);
            for (int j = 0; j < B * GRID; j++)
                mask[j] = (uint8_t)(j % (int)batch == 0);
            check_ok(beit_dvae_tokenize(dvae, &x, NULL, &t));
            check_ok(beit_dvae_tokenize(dvae, &x, &m, &t));
        }
        assert_int_equal(memory.requests, requests);
        beit_dvae_destroy(dvae);
        beit_context_unref(ctx);
        assert_int_equal(memory.blocks, 0);
        assert_int_equal(memory.mismatches, 0);
    }
}

/* One life of a tokenizer; BEIT_E_NOMEM where memory runs out, after which it still works. */
static beit_status_t live(beit_context_t *ctx, failing_alloc_t *memory)
{
    static float out[B * PICTURE];
    beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_L, 1);
    beit_dvae_t *dvae = NULL;
    beit_status_t status = beit_dvae_create(&dvae, ctx, &config);
    if (status != BEIT_OK) {
        assert_null(dvae);
        return status;
    }
    const beit_tensor_t x = pictures(pixels, 2), y = pictures(out, 2);
    status = beit_dvae_reconstruct(dvae, &x, &y);
    if (status != BEIT_OK) {
        memory->fail_at = 0;
        check_ok(beit_dvae_reconstruct(dvae, &x, &y));
    }
    beit_dvae_destroy(dvae);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    paint();
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        failing_alloc_t memory = {0};
        beit_context_t *ctx = NULL;
        check_ok(failing_context(&ctx, &memory, "reference", 1));
        const size_t blocks = memory.blocks;
        memory.fail_at = memory.requests + n;
        const beit_status_t status = live(ctx, &memory);
        assert_int_equal(memory.blocks, blocks);
        beit_context_unref(ctx);
        assert_int_equal(memory.blocks, 0);
        if (status == BEIT_OK)
            break;
        check_status(status, BEIT_E_NOMEM);
        failures++;
    }
    assert_true(failures >= 8); /* handle, list, two tables, weights, maps, indices, ... */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),         cmocka_unit_test(test_masked),
        cmocka_unit_test(test_reconstruct),    cmocka_unit_test(test_workers),
        cmocka_unit_test(test_published_size), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_no_allocation),  cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
