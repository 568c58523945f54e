/* The same inputs give the same weights, bit for bit, whatever the number of workers and whoever
 * runs them: training of both networks, everything random switched on. */
#include "tiny.h"

/* Large enough that every operation has several tasks. */
enum { STEPS = 3, PICTURES = 5, GRID = 8, VOCAB = 100 };

typedef struct result {
    float *model, *dvae;
    size_t model_count, dvae_count;
} result_t;

static result_t train(beit_context_t *ctx)
{
    beit_model_config_t model_cfg = tiny_model_config();
    model_cfg.patch_size = TINY_SIDE / GRID;
    model_cfg.embed_dim = 64;
    model_cfg.vocab_size = VOCAB;
    model_cfg.drop_path = model_cfg.drop_rate = model_cfg.attn_drop_rate = 0.2f;
    model_cfg.rel_pos = model_cfg.abs_pos = 1;
    beit_dvae_config_t dvae_cfg = tiny_dvae_config();
    dvae_cfg.num_layers = 1;
    dvae_cfg.vocab_size = VOCAB;
    beit_masker_config_t masker_cfg;
    beit_masker_config_init(&masker_cfg, sizeof masker_cfg);
    masker_cfg.rows = masker_cfg.cols = GRID;
    masker_cfg.target = 30;
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    check_ok(beit_model_create(&model, ctx, &model_cfg));
    check_ok(beit_dvae_create(&dvae, ctx, &dvae_cfg));
    check_ok(beit_masker_create(&masker, ctx, &masker_cfg));
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.micro_batch = 3;
    cfg.clip_norm = 1;
    cfg.kl_weight = cfg.balance_weight = cfg.sharpness_weight = 0.01f;
    beit_trainer_t *mim, *tokenizer;
    check_ok(beit_trainer_create_dvae(&tokenizer, dvae, &cfg));
    check_ok(beit_trainer_create_mim(&mim, model, dvae, masker, &cfg));
    for (unsigned step = 0; step < STEPS; step++) {
        const beit_batch_t batch = tiny_pictures(PICTURES, step);
        check_ok(beit_trainer_step(tokenizer, &batch, NULL));
        check_ok(beit_trainer_step(mim, &batch, NULL));
    }
    result_t result;
    result.model = tiny_values(beit_model_params(model), &result.model_count);
    result.dvae = tiny_values(beit_dvae_params(dvae), &result.dvae_count);
    beit_trainer_destroy(mim);
    beit_trainer_destroy(tokenizer);
    beit_masker_destroy(masker);
    beit_dvae_destroy(dvae);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    return result;
}

static void check_same_and_free(const result_t *wanted, result_t found)
{
    assert_int_equal(found.model_count, wanted->model_count);
    assert_int_equal(found.dvae_count, wanted->dvae_count);
    assert_memory_equal(found.model, wanted->model, found.model_count * sizeof(float));
    assert_memory_equal(found.dvae, wanted->dvae, found.dvae_count * sizeof(float));
    free(found.model);
    free(found.dvae);
}

static void workers_do_not_matter(const char *backend)
{
    if (!beit_backend_builtin(backend))
        skip();
    result_t one = train(tiny_context(backend, 1));
    for (size_t i = 0; i < one.model_count; i++)
        assert_true(isfinite(one.model[i]));
    static const int32_t threads[] = {2, 3, 7};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        check_same_and_free(&one, train(tiny_context(backend, threads[i])));
    check_same_and_free(&one, train(tiny_host_context(backend, 1)));
    check_same_and_free(&one, train(tiny_host_context(backend, 5)));
    check_same_and_free(&one, train(tiny_context(backend, 1))); /* and it repeats */
    free(one.model);
    free(one.dvae);
}

static void workers_do_not_matter_to_reference(void **state)
{
    (void)state;
    workers_do_not_matter("reference");
}

static void workers_do_not_matter_to_cblas(void **state)
{
    (void)state;
    workers_do_not_matter("cblas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_do_not_matter_to_reference),
        cmocka_unit_test(workers_do_not_matter_to_cblas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
