/* Layer normalisation of one row; sums over lanes in single precision, the variance about the
 * mean in a second pass. */
#include <math.h>

#include "kernels/levels.h"
#include "kernels/x86/vec.h"

static void layernorm_statistics(size_t n, const float *x, float eps, float *mean, float *rstd)
{
    vec_t sum = v_set(0.0f), squares = v_set(0.0f);
    V_EACH(i, lanes, n, { sum = v_add(sum, v_get(x + i, lanes)); });
    const float m = v_sum(sum) / (float)n;
    const vec_t centre = v_set(m);
    V_EACH(i, lanes, n, {
        const vec_t d = v_sub(v_first(v_get(x + i, lanes), lanes, centre), centre);
        squares = v_fma(d, d, squares);
    });
    *mean = m;
    *rstd = 1.0f / sqrtf(v_sum(squares) / (float)n + eps);
}

static void layernorm_apply(size_t n, const float *x, float mean, float rstd, const float *weight,
                            const float *bias, float *y)
{
    const vec_t m = v_set(mean), r = v_set(rstd);
    V_EACH(i, lanes, n, {
        const vec_t h = v_mul(v_sub(v_get(x + i, lanes), m), r);
        v_put(y + i, v_fma(h, v_get(weight + i, lanes), v_get(bias + i, lanes)), lanes);
    });
}

/* As in the C version: dx = rstd (g - mean(g) - h mean(g h)), g = dy weight. Lanes beyond the end
 * hold g = 0. */
static void layernorm_backward(size_t n, const float *dy, const float *x, float mean, float rstd,
                               const float *weight, float *dx, float *dweight, float *dbias)
{
    const vec_t m = v_set(mean), r = v_set(rstd);
    vec_t sum_g = v_set(0.0f), sum_gh = v_set(0.0f);
    V_EACH(i, lanes, n, {
        const vec_t h = v_mul(v_sub(v_get(x + i, lanes), m), r);
        const vec_t d = v_get(dy + i, lanes);
        const vec_t g = v_mul(d, v_get(weight + i, lanes));
        sum_g = v_add(sum_g, g);
        sum_gh = v_fma(g, h, sum_gh);
        v_put(dweight + i, v_fma(d, h, v_get(dweight + i, lanes)), lanes);
        v_put(dbias + i, v_add(d, v_get(dbias + i, lanes)), lanes);
    });
    if (!dx)
        return;
    const vec_t mean_g = v_set(v_sum(sum_g) / (float)n), mean_gh = v_set(v_sum(sum_gh) / (float)n);
    V_EACH(i, lanes, n, {
        const vec_t h = v_mul(v_sub(v_get(x + i, lanes), m), r);
        const vec_t g = v_mul(v_get(dy + i, lanes), v_get(weight + i, lanes));
        const vec_t t = v_fnma(h, mean_gh, v_sub(g, mean_g));
        v_put(dx + i, v_fma(r, t, v_get(dx + i, lanes)), lanes);
    });
}

void V_LEVEL(beit__fill_norm)(beit__kernels_t *k)
{
    k->layernorm_statistics = layernorm_statistics;
    k->layernorm_apply = layernorm_apply;
    k->layernorm_backward = layernorm_backward;
}
