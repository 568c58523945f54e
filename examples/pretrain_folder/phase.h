/* A phase of a run: steps of one trainer, with log, progress, evaluations, checkpoints, and a stop
 * at any step. Both phases are this loop; they differ in what they feed and what they evaluate. */
#ifndef PRETRAIN_PHASE_H
#define PRETRAIN_PHASE_H

#include "run.h"
#include "view_source.h"

typedef struct phase phase_t;
struct phase {
    run_t *run;
    const char *name; /* in the log and in names of checkpoints */
    beit_trainer_t *trainer;
    view_source_t source;
    uint64_t steps;
    /* Evaluate after trainer's present step, write rows and pictures. */
    outcome_t (*evaluate)(phase_t *phase);
    void *self;           /* the phase's own state */
    double seconds_after; /* estimated time of the phases that follow */
};

/* From the newest checkpoint, or the beginning, to the end. */
outcome_t phase_run(phase_t *phase);

/* Steps between evaluations. */
uint64_t phase_eval_every(const settings_t *settings, uint64_t steps);

/* Begin a row of the log: phase and step. */
json_t *phase_row(const phase_t *phase);

/* Finish a row with time and memory, and write it. */
outcome_t phase_write_row(const phase_t *phase, json_t *row);

#endif
