/* Adam in one pass: four streams read, three written. */
#include <math.h>

#include "kernels/levels.h"

static void adam_c(size_t n, const beit__adam_step_t *step, const float *grad, float *param,
                   float *exp_avg, float *exp_avg_sq)
{
    const beit__adam_step_t s = *step;
    for (size_t i = 0; i < n; i++) {
        float g = s.grad_scale * grad[i], p = param[i];
        if (s.coupled)
            g += s.decay * p;
        else
            p -= s.decay * p;
        const float m = s.beta1 * exp_avg[i] + s.rest1 * g;
        const float v = s.beta2 * exp_avg_sq[i] + s.rest2 * g * g;
        exp_avg[i] = m;
        exp_avg_sq[i] = v;
        param[i] = p - s.rate * m / (sqrtf(v) * s.inv_root + s.eps);
    }
}

void beit__fill_optim_c(beit__kernels_t *k)
{
    k->adam = adam_c;
}
