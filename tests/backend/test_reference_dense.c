/* Reference operations on rows: products, normalisation, activations, scaling, dropout. */
#include "reference_op.h"

#include "core/philox.h"

#define COPY(to, from, count) memcpy((to), (from), (size_t)(count) * sizeof *(to))

/* ---- products ---- */

/* c = alpha op(a) op(b) + beta c + bias, element by element from the definition. */
static double gemm_element(const beit_gemm_args_t *g, int64_t batch, int64_t i, int64_t j,
                           const float *old)
{
    const float *a = g->a + batch * g->stride_a, *b = g->b + batch * g->stride_b;
    double sum = 0;
    for (int64_t p = 0; p < g->k; p++)
        sum += (double)(g->trans_a ? a[p * g->lda + i] : a[i * g->lda + p]) *
               (double)(g->trans_b ? b[j * g->ldb + p] : b[p * g->ldb + j]);
    double v = (double)g->alpha * sum + (g->bias ? (double)g->bias[j] : 0);
    if (g->beta != 0.0f)
        v += (double)g->beta * (double)old[batch * g->stride_c + i * g->ldc + j];
    return v;
}

static double epilogue(int32_t kind, double v, double aux)
{
    const double h = 1e-4;
    switch (kind) {
    case BEIT_EPILOGUE_GELU:
        return ref64_gelu(v);
    case BEIT_EPILOGUE_GELU_BACKWARD:
        return v * (ref64_gelu(aux + h) - ref64_gelu(aux - h)) / (2 * h);
    case BEIT_EPILOGUE_RELU:
        return v > 0 ? v : 0;
    default:
        return v;
    }
}

static void check_gemm(int32_t trans_a, int32_t trans_b, int32_t kind, float beta)
{
    enum { M = 5, N = 7, K = 19, LD = 23, BATCH = 2 };
    beit_gemm_args_t g = {.m = M, .n = N, .k = K, .lda = LD, .ldb = LD + 1, .ldc = LD + 2};
    g.batch = BATCH, g.stride_a = LD * K + 3, g.stride_b = (LD + 1) * K + 1;
    g.stride_c = (LD + 2) * M + 5;
    g.trans_a = trans_a, g.trans_b = trans_b, g.epilogue = kind;
    g.alpha = 0.75f, g.beta = beta;
    const int64_t c_count = BATCH * g.stride_c;
    g.a = numbers(BATCH * g.stride_a, 1);
    g.b = numbers(BATCH * g.stride_b, 1);
    g.bias = kind == BEIT_EPILOGUE_GELU_BACKWARD ? NULL : numbers(N, 1);
    g.c = numbers(c_count, 1);
    g.aux = kind == BEIT_EPILOGUE_NONE ? NULL : numbers(c_count, 2);
    float *old = zeros(c_count), *old_aux = zeros(c_count);
    COPY(old, g.c, c_count);
    if (g.aux)
        COPY(old_aux, g.aux, c_count);
    if (beta == 0.0f)
        for (int64_t i = 0; i < c_count; i++)
            g.c[i] = NAN; /* must not be read */
    RUN(gemm, GEMM, g);
    for (int64_t b = 0; b < BATCH; b++)
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                const int64_t at = b * g.stride_c + i * g.ldc + j;
                const double v = gemm_element(&g, b, i, j, old);
                /* 1e-6: rounding of the result, and of the difference quotient above */
                check_near((double)g.c[at], epilogue(kind, v, (double)old_aux[at]),
                           1e-6 * (1 + fabs(v)));
                if (kind == BEIT_EPILOGUE_GELU)
                    check_near((double)g.aux[at], v, 1e-6 * (1 + fabs(v)));
            }
}

static void products(void **state)
{
    (void)state;
    for (int32_t trans = 0; trans < 4; trans++)
        for (int32_t kind = BEIT_EPILOGUE_NONE; kind <= BEIT_EPILOGUE_RELU; kind++)
            for (int beta = 0; beta < 2; beta++) {
                check_gemm(trans & 1, trans >> 1, kind, beta ? -0.5f : 0.0f);
                release_numbers(state);
            }
}

static void product_over_nothing_is_the_bias(void **state)
{
    (void)state;
    const float bias[2] = {1.5f, -2};
    float c[4] = {NAN, NAN, NAN, NAN}, unread = NAN;
    beit_gemm_args_t g = {.m = 2, .n = 2, .lda = 1, .ldb = 2, .ldc = 2, .batch = 1};
    g.a = &unread, g.b = &unread, g.bias = bias, g.c = c, g.alpha = 1;
    RUN(gemm, GEMM, g);
    for (int i = 0; i < 4; i++)
        check_near((double)c[i], (double)bias[i % 2], 0);
}

static void column_sums_add_up(void **state)
{
    (void)state;
    enum { R = 6, C = 5, LD = 8 };
    const float *x = numbers(R * LD, 1);
    float *out = numbers(C, 1);
    double *wanted = widened(out, C);
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++)
            wanted[c] += (double)x[r * LD + c];
    beit_column_sum_args_t a = {.rows = R, .cols = C, .ldx = LD, .x = x, .out = out};
    RUN(column_sum, COLUMN_SUM, a);
    check_all_near("column sum", out, wanted, C, ROUNDING);
}

/* y = gamma (W z + b), loss = <d, y>. */
enum { LS_M = 4, LS_N = 3, LS_K = 5 };
typedef struct layer_scale {
    double *gamma, *w, *b, *z;
    const float *d;
} layer_scale_t;

static double layer_scale_loss(const void *user)
{
    const layer_scale_t *s = user;
    double y[LS_M * LS_N];
    ref64_linear(s->z, s->w, s->b, LS_M, LS_N, LS_K, y);
    for (int i = 0; i < LS_M * LS_N; i++)
        y[i] *= s->gamma[i % LS_N];
    return dot(s->d, y, LS_M * LS_N);
}

static void layer_scale_gradients(void **state)
{
    (void)state;
    const float *gamma = numbers(LS_N, 1), *w = numbers(LS_N * LS_K, 1), *b = numbers(LS_N, 1);
    const float *z = numbers(LS_M * LS_K, 1), *d = numbers(LS_M * LS_N, 1);
    float *g = zeros(LS_N * LS_K), *t = zeros(LS_N);
    for (int m = 0; m < LS_M; m++)
        for (int n = 0; n < LS_N; n++) {
            t[n] += d[m * LS_N + n];
            for (int k = 0; k < LS_K; k++)
                g[n * LS_K + k] += d[m * LS_N + n] * z[m * LS_K + k];
        }
    float *dgamma = numbers(LS_N, 1), *dw = numbers(LS_N * LS_K, 1), *db = numbers(LS_N, 1);
    float *dgamma0 = zeros(LS_N), *dw0 = zeros(LS_N * LS_K), *db0 = zeros(LS_N);
    COPY(dgamma0, dgamma, LS_N);
    COPY(dw0, dw, LS_N * LS_K);
    COPY(db0, db, LS_N);
    beit_layer_scale_backward_args_t a = {.n = LS_N, .k = LS_K, .w = w, .bias = b, .gamma = gamma};
    a.g = g, a.t = t, a.dgamma = dgamma, a.dw = dw, a.dbias = db;
    RUN(layer_scale_backward, LAYER_SCALE_BACKWARD, a);
    layer_scale_t s = {widened(gamma, LS_N), widened(w, LS_N * LS_K), widened(b, LS_N),
                       widened(z, LS_M * LS_K), d};
    check_gradient("dgamma", layer_scale_loss, &s, s.gamma, dgamma, dgamma0, LS_N);
    check_gradient("dw", layer_scale_loss, &s, s.w, dw, dw0, LS_N * LS_K);
    check_gradient("dbias", layer_scale_loss, &s, s.b, db, db0, LS_N);
}

/* ---- normalisation ---- */

enum { LN_R = 4, LN_C = 7 };
typedef struct layernorm {
    double *x, *weight, *bias;
    const float *dy;
} layernorm_t;

static double layernorm_loss(const void *user)
{
    const layernorm_t *s = user;
    double y[LN_R * LN_C];
    ref64_layernorm(s->x, s->weight, s->bias, LN_R, LN_C, 1e-6, y);
    return dot(s->dy, y, LN_R * LN_C);
}

static void layernorm_and_its_gradients(void **state)
{
    (void)state;
    const int64_t count = LN_R * LN_C;
    const float *x = numbers(count, 2), *w = numbers(LN_C, 1), *b = numbers(LN_C, 1);
    const float *dy = numbers(count, 1);
    float *y = zeros(count), *again = zeros(count), *mean = zeros(LN_R), *rstd = zeros(LN_R);
    layernorm_t s = {widened(x, count), widened(w, LN_C), widened(b, LN_C), dy};
    double *wanted = room(count);
    ref64_layernorm(s.x, s.weight, s.bias, LN_R, LN_C, 1e-6, wanted);

    beit_layernorm_forward_args_t f = {.rows = LN_R, .cols = LN_C, .x = x, .weight = w, .bias = b};
    f.y = y, f.mean = mean, f.rstd = rstd, f.eps = 1e-6f;
    RUN(layernorm_forward, LAYERNORM_FORWARD, f);
    check_all_near("y", y, wanted, count, ROUNDING);
    f.y = again, f.normalize = 1;
    RUN(layernorm_forward, LAYERNORM_FORWARD, f);
    assert_memory_equal(again, y, (size_t)count * sizeof *y);

    float *dx = numbers(count, 1), *dw = numbers(LN_C, 1), *db = numbers(LN_C, 1);
    float *dx0 = zeros(count), *dw0 = zeros(LN_C), *db0 = zeros(LN_C);
    COPY(dx0, dx, count);
    COPY(dw0, dw, LN_C);
    COPY(db0, db, LN_C);
    beit_layernorm_backward_args_t g = {.rows = LN_R, .cols = LN_C, .dy = dy, .x = x, .weight = w};
    g.mean = mean, g.rstd = rstd, g.dx = dx, g.dweight = dw, g.dbias = db;
    RUN(layernorm_backward, LAYERNORM_BACKWARD, g);
    check_gradient("dx", layernorm_loss, &s, s.x, dx, dx0, count);
    check_gradient("dweight", layernorm_loss, &s, s.weight, dw, dw0, LN_C);
    check_gradient("dbias", layernorm_loss, &s, s.bias, db, db0, LN_C);

    COPY(db0, db, LN_C);
    g.dx = NULL; /* not wanted: the others still come */
    RUN(layernorm_backward, LAYERNORM_BACKWARD, g);
    check_gradient("dbias alone", layernorm_loss, &s, s.bias, db, db0, LN_C);
}

/* The specification's row that tells eps 1e-6 from 1e-12. */
static void layernorm_eps_is_inside_the_root(void **state)
{
    (void)state;
    const float x[4] = {1e-3f, 2e-3f, 3e-3f, 4e-3f}, w[4] = {1, 1, 1, 1}, b[4] = {0};
    const double at_1e6[4] = {-1, -1.0 / 3, 1.0 / 3, 1};
    float y[4], mean, rstd;
    beit_layernorm_forward_args_t f = {.rows = 1, .cols = 4, .x = x, .weight = w, .bias = b};
    f.y = y, f.mean = &mean, f.rstd = &rstd, f.eps = 1e-6f;
    RUN(layernorm_forward, LAYERNORM_FORWARD, f);
    check_all_near("eps 1e-6", y, at_1e6, 4, ROUNDING);
    f.eps = 1e-12f;
    RUN(layernorm_forward, LAYERNORM_FORWARD, f);
    check_near((double)y[0], -1.34164, 1e-5);
}

/* ---- element-wise ---- */

static void gelu_values(void **state)
{
    (void)state;
    const float x[3] = {-1, 0.5f, 3};
    const double wanted[3] = {-0.15865529, 0.34573120, 2.99595022}; /* of the specification */
    float y[3];
    beit_gelu_forward_args_t a = {.count = 3, .x = x, .y = y};
    RUN(gelu_forward, GELU_FORWARD, a);
    for (int i = 0; i < 3; i++)
        check_near((double)y[i], wanted[i], 2e-7);
}

static void relu_and_its_gradient(void **state)
{
    (void)state;
    const float x[4] = {-1, 0, 2, NAN}, dy[4] = {5, 6, 7, 8};
    float y[4];
    beit_relu_args_t a = {.count = 4, .x = x, .y = y};
    RUN(relu, RELU, a);
    check_near((double)y[0], 0, 0);
    check_near((double)y[1], 0, 0);
    check_near((double)y[2], 2, 0);
    assert_true(isnan(y[3]));
    a.dy = dy;
    RUN(relu, RELU, a);
    check_near((double)y[0], 0, 0);
    check_near((double)y[1], 0, 0); /* the slope at 0 is 0 */
    check_near((double)y[2], 7, 0);
}

static void scale_add_and_dropped_samples(void **state)
{
    (void)state;
    const float x[6] = {1, 2, NAN, INFINITY, 5, 6}, add[6] = {10, 20, 30, 40, 50, 60};
    const float col[2] = {2, -1}, sample[3] = {1, 0, 0.5f};
    const double wanted[6] = {12, 18, 30, 40, 55, 57};
    float y[6];
    beit_scale_add_args_t a = {.rows = 3, .cols = 2, .rows_per_sample = 1, .x = x, .add = add};
    a.col_scale = col, a.sample_scale = sample, a.y = y;
    RUN(scale_add, SCALE_ADD, a);
    check_all_near("scale_add", y, wanted, 6, 0);
    a.add = NULL, a.col_scale = NULL;
    const double bare[6] = {1, 2, 0, 0, 2.5, 3};
    RUN(scale_add, SCALE_ADD, a);
    check_all_near("scale only", y, bare, 6, 0);
}

static void dropout_follows_the_counter(void **state)
{
    (void)state;
    enum { SAMPLES = 3, PER = 13 };
    const uint64_t ids[SAMPLES] = {7, 1ull << 40, 7};
    const float rate = 0.3f;
    const float *x = numbers(SAMPLES * PER, 1);
    float *y = zeros(SAMPLES * PER);
    beit_dropout_args_t a = {.samples = SAMPLES, .per_sample = PER, .x = x, .y = y, .rate = rate};
    a.random = (beit_op_random_t){.key = 0x123456789abcdefu, .sample_ids = ids, .place = 5};
    RUN(dropout, DROPOUT, a);
    int dropped = 0;
    for (int s = 0; s < SAMPLES; s++)
        for (int e = 0; e < PER; e++) {
            const uint32_t counter[4] = {(uint32_t)ids[s], (uint32_t)(ids[s] >> 32),
                                         (uint32_t)e / 4, 5};
            const uint32_t key[2] = {0x89abcdefu, 0x01234567u};
            uint32_t words[4];
            beit__philox(counter, key, words);
            const double u = ((double)(words[e % 4] >> 9) + 0.5) / 8388608.0;
            const int at = s * PER + e;
            const double wanted = u < (double)rate ? 0 : (double)x[at] / (1 - (double)rate);
            check_near((double)y[at], wanted, 1e-7 * (1 + fabs(wanted)));
            dropped += u < (double)rate;
        }
    assert_true(dropped > 0);
    a.rate = 0;
    RUN(dropout, DROPOUT, a);
    assert_memory_equal(y, x, SAMPLES * PER * sizeof *y);
}

/* ---- optimizer ---- */

/* The specification's two steps, and longer runs against the double oracle. */
static void adam_steps(void **state)
{
    (void)state;
    const float beta1 = 0.9f, beta2 = 0.999f;
    float p = 1, m = 0, v = 0;
    const float gradients[2] = {0.5f, -0.25f};
    const double wanted[2] = {0.895, 0.86389136};
    for (int t = 1; t <= 2; t++) {
        const float g = gradients[t - 1] * 4;
        beit_adam_args_t a = {.count = 1, .param = &p, .exp_avg = &m, .exp_avg_sq = &v, .grad = &g};
        a.grad_scale = 0.25f, a.lr = 0.1f, a.weight_decay = 0.05f;
        a.beta1 = beta1, a.beta2 = beta2, a.eps = 1e-8f;
        a.correction1 = 1 - pow((double)beta1, t);
        a.correction2 = 1 - pow((double)beta2, t);
        RUN(adam, ADAM, a);
        check_near((double)p, wanted[t - 1], 1e-6);
    }
}

static void adam_follows_the_oracle(void **state)
{
    (void)state;
    enum { COUNT = 9, STEPS = 20 };
    const float lr = 0.01f, wd = 0.1f, beta1 = 0.9f, beta2 = 0.98f, eps = 1e-6f;
    for (int32_t coupled = 0; coupled < 2; coupled++) {
        float *p = numbers(COUNT, 1), *m = zeros(COUNT), *v = zeros(COUNT);
        ref64_adam_t oracle[COUNT];
        for (int i = 0; i < COUNT; i++)
            oracle[i] = (ref64_adam_t){.p = (double)p[i]};
        for (int t = 1; t <= STEPS; t++) {
            const float *g = numbers(COUNT, 1);
            for (int i = 0; i < COUNT; i++) {
                const double l2 = coupled ? (double)wd * oracle[i].p : 0;
                ref64_adamw(&oracle[i], (double)g[i] + l2, (double)lr, coupled ? 0 : (double)wd,
                            (double)beta1, (double)beta2, (double)eps, t);
            }
            beit_adam_args_t a = {.count = COUNT, .param = p, .exp_avg = m, .exp_avg_sq = v};
            a.grad = g, a.grad_scale = 1, a.lr = lr, a.weight_decay = wd, a.eps = eps;
            a.beta1 = beta1, a.beta2 = beta2, a.coupled = coupled;
            a.correction1 = 1 - pow((double)beta1, t);
            a.correction2 = 1 - pow((double)beta2, t);
            RUN(adam, ADAM, a);
        }
        for (int i = 0; i < COUNT; i++)
            check_near((double)p[i], oracle[i].p, STEPS * 1e-7);
    }
}

static void square_sum_sees_what_is_not_finite(void **state)
{
    (void)state;
    float x[21];
    double sum = -1, wanted = 0;
    for (int i = 0; i < 21; i++) {
        x[i] = (float)(i - 7);
        wanted += (i - 7.0) * (i - 7.0);
    }
    beit_square_sum_args_t a = {.count = 21, .x = x, .result = &sum};
    RUN(square_sum, SQUARE_SUM, a);
    check_near(sum, wanted, 0);
    x[20] = 1e30f;
    RUN(square_sum, SQUARE_SUM, a);
    check_near(sum / 1e60, 1, 1e-6); /* beyond single precision */
    x[4] = INFINITY;
    RUN(square_sum, SQUARE_SUM, a);
    assert_false(isfinite(sum));
    x[4] = NAN;
    RUN(square_sum, SQUARE_SUM, a);
    assert_false(isfinite(sum));
}

static void fill_fills(void **state)
{
    (void)state;
    float x[4] = {1, 1, 1, 1};
    beit_fill_args_t a = {.count = 3, .x = x, .value = -2.5f};
    RUN(fill, FILL, a);
    check_near((double)x[2], -2.5, 0);
    check_near((double)x[3], 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        reference_test(products),
        reference_test(product_over_nothing_is_the_bias),
        reference_test(column_sums_add_up),
        reference_test(layer_scale_gradients),
        reference_test(layernorm_and_its_gradients),
        reference_test(layernorm_eps_is_inside_the_root),
        reference_test(gelu_values),
        reference_test(relu_and_its_gradient),
        reference_test(scale_add_and_dropped_samples),
        reference_test(dropout_follows_the_counter),
        reference_test(adam_steps),
        reference_test(adam_follows_the_oracle),
        reference_test(square_sum_sees_what_is_not_finite),
        reference_test(fill_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
