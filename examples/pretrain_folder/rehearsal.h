/* A few steps whose results are thrown away, to know what a run will need. */
#ifndef PRETRAIN_REHEARSAL_H
#define PRETRAIN_REHEARSAL_H

#include "run.h"

typedef struct rehearsal {
    double tokenizer_step, model_step; /* seconds; 0 = that phase does not happen */
    beit_memory_report_t tokenizer_memory, model_memory;
    uint64_t tokenizer_weights, model_weights;
} rehearsal_t;

/* Seconds a step of the model takes, with a tokenizer like the one that will be there. */
outcome_t rehearse_model(run_t *run, rehearsal_t *rehearsal);

/* --dry-run: say sizes, memory and time. */
outcome_t rehearse(run_t *run);

#endif
