/* DIR/report/index.html: one file that shows how a run went. It needs nothing else, neither files
 * beside it nor the network. */
#ifndef PRETRAIN_REPORT_H
#define PRETRAIN_REPORT_H

#include "run.h"

/* Write from log.jsonl and the pictures in DIR/report. */
outcome_t report_write(const run_t *run);

#endif
