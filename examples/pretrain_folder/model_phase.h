/* The second phase: the model learns to predict the tokens of hidden patches. */
#ifndef PRETRAIN_MODEL_PHASE_H
#define PRETRAIN_MODEL_PHASE_H

#include "phase.h"

/* Train, or go on training; needs run->dvae. Afterwards the model is saved. */
outcome_t model_phase(run_t *run);

/* The trainer of this phase with its model, which the caller destroys too, and what it is fed. */
outcome_t model_phase_trainer(run_t *run, beit_trainer_t **trainer, beit_model_t **model);
void model_phase_source(const run_t *run, view_source_t *source);

#endif
