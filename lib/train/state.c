/* What a trainer carries from step to step besides weights and moments: counters, and how each
 * tensor is updated. */
#include <math.h>
#include <string.h>

#include "core/status.h"
#include "train/private.h"

beit__group_t beit__trainer_default_group(const beit_trainer_t *trainer, size_t index)
{
    const uint32_t flags = trainer->weights->list->items[index].flags;
    return (beit__group_t){.lr_scale = 1, .decay = (flags & BEIT_PARAM_NO_DECAY) == 0};
}

/* `*` matches any run of characters, `?` one. On a mismatch only the last star needs another
 * try: whatever an earlier one could gain, the last one can. */
static bool matches(const char *pattern, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = pattern++;
            resume = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

beit_status_t beit_trainer_set_group(beit_trainer_t *trainer, const char *pattern, float lr_scale,
                                     int decay)
{
    if (!trainer || !pattern)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", trainer ? "pattern" : "trainer");
    if (!isfinite(lr_scale) || lr_scale < 0)
        return beit__fail(BEIT_E_ARGUMENT, "lr_scale is %g, expected 0 or more", (double)lr_scale);
    if (decay < -1 || decay > 1)
        return beit__fail(BEIT_E_ARGUMENT, "decay is %d, expected 1, 0, or -1 to leave it", decay);
    const beit__param_list_t *list = trainer->weights->list;
    size_t found = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!matches(pattern, list->items[i].name))
            continue;
        found++;
        trainer->groups[i].lr_scale = lr_scale;
        if (decay >= 0)
            trainer->groups[i].decay = decay;
    }
    if (found == 0)
        return beit__fail(BEIT_E_ARGUMENT, "no tensor's name matches '%s'", pattern);
    return BEIT_OK;
}

beit__trainer_view_t beit__trainer_view(const beit_trainer_t *trainer)
{
    return (beit__trainer_view_t){
        .ctx = trainer->ctx,
        .model = trainer->model,
        .dvae = trainer->dvae,
        .masker = trainer->masker,
        .config = &trainer->config,
        .weights = trainer->weights,
        .exp_avg = (beit_params_t *)&trainer->exp_avg,
        .exp_avg_sq = (beit_params_t *)&trainer->exp_avg_sq,
        .groups = trainer->groups,
        .step = trainer->step,
        .samples = trainer->samples,
        .pending = trainer->pending.samples > 0,
    };
}

void beit__trainer_restore(beit_trainer_t *trainer, uint64_t step, uint64_t samples,
                           const beit__group_t *groups)
{
    trainer->pending.samples = 0; /* whatever was begun belongs to another course */
    trainer->step = step;
    trainer->samples = samples;
    memcpy(trainer->groups, groups, trainer->weights->list->count * sizeof *groups);
}
