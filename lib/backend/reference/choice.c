/* The discrete choice of a code: arg-max, and its relaxation by Gumbel noise with the gradient of
 * three estimators. */
#include "draws.h"
#include "reference.h"
#include "softmax.h"
#include "sums.h"

/* beit_dvae_sampling_t of beit/dvae.h, which is above this layer. */
enum { SOFT = 1, STRAIGHT_THROUGH = 2, REINMAX = 3 };

beit_status_t beit__reference_argmax(void *self, const beit_argmax_args_t *a)
{
    (void)self;
    for (int64_t r = 0; r < a->rows; r++)
        a->index[r] = (int32_t)beit__first_max(a->x + r * a->ldx, a->cols);
    return BEIT_OK;
}

size_t beit__reference_gumbel_forward_workspace(const beit_op_t *args)
{
    return (size_t)((const beit_gumbel_args_t *)args)->vocab * sizeof(double);
}

beit_status_t beit__reference_gumbel_forward(void *self, const beit_gumbel_args_t *a)
{
    (void)self;
    const int64_t V = a->vocab;
    double *y = a->op.workspace; /* (V) */
    for (int64_t r = 0; r < a->samples * a->positions; r++) {
        beit__element_draws_t draws = {0};
        if (!a->noise)
            draws = beit__element_draws(&a->random, r / a->positions);
        for (int64_t v = 0; v < V; v++) {
            double g;
            if (a->noise)
                g = (double)a->noise[r * V + v];
            else
                g = -log(-log((double)beit__element_unit(&draws, r % a->positions * V + v)));
            y[v] = ((double)a->logits[r * V + v] + g) / (double)a->tau;
        }
        beit__softmax(y, y, V);
        for (int64_t v = 0; v < V; v++)
            a->y[r * V + v] = (float)y[v];
        if (a->mode != SOFT)
            a->choice[r] = (int32_t)beit__first_max(a->y + r * V, V);
    }
    return BEIT_OK;
}

/* Two rows of probabilities. */
size_t beit__reference_gumbel_backward_workspace(const beit_op_t *args)
{
    return 2 * (size_t)((const beit_gumbel_args_t *)args)->vocab * sizeof(double);
}

/* dz += weight J dy, J = diag(p) - p p^T the Jacobian of p = softmax(z). */
static void softmax_gradient(float *dz, double weight, const double *p, const float *dy, int64_t n)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++)
        mean += p[i] * (double)dy[i];
    for (int64_t i = 0; i < n; i++)
        dz[i] = (float)((double)dz[i] + weight * p[i] * ((double)dy[i] - mean));
}

/* ReinMax (Liu et al. 2023): the gradient of 2 p1 - p0/2, where p0 = softmax(z), and p1 has the
 * value (one-hot + softmax(z / tau)) / 2, floored at 1e-20, and the Jacobian of a softmax. */
static void reinmax_gradient(const beit_gumbel_args_t *a, int64_t r, double *p0, double *p1)
{
    const int64_t V = a->vocab;
    const double floor = 1e-20;
    for (int64_t v = 0; v < V; v++) {
        p0[v] = (double)a->logits[r * V + v];
        p1[v] = p0[v] / (double)a->tau;
    }
    beit__softmax(p0, p0, V);
    beit__softmax(p1, p1, V);
    double sum = 0;
    for (int64_t v = 0; v < V; v++) {
        p1[v] = fmax(0.5 * (p1[v] + (v == a->choice[r] ? 1.0 : 0.0)), floor);
        sum += p1[v];
    }
    for (int64_t v = 0; v < V; v++)
        p1[v] /= sum;
    softmax_gradient(a->dlogits + r * V, 2.0, p1, a->dy + r * V, V);
    softmax_gradient(a->dlogits + r * V, -0.5, p0, a->dy + r * V, V);
}

beit_status_t beit__reference_gumbel_backward(void *self, const beit_gumbel_args_t *a)
{
    (void)self;
    const int64_t V = a->vocab;
    double *p = a->op.workspace; /* (V), and as many again for ReinMax */
    for (int64_t r = 0; r < a->samples * a->positions; r++) {
        if (a->mode == REINMAX) {
            reinmax_gradient(a, r, p, p + V);
            continue;
        }
        for (int64_t v = 0; v < V; v++)
            p[v] = (double)a->y[r * V + v];
        softmax_gradient(a->dlogits + r * V, 1.0 / (double)a->tau, p, a->dy + r * V, V);
    }
    return BEIT_OK;
}
