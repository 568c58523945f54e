/* Times whole training steps of masked image modeling as a host would run them: random pictures,
 * OpenAI's tokenizer architecture with fresh weights (the work does not depend on their values),
 * drop path on. Prints one line a step, then the median of those after the warm-up.
 *
 *   bench_step [--model base] [--batch 8] [--micro-batch 8] [--threads 1] [--steps 8]
 *              [--backend cblas] [--json] */
#include <beit/backend.h>
#include <beit/beit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM_UP 3

typedef struct options {
    const char *model, *backend;
    int batch, micro_batch, threads, steps, json;
} options_t;

typedef struct bench {
    beit_context_t *context;
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *trainer;
    float *pixels, *token_pixels;
    beit_batch_t batch;
} bench_t;

static void require(beit_status_t status, const char *what)
{
    if (status == BEIT_OK)
        return;
    fprintf(stderr, "bench_step: %s: %s: %s\n", what, beit_status_string(status),
            beit_last_error());
    exit(1);
}

static options_t parse(int argc, char **argv)
{
    options_t o = {"base", "cblas", 8, 8, 1, 8, 0};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--json")) {
            o.json = 1;
            continue;
        } else if (!strcmp(argv[i], "--model"))
            o.model = value;
        else if (!strcmp(argv[i], "--backend"))
            o.backend = value;
        else if (!strcmp(argv[i], "--batch"))
            o.batch = atoi(value);
        else if (!strcmp(argv[i], "--micro-batch"))
            o.micro_batch = atoi(value);
        else if (!strcmp(argv[i], "--threads"))
            o.threads = atoi(value);
        else if (!strcmp(argv[i], "--steps"))
            o.steps = atoi(value);
        else {
            fprintf(stderr, "bench_step: unknown option %s\n", argv[i]);
            exit(2);
        }
        i++;
    }
    return o;
}

static float *noise(size_t count, float low, float high)
{
    float *x = malloc(count * sizeof *x);
    if (!x)
        exit(1);
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = low + (high - low) * (float)(state >> 8) * 0x1p-24f;
    }
    return x;
}

static void set_up(bench_t *b, const options_t *o)
{
    beit_context_config_t context;
    beit_context_config_init(&context, sizeof context);
    context.backend = beit_backend_builtin(o->backend);
    context.backend_options = strcmp(o->backend, "cblas") ? NULL : "blas_threads=1";
    context.threads = o->threads;
    require(beit_context_create(&b->context, &context), "context");

    beit_model_config_t model;
    beit_model_config_init(&model, sizeof model);
    require(beit_model_config_preset(&model, o->model), "preset");
    require(beit_model_create(&b->model, b->context, &model), "model");

    beit_dvae_config_t dvae;
    beit_dvae_config_init(&dvae, sizeof dvae);
    dvae.arch = BEIT_DVAE_DALLE;
    dvae.parts = BEIT_DVAE_ENCODER_ONLY;
    require(beit_dvae_create(&b->dvae, b->context, &dvae), "tokenizer");
    require(beit_masker_create(&b->masker, b->context, NULL), "masker");

    beit_trainer_config_t trainer;
    beit_trainer_config_init(&trainer, sizeof trainer);
    trainer.micro_batch = o->micro_batch;
    require(beit_trainer_create_mim(&b->trainer, b->model, b->dvae, b->masker, &trainer),
            "trainer");

    const int64_t pixels[4] = {o->batch, 3, 224, 224}, tokens[4] = {o->batch, 3, 112, 112};
    b->pixels = noise((size_t)o->batch * 3 * 224 * 224, -1.f, 1.f);
    b->token_pixels = noise((size_t)o->batch * 3 * 112 * 112, 0.1f, 0.9f);
    beit_batch_init(&b->batch, sizeof b->batch);
    b->batch.pixels = beit_tensor_make(b->pixels, BEIT_F32, 4, pixels);
    b->batch.token_pixels = beit_tensor_make(b->token_pixels, BEIT_F32, 4, tokens);
}

static void tear_down(bench_t *b)
{
    beit_trainer_destroy(b->trainer);
    beit_masker_destroy(b->masker);
    beit_dvae_destroy(b->dvae);
    beit_model_destroy(b->model);
    beit_context_unref(b->context);
    free(b->pixels);
    free(b->token_pixels);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const options_t o = parse(argc, argv);
    bench_t b = {0};
    set_up(&b, &o);
    if (!o.json)
        printf("%s, %s\n", o.model, beit_context_describe(b.context));

    double *seconds = calloc((size_t)o.steps + 1, sizeof *seconds);
    double *tokenize = calloc((size_t)o.steps + 1, sizeof *tokenize);
    if (!seconds || !tokenize)
        return 1;
    for (int i = 0; i < WARM_UP + o.steps; i++) {
        beit_step_report_t report = {.struct_size = sizeof report};
        require(beit_trainer_step(b.trainer, &b.batch, &report), "step");
        if (i >= WARM_UP) {
            seconds[i - WARM_UP] = report.seconds;
            tokenize[i - WARM_UP] = report.tokenize_seconds;
        }
        if (!o.json)
            printf("step %d: %.3f s, tokenizer %.3f s, loss %.4f\n", i, report.seconds,
                   report.tokenize_seconds, report.loss);
    }
    qsort(seconds, (size_t)o.steps, sizeof *seconds, ascending);
    qsort(tokenize, (size_t)o.steps, sizeof *tokenize, ascending);

    beit_memory_report_t memory = {.struct_size = sizeof memory};
    require(beit_trainer_memory(b.trainer, &memory), "memory");
    printf(o.json ? "{\"step_s\": %.4f, \"tokenize_s\": %.4f, \"images_per_s\": %.3f, "
                    "\"memory_mib\": %.0f}\n"
                  : "median step %.4f s, tokenizer %.4f s, %.3f images/s, %.0f MiB held\n",
           seconds[o.steps / 2], tokenize[o.steps / 2], o.batch / seconds[o.steps / 2],
           (double)memory.total / 1048576.0);
    free(seconds);
    free(tokenize);
    tear_down(&b);
    return 0;
}
