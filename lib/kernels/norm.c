/* Layer normalisation of one row. The variance is taken about the mean in a second pass. */
#include <math.h>

#include "kernels/levels.h"

static void layernorm_statistics_c(size_t n, const float *x, float eps, float *mean, float *rstd)
{
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    const double m = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - m) * ((double)x[i] - m);
    *mean = (float)m;
    *rstd = (float)(1.0 / sqrt(squares / (double)n + (double)eps));
}

static void layernorm_apply_c(size_t n, const float *x, float mean, float rstd, const float *weight,
                              const float *bias, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * rstd * weight[i] + bias[i];
}

/* With h = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - h mean(g h)). */
static void layernorm_backward_c(size_t n, const float *dy, const float *x, float mean, float rstd,
                                 const float *weight, float *dx, float *dweight, float *dbias)
{
    double sum_g = 0.0, sum_gh = 0.0;
    for (size_t i = 0; i < n; i++) {
        const float h = (x[i] - mean) * rstd;
        const float g = dy[i] * weight[i];
        sum_g += (double)g;
        sum_gh += (double)g * (double)h;
        dweight[i] += dy[i] * h;
        dbias[i] += dy[i];
    }
    if (!dx)
        return;
    const float mean_g = (float)(sum_g / (double)n), mean_gh = (float)(sum_gh / (double)n);
    for (size_t i = 0; i < n; i++) {
        const float h = (x[i] - mean) * rstd;
        dx[i] += rstd * (dy[i] * weight[i] - mean_g - h * mean_gh);
    }
}

void beit__fill_norm_c(beit__kernels_t *k)
{
    k->layernorm_statistics = layernorm_statistics_c;
    k->layernorm_apply = layernorm_apply_c;
    k->layernorm_backward = layernorm_backward_c;
}
