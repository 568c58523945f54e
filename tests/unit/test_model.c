/* What a model promises beyond its numbers, which the golden and gradient tests check: that its
 * calls agree with each other, and that batches, growth, workers and the place of memory do not
 * change results. */
#include "model_case.h"
#include "toy_device.h"

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
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
