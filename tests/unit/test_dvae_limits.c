/* What a tokenizer refuses, and what it does with memory: messages, no allocation once there is
 * enough, a clean failure when there is none. */
#include "check.h"

#include <beit/beit.h>

#include "dvae/dvae.h"
#include "failing_alloc.h"

enum { B = 11, C = 3, H = 24, W = 16, V = 9, GH = H / 4, GW = W / 4, GRID = GH * GW };
enum { PICTURE = C * H * W }; /* 11 pictures are two sub-batches */

static float pixels[B * PICTURE]; /* black will do */

static beit_dvae_config_t config_of(int32_t layout)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.layout = layout;
    config.num_resnet_blocks = 1;
    config.image_height = config.image_width = 16; /* nominal only */
    config.vocab_size = V;
    config.codebook_dim = 6;
    config.hidden_dim = 8;
    config.num_layers = 2;
    return config;
}

static beit_tensor_t pictures(float *data, int64_t batch)
{
    return beit_tensor_make(data, BEIT_F32, 4, (const int64_t[]){batch, C, H, W});
}

static beit_tensor_t grids(void *data, beit_dtype_t dtype, int64_t batch)
{
    return beit_tensor_make(data, dtype, 3, (const int64_t[]){batch, GH, GW});
}

/* ---- messages ---- */

static void test_messages(void **state)
{
    (void)state;
    static float x[2 * PICTURE];
    static int32_t ids[2 * GRID];
    static uint8_t mask[2 * GRID];
    const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U);
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
    odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){1, C, 4, 65540});
    check_status(beit_dvae_tokenize(dvae, &odd, NULL, &t), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "pixels: width is 65540, expected at most 65536");
    odd = beit_tensor_make(x, BEIT_F32, 4, (const int64_t[]){1, 1, 4, 4});
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
    const char *const backends[] = {"reference", "cblas"};
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        failing_alloc_t memory = {0};
        beit_context_t *ctx = NULL;
        if (!beit_backend_builtin(backends[i]))
            continue;
        check_ok(failing_context(&ctx, &memory, backends[i], 2));
        const beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_U);
        beit_dvae_t *dvae = NULL;
        check_ok(beit_dvae_create(&dvae, ctx, &config));
        const beit_tensor_t one = pictures(pixels, 1), codes = grids(ids, BEIT_I32, 1);
        const beit_tensor_t first = grids(mask, BEIT_U8, 1);
        check_ok(beit_dvae_tokenize(dvae, &one, &first, &codes)); /* to be outgrown */
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
    beit_dvae_config_t config = config_of(BEIT_DVAE_LAYOUT_L);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_no_allocation),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
