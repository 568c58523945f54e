/* Fixed views under fixed masks, the same in every run over the same pictures whatever its seed.
 * Figures are only comparable on such a set; the loss of running batches is not. */
#ifndef PRETRAIN_EVAL_SET_H
#define PRETRAIN_EVAL_SET_H

#include "run.h"
#include "view_source.h"

typedef struct eval_set {
    const char *name; /* in the log */
    run_t *run;
    view_source_t source;
    size_t views, patches;
    uint8_t *masks;  /* (views, patches) */
    int32_t *tokens; /* (views, patches), once measured */
} eval_set_t;

/* `stream` keeps the views of different sets apart. Zeroed memory expected; close also after a
 * failure. */
outcome_t eval_set_open(eval_set_t *set, run_t *run, const char *name, const subset_t *subset,
                        size_t views, uint64_t stream);

void eval_set_close(eval_set_t *set);

/* Go through the set: views [first, first + count) stand at the beginning of `slot`. Ends with
 * OUTCOME_STOPPED when the user wants to stop. */
typedef outcome_t (*eval_set_fn)(void *user, const eval_set_t *set, size_t first, size_t count,
                                 void *slot);
outcome_t eval_set_each(const eval_set_t *set, eval_set_fn each, void *user);

/* Draw mask `number` of view `view` of this set. */
outcome_t eval_set_mask(const eval_set_t *set, const beit_masker_t *masker, uint64_t number,
                        size_t view, uint8_t *mask);

#endif
