/* Terms on the distribution of codes q = softmax(logits), V codes, R rows. Each has a gradient of
 * the form q_i (h_i - sum_j q_j h_j) with respect to the logits, where h is the derivative with
 * respect to q (a constant in h cancels):
 *   KL(q||u), q + e for q:  h_i = ln(q_i + e)
 *   balance ln V - H(m), m = mean of q:  h_i = ln(m_i) / R
 *   sharpness, mean of H(q):  h_i = -ln(q_i) / R
 * and KL(u||q) has the gradient q_i - 1/V. */
#include "reference.h"
#include "softmax.h"
#include "sums.h"

enum { Q_TO_UNIFORM = 1, UNIFORM_TO_Q = 2 }; /* beit_kl_direction_t, which is above this layer */

/* The mean distribution, q and ln q of one row, h of one row. */
size_t beit__reference_code_prior_workspace(const beit_op_t *args)
{
    return 4 * (size_t)((const beit_code_prior_args_t *)args)->vocab * sizeof(double);
}

/* x ln x, continued to 0. */
static double entropy_term(double x)
{
    return x > 0 ? x * log(x) : 0;
}

static void row_distribution(const beit_code_prior_args_t *a, int64_t r, double *q, double *ln_q)
{
    const int64_t V = a->vocab;
    for (int64_t v = 0; v < V; v++)
        ln_q[v] = (double)a->logits[r * V + v];
    const double lse = beit__softmax(ln_q, q, V);
    for (int64_t v = 0; v < V; v++)
        ln_q[v] -= lse;
}

static double row_kl(const beit_code_prior_args_t *a, const double *q, const double *ln_q)
{
    const double V = (double)a->vocab, e = (double)a->kl_epsilon;
    double sum = 0;
    for (int64_t v = 0; v < a->vocab; v++) {
        if (a->kl_direction == UNIFORM_TO_Q)
            sum -= (log(V) + ln_q[v]) / V;
        else if (e > 0)
            sum += (q[v] + e) * (log(q[v] + e) + log(V));
        else
            sum += q[v] * (ln_q[v] + log(V));
    }
    return sum;
}

static void row_gradient(const beit_code_prior_args_t *a, int64_t r, const double *mean,
                         const double *q, const double *ln_q, double *h)
{
    const int64_t V = a->vocab;
    const double R = (double)a->rows, e = (double)a->kl_epsilon, kl = (double)a->kl_weight;
    double average = 0;
    for (int64_t v = 0; v < V; v++) {
        h[v] = 0;
        if (q[v] == 0) /* its logarithm may be infinite, its gradient is 0 */
            continue;
        if (a->kl_direction == Q_TO_UNIFORM)
            h[v] += kl * (e > 0 ? log(q[v] + e) : ln_q[v]);
        h[v] += (double)a->balance_weight * log(mean[v]) / R;
        h[v] -= (double)a->sharpness_weight * ln_q[v] / R;
        average += q[v] * h[v];
    }
    for (int64_t v = 0; v < V; v++) {
        double gradient = q[v] * (h[v] - average);
        if (a->kl_direction == UNIFORM_TO_Q)
            gradient += kl * (q[v] - 1.0 / (double)V);
        float *dlogit = a->dlogits + r * V + v;
        *dlogit = (float)((double)*dlogit + gradient);
    }
}

beit_status_t beit__reference_code_prior(void *self, const beit_code_prior_args_t *a)
{
    (void)self;
    const int64_t V = a->vocab;
    double *mean = a->op.workspace, *q = mean + V, *ln_q = q + V, *h = ln_q + V; /* (V) each */
    *a->kl = *a->balance = *a->sharpness = 0;
    if (a->rows == 0)
        return BEIT_OK;
    beit__zero(mean, V);
    for (int64_t r = 0; r < a->rows; r++) {
        row_distribution(a, r, q, ln_q);
        *a->kl += row_kl(a, q, ln_q);
        for (int64_t v = 0; v < V; v++) {
            mean[v] += q[v] / (double)a->rows;
            *a->sharpness -= q[v] > 0 ? q[v] * ln_q[v] / (double)a->rows : 0;
        }
    }
    *a->balance = log((double)V);
    for (int64_t v = 0; v < V; v++)
        *a->balance += entropy_term(mean[v]);
    for (int64_t r = 0; a->dlogits && r < a->rows; r++) {
        row_distribution(a, r, q, ln_q);
        row_gradient(a, r, mean, q, ln_q, h);
    }
    return BEIT_OK;
}
