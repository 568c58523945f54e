/* Losses with their gradients: cross-entropy over the vocabulary, reconstruction of pixels. */
#include "reference.h"
#include "softmax.h"
#include "sums.h"

enum { SQUARE = 1 }; /* of beit_recon_loss_t, above this layer; the other is smooth-L1 */

static double log_sum_exp(const float *z, int64_t n)
{
    const double max = (double)z[beit__first_max(z, n)];
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)z[i] - max);
    return max + log(sum);
}

beit_status_t beit__reference_cross_entropy(void *self, const beit_cross_entropy_args_t *a)
{
    (void)self;
    const int64_t V = a->cols;
    const double smoothing = (double)a->smoothing, share = smoothing / (double)V;
    for (int64_t r = 0; r < a->rows; r++) {
        float *z = a->logits + r * V;
        const int32_t label = a->labels[r];
        const double lse = log_sum_exp(z, V);
        double mean = 0;
        for (int64_t v = 0; v < V; v++)
            mean += (double)z[v] / (double)V;
        *a->loss += lse - (1.0 - smoothing) * (double)z[label] - smoothing * mean;
        *a->correct += beit__first_max(z, V) == label;
        for (int64_t v = 0; a->backward && v < V; v++) {
            const double target = share + (v == label ? 1.0 - smoothing : 0.0);
            z[v] = (float)((double)a->grad_scale * (exp((double)z[v] - lse) - target));
        }
    }
    return BEIT_OK;
}

beit_status_t beit__reference_recon(void *self, const beit_recon_args_t *a)
{
    (void)self;
    double loss = 0;
    for (int64_t i = 0; i < a->count; i++) {
        const double d = (double)a->x[i] - (double)a->target[i];
        double slope;
        if (a->kind == SQUARE) {
            loss += d * d;
            slope = 2.0 * d;
        } else if (fabs(d) < 1.0) {
            loss += 0.5 * d * d;
            slope = d;
        } else {
            loss += fabs(d) - 0.5;
            slope = copysign(1.0, d);
        }
        if (a->dx)
            a->dx[i] = (float)((double)a->grad_scale * slope);
    }
    *a->loss += loss;
    return BEIT_OK;
}
