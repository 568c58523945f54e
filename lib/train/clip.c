/* The global norm of the gradient, which also is the test whether all of it is finite. */
#include <math.h>

#include "core/status.h"
#include "train/private.h"

#define CLIP_EPSILON 1e-6 /* as in torch.nn.utils.clip_grad_norm_ */

/* Last tensor + 1 of the run of trained tensors that begins at `first`. */
static size_t end_of_trained(const beit__param_list_t *list, size_t first)
{
    size_t end = first;
    while (end < list->count && !(list->items[end].flags & BEIT_PARAM_FROZEN))
        end++;
    return end;
}

static beit_status_t square_sum(beit_trainer_t *trainer, const beit_params_t *params, size_t first,
                                size_t end, double *result)
{
    const beit__param_t *head = &params->list->items[first], *tail = &params->list->items[end - 1];
    beit_square_sum_args_t args = {
        .count = (int64_t)(tail->offset + tail->count - head->offset),
        .x = params->data + head->offset,
        .result = result,
    };
    return beit__square_sum(&trainer->run, &args);
}

beit_status_t beit__first_bad(beit_trainer_t *trainer, const beit_params_t *params,
                              const char **name)
{
    *name = NULL;
    for (size_t i = 0; i < params->list->count && !*name; i++) {
        double sum = 0;
        if (params->list->items[i].flags & BEIT_PARAM_FROZEN)
            continue;
        BEIT__TRY(square_sum(trainer, params, i, i + 1, &sum));
        if (!isfinite(sum))
            *name = params->list->items[i].name;
    }
    return BEIT_OK;
}

beit_status_t beit__gradient_norm(beit_trainer_t *trainer, double divisor, beit__norm_t *norm)
{
    const beit_params_t *gradients = trainer->objective->gradients(trainer);
    const beit__param_list_t *list = gradients->list;
    double total = 0;
    for (size_t first = 0, end; first < list->count; first = end + 1) {
        double sum = 0;
        end = end_of_trained(list, first);
        if (end > first)
            BEIT__TRY(square_sum(trainer, gradients, first, end, &sum));
        total += sum;
    }
    *norm = (beit__norm_t){.norm = sqrt(total) / divisor};
    return isfinite(total) ? BEIT_OK : beit__first_bad(trainer, gradients, &norm->bad);
}

double beit__clip_factor(double norm, double limit)
{
    const double factor = limit / (norm + CLIP_EPSILON);
    return limit > 0 && factor < 1 ? factor : 1;
}
