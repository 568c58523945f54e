/* Cases: products, normalisation, element-wise operations, the optimizer. */
#include "conform.h"

#include <math.h>

/* (m,n,k) of BEiT's products, narrowed: qkv, proj, fc1, fc2, head; an input and a weight
 * gradient. */
static const int64_t beit_products[][3] = {{394, 192, 64},  {197, 64, 64},  {197, 256, 64},
                                           {197, 64, 256},  {75, 1024, 64}, {394, 64, 256},
                                           {256, 64, 1182}, {6, 16, 2},     {150, 513, 65}};
enum { BEIT_PRODUCTS = sizeof beit_products / sizeof beit_products[0] };

static void gemm(conform_t *c)
{
    const int turn = conform_turn(c);
    const int64_t *beit = beit_products[turn % BEIT_PRODUCTS];
    const bool fixed = turn < 4 * BEIT_PRODUCTS; /* each with all four transpositions */
    beit_gemm_args_t a = {.batch = fixed ? 1 : conform_extent(c, 3)};
    conform_begin(c, &a, sizeof a);
    a.m = fixed ? beit[0] : conform_count(c, 100);
    a.n = fixed ? beit[1] : conform_extent(c, 100);
    a.k = fixed ? beit[2] : conform_extent(c, 257);
    a.trans_a = fixed ? turn / BEIT_PRODUCTS % 2 : (int32_t)conform_draw(c, 2);
    a.trans_b = fixed ? turn / BEIT_PRODUCTS / 2 : (int32_t)conform_draw(c, 2);
    a.lda = (a.trans_a ? a.m : a.k) + conform_draw(c, 5);
    a.ldb = (a.trans_b ? a.k : a.n) + conform_draw(c, 5);
    a.ldc = a.n + conform_draw(c, 5);
    a.stride_a = a.lda * (a.trans_a ? a.k : a.m) + conform_draw(c, 3);
    a.stride_b = a.ldb * (a.trans_b ? a.n : a.k) + conform_draw(c, 3);
    a.stride_c = a.ldc * a.m + conform_draw(c, 3);
    a.alpha = conform_chance(c, 2) ? 1.0f : -0.75f;
    a.beta = conform_chance(c, 2) ? 0.0f : conform_chance(c, 2) ? 1.0f : 0.5f;
    a.epilogue = (int32_t)conform_draw(c, BEIT_EPILOGUE_RELU + 1);
    conform_floats(c, &a.a, a.batch * a.stride_a, CONFORM_IN, 1);
    conform_floats(c, &a.b, a.batch * a.stride_b, CONFORM_IN, 1);
    conform_floats(c, &a.c, a.batch * a.stride_c, a.beta == 0.0f ? CONFORM_OUT : CONFORM_INOUT, 1);
    if (conform_chance(c, 2))
        conform_floats(c, &a.bias, a.n, CONFORM_IN, 1);
    if (a.epilogue == BEIT_EPILOGUE_GELU_BACKWARD)
        conform_floats(c, &a.aux, a.batch * a.stride_c, CONFORM_IN, 3);
    else if (a.epilogue == BEIT_EPILOGUE_GELU && conform_chance(c, 2))
        conform_floats(c, &a.aux, a.batch * a.stride_c, CONFORM_OUT, 1);
    conform_end(c, CONFORM_SUMS, "m=%d n=%d k=%d batch=%d trans=%d%d beta=%g epilogue=%d", (int)a.m,
                (int)a.n, (int)a.k, (int)a.batch, a.trans_a, a.trans_b, (double)a.beta, a.epilogue);
}

/* A batch that shares one operand by a stride of 0. */
static void gemm_shared(conform_t *c)
{
    beit_gemm_args_t a = {.m = 5, .n = 9, .k = 17, .batch = 3, .alpha = 1};
    conform_begin(c, &a, sizeof a);
    a.lda = a.k, a.ldb = a.n, a.ldc = a.n, a.stride_b = a.k * a.n, a.stride_c = a.m * a.n;
    conform_floats(c, &a.a, a.m * a.k, CONFORM_IN, 1);
    conform_floats(c, &a.b, a.batch * a.stride_b, CONFORM_IN, 1);
    conform_floats(c, &a.c, a.batch * a.stride_c, CONFORM_OUT, 1);
    conform_end(c, CONFORM_SUMS, "shared a");
}

static void layernorm_forward(conform_t *c)
{
    beit_layernorm_forward_args_t a = {.rows = conform_count(c, 200), .eps = 1e-6f};
    conform_begin(c, &a, sizeof a);
    a.cols = conform_extent(c, 1025);
    a.normalize = (int32_t)conform_draw(c, 2);
    float *x = conform_floats(c, &a.x, a.rows * a.cols, CONFORM_IN, 2);
    for (int64_t i = 0; i < a.rows * a.cols; i++)
        x[i] += 1.5f; /* a mean that must be subtracted before squaring */
    conform_floats(c, &a.weight, a.cols, CONFORM_IN, 2);
    conform_floats(c, &a.bias, a.cols, CONFORM_IN, 1);
    const conform_role_t statistics = a.normalize ? CONFORM_IN : CONFORM_OUT;
    conform_floats(c, &a.mean, a.rows, statistics, 1);
    float *rstd = conform_floats(c, &a.rstd, a.rows, statistics, 0.5);
    for (int64_t r = 0; a.normalize && r < a.rows; r++)
        rstd[r] += 1;
    if (a.normalize || !conform_chance(c, 4))
        conform_floats(c, &a.y, a.rows * a.cols, CONFORM_OUT, 1);
    conform_end(c, CONFORM_SUMS, "rows=%d cols=%d normalize=%d", (int)a.rows, (int)a.cols,
                a.normalize);
}

static void layernorm_backward(conform_t *c)
{
    beit_layernorm_backward_args_t a = {.rows = conform_count(c, 400)};
    conform_begin(c, &a, sizeof a);
    a.cols = conform_extent(c, 513);
    conform_floats(c, &a.dy, a.rows * a.cols, CONFORM_IN, 1);
    conform_floats(c, &a.x, a.rows * a.cols, CONFORM_IN, 1);
    conform_floats(c, &a.weight, a.cols, CONFORM_IN, 2);
    conform_floats(c, &a.mean, a.rows, CONFORM_IN, 0.2);
    float *rstd = conform_floats(c, &a.rstd, a.rows, CONFORM_IN, 0.5);
    for (int64_t r = 0; r < a.rows; r++)
        rstd[r] += 1;
    if (!conform_chance(c, 4))
        conform_floats(c, &a.dx, a.rows * a.cols, CONFORM_INOUT, 1);
    conform_floats(c, &a.dweight, a.cols, CONFORM_INOUT, 1);
    conform_floats(c, &a.dbias, a.cols, CONFORM_INOUT, 1);
    conform_end(c, CONFORM_SUMS, "rows=%d cols=%d dx=%d", (int)a.rows, (int)a.cols, a.dx != NULL);
}

/* y, or one of the inputs again when `in_place`. */
static void output_or_input(conform_t *c, bool in_place, const void *y, const void *x,
                            int64_t count, double scale)
{
    conform_floats(c, x, count, in_place ? CONFORM_INOUT : CONFORM_IN, scale);
    if (in_place)
        conform_alias(c, y, x);
    else
        conform_floats(c, y, count, CONFORM_OUT, 1);
}

static void gelu_forward(conform_t *c)
{
    beit_gelu_forward_args_t a = {.count = conform_count(c, 1025) * 31};
    conform_begin(c, &a, sizeof a);
    const bool in_place = conform_chance(c, 2);
    output_or_input(c, in_place, &a.y, &a.x, a.count, 6);
    conform_end(c, CONFORM_ROUNDING, "count=%d in_place=%d", (int)a.count, in_place);
}

static void relu(conform_t *c)
{
    beit_relu_args_t a = {.count = conform_count(c, 1025) * 31};
    conform_begin(c, &a, sizeof a);
    const uint32_t kind = conform_draw(c, 4);
    if (kind < 2) { /* forward */
        output_or_input(c, kind, &a.y, &a.x, a.count, 1);
    } else { /* backward; y may be dy */
        conform_floats(c, &a.x, a.count, CONFORM_IN, 1);
        output_or_input(c, kind == 3, &a.y, &a.dy, a.count, 1);
    }
    conform_end(c, CONFORM_EXACT, "count=%d kind=%u", (int)a.count, kind);
}

static void column_sum(conform_t *c)
{
    beit_column_sum_args_t a = {.rows = conform_count(c, 1025)};
    conform_begin(c, &a, sizeof a);
    a.cols = conform_extent(c, 257);
    a.ldx = a.cols + conform_draw(c, 4);
    conform_floats(c, &a.x, a.rows * a.ldx, CONFORM_IN, 1);
    conform_floats(c, &a.out, a.cols, CONFORM_INOUT, 1);
    conform_end(c, CONFORM_SUMS, "rows=%d cols=%d ldx=%d", (int)a.rows, (int)a.cols, (int)a.ldx);
}

static void scale_add(conform_t *c)
{
    beit_scale_add_args_t a = {.rows_per_sample = conform_extent(c, 65)};
    conform_begin(c, &a, sizeof a);
    const int64_t samples = conform_count(c, 5);
    a.rows = samples * a.rows_per_sample;
    a.cols = conform_extent(c, 257);
    const int64_t count = a.rows * a.cols;
    const uint32_t in_place = conform_draw(c, 3); /* y is neither, x, or add */
    float *x = conform_floats(c, &a.x, count, in_place == 1 ? CONFORM_INOUT : CONFORM_IN, 1);
    if (in_place == 2 || conform_chance(c, 2))
        conform_floats(c, &a.add, count, in_place == 2 ? CONFORM_INOUT : CONFORM_IN, 1);
    if (conform_chance(c, 2))
        conform_floats(c, &a.col_scale, a.cols, CONFORM_IN, 1);
    if (conform_chance(c, 2)) {
        float *scale = conform_host(c, &a.sample_scale, samples, sizeof *scale, CONFORM_IN);
        for (int64_t s = 0; s < samples; s++) {
            scale[s] = conform_chance(c, 2) ? 0.0f : 1.25f;
            if (scale[s] == 0.0f) /* contributes nothing, whatever it holds */
                x[s * a.rows_per_sample * a.cols] = conform_chance(c, 2) ? NAN : INFINITY;
        }
    }
    if (in_place)
        conform_alias(c, &a.y, in_place == 1 ? (const void *)&a.x : (const void *)&a.add);
    else
        conform_floats(c, &a.y, count, CONFORM_OUT, 1);
    conform_end(c, CONFORM_ROUNDING, "rows=%d cols=%d per_sample=%d in_place=%u", (int)a.rows,
                (int)a.cols, (int)a.rows_per_sample, in_place);
}

static void layer_scale_backward(conform_t *c)
{
    beit_layer_scale_backward_args_t a = {.n = conform_extent(c, 257)};
    conform_begin(c, &a, sizeof a);
    a.k = conform_extent(c, 513);
    conform_floats(c, &a.w, a.n * a.k, CONFORM_IN, 1);
    conform_floats(c, &a.g, a.n * a.k, CONFORM_IN, 1);
    conform_floats(c, &a.bias, a.n, CONFORM_IN, 1);
    conform_floats(c, &a.gamma, a.n, CONFORM_IN, 1);
    conform_floats(c, &a.t, a.n, CONFORM_IN, 1);
    conform_floats(c, &a.dgamma, a.n, CONFORM_INOUT, 1);
    conform_floats(c, &a.dw, a.n * a.k, CONFORM_INOUT, 1);
    conform_floats(c, &a.dbias, a.n, CONFORM_INOUT, 1);
    conform_end(c, CONFORM_SUMS, "n=%d k=%d", (int)a.n, (int)a.k);
}

static void dropout(conform_t *c)
{
    beit_dropout_args_t a = {.samples = conform_count(c, 5)};
    conform_begin(c, &a, sizeof a);
    a.per_sample = conform_extent(c, 1025);
    a.rate = conform_chance(c, 5) ? 0.0f : 0.1f * (float)(1 + conform_draw(c, 9));
    conform_sample_ids(c, &a.random, a.samples);
    const bool in_place = conform_chance(c, 2);
    output_or_input(c, in_place, &a.y, &a.x, a.samples * a.per_sample, 1);
    conform_end(c, CONFORM_ROUNDING, "samples=%d per_sample=%d rate=%g in_place=%d", (int)a.samples,
                (int)a.per_sample, (double)a.rate, in_place);
}

static void fill(conform_t *c)
{
    beit_fill_args_t a = {.count = conform_count(c, 1025), .value = 1.25f};
    conform_begin(c, &a, sizeof a);
    conform_floats(c, &a.x, a.count, CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "count=%d", (int)a.count);
}

static void square_sum(conform_t *c)
{
    beit_square_sum_args_t a = {.count = conform_count(c, 1025) * 97};
    conform_begin(c, &a, sizeof a);
    float *x = conform_floats(c, &a.x, a.count, CONFORM_IN, 1);
    if (a.count && conform_chance(c, 4))
        x[conform_draw(c, (uint32_t)a.count)] = conform_chance(c, 2) ? NAN : -INFINITY;
    conform_host_double(c, &a.result, CONFORM_OUT);
    conform_end(c, CONFORM_ROUNDING, "count=%d", (int)a.count);
}

static void adam(conform_t *c)
{
    beit_adam_args_t a = {.count = conform_count(c, 1025) * 3};
    conform_begin(c, &a, sizeof a);
    const int step = 1 + (int)conform_draw(c, 1000);
    conform_floats(c, &a.param, a.count, CONFORM_INOUT, 1);
    conform_floats(c, &a.grad, a.count, CONFORM_IN, 0.3);
    conform_floats(c, &a.exp_avg, a.count, CONFORM_INOUT, 0.1);
    float *square = conform_floats(c, &a.exp_avg_sq, a.count, CONFORM_INOUT, 0.1);
    for (int64_t i = 0; i < a.count; i++)
        square[i] = fabsf(square[i]);
    a.grad_scale = 0.5f, a.lr = 0.01f, a.weight_decay = conform_chance(c, 3) ? 0.0f : 0.05f;
    a.beta1 = 0.9f, a.beta2 = conform_chance(c, 2) ? 0.999f : 0.98f, a.eps = 1e-8f;
    a.correction1 = 1 - pow((double)a.beta1, step);
    a.correction2 = 1 - pow((double)a.beta2, step);
    a.coupled = (int32_t)conform_draw(c, 2);
    conform_end(c, CONFORM_ROUNDING, "count=%d coupled=%d step=%d", (int)a.count, a.coupled, step);
}

const conform_cases_t conform_dense_cases[] = {
    {BEIT_OP_GEMM, 4 * BEIT_PRODUCTS + 100, gemm},
    {BEIT_OP_GEMM, 1, gemm_shared},
    {BEIT_OP_LAYERNORM_FORWARD, 30, layernorm_forward},
    {BEIT_OP_LAYERNORM_BACKWARD, 30, layernorm_backward},
    {BEIT_OP_GELU_FORWARD, 20, gelu_forward},
    {BEIT_OP_RELU, 30, relu},
    {BEIT_OP_COLUMN_SUM, 30, column_sum},
    {BEIT_OP_SCALE_ADD, 40, scale_add},
    {BEIT_OP_LAYER_SCALE_BACKWARD, 20, layer_scale_backward},
    {BEIT_OP_DROPOUT, 30, dropout},
    {BEIT_OP_FILL, 10, fill},
    {BEIT_OP_SQUARE_SUM, 30, square_sum},
    {BEIT_OP_ADAM, 30, adam},
    {.times = 0},
};
