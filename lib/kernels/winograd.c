/* Winograd's transforms, one channel at a time. */
#include "kernels/levels.h"

#define VALUE         float
#define STEP_INLINE   static inline
#define ADD(a, b)     ((a) + (b))
#define SUB(a, b)     ((a) - (b))
#define TIMES(c, a)   ((c) * (a))
#define PLUS(c, a, b) ((c) * (a) + (b))
#include "kernels/winograd_steps.h"

enum { T = BEIT__TILE, P = BEIT__PATCH, K = 3 };

static void weights_c(size_t rows, size_t n, const float *taps, size_t ldt, bool flip, float *u,
                      size_t ldu, size_t stride)
{
    for (size_t r = 0; r < rows; r++, taps += BEIT__TAPS * ldt, u += ldu)
        for (size_t j = 0; j < n; j++) {
            float g[K * K], half[P * K], whole[P * P];
            for (size_t k = 0; k < K * K; k++)
                g[k] = taps[(flip ? K * K - 1 - k : k) * ldt + j];
            for (size_t k = 0; k < K; k++)
                step_weights(g + k, K, half + k, K);
            for (size_t i = 0; i < P; i++)
                step_weights(half + i * K, 1, whole + i * P, 1);
            for (size_t xi = 0; xi < P * P; xi++)
                u[xi * stride + j] = whole[xi];
        }
}

static void input_c(size_t n, const float *const pixels[BEIT__POINTS], bool relu, float *v,
                    size_t stride)
{
    for (size_t c = 0; c < n; c++) {
        float d[P * P], half[P * P], whole[P * P];
        for (size_t k = 0; k < P * P; k++)
            d[k] = relu && pixels[k][c] < 0.0f ? 0.0f : pixels[k][c];
        for (size_t k = 0; k < P; k++)
            step_input(d + k, P, half + k, P);
        for (size_t i = 0; i < P; i++)
            step_input(half + i * P, 1, whole + i * P, 1);
        for (size_t xi = 0; xi < P * P; xi++)
            v[xi * stride + c] = whole[xi];
    }
}

static void output_c(size_t n, const float *m, size_t stride, const float *bias, float beta,
                     bool relu, float *const pixels[T * T])
{
    for (size_t c = 0; c < n; c++) {
        float whole[P * P], half[T * P], y[T * T];
        for (size_t xi = 0; xi < P * P; xi++)
            whole[xi] = m[xi * stride + c];
        for (size_t k = 0; k < P; k++)
            step_output(whole + k, P, half + k, P);
        for (size_t i = 0; i < T; i++)
            step_output(half + i * P, 1, y + i * T, 1);
        for (size_t k = 0; k < T * T; k++) {
            float x = y[k] + (bias ? bias[c] : 0.0f);
            if (beta != 0.0f)
                x += beta * pixels[k][c];
            pixels[k][c] = relu && x < 0.0f ? 0.0f : x;
        }
    }
}

static void spread_c(size_t n, const float *const pixels[T * T], float *v, size_t stride)
{
    for (size_t c = 0; c < n; c++) {
        float y[T * T], half[P * T], whole[P * P];
        for (size_t k = 0; k < T * T; k++)
            y[k] = pixels[k][c];
        for (size_t k = 0; k < T; k++)
            step_spread(y + k, T, half + k, T);
        for (size_t i = 0; i < P; i++)
            step_spread(half + i * T, 1, whole + i * P, 1);
        for (size_t xi = 0; xi < P * P; xi++)
            v[xi * stride + c] = whole[xi];
    }
}

static void gather_c(size_t n, const float *du, size_t stride, float alpha, float *dweight)
{
    for (size_t j = 0; j < n; j++, dweight += BEIT__TAPS) {
        float whole[P * P], half[K * P], g[K * K];
        for (size_t xi = 0; xi < P * P; xi++)
            whole[xi] = du[xi * stride + j];
        for (size_t k = 0; k < P; k++)
            step_gather(whole + k, P, half + k, P);
        for (size_t i = 0; i < K; i++)
            step_gather(half + i * P, 1, g + i * K, 1);
        for (size_t k = 0; k < K * K; k++)
            dweight[k] += alpha * g[k];
    }
}

void beit__fill_winograd_c(beit__kernels_t *k)
{
    k->winograd_weights = weights_c;
    k->winograd_input = input_c;
    k->winograd_output = output_c;
    k->winograd_spread = spread_c;
    k->winograd_gather = gather_c;
}
