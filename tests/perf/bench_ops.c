/* Times each operation of a backend at the shapes that matter: BEiT-base at batch 8, the DALL-E
 * encoder's convolutions, a small dVAE. Prints seconds, GFLOP/s or GB/s and the fraction of the
 * FMA peak that was measured around it.
 *
 *   bench_ops [--threads N] [--backend NAME] [--options TEXT] [--filter WORD] [--repeat N]
 *             [--cpu-time] [--json]
 *
 * The median of the repeats counts; with --cpu-time, for one thread on a busy machine, the least
 * processor time. */
#include <beit/backend.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/executor.h"
#include "core/status.h"
#include "peak.h"

enum { B = 8, T = 197, D = 768, H = 12, V = 8192, MASKED = 75 };

/* ---- memory: one block, filled once, handed out anew to each case ---- */

static float *pool;
static size_t pool_used, pool_floats = 400u << 20;

static float *take(int64_t n)
{
    float *p = pool + pool_used;
    pool_used += ((size_t)n + 15) / 16 * 16 + 16;
    if (pool_used > pool_floats) {
        fprintf(stderr, "bench_ops: a case needs more than %zu floats\n", pool_floats);
        exit(1);
    }
    return p;
}

static void refill(void)
{
    for (size_t i = 0; i < pool_floats; i++)
        pool[i] = (float)((i * 2654435761u >> 8) & 0xffff) / 65536.0f - 0.5f;
}

/* ---- cases ---- */

typedef union args {
    beit_op_t op;
    beit_gemm_args_t gemm;
    beit_layernorm_forward_args_t layernorm_forward;
    beit_layernorm_backward_args_t layernorm_backward;
    beit_column_sum_args_t column_sum;
    beit_scale_add_args_t scale_add;
    beit_attention_forward_args_t attention_forward;
    beit_attention_backward_args_t attention_backward;
    beit_cross_entropy_args_t cross_entropy;
    beit_conv_args_t conv;
    beit_gumbel_args_t gumbel;
    beit_square_sum_args_t square_sum;
    beit_adam_args_t adam;
} args_t;

typedef struct shape {
    const char *name;
    int64_t a, b, c, d, e, f, g; /* what a family makes of them */
} shape_t;

/* Fills args, returns FLOP or (negative) bytes. */
typedef double (*setup_fn)(const shape_t *s, args_t *x);

/* m, n, k, transposes (1 = A, 2 = B), epilogue */
static double setup_gemm(const shape_t *s, args_t *x)
{
    const bool ta = s->d & 1, tb = s->d & 2;
    x->gemm = (beit_gemm_args_t){.m = s->a,
                                 .n = s->b,
                                 .k = s->c,
                                 .lda = ta ? s->a : s->c,
                                 .ldb = tb ? s->c : s->b,
                                 .ldc = s->b,
                                 .batch = 1,
                                 .a = take(s->a * s->c),
                                 .b = take(s->b * s->c),
                                 .c = take(s->a * s->b),
                                 .alpha = 1.0f,
                                 .trans_a = ta,
                                 .trans_b = tb,
                                 .epilogue = (int32_t)s->e};
    if (s->e != BEIT_EPILOGUE_NONE)
        x->gemm.aux = take(s->a * s->b);
    if (s->e == BEIT_EPILOGUE_GELU)
        x->gemm.bias = take(s->b);
    return 2.0 * (double)s->a * (double)s->b * (double)s->c;
}

/* batch, tokens, heads, width */
static double setup_attention_forward(const shape_t *s, args_t *x)
{
    x->attention_forward =
        (beit_attention_forward_args_t){.batch = s->a,
                                        .tokens = s->b,
                                        .heads = s->c,
                                        .width = s->d,
                                        .ldqkv = 3 * s->c * s->d,
                                        .qkv = take(s->a * s->b * 3 * s->c * s->d),
                                        .bias = take(s->c * s->b * s->b),
                                        .o = take(s->a * s->b * s->c * s->d),
                                        .lse = take(s->a * s->b * s->c),
                                        .scale = 0.125f};
    return 4.0 * (double)(s->a * s->b * s->b * s->c * s->d);
}

static double setup_attention_backward(const shape_t *s, args_t *x)
{
    x->attention_backward =
        (beit_attention_backward_args_t){.batch = s->a,
                                         .tokens = s->b,
                                         .heads = s->c,
                                         .width = s->d,
                                         .ldqkv = 3 * s->c * s->d,
                                         .qkv = take(s->a * s->b * 3 * s->c * s->d),
                                         .bias = take(s->c * s->b * s->b),
                                         .o = take(s->a * s->b * s->c * s->d),
                                         .lse = take(s->a * s->b * s->c),
                                         .dout = take(s->a * s->b * s->c * s->d),
                                         .dqkv = take(s->a * s->b * 3 * s->c * s->d),
                                         .dbias = take(s->c * s->b * s->b),
                                         .scale = 0.125f};
    return 10.0 * (double)(s->a * s->b * s->b * s->c * s->d);
}

/* rows, cols */
static double setup_layernorm_forward(const shape_t *s, args_t *x)
{
    x->layernorm_forward = (beit_layernorm_forward_args_t){.rows = s->a,
                                                           .cols = s->b,
                                                           .x = take(s->a * s->b),
                                                           .weight = take(s->b),
                                                           .bias = take(s->b),
                                                           .y = take(s->a * s->b),
                                                           .mean = take(s->a),
                                                           .rstd = take(s->a),
                                                           .eps = 1e-6f};
    return -8.0 * (double)(s->a * s->b);
}

static double setup_layernorm_backward(const shape_t *s, args_t *x)
{
    x->layernorm_backward = (beit_layernorm_backward_args_t){.rows = s->a,
                                                             .cols = s->b,
                                                             .dy = take(s->a * s->b),
                                                             .x = take(s->a * s->b),
                                                             .weight = take(s->b),
                                                             .mean = take(s->a),
                                                             .rstd = take(s->a),
                                                             .dx = take(s->a * s->b),
                                                             .dweight = take(s->b),
                                                             .dbias = take(s->b)};
    return -16.0 * (double)(s->a * s->b);
}

static double setup_column_sum(const shape_t *s, args_t *x)
{
    x->column_sum = (beit_column_sum_args_t){
        .rows = s->a, .cols = s->b, .ldx = s->b, .x = take(s->a * s->b), .out = take(s->b)};
    return -4.0 * (double)(s->a * s->b);
}

static double setup_scale_add(const shape_t *s, args_t *x)
{
    x->scale_add = (beit_scale_add_args_t){.rows = s->a,
                                           .cols = s->b,
                                           .rows_per_sample = s->a,
                                           .x = take(s->a * s->b),
                                           .add = take(s->a * s->b),
                                           .col_scale = take(s->b),
                                           .y = take(s->a * s->b)};
    return -12.0 * (double)(s->a * s->b);
}

static double setup_cross_entropy(const shape_t *s, args_t *x)
{
    static double loss;
    static int64_t correct;
    x->cross_entropy = (beit_cross_entropy_args_t){.rows = s->a,
                                                   .cols = s->b,
                                                   .logits = take(s->a * s->b),
                                                   .labels = calloc((size_t)s->a, sizeof(int32_t)),
                                                   .loss = &loss,
                                                   .correct = &correct,
                                                   .grad_scale = 1.0f,
                                                   .backward = 1};
    return -8.0 * (double)(s->a * s->b);
}

/* batch, side, in, out, kernel, stride, pad */
static double setup_conv(const shape_t *s, args_t *x)
{
    const int64_t side = (s->b + 2 * s->g - s->e) / s->f + 1;
    x->conv = (beit_conv_args_t){.batch = s->a,
                                 .height = s->b,
                                 .width = s->b,
                                 .in_channels = s->c,
                                 .out_channels = s->d,
                                 .kernel = s->e,
                                 .stride = s->f,
                                 .pad = s->g,
                                 .large = take(s->a * s->b * s->b * s->c),
                                 .small = take(s->a * side * side * s->d),
                                 .weight = take(s->c * s->d * s->e * s->e),
                                 .dweight = take(s->c * s->d * s->e * s->e),
                                 .alpha = 1.0f};
    return 2.0 * (double)(s->a * side * side * s->c * s->d * s->e * s->e);
}

/* samples, positions, vocabulary */
static double setup_gumbel(const shape_t *s, args_t *x)
{
    static uint64_t ids[64];
    const int64_t n = s->a * s->b * s->c;
    x->gumbel = (beit_gumbel_args_t){.random = {.key = 1, .sample_ids = ids},
                                     .samples = s->a,
                                     .positions = s->b,
                                     .vocab = s->c,
                                     .logits = take(n),
                                     .y = take(n),
                                     .dy = take(n),
                                     .dlogits = take(n),
                                     .tau = 1.0f,
                                     .mode = 1};
    return -8.0 * (double)n;
}

/* elements, step count */
static double setup_square_sum(const shape_t *s, args_t *x)
{
    static double result;
    x->square_sum = (beit_square_sum_args_t){.count = s->a, .x = take(s->a), .result = &result};
    return -4.0 * (double)s->a;
}

static double setup_adam(const shape_t *s, args_t *x)
{
    x->adam = (beit_adam_args_t){.count = s->a,
                                 .param = take(s->a),
                                 .exp_avg = take(s->a),
                                 .exp_avg_sq = take(s->a),
                                 .grad = take(s->a),
                                 .correction1 = 0.1,
                                 .correction2 = 0.001,
                                 .grad_scale = 0.5f,
                                 .lr = 1e-3f,
                                 .weight_decay = 0.05f,
                                 .beta1 = 0.9f,
                                 .beta2 = 0.999f,
                                 .eps = 1e-8f};
    for (int64_t i = 0; i < s->a; i++)
        x->adam.exp_avg_sq[i] = fabsf(x->adam.exp_avg_sq[i]);
    return -28.0 * (double)s->a;
}

/* ---- shapes ---- */

enum { NN = 0, TN = 1, NT = 2, ROWS = B * T, HEAD_ROWS = B * MASKED };

static const shape_t GEMMS[] = {
    {"qkv", ROWS, 3 * D, D, NT, 0, 0, 0},
    {"proj", ROWS, D, D, NT, 0, 0, 0},
    {"fc1", ROWS, 4 * D, D, NT, 0, 0, 0},
    {"fc1+gelu", ROWS, 4 * D, D, NT, BEIT_EPILOGUE_GELU, 0, 0},
    {"fc2", ROWS, D, 4 * D, NT, 0, 0, 0},
    {"head", HEAD_ROWS, V, D, NT, 0, 0, 0},
    {"dx qkv", ROWS, D, 3 * D, NN, 0, 0, 0},
    {"dx proj", ROWS, D, D, NN, 0, 0, 0},
    {"dx fc1", ROWS, D, 4 * D, NN, 0, 0, 0},
    {"dx fc2+dgelu", ROWS, 4 * D, D, NN, BEIT_EPILOGUE_GELU_BACKWARD, 0, 0},
    {"dx head", HEAD_ROWS, D, V, NN, 0, 0, 0},
    {"dw qkv", 3 * D, D, ROWS, TN, 0, 0, 0},
    {"dw proj", D, D, ROWS, TN, 0, 0, 0},
    {"dw fc1", 4 * D, D, ROWS, TN, 0, 0, 0},
    {"dw fc2", D, 4 * D, ROWS, TN, 0, 0, 0},
    {"dw head", V, D, HEAD_ROWS, TN, 0, 0, 0},
    {"small", 136, 256, 64, NT, 0, 0, 0},
    {"tiny", 17, 64, 64, NT, 0, 0, 0},
    {0},
};
static const shape_t ATTENTION[] = {
    {"base", B, T, H, D / H, 0, 0, 0}, {"small", B, 17, 2, 32, 0, 0, 0}, {0}};
static const shape_t NORM[] = {{"base", ROWS, D, 0, 0, 0, 0, 0}, {0}};
static const shape_t COLUMNS[] = {{"fc1", ROWS, 4 * D, 0, 0, 0, 0, 0}, {0}};
static const shape_t LOGITS[] = {{"base", HEAD_ROWS, V, 0, 0, 0, 0, 0}, {0}};
static const shape_t CODES[] = {
    {"small", 8, 16, 512, 0, 0, 0, 0}, {"base", 4, 196, V, 0, 0, 0, 0}, {0}};
static const shape_t PARAMS[] = {{"92M", 92000000, 0, 0, 0, 0, 0, 0}, {0}};
static const shape_t CONVS[] = {
    {"256-64@112", 4, 112, 256, 64, 3, 1, 1},       {"64-64@112", 4, 112, 64, 64, 3, 1, 1},
    {"256-128@56", 4, 56, 256, 128, 3, 1, 1},       {"512-128@56", 4, 56, 512, 128, 3, 1, 1},
    {"128-128@56", 4, 56, 128, 128, 3, 1, 1},       {"256-256@56", 4, 56, 256, 256, 3, 1, 1},
    {"1024-256@28", 8, 28, 1024, 256, 3, 1, 1},     {"256-256@28", 8, 28, 256, 256, 3, 1, 1},
    {"2048-512@14", 8, 14, 2048, 512, 3, 1, 1},     {"512-512@14", 8, 14, 512, 512, 3, 1, 1},
    {"7x7 3-256@112", 4, 112, 3, 256, 7, 1, 3},     {"1x1 64-256@112", 4, 112, 64, 256, 1, 1, 0},
    {"1x1 256-1024@28", 8, 28, 256, 1024, 1, 1, 0}, {"4x4/2 3-256@112", 4, 112, 3, 256, 4, 2, 1},
    {"4x4/2 256-256@56", 4, 56, 256, 256, 4, 2, 1}, {"4x4/2 3-32@32", 8, 32, 3, 32, 4, 2, 1},
    {"4x4/2 32-32@32", 8, 32, 32, 32, 4, 2, 1},     {"4x4/2 32-32@16", 8, 16, 32, 32, 4, 2, 1},
    {"4x4/2 32-32@8", 8, 8, 32, 32, 4, 2, 1},       {"3x3 32-32@32", 8, 32, 32, 32, 3, 1, 1},
    {"3x3 32-32@16", 8, 16, 32, 32, 3, 1, 1},       {"3x3 32-32@8", 8, 8, 32, 32, 3, 1, 1},
    {"3x3 32-32@4", 8, 4, 32, 32, 3, 1, 1},         {"1x1 32-32@16", 8, 16, 32, 32, 1, 1, 0},
    {"1x1 32-512@4", 8, 4, 32, 512, 1, 1, 0},       {0},
};

#define FAMILIES(X)                                                                                \
    X(gemm, gemm, GEMM, setup_gemm, GEMMS)                                                         \
    X(attention_forward, attention_forward, ATTENTION_FORWARD, setup_attention_forward, ATTENTION) \
    X(attention_backward, attention_backward, ATTENTION_BACKWARD, setup_attention_backward,        \
      ATTENTION)                                                                                   \
    X(layernorm_forward, layernorm_forward, LAYERNORM_FORWARD, setup_layernorm_forward, NORM)      \
    X(layernorm_backward, layernorm_backward, LAYERNORM_BACKWARD, setup_layernorm_backward, NORM)  \
    X(column_sum, column_sum, COLUMN_SUM, setup_column_sum, COLUMNS)                               \
    X(scale_add, scale_add, SCALE_ADD, setup_scale_add, NORM)                                      \
    X(cross_entropy, cross_entropy, CROSS_ENTROPY, setup_cross_entropy, LOGITS)                    \
    X(conv_forward, conv, CONV_FORWARD, setup_conv, CONVS)                                         \
    X(conv_transpose, conv, CONV_TRANSPOSE, setup_conv, CONVS)                                     \
    X(conv_weight_gradient, conv, CONV_WEIGHT_GRADIENT, setup_conv, CONVS)                         \
    X(gumbel_forward, gumbel, GUMBEL_FORWARD, setup_gumbel, CODES)                                 \
    X(gumbel_backward, gumbel, GUMBEL_BACKWARD, setup_gumbel, CODES)                               \
    X(square_sum, square_sum, SQUARE_SUM, setup_square_sum, PARAMS)                                \
    X(adam, adam, ADAM, setup_adam, PARAMS)

#define DEFINE_CALL(name, type, ID, setup, shapes)                                                 \
    static beit_status_t call_##name(const beit_backend_ops_t *ops, void *self, args_t *x)         \
    {                                                                                              \
        x->op.struct_size = sizeof x->type;                                                        \
        return ops->name(self, &x->type);                                                          \
    }
FAMILIES(DEFINE_CALL)

static const struct family {
    const char *name;
    beit_op_id_t id;
    setup_fn setup;
    const shape_t *shapes;
    beit_status_t (*call)(const beit_backend_ops_t *ops, void *self, args_t *x);
} TABLE[] = {
#define LIST_FAMILY(name, type, ID, setup, shapes)                                                 \
    {#name, BEIT_OP_##ID, setup, shapes, call_##name},
    FAMILIES(LIST_FAMILY)};

/* ---- running ---- */

typedef struct bench {
    const beit_backend_ops_t *ops;
    void *self;
    beit__isa_t isa;
    unsigned threads;
    int repeat;
    bool cpu_time, json;
} bench_t;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { MAX_REPEAT = 101 };
#define MIN_SAMPLE_SECONDS 2e-3 /* one sample repeats short calls up to this long */

static double typical_seconds(const bench_t *b, const struct family *f, args_t *x)
{
    double (*const clock)(void) = b->cpu_time ? perf_cpu_seconds : perf_seconds;
    double seconds[MAX_REPEAT];
    int inner = 1;
    f->call(b->ops, b->self, x);
    for (int i = 0; i < b->repeat;) {
        const double start = clock();
        for (int j = 0; j < inner; j++)
            f->call(b->ops, b->self, x);
        const double spent = clock() - start;
        if (i == 0 && spent < MIN_SAMPLE_SECONDS && inner < 1 << 16) {
            inner *= 2;
            continue;
        }
        seconds[i++] = spent / inner;
    }
    qsort(seconds, (size_t)b->repeat, sizeof *seconds, ascending);
    return seconds[b->cpu_time ? 0 : b->repeat / 2];
}

static void run(const bench_t *b, const struct family *f, const shape_t *s)
{
    args_t x;
    memset(&x, 0, sizeof x);
    pool_used = 0;
    const double work = f->setup(s, &x);
    x.op.struct_size = sizeof x;
    x.op.workspace_bytes = b->ops->workspace ? b->ops->workspace(b->self, f->id, &x.op) : 0;
    x.op.workspace = take((int64_t)(x.op.workspace_bytes / sizeof(float) + 1));
    const double before = perf_peak_gflops(b->isa);
    const double seconds = typical_seconds(b, f, &x);
    const double after = perf_peak_gflops(b->isa);
    const double rate = fabs(work) / seconds * 1e-9;
    const double share = rate / (0.5 * (before + after) * b->threads);
    if (b->json)
        printf("{\"op\":\"%s\",\"shape\":\"%s\",\"threads\":%u,\"seconds\":%.9g,\"%s\":%.6g,"
               "\"peak_before\":%.6g,\"peak_after\":%.6g}\n",
               f->name, s->name, b->threads, seconds, work > 0 ? "gflops" : "gbytes_per_s", rate,
               before, after);
    else if (work > 0)
        printf("%-22s %-18s %11.3f ms %8.1f GFLOP/s  %5.3f of peak %.0f..%.0f\n", f->name, s->name,
               1e3 * seconds, rate, share, before, after);
    else
        printf("%-22s %-18s %11.3f ms %8.1f GB/s\n", f->name, s->name, 1e3 * seconds, rate);
    fflush(stdout);
}

static void *host_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void host_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)user;
    (void)size;
    (void)align;
    free(ptr);
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return otherwise;
}

static bool flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    const beit_allocator_t allocator = {sizeof allocator, NULL, host_alloc, host_free};
    const char *options = option(argc, argv, "--options", NULL);
    const char *filter = option(argc, argv, "--filter", "");
    bench_t b = {.ops = beit_backend_builtin(option(argc, argv, "--backend", "cblas")),
                 .isa = beit__cpu_isa(),
                 .threads = (unsigned)atoi(option(argc, argv, "--threads", "1")),
                 .repeat = atoi(option(argc, argv, "--repeat", "7"))};
    b.cpu_time = flag(argc, argv, "--cpu-time");
    b.json = flag(argc, argv, "--json");
    b.repeat = b.repeat < 1 ? 1 : b.repeat > MAX_REPEAT ? MAX_REPEAT : b.repeat;

    beit__pool_t *threads;
    if (!b.ops || beit__pool_create(&threads, &allocator, (int32_t)b.threads) != BEIT_OK)
        return 1;
    const beit_executor_t executor = beit__pool_executor(threads);
    const beit_backend_host_t host = {.struct_size = sizeof host,
                                      .allocator = &allocator,
                                      .executor = &executor,
                                      .set_error = beit__set_error};
    pool = host_alloc(NULL, pool_floats * sizeof *pool, 64);
    if (!pool || b.ops->open(&b.self, &host, options) != BEIT_OK) {
        fprintf(stderr, "bench_ops: %s\n", beit_last_error());
        return 1;
    }
    refill();
    if (!b.json && b.ops->describe)
        printf("%s, %u threads\n", b.ops->describe(b.self), b.threads);
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++)
        for (const shape_t *s = TABLE[i].shapes; s->name; s++)
            if (strstr(TABLE[i].name, filter) || strstr(s->name, filter))
                run(&b, &TABLE[i], s);
    if (b.ops->close)
        b.ops->close(b.self);
    beit__pool_destroy(threads);
    free(pool);
    return 0;
}
