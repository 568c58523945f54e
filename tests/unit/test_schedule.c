/* The schedules against figures that upstream's own code gave (specification, sections 3.5 and 9)
 * and against hand-made small cases. */
#include "train/schedule.h"

#include "check.h"

/* Half a unit of the seventh digit, to which the figures are given; settings being floats adds
 * 6e-8. */
#define RELATIVE 4e-7

static beit_trainer_config_t config(void)
{
    beit_trainer_config_t cfg;
    beit_trainer_config_init(&cfg, sizeof cfg);
    return cfg;
}

static void check_rate(const beit_trainer_config_t *cfg, uint64_t step, double wanted)
{
    check_near(beit__schedule_lr(cfg, step), wanted, RELATIVE * wanted);
}

static void cosine_rate_is_upstreams(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.total_steps = 800 * 625;
    cfg.warmup_steps = 10 * 625;
    check_rate(&cfg, 0, 0);
    check_rate(&cfg, 1, 2.400384e-7);
    check_rate(&cfg, 6249, 1.5e-3);
    check_rate(&cfg, 6250, 1.5e-3);
    check_rate(&cfg, 100000, 1.371342e-3);
    check_rate(&cfg, 250000, 7.698122e-4);
    check_rate(&cfg, 499999, 1.0000000015e-5);
    check_rate(&cfg, 500000, 1e-5); /* past the end */
    check_rate(&cfg, UINT64_MAX, 1e-5);
    assert_true(beit__schedule_lr(&cfg, 499999) > (double)cfg.min_lr); /* never quite reached */
}

static void warm_up_may_be_short_or_all(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.lr = 1;
    cfg.min_lr = 0;
    cfg.warmup_lr = 0.25f;
    cfg.total_steps = 4;
    cfg.warmup_steps = 0;
    check_rate(&cfg, 0, 1);
    check_rate(&cfg, 2, 0.5);
    cfg.warmup_steps = 1; /* upstream's linspace of one value */
    check_rate(&cfg, 0, 0.25);
    check_rate(&cfg, 1, 1);
    cfg.warmup_steps = 4;
    check_rate(&cfg, 0, 0.25);
    check_rate(&cfg, 1, 0.5);
    check_rate(&cfg, 3, 1);
    check_near(beit__schedule_lr(&cfg, 4), 0, 0); /* an empty cosine is over */
}

static void other_rates(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.lr = 1e-3f;
    cfg.warmup_steps = 0;
    cfg.lr_schedule = BEIT_LR_CONSTANT;
    check_rate(&cfg, 123456, 1e-3);
    cfg.lr_schedule = BEIT_LR_DECAY;
    check_rate(&cfg, 0, 1e-3); /* the event of step 0 comes after its update */
    check_rate(&cfg, 1, 0.98e-3);
    check_rate(&cfg, 100, 0.98e-3);
    check_rate(&cfg, 101, 0.98 * 0.98e-3);
    check_rate(&cfg, 200, 0.98 * 0.98e-3);
}

static void weight_decay_follows_a_cosine(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.total_steps = 100;
    check_near(beit__schedule_weight_decay(&cfg, 50), 0.05, 1e-8);
    cfg.weight_decay_end = 0.25f;
    check_near(beit__schedule_weight_decay(&cfg, 0), 0.05, 1e-8);
    check_near(beit__schedule_weight_decay(&cfg, 50), 0.15, 1e-8);
    check_near(beit__schedule_weight_decay(&cfg, 100), 0.25, 1e-8);
}

/* The event of step t acts after the update of that step, so step t + 1 is the first to see it. */
static void temperature_compounds_as_executed_upstream(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.temperature_schedule = BEIT_TEMPERATURE_UPSTREAM;
    cfg.temperature = 1;
    cfg.temperature_end = 0.5f;
    check_near(beit__schedule_temperature(&cfg, 0), 1, 0);
    check_near(beit__schedule_temperature(&cfg, 1), 1, 0);
    check_near(beit__schedule_temperature(&cfg, 1001), 0.99451510, 1e-8);
    check_near(beit__schedule_temperature(&cfg, 2001), 0.97921896, 1e-8);
    check_near(beit__schedule_temperature(&cfg, 5001), 0.88029342, 1e-8);
    assert_true(beit__schedule_temperature(&cfg, 11800) > 0.5);
    check_near(beit__schedule_temperature(&cfg, 11801), 0.5, 0);

    double executed = 1; /* the loop itself */
    for (uint64_t step = 0; step < 15000; step++) {
        check_near(beit__schedule_temperature(&cfg, step), executed, 1e-9);
        if (step % 100 == 0)
            executed = fmax(executed * exp(-(double)cfg.temperature_rate * (double)step), 0.5);
    }
}

static void other_temperatures(void **state)
{
    (void)state;
    beit_trainer_config_t cfg = config();
    cfg.temperature = 1;
    cfg.temperature_end = 0.25f;
    check_near(beit__schedule_temperature(&cfg, 7), 1, 0); /* constant */
    cfg.temperature_schedule = BEIT_TEMPERATURE_ANNEAL;
    check_near(beit__schedule_temperature(&cfg, 500000), 0.60653066, 1e-7);
    check_near(beit__schedule_temperature(&cfg, 5000000), 0.25, 0);
    cfg.temperature_schedule = BEIT_TEMPERATURE_EXPONENTIAL;
    cfg.total_steps = 100;
    check_near(beit__schedule_temperature(&cfg, 50), 0.5, 1e-12);
    cfg.temperature_steps = 10;
    check_near(beit__schedule_temperature(&cfg, 0), 1, 0);
    check_near(beit__schedule_temperature(&cfg, 5), 0.5, 1e-12);
    check_near(beit__schedule_temperature(&cfg, 10), 0.25, 0);
    check_near(beit__schedule_temperature(&cfg, 11), 0.25, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosine_rate_is_upstreams),
        cmocka_unit_test(warm_up_may_be_short_or_all),
        cmocka_unit_test(other_rates),
        cmocka_unit_test(weight_decay_follows_a_cosine),
        cmocka_unit_test(temperature_compounds_as_executed_upstream),
        cmocka_unit_test(other_temperatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
