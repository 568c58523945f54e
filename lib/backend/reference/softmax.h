/* Softmax of a row of logits, in double. */
#ifndef BEIT_BACKEND_REFERENCE_SOFTMAX_H
#define BEIT_BACKEND_REFERENCE_SOFTMAX_H

#include <math.h>
#include <stdint.h>

/* q may be z. Returns log-sum-exp of z. */
static inline double beit__softmax(const double *z, double *q, int64_t n)
{
    double max = z[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        max = z[i] > max ? z[i] : max;
    for (int64_t i = 0; i < n; i++)
        sum += q[i] = exp(z[i] - max);
    for (int64_t i = 0; i < n; i++)
        q[i] /= sum;
    return max + log(sum);
}

static inline int64_t beit__first_max(const float *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

#endif
