/* What a report says is what it means: the figures of an evaluation, computed again from logits and
 * reconstructions in double precision, and the gradient of a step as the slope of the loss that the
 * step reports. */
#include "tiny.h"

enum { PICTURES = 3, CODES = TINY_PATCHES, V = TINY_VOCAB };

/* float32 networks and softmaxes against double sums over them. */
#define RELATIVE 1e-5

static int64_t elements(const beit_tensor_t *view)
{
    return view->shape[0] * view->stride[0];
}

/* ---- by hand ---- */

/* ln sum exp of a row. */
static double log_sum(const float *row)
{
    double largest = -INFINITY, sum = 0;
    for (int v = 0; v < V; v++)
        largest = fmax(largest, (double)row[v]);
    for (int v = 0; v < V; v++)
        sum += exp((double)row[v] - largest);
    return largest + log(sum);
}

typedef struct figures {
    double recon, kl, balance, sharpness, perplexity; /* kl: sum over positions */
} figures_t;

static double entropy_of(const double *share, int n)
{
    double entropy = 0;
    for (int i = 0; i < n; i++)
        entropy -= share[i] > 0 ? share[i] * log(share[i]) : 0;
    return entropy;
}

static figures_t figures_of(beit_dvae_t *dvae, const beit_tensor_t *pixels)
{
    static float logits[PICTURES * V * CODES], image[PICTURES * 3 * TINY_SIDE * TINY_SIDE];
    const int64_t shape[] = {PICTURES, V, TINY_GRID, TINY_GRID};
    const beit_tensor_t out = beit_tensor_make(logits, BEIT_F32, 4, shape);
    const beit_tensor_t back = beit_tensor_make(image, BEIT_F32, 4, pixels->shape);
    check_ok(beit_dvae_encode(dvae, pixels, &out));
    check_ok(beit_dvae_reconstruct(dvae, pixels, &back));
    figures_t figures = {0};
    double mean[V] = {0}, used[V] = {0};
    for (int b = 0; b < PICTURES; b++)
        for (int n = 0; n < CODES; n++) {
            float row[V];
            double q[V];
            int best = 0;
            for (int v = 0; v < V; v++) {
                row[v] = logits[(b * V + v) * CODES + n];
                best = row[v] > row[best] ? v : best;
            }
            for (int v = 0; v < V; v++) {
                q[v] = exp((double)row[v] - log_sum(row));
                mean[v] += q[v] / (PICTURES * CODES);
            }
            const double entropy = entropy_of(q, V);
            figures.kl += log(V) - entropy;
            figures.sharpness += entropy / (PICTURES * CODES);
            used[best] += 1.0 / (PICTURES * CODES);
        }
    figures.balance = log(V) - entropy_of(mean, V);
    figures.perplexity = exp(entropy_of(used, V));
    const float *target = pixels->data;
    for (int64_t i = 0; i < elements(pixels); i++)
        figures.recon += pow((double)image[i] - (double)target[i], 2) / (double)elements(pixels);
    return figures;
}

/* ---- dVAE ---- */

/* Encoders of initial weights hardly tell codes apart: sharpen the logits. */
static beit_dvae_t *decided_dvae(beit_context_t *ctx, int32_t reduction)
{
    beit_dvae_config_t cfg = tiny_dvae_config();
    cfg.kl_reduction = reduction;
    beit_dvae_t *dvae;
    size_t index;
    check_ok(beit_dvae_create(&dvae, ctx, &cfg));
    check_ok(beit_params_find(beit_dvae_params(dvae), "encoder.4.weight", &index));
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_info(beit_dvae_params(dvae), index, &info));
    for (int64_t i = 0; i < elements(&info.value); i++)
        ((float *)info.value.data)[i] *= 20;
    return dvae;
}

static beit_trainer_config_t weighted_config(int32_t reduction)
{
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.micro_batch = PICTURES;
    cfg.kl_weight = reduction == BEIT_KL_UPSTREAM_SUM ? 0.01f : 0.1f;
    cfg.balance_weight = 0.7f;
    cfg.sharpness_weight = 0.3f;
    cfg.lr = 0; /* steps are taken only to be reported */
    return cfg;
}

static void dvae_figures_are_right(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    const beit_batch_t batch = tiny_pictures(PICTURES, 2);
    for (int32_t reduction = 1; reduction <= 3; reduction++) {
        beit_dvae_t *dvae = decided_dvae(ctx, reduction);
        const beit_trainer_config_t cfg = weighted_config(reduction);
        beit_trainer_t *trainer;
        check_ok(beit_trainer_create_dvae(&trainer, dvae, &cfg));
        beit_step_report_t report = {.struct_size = sizeof report};
        check_ok(beit_trainer_evaluate(trainer, &batch, &report));
        const figures_t right = figures_of(dvae, &batch.token_pixels);
        const double divisors[] = {0, 1, PICTURES * CODES, PICTURES};
        const double kl = right.kl / divisors[reduction];
        check_near(report.recon_loss, right.recon, RELATIVE * right.recon);
        check_near(report.kl, kl, RELATIVE * kl);
        check_near(report.balance, right.balance, RELATIVE);
        check_near(report.sharpness, right.sharpness, RELATIVE);
        check_near(report.perplexity, right.perplexity, RELATIVE * right.perplexity);
        check_near(report.loss,
                   right.recon + (double)cfg.kl_weight * kl +
                       (double)cfg.balance_weight * right.balance +
                       (double)cfg.sharpness_weight * right.sharpness,
                   RELATIVE * fabs(report.loss));
        assert_true(right.perplexity > 2 && right.balance > 0.01); /* else little was shown */
        beit_trainer_destroy(trainer);
        beit_dvae_destroy(dvae);
    }
    beit_context_unref(ctx);
}

/* ---- masked modeling ---- */

static beit_model_t *noisy_model(beit_context_t *ctx)
{
    beit_model_config_t cfg = tiny_model_config();
    cfg.drop_path = cfg.drop_rate = cfg.attn_drop_rate = 0.3f;
    beit_model_t *model;
    check_ok(beit_model_create(&model, ctx, &cfg));
    tiny_fill(beit_model_params(model));
    return model;
}

/* An evaluation knows no dropout and no stochastic depth; a step does. */
static void masked_modeling_figures_are_right(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    beit_model_t *model = noisy_model(ctx);
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.micro_batch = 1;
    cfg.lr = 0;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, model, NULL, NULL, &cfg));
    const beit_batch_t batch = tiny_batch();
    static float logits[TINY_BATCH * TINY_PATCHES * V];
    const int64_t shape[] = {TINY_BATCH, TINY_PATCHES, V};
    const beit_tensor_t out = beit_tensor_make(logits, BEIT_F32, 3, shape);
    check_ok(beit_model_predict(model, &batch.pixels, &batch.mask, &out));
    double loss = 0;
    int masked = 0, correct = 0;
    for (int i = 0; i < TINY_BATCH * TINY_PATCHES; i++) {
        if (!((const uint8_t *)batch.mask.data)[i])
            continue;
        const float *row = logits + i * V;
        const int label = ((const int32_t *)batch.tokens.data)[i];
        int best = 0;
        for (int v = 0; v < V; v++)
            best = row[v] > row[best] ? v : best;
        loss += log_sum(row) - (double)row[label];
        correct += best == label;
        masked++;
    }
    beit_step_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_evaluate(trainer, &batch, &report));
    assert_int_equal(report.masked, masked);
    check_near(report.loss, loss / masked, RELATIVE * report.loss);
    check_near(report.accuracy, (double)correct / masked, 1e-12);
    check_ok(beit_trainer_step(trainer, &batch, &report));
    assert_true(fabs(report.loss - loss / masked) > 1e-3);
    beit_trainer_destroy(trainer);
    beit_model_destroy(model);
    beit_context_unref(ctx);
}

/* ---- gradients ---- */

/* Move all weights along the direction `along`, which stands beside them. */
static void shift(beit_params_t *weights, const float *from, const float *along, double by)
{
    for (size_t i = 0; i < beit_params_count(weights); i++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(weights, i, &info));
        float *values = info.value.data;
        for (int64_t k = 0; k < elements(&info.value); k++)
            *values++ = (float)((double)*from++ + by * (double)*along++);
    }
}

/* Loss of the first step of a fresh trainer: always the same noise. */
typedef beit_trainer_t *(*create_fn)(void *handle);

static double first_loss(create_fn create, void *handle, const beit_batch_t *batch, double *norm)
{
    beit_trainer_t *trainer = create(handle);
    beit_step_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_step(trainer, batch, &report));
    beit_trainer_destroy(trainer);
    if (norm)
        *norm = report.grad_norm;
    return report.loss;
}

/* Along its own direction of length 1 the gradient's slope is its norm. Central differences of a
 * loss in float32 (1e-7) over 2 * 1e-3, with norms above 0.1, and curvature: within 1 %. */
static void check_slope(create_fn create, void *handle, beit_params_t *weights,
                        const beit_batch_t *batch)
{
    const double step = 1e-3;
    size_t count, same;
    double norm;
    (void)first_loss(create, handle, batch, &norm);
    beit_trainer_t *trainer = create(handle);
    check_ok(beit_trainer_accumulate(trainer, batch));
    float *along = tiny_values(beit_trainer_gradients(trainer), &count);
    float *from = tiny_values(weights, &same);
    beit_trainer_destroy(trainer);
    double length = 0;
    for (size_t i = 0; i < count; i++)
        length += (double)along[i] * (double)along[i];
    length = sqrt(length); /* of the sums */
    assert_true(norm > 0.1 && length > norm);
    shift(weights, from, along, step / length);
    const double above = first_loss(create, handle, batch, NULL);
    shift(weights, from, along, -step / length);
    const double below = first_loss(create, handle, batch, NULL);
    shift(weights, from, along, 0);
    check_near((above - below) / (2 * step), norm, 0.01 * norm);
    free(from);
    free(along);
}

static beit_trainer_t *create_dvae_trainer(void *handle)
{
    beit_dvae_config_t dvae = {.struct_size = sizeof dvae};
    check_ok(beit_dvae_config(handle, &dvae));
    beit_trainer_config_t cfg = weighted_config(dvae.kl_reduction);
    cfg.weight_decay = cfg.weight_decay_end = 0;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_dvae(&trainer, handle, &cfg));
    return trainer;
}

static void dvae_gradient_is_the_slope(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    const beit_batch_t batch = tiny_pictures(PICTURES, 2);
    for (int32_t reduction = 1; reduction <= 3; reduction++) {
        beit_dvae_t *dvae = decided_dvae(ctx, reduction);
        check_slope(create_dvae_trainer, dvae, beit_dvae_params(dvae), &batch);
        beit_dvae_destroy(dvae);
    }
    beit_context_unref(ctx);
}

static beit_trainer_t *create_mim_trainer(void *handle)
{
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.lr = 0;
    cfg.micro_batch = 1;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_mim(&trainer, handle, NULL, NULL, &cfg));
    return trainer;
}

static void masked_modeling_gradient_is_the_slope(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    beit_model_t *model = noisy_model(ctx);
    const beit_batch_t batch = tiny_batch();
    check_slope(create_mim_trainer, model, beit_model_params(model), &batch);
    beit_model_destroy(model);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dvae_figures_are_right),
        cmocka_unit_test(masked_modeling_figures_are_right),
        cmocka_unit_test(dvae_gradient_is_the_slope),
        cmocka_unit_test(masked_modeling_gradient_is_the_slope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
