/* Everything is deterministic and small: a step takes about a millisecond. */
#include "tiny.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- contexts ---- */

beit_context_t *tiny_context(const char *backend, int32_t threads)
{
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = beit_backend_builtin(backend);
    cfg.threads = threads;
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &cfg));
    return ctx;
}

static unsigned host_workers(void *user)
{
    return *(const unsigned *)user;
}

static beit_status_t host_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    const unsigned workers = *(const unsigned *)user;
    for (size_t i = n; i-- > 0;)
        fn(arg, i, (unsigned)(i % workers));
    return BEIT_OK;
}

beit_context_t *tiny_host_context(const char *backend, unsigned workers)
{
    static unsigned counts[16];
    counts[workers] = workers;
    const beit_executor_t executor = {.struct_size = sizeof executor,
                                      .user = &counts[workers],
                                      .workers = host_workers,
                                      .parallel_for = host_parallel_for};
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = beit_backend_builtin(backend);
    cfg.executor = &executor;
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &cfg));
    return ctx;
}

/* ---- networks ---- */

beit_model_config_t tiny_model_config(void)
{
    beit_model_config_t cfg;
    beit_model_config_init(&cfg, sizeof cfg);
    cfg.image_height = cfg.image_width = TINY_SIDE;
    cfg.patch_size = TINY_SIDE / TINY_GRID;
    cfg.vocab_size = TINY_VOCAB;
    cfg.embed_dim = 16;
    cfg.depth = 2;
    cfg.heads = 2;
    cfg.drop_path = 0;
    return cfg;
}

static beit_param_info_t info_of(const beit_params_t *params, size_t index)
{
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_info(params, index, &info));
    return info;
}

static int64_t elements_of(const beit_tensor_t *view)
{
    int64_t count = 1;
    for (int32_t d = 0; d < view->ndim; d++)
        count *= view->shape[d];
    return count;
}

/* Rank of a name among all, by ASCII. */
static size_t rank_of(const beit_params_t *params, const char *name)
{
    size_t rank = 0;
    for (size_t i = 0; i < beit_params_count(params); i++)
        rank += strcmp(info_of(params, i).name, name) < 0;
    return rank;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

void tiny_fill(beit_params_t *params)
{
    for (size_t index = 0; index < beit_params_count(params); index++) {
        const beit_param_info_t info = info_of(params, index);
        const double t = (double)rank_of(params, info.name);
        float *values = info.value.data;
        for (int64_t i = 0; i < elements_of(&info.value); i++) {
            const double v = 0.2 * sin(1.3 * (t + 1) + 0.61 * (double)i);
            if (ends_with(info.name, "gamma_1") || ends_with(info.name, "gamma_2"))
                values[i] = (float)(0.1 + 0.25 * v);
            else if (strstr(info.name, "norm") && ends_with(info.name, "weight"))
                values[i] = (float)(1 + 0.5 * v);
            else
                values[i] = (float)v;
        }
    }
}

beit_model_t *tiny_model(beit_context_t *ctx)
{
    const beit_model_config_t cfg = tiny_model_config();
    beit_model_t *model;
    check_ok(beit_model_create(&model, ctx, &cfg));
    tiny_fill(beit_model_params(model));
    return model;
}

beit_dvae_config_t tiny_dvae_config(void)
{
    beit_dvae_config_t cfg;
    beit_dvae_config_init(&cfg, sizeof cfg);
    cfg.image_height = cfg.image_width = TINY_TOKEN_SIDE;
    cfg.vocab_size = TINY_VOCAB;
    cfg.codebook_dim = 6;
    cfg.hidden_dim = 8;
    cfg.num_layers = 2;
    return cfg;
}

beit_dvae_t *tiny_dvae(beit_context_t *ctx)
{
    const beit_dvae_config_t cfg = tiny_dvae_config();
    beit_dvae_t *dvae;
    check_ok(beit_dvae_create(&dvae, ctx, &cfg));
    return dvae;
}

beit_masker_t *tiny_masker(beit_context_t *ctx)
{
    beit_masker_config_t cfg;
    beit_masker_config_init(&cfg, sizeof cfg);
    cfg.rows = cfg.cols = TINY_GRID;
    cfg.target = 7;
    cfg.min_block = 2;
    beit_masker_t *masker;
    check_ok(beit_masker_create(&masker, ctx, &cfg));
    return masker;
}

beit_trainer_config_t tiny_trainer_config(void)
{
    beit_trainer_config_t cfg;
    beit_trainer_config_init(&cfg, sizeof cfg);
    cfg.total_steps = 1000;
    cfg.warmup_steps = 0;
    cfg.lr_schedule = BEIT_LR_CONSTANT;
    cfg.lr = 1e-2f;
    cfg.clip_norm = 0;
    cfg.micro_batch = 2;
    return cfg;
}

/* ---- batches ---- */

static const int64_t picture_shape[] = {0, 3, TINY_SIDE, TINY_SIDE};
static const int64_t token_picture_shape[] = {0, 3, TINY_TOKEN_SIDE, TINY_TOKEN_SIDE};

static beit_tensor_t view(void *data, beit_dtype_t dtype, int32_t ndim, const int64_t *rest,
                          int64_t count)
{
    int64_t shape[4];
    memcpy(shape, rest, (size_t)ndim * sizeof *shape);
    shape[0] = count;
    return beit_tensor_make(data, dtype, ndim, shape);
}

beit_batch_t tiny_batch(void)
{
    static float pixels[TINY_BATCH * 3 * TINY_SIDE * TINY_SIDE];
    static uint8_t mask[TINY_BATCH * TINY_PATCHES];
    static int32_t tokens[TINY_BATCH * TINY_PATCHES];
    const int64_t grid[] = {TINY_BATCH, TINY_PATCHES};
    for (int k = 0; k < TINY_BATCH * 3 * TINY_SIDE * TINY_SIDE; k++)
        pixels[k] = (float)sin(0.05 * k);
    int masked = 0;
    for (int k = 0; k < TINY_BATCH * TINY_PATCHES; k++) {
        mask[k] = 7 * k % 5 < 2;
        tokens[k] = mask[k] ? 3 * masked++ % TINY_VOCAB : -1;
    }
    beit_batch_t batch;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = view(pixels, BEIT_F32, 4, picture_shape, TINY_BATCH);
    batch.mask = beit_tensor_make(mask, BEIT_U8, 2, grid);
    batch.tokens = beit_tensor_make(tokens, BEIT_I32, 2, grid);
    return batch;
}

/* Plane waves; direction, phase and contrast depend on the picture. */
static void paint(float *out, int64_t count, int64_t side, unsigned seed)
{
    for (int64_t b = 0; b < count; b++)
        for (int64_t c = 0; c < 3; c++)
            for (int64_t y = 0; y < side; y++)
                for (int64_t x = 0; x < side; x++) {
                    const double k = (double)(seed % 97) + (double)b;
                    const double u = (double)x / (double)side, v = (double)y / (double)side;
                    *out++ =
                        (float)(0.8 * sin(3 * k + 9 * u * sin(k) + 7 * v * cos(2 * k) + (double)c));
                }
}

beit_batch_t tiny_pictures(int64_t count, unsigned seed)
{
    static float pixels[TINY_MOST * 3 * TINY_SIDE * TINY_SIDE];
    static float token_pixels[TINY_MOST * 3 * TINY_TOKEN_SIDE * TINY_TOKEN_SIDE];
    paint(pixels, count, TINY_SIDE, seed);
    paint(token_pixels, count, TINY_TOKEN_SIDE, seed);
    beit_batch_t batch;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = view(pixels, BEIT_F32, 4, picture_shape, count);
    batch.token_pixels = view(token_pixels, BEIT_F32, 4, token_picture_shape, count);
    return batch;
}

static void narrow(beit_tensor_t *tensor, size_t element, int64_t first, int64_t count)
{
    if (!tensor->data)
        return;
    tensor->data = (unsigned char *)tensor->data +
                   (size_t)(first * elements_of(tensor) / tensor->shape[0]) * element;
    tensor->shape[0] = count;
}

beit_batch_t tiny_part(const beit_batch_t *batch, int64_t first, int64_t count)
{
    beit_batch_t part = *batch;
    narrow(&part.pixels, sizeof(float), first, count);
    narrow(&part.token_pixels, sizeof(float), first, count);
    narrow(&part.mask, sizeof(uint8_t), first, count);
    narrow(&part.tokens, sizeof(int32_t), first, count);
    if (part.sample_ids)
        part.sample_ids += first;
    return part;
}

/* ---- comparison ---- */

float *tiny_values(const beit_params_t *params, size_t *count)
{
    *count = (size_t)beit_params_elements(params);
    float *values = malloc(*count * sizeof *values), *at = values;
    assert_non_null(values);
    for (size_t i = 0; i < beit_params_count(params); i++) {
        const beit_param_info_t info = info_of(params, i);
        const int64_t n = elements_of(&info.value);
        memcpy(at, info.value.data, (size_t)n * sizeof *at);
        at += n;
    }
    return values;
}

void tiny_check_same_at(const beit_params_t *a, const beit_params_t *b, const char *file, int line)
{
    for (size_t i = 0; i < beit_params_count(a); i++) {
        const beit_param_info_t x = info_of(a, i), y = info_of(b, i);
        const size_t bytes = (size_t)elements_of(&x.value) * sizeof(float);
        if (strcmp(x.name, y.name) == 0 && memcmp(x.value.data, y.value.data, bytes) == 0)
            continue;
        print_error("'%s' differs\n", x.name);
        _fail(file, line);
    }
}

double tiny_difference(const beit_params_t *a, const beit_params_t *b)
{
    size_t count, other;
    float *x = tiny_values(a, &count), *y = tiny_values(b, &other);
    assert_int_equal(count, other);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)x[i]));
        difference = fmax(difference, fabs((double)x[i] - (double)y[i]));
    }
    free(x);
    free(y);
    return difference / largest;
}

float tiny_value(const beit_params_t *params, const char *name)
{
    size_t index;
    check_ok(beit_params_find(params, name, &index));
    return *(const float *)info_of(params, index).value.data;
}
