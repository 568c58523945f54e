/* Passes over rows that are bound by memory: scaling, adding, reducing. */
#include <math.h>

#include "kernels/levels.h"

static void scale_add_c(size_t n, const float *x, const float *factor, float scale,
                        const float *add, float *y)
{
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] * (factor ? factor[i] * scale : scale);
        y[i] = add ? add[i] + v : v;
    }
}

static void axpy_c(size_t n, float a, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void multiply_c(size_t n, const float *x, const float *f, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * f[i];
}

static void affine_c(size_t n, float a, float b, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a * x[i] + b;
}

static void add_rows_c(size_t rows, size_t n, const float *x, size_t ldx, float *sum)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            sum[i] += x[r * ldx + i];
}

static void maximum_c(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
}

static float dot_c(size_t n, const float *x, const float *y)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return (float)sum;
}

static double square_sum_c(size_t n, const float *x)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

static double recon_c(size_t n, bool smooth, float grad_scale, const float *x, const float *target,
                      float *dx)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        const float d = x[i] - target[i];
        const bool linear = smooth && fabsf(d) >= 1.0f;
        const double e = (double)d;
        sum += linear ? fabs(e) - 0.5 : e * e * (smooth ? 0.5 : 1.0);
        if (dx)
            dx[i] = grad_scale * (linear ? copysignf(1.0f, d) : smooth ? d : 2.0f * d);
    }
    return sum;
}

void beit__fill_row_c(beit__kernels_t *k)
{
    k->scale_add = scale_add_c;
    k->axpy = axpy_c;
    k->multiply = multiply_c;
    k->affine = affine_c;
    k->add_rows = add_rows_c;
    k->maximum = maximum_c;
    k->dot = dot_c;
    k->square_sum = square_sum_c;
    k->recon = recon_c;
}
