/* Sums in double over float operands, and the pieces of mathematics that several operations
 * share. */
#ifndef BEIT_BACKEND_REFERENCE_SUMS_H
#define BEIT_BACKEND_REFERENCE_SUMS_H

#include <math.h>
#include <stdint.h>

/* Partial sums of a dot product: independent chains, so that it is not bound by one addition's
 * latency. Fixed, hence the same bits everywhere. */
#define BEIT__LANES 8

static inline double beit__dot(const float *x, const float *y, int64_t n)
{
    double lane[BEIT__LANES] = {0};
    int64_t i = 0;
    for (; i + BEIT__LANES <= n; i += BEIT__LANES)
        for (int l = 0; l < BEIT__LANES; l++)
            lane[l] += (double)x[i + l] * (double)y[i + l];
    double sum = 0;
    for (int l = 0; l < BEIT__LANES; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return sum;
}

/* sum[i] += s x[i] */
static inline void beit__axpy(double *restrict sum, double s, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        sum[i] += s * (double)x[i];
}

static inline void beit__zero(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = 0;
}

/* x[i] += sum[i] */
static inline void beit__add_to(float *x, const double *sum, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] + sum[i]);
}

/* A NaN stays one, so that a broken weight cannot hide. */
static inline float beit__relu_at(float x)
{
    return x < 0.0f ? 0.0f : x;
}

/* GELU(x) = x Phi(x), the exact form. */
static inline double beit__gelu_at(double x)
{
    return 0.5 * x * (1.0 + erf(x * M_SQRT1_2));
}

/* Its derivative: Phi(x) + x phi(x). */
static inline double beit__gelu_slope_at(double x)
{
    const double inverse_sqrt_2pi = 0.3989422804014327;
    return 0.5 * (1.0 + erf(x * M_SQRT1_2)) + x * inverse_sqrt_2pi * exp(-0.5 * x * x);
}

#endif
