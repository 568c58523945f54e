/* Stopped after any step and continued by another trainer, from a file, a run ends with the bits of
 * the uninterrupted one: weights, both moments, counters, groups. */
#include <stdbool.h>
#include <stdio.h>

#include "tiny.h"

enum { STEPS = 6, PICTURES = 3 };

static const char path[] = "resume-test.safetensors";

/* One life: everything is created anew, with other initial weights each time. */
typedef struct life {
    beit_context_t *ctx;
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *trainer;
} life_t;

static beit_trainer_config_t eventful_config(void)
{
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.seed = UINT64_MAX - 5; /* beyond what JSON integers hold */
    cfg.total_steps = STEPS;
    cfg.warmup_steps = 2;
    cfg.lr_schedule = BEIT_LR_COSINE;
    cfg.weight_decay_end = 0.2f;
    cfg.clip_norm = 0.7f;
    cfg.temperature_schedule = BEIT_TEMPERATURE_EXPONENTIAL;
    cfg.temperature_end = 0.3f;
    cfg.kl_weight = cfg.balance_weight = 0.01f;
    return cfg;
}

static life_t begin(bool mim, uint64_t init_seed)
{
    const beit_trainer_config_t cfg = eventful_config();
    life_t life = {.ctx = tiny_context("cblas", 2)};
    beit_dvae_config_t dvae = tiny_dvae_config();
    dvae.init_seed = mim ? 1 : init_seed; /* a tokenizer must be the same one */
    check_ok(beit_dvae_create(&life.dvae, life.ctx, &dvae));
    if (!mim) {
        check_ok(beit_trainer_create_dvae(&life.trainer, life.dvae, &cfg));
        return life;
    }
    beit_model_config_t model = tiny_model_config();
    model.init_seed = init_seed;
    model.drop_path = model.drop_rate = 0.2f;
    check_ok(beit_model_create(&life.model, life.ctx, &model));
    life.masker = tiny_masker(life.ctx);
    check_ok(beit_trainer_create_mim(&life.trainer, life.model, life.dvae, life.masker, &cfg));
    return life;
}

static void end(life_t *life)
{
    beit_trainer_destroy(life->trainer);
    beit_masker_destroy(life->masker);
    beit_dvae_destroy(life->dvae);
    beit_model_destroy(life->model);
    beit_context_unref(life->ctx);
}

static beit_params_t *weights_of(const life_t *life)
{
    return life->model ? beit_model_params(life->model) : beit_dvae_params(life->dvae);
}

static void run(life_t *life, unsigned from, unsigned to)
{
    for (unsigned step = from; step < to; step++) {
        const beit_batch_t batch = tiny_pictures(PICTURES, step);
        beit_step_report_t report = {.struct_size = sizeof report};
        check_ok(beit_trainer_step(life->trainer, &batch, &report));
        assert_int_equal(report.step, step + 1);
    }
}

static void stopping_does_not_matter(bool mim)
{
    const char *pattern = mim ? "*relative_position_bias_table" : "encoder.*.bias";
    life_t whole = begin(mim, 1);
    check_ok(beit_trainer_set_group(whole.trainer, pattern, 1.0f / 3, mim ? 0 : 1));
    run(&whole, 0, STEPS);
    static const unsigned stops[] = {0, 1, 3, 5, 6};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        life_t first = begin(mim, 1);
        check_ok(beit_trainer_set_group(first.trainer, pattern, 1.0f / 3, mim ? 0 : 1));
        run(&first, 0, stops[i]);
        check_ok(beit_trainer_save(first.trainer, path, NULL));
        end(&first);

        life_t second = begin(mim, 77);
        check_ok(beit_trainer_resume(second.trainer, path, NULL));
        assert_int_equal(beit_trainer_steps(second.trainer), stops[i]);
        run(&second, stops[i], STEPS);
        tiny_check_same(weights_of(&whole), weights_of(&second));
        for (int moment = 0; moment < 2; moment++)
            tiny_check_same(beit_trainer_moments(whole.trainer, moment),
                            beit_trainer_moments(second.trainer, moment));
        end(&second);
    }
    end(&whole);
    assert_int_equal(remove(path), 0);
}

static void masked_modeling_goes_on(void **state)
{
    (void)state;
    stopping_does_not_matter(true);
}

static void dvae_training_goes_on(void **state)
{
    (void)state;
    stopping_does_not_matter(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masked_modeling_goes_on),
        cmocka_unit_test(dvae_training_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
