/* Four AdamW steps of the tiny model against upstream's own (specification, section 19.5): losses,
 * norms before clipping and final values, on both backends. */
#include "tiny.h"

/* Upstream ran in double precision; float32 is expected within 1e-5. */
#define RELATIVE 1e-5

static void four_steps(const char *backend)
{
    static const float rates[] = {0, 5e-3f, 1e-2f, 8e-3f};
    static const double losses[] = {3.1963140659, 3.1963140659, 2.8356885406, 2.4923211929};
    static const double norms[] = {3.01328693, 3.01328693, 2.32267235, 1.13468559};
    beit_context_t *ctx = tiny_context(backend, 2);
    beit_model_t *model = tiny_model(ctx);
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.clip_norm = 0.5f;
    cfg.lr = 1;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, model, NULL, NULL, &cfg));
    const beit_batch_t batch = tiny_batch();
    beit_step_report_t report = {.struct_size = sizeof report};
    for (int step = 0; step < 4; step++) {
        check_ok(beit_trainer_set_group(trainer, "*", rates[step], -1));
        check_ok(beit_trainer_step(trainer, &batch, &report));
        assert_int_equal(report.step, step + 1);
        assert_int_equal(report.samples, 2);
        assert_int_equal(report.masked, 13);
        check_near(report.loss, losses[step], RELATIVE * losses[step]);
        check_near(report.grad_norm, norms[step], RELATIVE * norms[step]);
        if (step == 0)
            check_near(report.accuracy, 1.0 / 13, 1e-12);
    }
    check_ok(beit_trainer_evaluate(trainer, &batch, &report));
    check_near(report.loss, 2.3999339028, RELATIVE * 2.4);
    const beit_params_t *weights = beit_model_params(model);
    check_near((double)tiny_value(weights, "mask_token"), 0.0244942986, 1e-6);
    check_near((double)tiny_value(weights, "rel_pos_bias.relative_position_bias_table"),
               0.1044455470, 1e-6);
    check_near((double)tiny_value(weights, "lm_head.bias"), -0.1146298197, 1e-6);
    beit_trainer_destroy(trainer);
    beit_model_destroy(model);
    beit_context_unref(ctx);
}

static void four_steps_on_reference(void **state)
{
    (void)state;
    four_steps("reference");
}

static void four_steps_on_cblas(void **state)
{
    (void)state;
    if (!beit_backend_builtin("cblas"))
        skip();
    four_steps("cblas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_steps_on_reference),
        cmocka_unit_test(four_steps_on_cblas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
