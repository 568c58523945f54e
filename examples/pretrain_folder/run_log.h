/* DIR/log.jsonl: begun with a row about the run, continued without doubled steps. */
#ifndef PRETRAIN_RUN_LOG_H
#define PRETRAIN_RUN_LOG_H

#include "run.h"

/* Open the log for a phase that stands at `step`: rows of later steps and phases go, because they
 * will be written again. evaluated tells whether an evaluation at this very step is in it. */
outcome_t run_log_open(run_t *run, const char *phase, uint64_t step, bool *evaluated);

/* Write a row and drop the reference to it. */
outcome_t run_log_write(run_t *run, json_t *row);

#endif
