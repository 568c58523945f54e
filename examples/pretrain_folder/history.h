/* What a log says about a run so far, in the form that the report is made of. */
#ifndef PRETRAIN_HISTORY_H
#define PRETRAIN_HISTORY_H

#include <jansson.h>

#include "chart.h"
#include "outcome.h"

typedef enum history_curve {
    CURVE_TOKENIZER_LOSS,
    CURVE_TOKENIZER_ERROR_TRAIN,
    CURVE_TOKENIZER_ERROR_HELD,
    CURVE_PERPLEXITY_TRAIN,
    CURVE_PERPLEXITY_HELD,
    CURVE_MODEL_LOSS,
    CURVE_MODEL_LOSS_TRAIN,
    CURVE_MODEL_LOSS_HELD,
    CURVE_ACCURACY,
    CURVE_ACCURACY_TRAIN,
    CURVE_ACCURACY_HELD,
    CURVES
} history_curve_t;

typedef enum history_row {
    ROW_BEGIN,           /* the first row */
    ROW_LAST,            /* the last one with a step */
    ROW_TOKENIZER_TRAIN, /* the last evaluation of each kind */
    ROW_TOKENIZER_HELD,
    ROW_MODEL_TRAIN,
    ROW_MODEL_HELD,
    ROWS
} history_row_t;

typedef struct history {
    curve_t curves[CURVES];
    json_t *rows[ROWS]; /* NULL where there is none yet */
} history_t;

/* Close also after a failure. */
outcome_t history_open(history_t *history, const char *log_path);
void history_close(history_t *history);

/* A number in a row; NAN when row or number is missing. */
double history_number(const json_t *row, const char *field);

#endif
