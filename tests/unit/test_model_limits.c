/* What a model says to wrong arguments and in wrong states, what memory it takes when, and that a
 * refused allocation leaves it as it was. */
#include "failing_alloc.h"
#include "model_case.h"

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
        cmocka_unit_test(test_shapes),        cmocka_unit_test(test_states),
        cmocka_unit_test(test_null),          cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_failed_growth), cmocka_unit_test(test_failed_creation),
        cmocka_unit_test(test_references),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
