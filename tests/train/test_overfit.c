/* One batch can be learned by heart: the plainest sign that forward, backward and update belong
 * together. */
#include "tiny.h"

static void labels_are_memorised(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 2);
    beit_model_t *model = tiny_model(ctx);
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.total_steps = 400;
    cfg.warmup_steps = 10;
    cfg.lr_schedule = BEIT_LR_COSINE;
    cfg.clip_norm = 3;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, model, NULL, NULL, &cfg));
    const beit_batch_t batch = tiny_batch();
    beit_step_report_t report = {.struct_size = sizeof report};
    for (int step = 0; step < 400; step++)
        check_ok(beit_trainer_step(trainer, &batch, &report));
    check_ok(beit_trainer_evaluate(trainer, &batch, &report));
    assert_true(report.loss < 0.05);
    check_near(report.accuracy, 1, 0);
    beit_trainer_destroy(trainer);
    beit_model_destroy(model);
    beit_context_unref(ctx);
}

/* A dVAE that learns its pictures: from the variance of the pixels (0.32) to a tenth of it, by hard
 * codes, of which several are in use. */
static void pictures_are_memorised(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 2);
    beit_dvae_config_t dvae_cfg = tiny_dvae_config();
    dvae_cfg.vocab_size = 32;
    dvae_cfg.hidden_dim = 16;
    dvae_cfg.codebook_dim = 16;
    beit_dvae_t *dvae;
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.total_steps = 800;
    cfg.optimizer = BEIT_ADAM;
    cfg.weight_decay = cfg.weight_decay_end = 0;
    cfg.lr_schedule = BEIT_LR_COSINE;
    cfg.lr = 5e-3f;
    cfg.min_lr = 2e-4f;
    cfg.temperature_schedule = BEIT_TEMPERATURE_EXPONENTIAL;
    cfg.temperature = 1;
    cfg.temperature_end = 0.1f;
    cfg.temperature_steps = 600;
    cfg.balance_weight = 0.024f;
    cfg.sharpness_weight = 0.004f;
    cfg.micro_batch = 4;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_dvae(&trainer, dvae, &cfg));
    const beit_batch_t batch = tiny_pictures(4, 1);
    beit_step_report_t report = {.struct_size = sizeof report};
    for (int step = 0; step < 800; step++)
        check_ok(beit_trainer_step(trainer, &batch, &report));
    check_ok(beit_trainer_evaluate(trainer, &batch, &report));
    assert_true(report.recon_loss < 0.032);
    assert_true(report.perplexity > 4);
    beit_trainer_destroy(trainer);
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_memorised),
        cmocka_unit_test(pictures_are_memorised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
