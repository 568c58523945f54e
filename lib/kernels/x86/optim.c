/* Adam in one pass. */
#include "kernels/levels.h"
#include "kernels/x86/vec.h"

V_INLINE void adam_block(size_t n, const beit__adam_step_t *step, const int coupled,
                         const float *grad, float *param, float *exp_avg, float *exp_avg_sq)
{
    const vec_t grad_scale = v_set(step->grad_scale), decay = v_set(step->decay);
    const vec_t beta1 = v_set(step->beta1), rest1 = v_set(step->rest1);
    const vec_t beta2 = v_set(step->beta2), rest2 = v_set(step->rest2);
    const vec_t rate = v_set(step->rate), inv_root = v_set(step->inv_root), eps = v_set(step->eps);
    V_EACH(i, lanes, n, {
        vec_t g = v_mul(grad_scale, v_get(grad + i, lanes)), p = v_get(param + i, lanes);
        if (coupled)
            g = v_fma(decay, p, g);
        else
            p = v_fnma(decay, p, p);
        const vec_t m = v_fma(beta1, v_get(exp_avg + i, lanes), v_mul(rest1, g));
        const vec_t v = v_fma(beta2, v_get(exp_avg_sq + i, lanes), v_mul(v_mul(rest2, g), g));
        v_put(exp_avg + i, m, lanes);
        v_put(exp_avg_sq + i, v, lanes);
        const vec_t divisor = v_fma(v_sqrt(v), inv_root, eps);
        v_put(param + i, v_fnma(rate, v_div(m, divisor), p), lanes);
    });
}

static void adam(size_t n, const beit__adam_step_t *step, const float *grad, float *param,
                 float *exp_avg, float *exp_avg_sq)
{
    if (step->coupled)
        adam_block(n, step, 1, grad, param, exp_avg, exp_avg_sq);
    else
        adam_block(n, step, 0, grad, param, exp_avg, exp_avg_sq);
}

void V_LEVEL(beit__fill_optim)(beit__kernels_t *k)
{
    k->adam = adam;
}
