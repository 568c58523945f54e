/* Passes over rows. Sums keep several vectors in flight, since each addition waits for the last
 * one into the same register. */
#include "kernels/levels.h"
#include "kernels/x86/vec.h"

/* factor and add are wanted or not: constants where this is inlined. */
V_INLINE void scale_add_row(size_t n, const float *x, const float *factor, float scale,
                            const float *add, float *y)
{
    const vec_t s = v_set(scale);
    V_EACH(i, lanes, n, {
        const vec_t f = factor ? v_mul(v_get(factor + i, lanes), s) : s;
        const vec_t v = v_get(x + i, lanes);
        v_put(y + i, add ? v_fma(v, f, v_get(add + i, lanes)) : v_mul(v, f), lanes);
    });
}

static void scale_add(size_t n, const float *x, const float *factor, float scale, const float *add,
                      float *y)
{
    if (factor && add)
        scale_add_row(n, x, factor, scale, add, y);
    else if (factor)
        scale_add_row(n, x, factor, scale, NULL, y);
    else if (add)
        scale_add_row(n, x, NULL, scale, add, y);
    else
        scale_add_row(n, x, NULL, scale, NULL, y);
}

static void axpy(size_t n, float a, const float *x, float *y)
{
    scale_add_row(n, x, NULL, a, y, y);
}

static void multiply(size_t n, const float *x, const float *f, float *y)
{
    V_EACH(i, lanes, n, { v_put(y + i, v_mul(v_get(x + i, lanes), v_get(f + i, lanes)), lanes); });
}

static void affine(size_t n, float a, float b, const float *x, float *y)
{
    const vec_t factor = v_set(a), shift = v_set(b);
    V_EACH(i, lanes, n, { v_put(y + i, v_fma(factor, v_get(x + i, lanes), shift), lanes); });
}

static void maximum(size_t n, const float *x, float *y)
{
    V_EACH(i, lanes, n, { v_put(y + i, v_max(v_get(x + i, lanes), v_get(y + i, lanes)), lanes); });
}

/* A column of vectors at a time, so that its sum stays in a register. */
static void add_rows(size_t rows, size_t n, const float *x, size_t ldx, float *sum)
{
    V_EACH(i, lanes, n, {
        vec_t even = v_get(sum + i, lanes), odd = v_set(0.0f);
        size_t r = 0;
        for (; r + 2 <= rows; r += 2) {
            even = v_add(even, v_get(x + r * ldx + i, lanes));
            odd = v_add(odd, v_get(x + (r + 1) * ldx + i, lanes));
        }
        if (r < rows)
            even = v_add(even, v_get(x + r * ldx + i, lanes));
        v_put(sum + i, v_add(even, odd), lanes);
    });
}

enum { IN_FLIGHT = 4 };

static float dot(size_t n, const float *x, const float *y)
{
    const size_t step = IN_FLIGHT * V_LANES;
    vec_t sum[IN_FLIGHT] = {v_set(0.0f), v_set(0.0f), v_set(0.0f), v_set(0.0f)};
    size_t at = 0;
    for (; at + step <= n; at += step) {
        V_UNROLL
        for (size_t j = 0; j < IN_FLIGHT; j++)
            sum[j] = v_fma(v_load(x + at + j * V_LANES), v_load(y + at + j * V_LANES), sum[j]);
    }
    x += at;
    y += at;
    V_EACH(i, lanes, n - at, { sum[0] = v_fma(v_get(x + i, lanes), v_get(y + i, lanes), sum[0]); });
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

static double square_sum(size_t n, const float *x)
{
    const size_t step = IN_FLIGHT * V_LANES;
    vecd_t sum[IN_FLIGHT] = {vd_zero(), vd_zero(), vd_zero(), vd_zero()};
    size_t at = 0;
    for (; at + step <= n; at += step) {
        V_UNROLL
        for (size_t j = 0; j < IN_FLIGHT; j++) {
            const vec_t v = v_load(x + at + j * V_LANES);
            sum[j] = vd_fma(v, v, sum[j]);
        }
    }
    x += at;
    V_EACH(i, lanes, n - at, {
        const vec_t v = v_get(x + i, lanes);
        sum[0] = vd_fma(v, v, sum[0]);
    });
    return (vd_sum(sum[0]) + vd_sum(sum[1])) + (vd_sum(sum[2]) + vd_sum(sum[3]));
}

/* Smooth-L1 with c = clamp(d, -1, 1): rho = c (d - c / 2), rho' = c. */
V_INLINE double recon_row(size_t n, const int smooth, float grad_scale, const float *x,
                          const float *target, float *dx)
{
    const vec_t one = v_set(1.0f), half = v_set(0.5f), zero = v_set(0.0f);
    const vec_t scale = v_set(smooth ? grad_scale : 2.0f * grad_scale);
    vecd_t sum = vd_zero();
    V_EACH(i, lanes, n, {
        const vec_t d = v_sub(v_get(x + i, lanes), v_get(target + i, lanes));
        const vec_t c = smooth ? v_max(v_sub(zero, one), v_min(one, d)) : d;
        sum = vd_fma(c, smooth ? v_fnma(half, c, d) : d, sum);
        if (dx)
            v_put(dx + i, v_mul(scale, c), lanes);
    });
    return vd_sum(sum);
}

static double recon(size_t n, bool smooth, float grad_scale, const float *x, const float *target,
                    float *dx)
{
    return smooth ? recon_row(n, 1, grad_scale, x, target, dx)
                  : recon_row(n, 0, grad_scale, x, target, dx);
}

void V_LEVEL(beit__fill_row)(beit__kernels_t *k)
{
    k->scale_add = scale_add;
    k->axpy = axpy;
    k->multiply = multiply;
    k->affine = affine;
    k->maximum = maximum;
    k->add_rows = add_rows;
    k->dot = dot;
    k->square_sum = square_sum;
    k->recon = recon;
}
