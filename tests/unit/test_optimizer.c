/* The update itself, through a trainer whose gradients the test writes: Adam's arithmetic, the
 * folded factors, decay by group, clipping, frozen tensors. */
#include "train/private.h"

#include "check.h"
#include "fixture.h"

static fixture_t f;

static int set_up(void **state)
{
    (void)state;
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.threads = 1;
    beit_context_t *ctx;
    if (beit_context_create(&ctx, &cfg) != BEIT_OK)
        return -1;
    const beit_status_t status = fixture_create(&f, ctx);
    beit_context_unref(ctx);
    return status == BEIT_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_destroy(&f);
    return 0;
}

/* A trainer of f's model with a constant rate. */
static beit_trainer_t *trainer_with(float lr, float decay, int32_t optimizer)
{
    beit_trainer_config_t cfg = fixture_trainer_config();
    cfg.warmup_steps = 0;
    cfg.lr_schedule = BEIT_LR_CONSTANT;
    cfg.lr = lr;
    cfg.weight_decay = cfg.weight_decay_end = decay;
    cfg.optimizer = optimizer;
    cfg.clip_norm = 0;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, f.model, f.dvae, f.masker, &cfg));
    return trainer;
}

static float *tensor(const beit_params_t *params, const char *name)
{
    size_t index;
    check_ok(beit_params_find(params, name, &index));
    return beit__params_at(params, index);
}

/* One update of all weights, each of which is `weight` before, with gradient sums `sum`. */
static void update(beit_trainer_t *trainer, float sum, float grad_scale)
{
    beit_params_t *gradients = beit_trainer_gradients(trainer);
    for (size_t i = 0; i < gradients->list->count; i++)
        for (size_t k = 0; k < gradients->list->items[i].count; k++)
            beit__params_at(gradients, i)[k] = sum;
    check_ok(beit__optimizer_update(trainer, grad_scale));
    trainer->step++;
}

static void set_weights(float weight)
{
    beit_params_t *weights = beit_model_params(f.model);
    for (size_t i = 0; i < weights->list->count; i++)
        for (size_t k = 0; k < weights->list->items[i].count; k++)
            beit__params_at(weights, i)[k] = weight;
}

/* Upstream's check values (specification, section 9), gradients given as sums of 4. */
static void adamw_is_pytorchs(void **state)
{
    (void)state;
    beit_trainer_t *trainer = trainer_with(0.1f, 0.05f, BEIT_ADAMW);
    const float *weight = tensor(beit_model_params(f.model), "lm_head.weight");
    set_weights(1);
    update(trainer, 2, 0.25f);
    check_near((double)*weight, 0.895, 1e-6);
    update(trainer, -1, 0.25f);
    check_near((double)*weight, 0.86389136, 1e-6);
    beit_trainer_destroy(trainer);
}

/* Coupled decay: it enters the moments. g = 0.5 + 0.05 and the first step is one rate long. */
static void adam_couples_decay(void **state)
{
    (void)state;
    beit_trainer_t *trainer = trainer_with(0.1f, 0.05f, BEIT_ADAM);
    set_weights(1);
    update(trainer, 0.5f, 1);
    check_near((double)*tensor(beit_model_params(f.model), "lm_head.weight"), 0.9, 1e-6);
    check_near((double)*tensor(beit_trainer_moments(trainer, 0), "lm_head.weight"), 0.055, 1e-7);
    check_near((double)*tensor(beit_trainer_moments(trainer, 0), "lm_head.bias"), 0.05, 1e-7);
    beit_trainer_destroy(trainer);
}

static void only_some_tensors_decay(void **state)
{
    (void)state;
    static const char *decayed[] = {"mask_token", "lm_head.weight", "patch_embed.proj.weight",
                                    "rel_pos_bias.relative_position_bias_table"};
    static const char *kept[] = {"cls_token",           "pos_embed", "lm_head.bias",
                                 "norm.weight",         "norm.bias", "blocks.0.gamma_1",
                                 "blocks.0.attn.q_bias"};
    beit_trainer_t *trainer = trainer_with(0.1f, 0.5f, BEIT_ADAMW);
    const beit_params_t *weights = beit_model_params(f.model);
    set_weights(1);
    update(trainer, 0, 1);
    for (size_t i = 0; i < sizeof decayed / sizeof *decayed; i++)
        check_near((double)*tensor(weights, decayed[i]), 0.95, 1e-6);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        check_near((double)*tensor(weights, kept[i]), 1, 0);
    beit_trainer_destroy(trainer);
}

static void groups_change_rate_and_decay(void **state)
{
    (void)state;
    beit_trainer_t *trainer = trainer_with(0.1f, 0.5f, BEIT_ADAMW);
    const beit_params_t *weights = beit_model_params(f.model);
    check_ok(beit_trainer_set_group(trainer, "blocks.*", 0.5f, -1));
    check_ok(beit_trainer_set_group(trainer, "blocks.?.attn.*_bias", 2, 1)); /* the later wins */
    check_ok(beit_trainer_set_group(trainer, "mask_token", 0, 0));
    set_weights(1);
    update(trainer, 1, 1);
    /* (1 - lr decay) - lr, each rate scaled */
    check_near((double)*tensor(weights, "lm_head.weight"), 0.95 - 0.1, 1e-6);
    check_near((double)*tensor(weights, "blocks.1.mlp.fc1.weight"), 0.975 - 0.05, 1e-6);
    check_near((double)*tensor(weights, "blocks.1.mlp.fc1.bias"), 1 - 0.05, 1e-6);
    check_near((double)*tensor(weights, "blocks.0.attn.q_bias"), 0.9 - 0.2, 1e-6);
    check_near((double)*tensor(weights, "mask_token"), 1, 0);
    beit_trainer_destroy(trainer);
}

static void wrong_groups_are_refused(void **state)
{
    (void)state;
    check_status(beit_trainer_set_group(f.mim, "block.*", 1, -1), BEIT_E_ARGUMENT);
    check_error_has("no tensor's name matches 'block.*'");
    check_status(beit_trainer_set_group(f.mim, "", 1, -1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, "blocks.0", 1, -1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, "*", -1, -1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, "*", NAN, -1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, "*", INFINITY, -1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, "*", 1, 2), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(f.mim, NULL, 1, 1), BEIT_E_ARGUMENT);
    check_status(beit_trainer_set_group(NULL, "*", 1, 1), BEIT_E_ARGUMENT);
    const beit__group_t *group = beit__trainer_view(f.mim).groups;
    assert_true(group->lr_scale == 1); /* and changed nothing */
}

static void clipping_shortens_long_gradients_only(void **state)
{
    (void)state;
    check_near(beit__clip_factor(2, 0.5), 0.5 / (2 + 1e-6), 1e-15);
    check_near(beit__clip_factor(0.4, 0.5), 1, 0);
    check_near(beit__clip_factor(0.5, 0.5), 0.5 / (0.5 + 1e-6), 1e-15); /* as in PyTorch */
    check_near(beit__clip_factor(0, 0.5), 1, 0);
    check_near(beit__clip_factor(1e30, 0), 1, 0); /* off */
}

/* Padding between tensors takes no part; a tensor that is not finite is named. */
static void the_norm_is_global(void **state)
{
    (void)state;
    beit_params_t *gradients = beit_trainer_gradients(f.mim);
    check_ok(beit__optimizer_clear(f.mim));
    tensor(gradients, "cls_token")[1] = 3;
    tensor(gradients, "lm_head.bias")[7] = -4;
    beit__norm_t norm;
    check_ok(beit__gradient_norm(f.mim, 10, &norm));
    check_near(norm.norm, 0.5, 1e-12);
    assert_null(norm.bad);
    tensor(gradients, "lm_head.bias")[0] = NAN;
    tensor(gradients, "blocks.1.norm2.weight")[3] = INFINITY;
    check_ok(beit__gradient_norm(f.mim, 10, &norm));
    assert_false(isfinite(norm.norm));
    assert_string_equal(norm.bad, "blocks.1.norm2.weight");
}

static void frozen_tensors_stay(void **state)
{
    (void)state;
    beit_trainer_t *trainer = trainer_with(0.1f, 0.5f, BEIT_ADAMW);
    const beit_params_t *weights = beit_model_params(f.model);
    size_t index;
    check_ok(beit_params_find(weights, "norm.weight", &index));
    beit__param_t *item = &weights->list->items[index];
    item->flags |= BEIT_PARAM_FROZEN;
    set_weights(1);
    update(trainer, 1, 1);
    check_near((double)*tensor(weights, "norm.weight"), 1, 0);
    check_near((double)*tensor(weights, "norm.bias"), 0.9, 1e-6);
    beit__norm_t norm;
    check_ok(beit__optimizer_clear(trainer));
    tensor(beit_trainer_gradients(trainer), "norm.weight")[0] = NAN;
    tensor(beit_trainer_gradients(trainer), "norm.bias")[0] = 2;
    check_ok(beit__gradient_norm(trainer, 1, &norm));
    check_near(norm.norm, 2, 1e-12);
    item->flags &= ~BEIT_PARAM_FROZEN;
    beit_trainer_destroy(trainer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_is_pytorchs),
        cmocka_unit_test(adam_couples_decay),
        cmocka_unit_test(only_some_tensors_decay),
        cmocka_unit_test(groups_change_rate_and_decay),
        cmocka_unit_test(wrong_groups_are_refused),
        cmocka_unit_test(clipping_shortens_long_gradients_only),
        cmocka_unit_test(the_norm_is_global),
        cmocka_unit_test(frozen_tensors_stay),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
