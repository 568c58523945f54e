/* Passes over the whole parameter block: filling, norm, Adam. */
#include <math.h>

#include "backend/cblas/cblas.h"
#include "core/status.h"

/* Elements per task; the norm is summed per task, then in order. */
#define GRAIN 65536u

typedef struct pass {
    const beit__cblas_t *self;
    const void *args;
    const beit__adam_step_t *step;
    size_t count;
} pass_t;

static beit_status_t run(pass_t *p, int64_t count, beit_task_fn fn)
{
    p->count = (size_t)count;
    return beit__cblas_tasks(p->self, beit__pieces(p->count, GRAIN), fn, p);
}

static void fill_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const pass_t *p = arg;
    const beit_fill_args_t *a = p->args;
    const beit__span_t s = beit__span(p->count, GRAIN, index);
    for (size_t i = s.first; i < s.end; i++)
        a->x[i] = a->value;
}

beit_status_t beit__cblas_fill(void *instance, const beit_fill_args_t *a)
{
    return run(&(pass_t){.self = instance, .args = a}, a->count, fill_task);
}

size_t beit__cblas_square_sum_space(const beit__cblas_t *self, const beit_square_sum_args_t *a)
{
    (void)self;
    return beit__pieces((size_t)a->count, GRAIN) * sizeof(double);
}

static void square_sum_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const pass_t *p = arg;
    const beit_square_sum_args_t *a = p->args;
    const beit__span_t s = beit__span(p->count, GRAIN, index);
    ((double *)a->op.workspace)[index] = p->self->k.square_sum(s.end - s.first, a->x + s.first);
}

beit_status_t beit__cblas_square_sum(void *instance, const beit_square_sum_args_t *a)
{
    pass_t p = {.self = instance, .args = a};
    BEIT__TRY(run(&p, a->count, square_sum_task));
    const double *sums = a->op.workspace;
    double sum = 0.0;
    for (size_t i = 0; i < beit__pieces(p.count, GRAIN); i++)
        sum += sums[i];
    *a->result = sum;
    return BEIT_OK;
}

static void adam_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const pass_t *p = arg;
    const beit_adam_args_t *a = p->args;
    const beit__span_t s = beit__span(p->count, GRAIN, index);
    const size_t at = s.first;
    p->self->k.adam(s.end - at, p->step, a->grad + at, a->param + at, a->exp_avg + at,
                    a->exp_avg_sq + at);
}

beit_status_t beit__cblas_adam(void *instance, const beit_adam_args_t *a)
{
    const beit__adam_step_t step = {
        .grad_scale = a->grad_scale,
        .decay = a->coupled ? a->weight_decay : a->lr * a->weight_decay,
        .beta1 = a->beta1,
        .beta2 = a->beta2,
        .rest1 = (float)(1.0 - (double)a->beta1),
        .rest2 = (float)(1.0 - (double)a->beta2),
        .rate = (float)((double)a->lr / a->correction1),
        .inv_root = (float)(1.0 / sqrt(a->correction2)),
        .eps = a->eps,
        .coupled = a->coupled,
    };
    return run(&(pass_t){.self = instance, .args = a, .step = &step}, a->count, adam_task);
}
