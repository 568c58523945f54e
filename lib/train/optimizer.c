/* The update: one Adam operation for each run of neighbouring tensors that are updated alike. The
 * division of gradient sums and the clip factor are folded into the operation's grad_scale, so
 * weights, moments and gradients are walked once. */
#include <math.h>

#include "core/status.h"
#include "train/private.h"
#include "train/schedule.h"

typedef struct run_of_tensors {
    size_t first, end;    /* tensors */
    size_t offset, count; /* floats, padding inside included */
} run_of_tensors_t;

static bool updated_alike(const beit_trainer_t *trainer, size_t a, size_t b)
{
    const beit__group_t *x = &trainer->groups[a], *y = &trainer->groups[b];
    const beit__param_t *items = trainer->weights->list->items;
    return x->lr_scale == y->lr_scale && x->decay == y->decay &&
           (items[a].flags & BEIT_PARAM_FROZEN) == (items[b].flags & BEIT_PARAM_FROZEN);
}

/* The longest run that begins with tensor `first`. */
static run_of_tensors_t run_from(const beit_trainer_t *trainer, size_t first)
{
    const beit__param_list_t *list = trainer->weights->list;
    size_t end = first + 1;
    while (end < list->count && updated_alike(trainer, first, end))
        end++;
    const size_t offset = list->items[first].offset;
    const beit__param_t *last = &list->items[end - 1];
    return (run_of_tensors_t){first, end, offset, last->offset + last->count - offset};
}

static beit_status_t update_run(beit_trainer_t *trainer, const run_of_tensors_t *run,
                                float grad_scale)
{
    const beit_trainer_config_t *cfg = &trainer->config;
    const beit__group_t *group = &trainer->groups[run->first];
    const double t = (double)trainer->step + 1;
    const double lr = beit__schedule_lr(cfg, trainer->step) * (double)group->lr_scale;
    const double decay = group->decay ? beit__schedule_weight_decay(cfg, trainer->step) : 0;
    beit_adam_args_t args = {
        .count = (int64_t)run->count,
        .param = trainer->weights->data + run->offset,
        .exp_avg = trainer->exp_avg.data + run->offset,
        .exp_avg_sq = trainer->exp_avg_sq.data + run->offset,
        .grad = trainer->objective->gradients(trainer)->data + run->offset,
        .correction1 = 1 - pow((double)cfg->beta1, t),
        .correction2 = 1 - pow((double)cfg->beta2, t),
        .grad_scale = grad_scale,
        .lr = (float)lr,
        .weight_decay = (float)decay,
        .beta1 = cfg->beta1,
        .beta2 = cfg->beta2,
        .eps = cfg->eps,
        .coupled = cfg->optimizer == BEIT_ADAM,
    };
    return beit__adam(&trainer->run, &args);
}

beit_status_t beit__optimizer_update(beit_trainer_t *trainer, float grad_scale)
{
    const beit__param_list_t *list = trainer->weights->list;
    for (size_t first = 0; first < list->count;) {
        const run_of_tensors_t run = run_from(trainer, first);
        if (!(list->items[first].flags & BEIT_PARAM_FROZEN))
            BEIT__TRY(update_run(trainer, &run, grad_scale));
        first = run.end;
    }
    return BEIT_OK;
}

beit_status_t beit__optimizer_clear(beit_trainer_t *trainer)
{
    const beit_params_t *gradients = trainer->objective->gradients(trainer);
    beit_fill_args_t args = {.count = (int64_t)gradients->list->floats, .x = gradients->data};
    return beit__fill(&trainer->run, &args);
}

beit_status_t beit__optimizer_plan(beit_trainer_t *trainer)
{
    beit__run_t *run = &trainer->run;
    const run_of_tensors_t all = {.end = trainer->weights->list->count,
                                  .count = trainer->weights->list->floats};
    double ignored;
    *run = (beit__run_t){.ctx = trainer->ctx, .planning = true};
    beit_square_sum_args_t sum = {
        .count = (int64_t)all.count, .x = trainer->weights->data, .result = &ignored};
    BEIT__TRY(beit__square_sum(run, &sum));
    BEIT__TRY(update_run(trainer, &all, 1));
    BEIT__TRY(beit__optimizer_clear(trainer));
    return beit__run_commit(run, run->workspace_bytes);
}
