/* Classifiers beyond their numbers, which the golden and gradient tests check: names, initial
 * values, refusals, agreement of the calls, batches, workers and the place of memory, files. */
#include "model_case.h"

#include <stdio.h>

#include "failing_alloc.h"
#include "toy_device.h"

enum { K = 9 };

static beit_model_config_t classifier_config(int32_t pooling)
{
    beit_model_config_t config = config_of(DEPTH);
    config.shared_rel_pos = 0;
    config.rel_pos = 1;
    config.num_classes = K;
    config.pooling = pooling;
    config.head_init_scale = 1;
    return config;
}

static beit_model_t *classifier_in(beit_context_t *ctx, int32_t pooling)
{
    const beit_model_config_t config = classifier_config(pooling);
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    return model;
}

static beit_tensor_t logits_of(float *data, int64_t batch)
{
    return beit_tensor_make(data, BEIT_F32, 2, (const int64_t[]){batch, K});
}

static beit_status_t classify(beit_model_t *model, int64_t batch, float *logits)
{
    const beit_tensor_t pixel_view = pixels_of(batch), view = logits_of(logits, batch);
    return beit_model_classify(model, &pixel_view, &view);
}

/* ---- names and initial values ---- */

static const float *values_of(beit_model_t *model, const char *name, size_t *count)
{
    const beit_params_t *params = beit_model_params(model);
    size_t index;
    check_ok(beit_params_find(params, name, &index));
    *count = params->list->items[index].count;
    return beit__params_at(params, index);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const none[] = {"mask_token", "lm_head.weight", "lm_head.bias",
                                       "rel_pos_bias.relative_position_bias_table"};
    static const char *const own[] = {"head.weight", "head.bias",
                                      "blocks.2.attn.relative_position_bias_table"};
    for (int32_t pooling = 0; pooling <= BEIT_POOL_CLASS; pooling++) {
        beit_model_t *model = classifier_in(NULL, pooling);
        const beit_params_t *params = beit_model_params(model);
        beit_model_config_t config = {.struct_size = sizeof config};
        check_ok(beit_model_config(model, &config));
        assert_int_equal(config.pooling, pooling ? pooling : BEIT_POOL_MEAN);
        size_t index;
        for (size_t i = 0; i < sizeof none / sizeof *none; i++)
            check_status(beit_params_find(params, none[i], &index), BEIT_E_ARGUMENT);
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            check_ok(beit_params_find(params, own[i], &index));
        const bool mean = pooling != BEIT_POOL_CLASS;
        check_ok(beit_params_find(params, mean ? "fc_norm.weight" : "norm.weight", &index));
        check_status(beit_params_find(params, mean ? "norm.bias" : "fc_norm.bias", &index),
                     BEIT_E_ARGUMENT);
        beit_model_destroy(model);
    }
}

static double deviation(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)count);
}

/* Unilm's fine-tuning: plain normal values, a patch embedding as PyTorch makes it, a small head.
 * A deviation estimated from n values is good to 1/sqrt(2n); four times that is allowed. */
static void test_initial_values(void **state)
{
    (void)state;
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    check_ok(beit_model_config_preset(&config, "nano"));
    config.image_height = config.image_width = 64;
    config.num_classes = 100;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, NULL, &config));
    size_t n;
    const float *head = values_of(model, "head.weight", &n);
    check_near(deviation(head, n), 2e-5, 4 * 2e-5 / sqrt(2 * (double)n));
    const float *qkv = values_of(model, "blocks.2.attn.qkv.weight", &n);
    check_near(deviation(qkv, n), 0.02, 4 * 0.02 / sqrt(2 * (double)n));
    const float *proj = values_of(model, "blocks.1.attn.proj.weight", &n);
    check_near(deviation(proj, n), 0.01, 4 * 0.01 / sqrt(2 * (double)n));
    static const char *const uniform[] = {"patch_embed.proj.weight", "patch_embed.proj.bias"};
    for (size_t t = 0; t < 2; t++) {
        const float *patch = values_of(model, uniform[t], &n);
        float most = 0;
        for (size_t i = 0; i < n; i++)
            most = fmaxf(most, fabsf(patch[i]));
        assert_true(most <= 0.0360844f); /* 768^-1/2 */
        assert_true(most > 0.034f);
    }
    beit_model_destroy(model);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    (void)state;
    static float out[ENOUGH];
    beit_model_t *classifier = classifier_in(NULL, 0), *masked = make_model();
    const beit_tensor_t pixel_view = pixels_of(2), mask_view = mask_of(2);
    const beit_tensor_t logit_view = logits_of(out, 2);
    check_status(classify(masked, 2, out), BEIT_E_STATE);
    check_error_has("no classes");
    check_status(predict(classifier, 2, out), BEIT_E_STATE);
    check_error_has("is a classifier");
    check_status(encode(classifier, 2, 0, out), BEIT_E_ARGUMENT);
    check_error_has("no mask token");
    check_status(beit_model_forward(classifier, &pixel_view, &mask_view, NULL, &logit_view),
                 BEIT_E_ARGUMENT);
    check_status(classify(classifier, 3, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_classify(NULL, &pixel_view, &logit_view), BEIT_E_ARGUMENT);
    check_status(beit_model_classify(classifier, &pixel_view, NULL), BEIT_E_ARGUMENT);
    const beit_tensor_t narrow = beit_tensor_make(out, BEIT_F32, 2, (const int64_t[]){2, K - 1});
    check_status(beit_model_classify(classifier, &pixel_view, &narrow), BEIT_E_SHAPE);

    beit_trainer_t *trainer = NULL;
    check_status(beit_trainer_create_mim(&trainer, classifier, NULL, NULL, NULL), BEIT_E_MISMATCH);
    check_error_has("a classifier of 9 classes");
    beit_model_config_t config = classifier_config(3);
    check_status(beit_model_create(&(beit_model_t *){NULL}, NULL, &config), BEIT_E_ARGUMENT);
    check_error_has("pooling is 3, expected 0 to 2");
    beit_model_destroy(masked);
    beit_model_destroy(classifier);
}

static void test_loss_refusals(void **state)
{
    (void)state;
    static float out[2 * K];
    double loss = 77;
    int32_t classes[2] = {0, K};
    beit_model_t *model = classifier_in(NULL, 0);
    const beit_tensor_t pixel_view = pixels_of(2), view = logits_of(out, 2);
    const beit_tensor_t given = beit_tensor_make(classes, BEIT_I32, 1, (const int64_t[]){2});
    const beit_tensor_t fewer = beit_tensor_make(classes, BEIT_I32, 1, (const int64_t[]){1});
    check_status(beit_model_loss(model, &view, &given, 0, &loss, NULL, NULL), BEIT_E_STATE);
    check_ok(beit_model_forward(model, &pixel_view, NULL, NULL, &view));
    check_status(beit_model_loss(model, &view, &given, 0, &loss, NULL, NULL), BEIT_E_ARGUMENT);
    check_error_has("labels: number 1 is 9, expected 0 to 8");
    classes[1] = -1;
    check_status(beit_model_loss(model, &view, &given, 0, &loss, NULL, NULL), BEIT_E_ARGUMENT);
    classes[1] = 3;
    check_status(beit_model_loss(model, &view, &given, 1, &loss, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_loss(model, &view, &given, NAN, &loss, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_loss(model, &view, &fewer, 0, &loss, NULL, NULL), BEIT_E_SHAPE);
    check_status(beit_model_loss(model, &view, &given, 0, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_loss(NULL, &view, &given, 0, &loss, NULL, NULL), BEIT_E_ARGUMENT);
    assert_true(loss == 77);
    beit_model_destroy(model);
}

/* ---- agreement ---- */

/* Logits, loss and gradients of a training pass on `batch` images; free it. */
static float *train(beit_model_t *model, int64_t batch, float *logits, size_t *count)
{
    static int32_t classes[B] = {1, 8, 0, 3, 3};
    float grad[B * K];
    double loss;
    int64_t correct;
    const beit_tensor_t pixel_view = pixels_of(batch), view = logits_of(logits, batch);
    const beit_tensor_t given = beit_tensor_make(classes, BEIT_I32, 1, &batch);
    const beit_tensor_t grad_view = logits_of(grad, batch);
    const beit_forward_options_t options = training_options();
    check_ok(beit_model_reserve(model, batch, 1));
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit_model_forward(model, &pixel_view, NULL, &options, &view));
    check_ok(beit_model_loss(model, &view, &given, 0.1f, &loss, &correct, &grad_view));
    assert_true(loss > 0 && correct >= 0 && correct <= batch);
    check_ok(beit_model_backward(model, &grad_view));
    return gradients_of(model, count);
}

/* At rest, forward and classify agree: kept and shared storage run the same layers. With mean
 * pooling the normed features are the last block's, as in the originals. */
static void test_calls_agree(void **state)
{
    (void)state;
    static float kept[B * K], shared[B * K], last[B * T * D], normed[B * T * D];
    for (int32_t pooling = BEIT_POOL_MEAN; pooling <= BEIT_POOL_CLASS; pooling++) {
        beit_model_t *model = classifier_in(NULL, pooling);
        const beit_tensor_t pixel_view = pixels_of(B), view = logits_of(kept, B);
        check_ok(beit_model_forward(model, &pixel_view, NULL, NULL, &view));
        check_ok(classify(model, B, shared));
        assert_memory_equal(kept, shared, sizeof kept);
        const beit_tensor_t out = beit_tensor_make(last, BEIT_F32, 3, (const int64_t[]){B, T, D});
        const beit_tensor_t norm = beit_tensor_make(normed, BEIT_F32, 3, (int64_t[]){B, T, D});
        check_ok(beit_model_encode(model, &pixel_view, NULL, DEPTH - 1, &out));
        check_ok(beit_model_encode(model, &pixel_view, NULL, BEIT_FEATURES_NORMED, &norm));
        assert_true((memcmp(last, normed, sizeof last) == 0) == (pooling == BEIT_POOL_MEAN));
        beit_model_destroy(model);
    }
}

/* A batch equals its images one by one, also in a plan for more; 1, 2 and 3 workers equal each
 * other; a device equals the host. */
static void test_surroundings_do_not_matter(void **state)
{
    (void)state;
    static float whole[B * K], single[K], other[B * K];
    for (int32_t pooling = BEIT_POOL_MEAN; pooling <= BEIT_POOL_CLASS; pooling++) {
        beit_context_t *ctx = context_on(NULL, 1);
        beit_model_t *model = classifier_in(ctx, pooling);
        size_t count;
        float *wanted = train(model, B, whole, &count);
        for (int32_t threads = 2; threads <= 3; threads++) {
            beit_context_t *wider = context_on(NULL, threads);
            beit_model_t *same = classifier_in(wider, pooling);
            float *found = train(same, B, other, &count);
            assert_memory_equal(whole, other, sizeof whole);
            assert_memory_equal(wanted, found, count * sizeof *found);
            free(found);
            beit_model_destroy(same);
            beit_context_unref(wider);
        }
        check_ok(classify(model, B, whole));
        check_ok(classify(model, 1, single));
        for (int k = 0; k < K; k++)
            check_near((double)single[k], (double)whole[k], 1e-5);
        free(wanted);
        beit_model_destroy(model);
        beit_context_unref(ctx);
    }
}

static void test_device(void **state)
{
    (void)state;
    static float wanted_logits[B * K], logits[B * K];
    for (int32_t pooling = BEIT_POOL_MEAN; pooling <= BEIT_POOL_CLASS; pooling++) {
        beit_context_t *host = context_on(beit_backend_builtin("reference"), 1);
        beit_context_t *device = context_on(&toy_device_ops, 1);
        beit_model_t *here = classifier_in(host, pooling), *there = classifier_in(device, pooling);
        size_t count;
        float *wanted = train(here, B, wanted_logits, &count);
        float *found = train(there, B, logits, &count);
        assert_memory_equal(logits, wanted_logits, sizeof logits);
        assert_memory_equal(found, wanted, count * sizeof *found);
        free(found);
        free(wanted);
        beit_model_destroy(there);
        beit_model_destroy(here);
        beit_context_unref(device);
        beit_context_unref(host);
    }
    assert_int_equal(toy_device_counts.live_bytes, 0);
}

static void test_no_allocations_once_planned(void **state)
{
    (void)state;
    static float logits[B * K];
    failing_alloc_t alloc = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &alloc, NULL, 1));
    beit_model_t *model = classifier_in(ctx, BEIT_POOL_MEAN);
    check_ok(beit_model_reserve(model, B, 1));
    const size_t before = alloc.requests;
    size_t count;
    free(train(model, B, logits, &count)); /* gradients_of() takes from the C library */
    free(train(model, 2, logits, &count));
    check_ok(classify(model, B, logits));
    assert_int_equal(alloc.requests, before);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    assert_int_equal(alloc.blocks, 0);
}

/* ---- files ---- */

static void test_file(void **state)
{
    (void)state;
    static float before[B * K], after[B * K];
    const char *path = "test_classifier.safetensors";
    for (int32_t pooling = BEIT_POOL_MEAN; pooling <= BEIT_POOL_CLASS; pooling++) {
        beit_model_t *model = classifier_in(NULL, pooling), *back = NULL;
        check_ok(classify(model, B, before));
        check_ok(beit_model_save(model, path, NULL));
        check_ok(beit_model_load(&back, NULL, path, NULL));
        beit_model_config_t config = {.struct_size = sizeof config};
        check_ok(beit_model_config(back, &config));
        assert_int_equal(config.num_classes, K);
        assert_int_equal(config.pooling, pooling);
        check_ok(classify(back, B, after));
        assert_memory_equal(before, after, sizeof before);
        beit_model_destroy(back);
        beit_model_destroy(model);
    }
    assert_int_equal(remove(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_loss_refusals),
        cmocka_unit_test(test_calls_agree), cmocka_unit_test(test_surroundings_do_not_matter),
        cmocka_unit_test(test_device),      cmocka_unit_test(test_no_allocations_once_planned),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
