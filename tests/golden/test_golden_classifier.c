/* Conformance of the classifier: specification, section 19.6, on every built-in backend. The
 * vectors come from the original code in float64. */
#include "tiny.h"

enum { B = 2, SIDE = 32, K = 7, PIXELS = B * 3 * SIDE * SIDE };

static beit_model_t *make_classifier(beit_context_t *ctx)
{
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    config.image_height = config.image_width = SIDE;
    config.patch_size = 8;
    config.embed_dim = 16;
    config.depth = config.heads = 2;
    config.drop_path = 0;
    config.shared_rel_pos = 0;
    config.rel_pos = config.abs_pos = 1;
    config.num_classes = K;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    assert_int_equal(beit_params_count(beit_model_params(model)), 40);
    fill(beit_model_params(model));
    return model;
}

static void check_logits(const float *logits)
{
    static const double first[K] = {-0.07602987, -0.10067778, 0.06704275, -0.57694477,
                                    0.31849973,  -0.62785552, 0.58251510};
    for (int i = 0; i < K; i++)
        check_element((double)logits[i], first[i], 1);
}

static void tiny_classifier_on(beit_context_t *ctx)
{
    static float pixels[PIXELS];
    float logits[B * K] = {0}, grad[B * K];
    int32_t labels[B] = {2, 5};
    fill_pixels(pixels, PIXELS);
    beit_model_t *model = make_classifier(ctx);
    const beit_tensor_t pixel_view =
        beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){B, 3, SIDE, SIDE});
    const beit_tensor_t logit_view = beit_tensor_make(logits, BEIT_F32, 2, (const int64_t[]){B, K});
    const beit_tensor_t grad_view = beit_tensor_make(grad, BEIT_F32, 2, (const int64_t[]){B, K});
    const beit_tensor_t label_view = beit_tensor_make(labels, BEIT_I32, 1, (const int64_t[]){B});

    check_ok(beit_model_classify(model, &pixel_view, &logit_view));
    check_logits(logits);
    memset(logits, 0, sizeof logits);
    check_ok(beit_model_forward(model, &pixel_view, NULL, NULL, &logit_view));
    check_logits(logits);

    double loss = 0;
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit_model_loss(model, &logit_view, &label_view, 0.1f, &loss, NULL, &grad_view));
    check_relative(loss, 2.4126977964);
    check_ok(beit_model_backward(model, &grad_view));
    check_relative(total_gradient_norm(beit_model_gradients(model), 1), 9.7304449043);
    beit_model_destroy(model);
}

static void test_tiny_classifier(void **state)
{
    (void)state;
    on_every_backend(tiny_classifier_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_classifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
