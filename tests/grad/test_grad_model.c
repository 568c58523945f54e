/* The model's forward and backward passes against an independent double-precision model
 * (support/model64.h) and its finite differences, on every built-in backend, with every option of
 * the configuration. Each tensor is checked along a random direction, so that a wrong, missing or
 * misplaced element shows, and at single elements. */
#include "check.h"

#include <beit/beit.h>

#include "core/philox.h"
#include "model/model.h"
#include "model64.h"

/* The objective is a sum of some ten cross-entropies, good to 1e-14: differences are good to 1e-10.
 * Along a direction of several hundred signs the step is some twenty times as long, and the error
 * of the four-point rule, of fourth order in it, still below 1e-9. */
#define STEP 1e-4

/* float32 has 6e-8 of rounding per operation. A tensor's gradient goes through some ten layers,
 * and along a direction of n signs n such errors add up like its norm does: 2e-6 of the norm. Where
 * gradients cancel (biases of queries, the class token) rounding is relative to the terms, not to
 * the sum: 1e-7 of the whole gradient's norm. A third of that was the worst seen. */
#define TOLERANCE 2e-6
#define ROUNDING  1e-7

enum { MOST_PATCHES = 6, VOCAB = 7, BATCH = 3, ELEMENTS = 3 };

typedef struct setting {
    const char *name;
    int32_t height, width, depth, heads, head_dim, mlp_dim;
    int32_t shared, own, absolute, qkv_bias;
    float layer_scale, drop_path, drop_rate, attn_drop_rate, qk_scale;
    int32_t batch, training;
    int32_t pooling; /* of a classifier; 0 = masked modeling */
} setting_t;

static const setting_t settings[] = {
    {"published", 12, 8, 2, 2, 0, 0, 1, 0, 0, 1, 0.1f, 0, 0, 0, 0, 2, 1, 0},
    {"plain", 8, 8, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0},
    {"absolute, no bias", 8, 12, 2, 4, 0, 10, 0, 0, 1, 0, 0.1f, 0, 0, 0, 0, 2, 0, 0},
    {"own tables", 8, 12, 2, 2, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 2, 1, 0},
    {"both tables, wide heads, scale", 8, 12, 2, 2, 5, 9, 1, 1, 1, 1, 0.1f, 0, 0, 0, 0.3f, 2, 1, 0},
    {"stochastic depth", 8, 12, 3, 2, 0, 0, 1, 0, 0, 1, 0.1f, 0.6f, 0, 0, 0, 3, 1, 0},
    {"stochastic depth, no scale", 8, 12, 3, 2, 0, 0, 1, 0, 0, 1, 0, 0.6f, 0, 0, 0, 3, 1, 0},
    {"dropout", 8, 12, 2, 2, 0, 0, 1, 0, 0, 1, 0.1f, 0, 0.3f, 0, 0, 2, 1, 0},
    {"attention dropout", 8, 12, 2, 2, 3, 0, 1, 0, 0, 1, 0.1f, 0, 0, 0.3f, 0, 2, 1, 0},
    {"everything", 8, 12, 3, 4, 3, 11, 1, 1, 1, 1, 0.1f, 0.5f, 0.2f, 0.2f, 0.4f, 3, 1, 0},
    {"everything at rest", 8, 12, 3, 4, 3, 11, 1, 1, 1, 1, 0.1f, 0.5f, 0.2f, 0.2f, 0.4f, 3, 0, 0},
    {"one block of everything", 8, 12, 1, 2, 0, 0, 1, 1, 1, 1, 0.1f, 0.5f, 0.2f, 0.2f, 0, 3, 1, 0},
    {"classifier of means", 12, 8, 2, 2, 0, 0, 0, 1, 0, 1, 0.1f, 0, 0, 0, 0, 2, 1, BEIT_POOL_MEAN},
    {"classifier of class tokens", 8, 12, 2, 2, 0, 0, 0, 1, 1, 1, 0.1f, 0, 0, 0, 0, 2, 1,
     BEIT_POOL_CLASS},
    {"means of everything", 8, 12, 3, 4, 3, 11, 1, 1, 1, 1, 0.1f, 0.5f, 0.2f, 0.2f, 0.4f, 3, 1,
     BEIT_POOL_MEAN},
    {"class tokens of everything", 8, 12, 3, 4, 3, 11, 1, 1, 1, 1, 0.1f, 0.5f, 0.2f, 0.2f, 0.4f, 3,
     1, BEIT_POOL_CLASS},
    {"class tokens of one block", 8, 8, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
     BEIT_POOL_CLASS},
};

static beit_model_config_t config_of(const setting_t *setting)
{
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    config.image_height = setting->height;
    config.image_width = setting->width;
    config.patch_size = 4;
    config.channels = 2;
    config.vocab_size = VOCAB;
    config.embed_dim = 8;
    config.depth = setting->depth;
    config.heads = setting->heads;
    config.attn_head_dim = setting->head_dim;
    config.mlp_dim = setting->mlp_dim;
    config.shared_rel_pos = setting->shared;
    config.rel_pos = setting->own;
    config.abs_pos = setting->absolute;
    config.qkv_bias = setting->qkv_bias;
    config.layer_scale = setting->layer_scale;
    config.drop_path = setting->drop_path;
    config.drop_rate = setting->drop_rate;
    config.attn_drop_rate = setting->attn_drop_rate;
    config.qk_scale = setting->qk_scale;
    config.num_classes = setting->pooling ? VOCAB : 0;
    config.pooling = setting->pooling;
    return config;
}

/* Values at which every part of the network matters: initial ones are too small for that. */
static void scatter_weights(beit_params_t *params, beit__draws_t *draws)
{
    for (size_t t = 0; t < beit_params_count(params); t++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, t, &info));
        const size_t length = strlen(info.name);
        const bool factor = strstr(info.name, "gamma") ||
                            (strstr(info.name, "norm") && info.name[length - 1] == 't');
        float *value = info.value.data;
        for (size_t i = 0; i < params->list->items[t].count; i++)
            value[i] = (float)beit__draw_uniform(draws, factor ? 0.5 : -0.4, factor ? 1.5 : 0.4);
    }
}

typedef struct data {
    float pixels[BATCH * 2 * 12 * 12];
    uint8_t mask[BATCH * MOST_PATCHES];
    int32_t labels[BATCH * MOST_PATCHES];
    uint64_t sample_ids[BATCH];
    int64_t masked;
} data_t;

static data_t make_data(int64_t cells, beit__draws_t *draws)
{
    data_t data = {.sample_ids = {5, 1ull << 40, 77}};
    for (size_t i = 0; i < sizeof data.pixels / sizeof *data.pixels; i++)
        data.pixels[i] = (float)beit__draw_uniform(draws, -1, 1);
    for (int64_t i = 0; i < cells; i++)
        data.mask[i] = beit__draw_below(draws, 2) == 0;
    data.mask[0] = 1; /* one at least */
    for (int64_t i = 0; i < cells; i++)
        data.masked += data.mask[i];
    for (int64_t i = 0; i < data.masked; i++)
        data.labels[i] = (int32_t)beit__draw_below(draws, VOCAB);
    return data;
}

/* ---- forward ---- */

/* Logits of the public call and of the oracle, whose loss is returned. */
static double check_forward(beit_model_t *model, model64_t *m, const model64_batch_t *batch,
                            int64_t rows, float *found)
{
    double wanted[BATCH * MOST_PATCHES * VOCAB];
    const beit_model_config_t *cfg = &m->cfg;
    const int64_t patches = cfg->image_height * cfg->image_width / 16;
    const beit_tensor_t pixels = beit_tensor_make(
        (void *)batch->pixels, BEIT_F32, 4,
        (const int64_t[]){batch->batch, cfg->channels, cfg->image_height, cfg->image_width});
    const beit_tensor_t mask =
        beit_tensor_make((void *)batch->mask, BEIT_U8, 2, (const int64_t[]){batch->batch, patches});
    const beit_tensor_t logits =
        beit_tensor_make(found, BEIT_F32, 2, (const int64_t[]){rows, VOCAB});
    beit_forward_options_t options;
    beit_forward_options_init(&options, sizeof options);
    options.seed = batch->seed;
    options.step = batch->step;
    options.sample_ids = batch->sample_ids;
    options.training = batch->training;
    check_ok(
        beit_model_forward(model, &pixels, cfg->num_classes ? NULL : &mask, &options, &logits));
    const double loss = model64_loss(m, batch, wanted);
    for (int64_t i = 0; i < rows * VOCAB; i++)
        check_near((double)found[i], wanted[i], 1e-5); /* logits are of order 1 */
    return loss;
}

/* ---- backward ---- */

/* Derivative of the loss along `direction` of one tensor. */
static double slope(model64_t *m, const model64_batch_t *batch, size_t index,
                    const double *direction)
{
    const double offset[4] = {-2, -1, 1, 2}, factor[4] = {1, -8, 8, -1};
    model64_tensor_t *tensor = &m->tensors[index];
    double sum = 0, at = 0;
    for (int k = 0; k <= 4; k++) {
        const double next = k < 4 ? offset[k] * STEP : 0;
        for (size_t i = 0; i < tensor->count; i++)
            tensor->value[i] += (next - at) * direction[i];
        at = next;
        if (k < 4)
            sum += factor[k] * model64_loss(m, batch, NULL);
    }
    return sum / (12 * STEP);
}

static double dot(const float *g, const double *direction, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)g[i] * direction[i];
    return sum;
}

static double norm_of(const float *g, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)g[i] * (double)g[i];
    return sqrt(sum);
}

static void check_slope(model64_t *m, const model64_batch_t *batch, size_t index, const float *g,
                        const double *direction, double tolerance)
{
    const size_t count = m->tensors[index].count;
    const double found = dot(g, direction, count), wanted = slope(m, batch, index, direction);
    if (!(fabs(found - wanted) <= tolerance))
        print_error("%s:\n", m->tensors[index].name);
    check_near(found, wanted, tolerance);
}

static void check_tensor(model64_t *m, const model64_batch_t *batch, size_t index, const float *g,
                         double total, beit__draws_t *draws)
{
    const size_t count = m->tensors[index].count;
    const double tolerance = TOLERANCE * norm_of(g, count) + ROUNDING * total;
    double *direction = calloc(count, sizeof *direction);
    for (size_t i = 0; i < count; i++)
        direction[i] = beit__draw_below(draws, 2) ? 1 : -1;
    check_slope(m, batch, index, g, direction, tolerance);
    for (int k = 0; k < ELEMENTS; k++) {
        const uint32_t element = beit__draw_below(draws, (uint32_t)count);
        memset(direction, 0, count * sizeof *direction);
        direction[element] = 1;
        check_slope(m, batch, index, g, direction, tolerance);
    }
    free(direction);
}

/* Masked modeling the trainer's way. */
static void run_masked(beit_model_t *model, const model64_batch_t *batch, int64_t masked,
                       double loss)
{
    double found = 0;
    int64_t correct = 0;
    const beit__mim_batch_t mim = {.pixels = batch->pixels,
                                   .mask = batch->mask,
                                   .labels = batch->labels,
                                   .sample_ids = batch->sample_ids,
                                   .batch = batch->batch,
                                   .masked = masked,
                                   .seed = batch->seed,
                                   .step = batch->step,
                                   .training = batch->training != 0,
                                   .backward = true};
    check_ok(beit__model_mim(model, &mim, &found, &correct));
    check_near(found, loss, 1e-5 * loss);
}

/* Classification the public way; the library's loss is a mean. */
static void run_classifier(beit_model_t *model, const model64_batch_t *batch, float *logits,
                           double loss)
{
    const beit_tensor_t view =
        beit_tensor_make(logits, BEIT_F32, 2, (const int64_t[]){batch->batch, VOCAB});
    const beit_tensor_t labels =
        beit_tensor_make((void *)batch->labels, BEIT_I32, 1, &batch->batch);
    double found = 0;
    check_ok(beit_model_loss(model, &view, &labels, (float)batch->smoothing, &found, NULL, &view));
    check_near(found * (double)batch->batch, loss, 1e-5 * loss);
    for (int64_t i = 0; i < batch->batch * VOCAB; i++)
        logits[i] *= (float)batch->batch;
    check_ok(beit_model_backward(model, &view));
}

static void check_gradients(beit_model_t *model, model64_t *m, const model64_batch_t *batch,
                            beit__draws_t *draws)
{
    const beit_params_t *gradients = beit_model_gradients(model);
    const double total = norm_of(gradients->data, gradients->list->floats);
    for (size_t t = 0; t < m->count; t++) {
        assert_true(m->tensors[t].used); /* no tensor without a meaning */
        check_tensor(m, batch, t, beit__params_at(gradients, t), total, draws);
    }
}

static void check_setting(beit_context_t *ctx, const setting_t *setting)
{
    const beit_model_config_t config = config_of(setting);
    beit__draws_t draws = beit__draws(3, BEIT__STREAM_JITTER, 0, 0, 0);
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    scatter_weights(beit_model_params(model), &draws);
    const int64_t cells = setting->batch * setting->height * setting->width / 16;
    const data_t data = make_data(cells, &draws);
    model64_t m;
    model64_create(&m, model);
    const model64_batch_t batch = {.batch = setting->batch,
                                   .pixels = data.pixels,
                                   .mask = data.mask,
                                   .labels = data.labels,
                                   .sample_ids = data.sample_ids,
                                   .seed = 9,
                                   .step = 4,
                                   .training = setting->training,
                                   .smoothing = setting->pooling ? 0.1 : 0};
    float logits[BATCH * MOST_PATCHES * VOCAB];
    const int64_t rows = setting->pooling ? setting->batch : data.masked;
    const double loss = check_forward(model, &m, &batch, rows, logits);
    if (setting->pooling)
        run_classifier(model, &batch, logits, loss);
    else
        run_masked(model, &batch, rows, loss);
    check_gradients(model, &m, &batch, &draws);
    model64_destroy(&m);
    beit_model_destroy(model);
}

static void test_backend(void **state)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = beit_backend_builtin(*state);
    if (!config.backend)
        skip(); /* not in this build */
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        print_message("%s\n", settings[i].name);
        check_setting(ctx, &settings[i]);
    }
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_backend, "reference"),
        cmocka_unit_test_prestate(test_backend, "cblas"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
