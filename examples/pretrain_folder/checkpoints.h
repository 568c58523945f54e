/* The states that a run can go on from: DIR/checkpoints/PHASE-STEP.safetensors. */
#ifndef PRETRAIN_CHECKPOINTS_H
#define PRETRAIN_CHECKPOINTS_H

#include <beit/trainer.h>

#include "outcome.h"

/* Bring a trainer to where its run was. resume: "auto" = the newest checkpoint of this phase that
 * is sound, falling back to earlier ones with a warning; otherwise a file. Without any checkpoint
 * the trainer stays as it is. */
outcome_t checkpoints_resume(const char *out, const char *phase, const char *resume,
                             beit_trainer_t *trainer);

/* Save the trainer's state and remove all but the newest `keep` of its phase. */
outcome_t checkpoints_save(const char *out, const char *phase, const beit_trainer_t *trainer,
                           size_t keep);

/* Step of the newest checkpoint of a phase; 0 without one. */
uint64_t checkpoints_newest(const char *out, const char *phase);

/* Which phase a checkpoint file is of, by its name: does it start with PHASE-? */
int checkpoints_is_of(const char *path, const char *phase);

#endif
