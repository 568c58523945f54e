/* Rows of probabilities: softmax, its gradients, cross-entropy, arg-max. */
#include <math.h>

#include "kernels/levels.h"

static float softmax_row(size_t n, float scale, const float *x, const float *add, float *y)
{
    float top = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        y[i] = scale * x[i] + (add ? add[i] : 0.0f);
        top = fmaxf(top, y[i]);
    }
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        y[i] = expf(y[i] - top);
        sum += (double)y[i];
    }
    const float inverse = (float)(1.0 / sum);
    for (size_t i = 0; i < n; i++)
        y[i] *= inverse;
    return top + (float)log(sum);
}

static void softmax_c(size_t rows, size_t n, float scale, const float *x, size_t ldx,
                      const float *add, size_t ldadd, float *y, size_t ldy, float *lse)
{
    for (size_t r = 0; r < rows; r++) {
        const float norm =
            softmax_row(n, scale, x + r * ldx, add ? add + r * ldadd : NULL, y + r * ldy);
        if (lse)
            lse[r] = norm;
    }
}

/* One row of attention's backward pass. In: s = q k^T, dp = do v^T, delta = <do, o>. Out: s = the
 * probabilities after dropout, dp = the gradient at the scores, which is added to dbias too. bias,
 * keep and dbias may be NULL. */
static void attention_backward_c(size_t n, float scale, const float *bias, float lse, float delta,
                                 const float *keep, float *s, float *dp, float *dbias)
{
    for (size_t i = 0; i < n; i++) {
        const float p = expf(scale * s[i] + (bias ? bias[i] : 0.0f) - lse);
        const float kept = keep ? keep[i] : 1.0f;
        s[i] = p * kept;
        dp[i] = p * (dp[i] * kept - delta);
        if (dbias)
            dbias[i] += dp[i];
    }
}

static size_t argmax_c(size_t n, const float *x)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

static double cross_entropy_c(size_t n, float *z, size_t label, float grad_scale, float smoothing,
                              bool backward, bool *correct)
{
    const size_t best = argmax_c(n, z);
    const float top = z[best];
    double sum = 0.0, total = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)expf(z[i] - top);
        total += (double)z[i];
    }
    *correct = best == label;
    const double lse = (double)top + log(sum), s = (double)smoothing;
    const double loss = lse - (1.0 - s) * (double)z[label] - s * total / (double)n;
    if (backward) {
        const float factor = (float)((double)grad_scale / sum);
        const float spread = grad_scale * smoothing / (float)n;
        for (size_t i = 0; i < n; i++)
            z[i] = expf(z[i] - top) * factor - spread;
        z[label] -= grad_scale * (1.0f - smoothing);
    }
    return loss;
}

static void softmax_backward_c(size_t n, float scale, const float *y, const float *dy, float *dx)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)y[i] * (double)dy[i];
    for (size_t i = 0; i < n; i++)
        dx[i] += scale * y[i] * (dy[i] - (float)sum);
}

static void log_c(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = logf(x[i]);
}

void beit__fill_softmax_c(beit__kernels_t *k)
{
    k->softmax = softmax_c;
    k->attention_backward = attention_backward_c;
    k->cross_entropy = cross_entropy_c;
    k->argmax = argmax_c;
    k->softmax_backward = softmax_backward_c;
    k->log = log_c;
}
