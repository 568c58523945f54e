/* The first phase: a tokenizer is trained on random pieces of views. */
#ifndef PRETRAIN_TOKENIZER_PHASE_H
#define PRETRAIN_TOKENIZER_PHASE_H

#include "phase.h"

/* Train, or go on training; afterwards run->dvae is the tokenizer, and it is saved. */
outcome_t tokenizer_phase(run_t *run, double seconds_after);

/* Save run->dvae to DIR/tokenizer.safetensors. */
outcome_t tokenizer_save(const run_t *run);

/* Go past the phase: load what it left behind. */
outcome_t tokenizer_phase_done(run_t *run, const char *path);

/* The trainer of this phase, and what it is fed. */
outcome_t tokenizer_phase_trainer(run_t *run, beit_trainer_t **trainer);
void tokenizer_phase_source(const run_t *run, view_source_t *source);

#endif
