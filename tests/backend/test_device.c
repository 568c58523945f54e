/* Whole lives on a backend whose memory traps when the host touches it: tokenizer and model are
 * created, trained, asked and read, and everything equals the reference backend's bits. So nothing
 * above the backend reads or writes tensor memory by itself. */
#include "check.h"

#include <beit/backend.h>
#include <beit/beit.h>
#include <stdbool.h>

#include "fixture.h"
#include "toy_device.h"

enum { STEPS = 3, LARGEST = 1 << 20 };

typedef struct results {
    double mim_loss[STEPS], dvae_loss[STEPS], evaluated;
    int32_t tokens[FIXTURE_BATCH * FIXTURE_PATCHES];
    float *weights; /* the model's, the tokenizer's, then the model's two moments */
    size_t count;
} results_t;

static void append(results_t *results, const beit_params_t *params, bool on_host)
{
    for (size_t i = 0; i < beit_params_count(params); i++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, i, &info));
        assert_int_equal(info.value.data != NULL, on_host);
        int64_t count = 1;
        for (int32_t d = 0; d < info.value.ndim; d++)
            count *= info.value.shape[d];
        assert_true(results->count + (size_t)count <= LARGEST);
        const beit_tensor_t view =
            beit_tensor_make(results->weights + results->count, BEIT_F32, 1, &count);
        check_ok(beit_params_read(params, i, &view));
        results->count += (size_t)count;
    }
}

static void live(const beit_backend_ops_t *ops, results_t *results)
{
    const bool on_host = ops->flags & BEIT_BACKEND_HOST_MEMORY;
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = ops;
    cfg.threads = 2;
    beit_context_t *ctx;
    fixture_t f;
    check_ok(beit_context_create(&ctx, &cfg));
    check_ok(fixture_create(&f, ctx));
    beit_context_unref(ctx);

    beit_step_report_t report = {.struct_size = sizeof report};
    const beit_batch_t batch = fixture_batch(1);
    for (int step = 0; step < STEPS; step++) {
        check_ok(beit_trainer_step(f.dvae_trainer, &batch, &report));
        results->dvae_loss[step] = report.loss;
        check_ok(beit_trainer_step(f.mim, &batch, &report));
        results->mim_loss[step] = report.loss;
    }
    check_ok(beit_trainer_evaluate(f.mim, &batch, &report));
    results->evaluated = report.loss;
    const int64_t shape[] = {FIXTURE_BATCH, FIXTURE_PATCHES};
    const beit_tensor_t tokens = beit_tensor_make(results->tokens, BEIT_I32, 2, shape);
    check_ok(beit_dvae_tokenize(f.dvae, &batch.token_pixels, NULL, &tokens));

    results->count = 0;
    append(results, beit_model_params(f.model), on_host);
    append(results, beit_dvae_params(f.dvae), on_host);
    append(results, beit_trainer_moments(f.mim, 0), on_host);
    append(results, beit_trainer_moments(f.mim, 1), on_host);
    fixture_destroy(&f);
}

static void a_life_on_a_device_equals_one_on_the_host(void **state)
{
    (void)state;
    static float host_weights[LARGEST], device_weights[LARGEST];
    static results_t host = {.weights = host_weights}, device = {.weights = device_weights};
    live(beit_backend_builtin("reference"), &host);
    live(&toy_device_ops, &device);
    assert_memory_equal(host.mim_loss, device.mim_loss, sizeof host.mim_loss);
    assert_memory_equal(host.dvae_loss, device.dvae_loss, sizeof host.dvae_loss);
    assert_memory_equal(&host.evaluated, &device.evaluated, sizeof host.evaluated);
    assert_memory_equal(host.tokens, device.tokens, sizeof host.tokens);
    assert_int_equal(host.count, device.count);
    assert_memory_equal(host_weights, device_weights, host.count * sizeof *host_weights);
    assert_true(isfinite(host.evaluated));
    assert_true(toy_device_counts.calls > 100);
    assert_int_equal(toy_device_counts.open, 0);
    assert_int_equal(toy_device_counts.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_on_a_device_equals_one_on_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
