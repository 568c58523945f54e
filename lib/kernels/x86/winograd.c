/* Winograd's transforms, a vector of channels at a time. */
#include "kernels/levels.h"
#include "kernels/x86/vec.h"

#define VALUE         vec_t
#define STEP_INLINE   V_INLINE
#define ADD(a, b)     v_add(a, b)
#define SUB(a, b)     v_sub(a, b)
#define TIMES(c, a)   v_mul(v_set(c), a)
#define PLUS(c, a, b) v_fma(v_set(c), a, b)
#include "kernels/winograd_steps.h"

enum { T = BEIT__TILE, P = BEIT__PATCH, K = 3 };

/* The blocks below work on `lanes` channels; loops over constants unroll, so that tiles live in
 * registers as far as these go. */

V_INLINE void weights_block(const float *taps, size_t ldt, const int flip, float *u, size_t stride,
                            size_t lanes)
{
    vec_t g[K * K], half[P * K];
    V_UNROLL
    for (size_t k = 0; k < K * K; k++)
        g[k] = v_get(taps + (flip ? K * K - 1 - k : k) * ldt, lanes);
    V_UNROLL
    for (size_t k = 0; k < K; k++)
        step_weights(g + k, K, half + k, K);
    V_UNROLL
    for (size_t i = 0; i < P; i++) {
        vec_t row[P];
        step_weights(half + i * K, 1, row, 1);
        V_UNROLL
        for (size_t k = 0; k < P; k++)
            v_put(u + (i * P + k) * stride, row[k], lanes);
    }
}

static void weights(size_t rows, size_t n, const float *taps, size_t ldt, bool flip, float *u,
                    size_t ldu, size_t stride)
{
    for (size_t r = 0; r < rows; r++, taps += BEIT__TAPS * ldt, u += ldu) {
        if (flip)
            V_EACH(j, lanes, n, { weights_block(taps + j, ldt, 1, u + j, stride, lanes); });
        else
            V_EACH(j, lanes, n, { weights_block(taps + j, ldt, 0, u + j, stride, lanes); });
    }
}

V_INLINE void input_block(const float *const pixels[BEIT__POINTS], size_t c, const int relu,
                          float *v, size_t stride, size_t lanes)
{
    vec_t half[P * P];
    V_UNROLL
    for (size_t k = 0; k < P; k++) {
        vec_t d[P];
        V_UNROLL
        for (size_t i = 0; i < P; i++) {
            d[i] = v_get(pixels[i * P + k] + c, lanes);
            if (relu)
                d[i] = v_relu(d[i]);
        }
        step_input(d, 1, half + k, P);
    }
    V_UNROLL
    for (size_t i = 0; i < P; i++) {
        vec_t row[P];
        step_input(half + i * P, 1, row, 1);
        V_UNROLL
        for (size_t k = 0; k < P; k++)
            v_put(v + (i * P + k) * stride + c, row[k], lanes);
    }
}

static void input(size_t n, const float *const pixels[BEIT__POINTS], bool relu, float *v,
                  size_t stride)
{
    if (relu)
        V_EACH(c, lanes, n, { input_block(pixels, c, 1, v, stride, lanes); });
    else
        V_EACH(c, lanes, n, { input_block(pixels, c, 0, v, stride, lanes); });
}

V_INLINE void output_block(const float *m, size_t stride, vec_t shift, float beta, bool relu,
                           float *const pixels[T * T], size_t c, size_t lanes)
{
    vec_t half[T * P];
    V_UNROLL
    for (size_t k = 0; k < P; k++) {
        vec_t column[P];
        V_UNROLL
        for (size_t i = 0; i < P; i++)
            column[i] = v_get(m + (i * P + k) * stride + c, lanes);
        step_output(column, 1, half + k, P);
    }
    V_UNROLL
    for (size_t i = 0; i < T; i++) {
        vec_t row[T];
        step_output(half + i * P, 1, row, 1);
        V_UNROLL
        for (size_t k = 0; k < T; k++) {
            float *pixel = pixels[i * T + k] + c;
            vec_t x = v_add(row[k], shift);
            if (beta != 0.0f)
                x = v_fma(v_set(beta), v_get(pixel, lanes), x);
            v_put(pixel, relu ? v_relu(x) : x, lanes);
        }
    }
}

static void output(size_t n, const float *m, size_t stride, const float *bias, float beta,
                   bool relu, float *const pixels[T * T])
{
    V_EACH(c, lanes, n, {
        const vec_t shift = bias ? v_get(bias + c, lanes) : v_set(0.0f);
        output_block(m, stride, shift, beta, relu, pixels, c, lanes);
    });
}

V_INLINE void spread_block(const float *const pixels[T * T], size_t c, float *v, size_t stride,
                           size_t lanes)
{
    vec_t half[P * T];
    V_UNROLL
    for (size_t k = 0; k < T; k++) {
        vec_t column[T];
        V_UNROLL
        for (size_t i = 0; i < T; i++)
            column[i] = v_get(pixels[i * T + k] + c, lanes);
        step_spread(column, 1, half + k, T);
    }
    V_UNROLL
    for (size_t i = 0; i < P; i++) {
        vec_t row[P];
        step_spread(half + i * T, 1, row, 1);
        V_UNROLL
        for (size_t k = 0; k < P; k++)
            v_put(v + (i * P + k) * stride + c, row[k], lanes);
    }
}

static void spread(size_t n, const float *const pixels[T * T], float *v, size_t stride)
{
    V_EACH(c, lanes, n, { spread_block(pixels, c, v, stride, lanes); });
}

/* dweight has its nine taps side by side, so lanes are scattered one by one. */
V_INLINE void gather_block(const float *du, size_t stride, vec_t factor, float *dweight,
                           size_t lanes)
{
    vec_t half[K * P];
    float taps[K * K][V_LANES];
    V_UNROLL
    for (size_t k = 0; k < P; k++) {
        vec_t column[P];
        V_UNROLL
        for (size_t i = 0; i < P; i++)
            column[i] = v_get(du + (i * P + k) * stride, lanes);
        step_gather(column, 1, half + k, P);
    }
    V_UNROLL
    for (size_t i = 0; i < K; i++) {
        vec_t row[K];
        step_gather(half + i * P, 1, row, 1);
        V_UNROLL
        for (size_t k = 0; k < K; k++)
            v_store(taps[i * K + k], v_mul(factor, row[k]));
    }
    for (size_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < K * K; k++)
            dweight[lane * K * K + k] += taps[k][lane];
}

static void gather(size_t n, const float *du, size_t stride, float alpha, float *dweight)
{
    const vec_t factor = v_set(alpha);
    V_EACH(j, lanes, n, { gather_block(du + j, stride, factor, dweight + j * K * K, lanes); });
}

void V_LEVEL(beit__fill_winograd)(beit__kernels_t *k)
{
    k->winograd_weights = weights;
    k->winograd_input = input;
    k->winograd_output = output;
    k->winograd_spread = spread;
    k->winograd_gather = gather;
}
