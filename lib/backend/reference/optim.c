/* The optimizer's two passes: the gradient's norm, and Adam's update. */
#include "reference.h"
#include "sums.h"

beit_status_t beit__reference_square_sum(void *self, const beit_square_sum_args_t *a)
{
    (void)self;
    *a->result = beit__dot(a->x, a->x, a->count);
    return BEIT_OK;
}

beit_status_t beit__reference_adam(void *self, const beit_adam_args_t *a)
{
    (void)self;
    const double lr = (double)a->lr, decay = (double)a->weight_decay;
    const double beta1 = (double)a->beta1, beta2 = (double)a->beta2;
    for (int64_t i = 0; i < a->count; i++) {
        double p = (double)a->param[i], g = (double)a->grad_scale * (double)a->grad[i];
        if (a->coupled)
            g += decay * p;
        else
            p -= lr * decay * p;
        const double m = beta1 * (double)a->exp_avg[i] + (1.0 - beta1) * g;
        const double v = beta2 * (double)a->exp_avg_sq[i] + (1.0 - beta2) * g * g;
        p -= lr / a->correction1 * m / (sqrt(v) / sqrt(a->correction2) + (double)a->eps);
        a->param[i] = (float)p;
        a->exp_avg[i] = (float)m;
        a->exp_avg_sq[i] = (float)v;
    }
    return BEIT_OK;
}
