/* Views are made again each time: that takes less time than computing with them, and memory only
 * for a few. */
#include "eval_set.h"

#include <stdlib.h>

#include "common/signals.h"
#include "recipe.h"

enum { BATCH = 8 };
#define EVALUATION_SEED UINT64_C(0x6576616c75617465)

outcome_t eval_set_mask(const eval_set_t *set, const beit_masker_t *masker, uint64_t number,
                        size_t view, uint8_t *mask)
{
    return check(
        beit_masker_generate(masker, set->source.seed, number, view, mask, set->patches, NULL),
        "masks of the evaluation");
}

static outcome_t draw_masks(eval_set_t *set)
{
    beit_masker_config_t cfg;
    beit_masker_t *masker;
    recipe_masker(&set->run->settings, &cfg);
    TRY(check(beit_masker_create(&masker, set->run->ctx, &cfg), "masks"));
    outcome_t outcome = OUTCOME_DONE;
    for (size_t i = 0; outcome == OUTCOME_DONE && i < set->views; i++)
        outcome = eval_set_mask(set, masker, 0, i, set->masks + i * set->patches);
    beit_masker_destroy(masker);
    return outcome;
}

outcome_t eval_set_open(eval_set_t *set, run_t *run, const char *name, const subset_t *subset,
                        size_t views, uint64_t stream)
{
    const size_t side = (size_t)recipe_grid(&run->settings);
    *set = (eval_set_t){.name = name,
                        .run = run,
                        .source = {.store = run->collection.store,
                                   .subset = subset,
                                   .views = run->views,
                                   .seed = EVALUATION_SEED + stream,
                                   .batch = BATCH},
                        .views = views,
                        .patches = side * side};
    set->masks = malloc(views * set->patches);
    set->tokens = malloc(views * set->patches * sizeof *set->tokens);
    if (!set->masks || !set->tokens)
        return fail(OUTCOME_FAILURE, "no memory for an evaluation of %zu views", views);
    return draw_masks(set);
}

void eval_set_close(eval_set_t *set)
{
    free(set->masks);
    free(set->tokens);
    *set = (eval_set_t){0};
}

outcome_t eval_set_each(const eval_set_t *set, eval_set_fn each, void *user)
{
    run_t *run = set->run;
    const size_t batches = (set->views + BATCH - 1) / BATCH;
    loader_t *loader =
        view_source_load(&set->source, 0, batches, (unsigned)run->settings.loader_threads);
    if (!loader)
        return fail(OUTCOME_FAILURE, "no memory or no threads to load pictures");
    outcome_t outcome = OUTCOME_DONE;
    for (size_t i = 0; outcome == OUTCOME_DONE && i < batches; i++) {
        const size_t first = i * BATCH, left = set->views - first;
        progress_note(&run->progress, "evaluating: %s %zu of %zu", set->name, first, set->views);
        char reason[LOADER_REASON];
        void *slot = loader_next(loader, reason);
        outcome = slot ? each(user, set, first, left < BATCH ? left : BATCH, slot)
                       : fail(OUTCOME_DATA, "%s", reason);
        if (outcome == OUTCOME_DONE && signals_received())
            outcome = OUTCOME_STOPPED;
    }
    loader_stop(loader);
    return outcome;
}
