/* Two tables say which rows and fields are wanted; the log is read once. */
#include "history.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/json_log.h"
#include "phase_names.h"

/* eval "" = a row about a step. */
static const struct wanted_curve {
    const char *phase, *eval, *field;
} wanted_curves[CURVES] = {
    [CURVE_TOKENIZER_LOSS] = {PHASE_TOKENIZER, "", "recon_loss"},
    [CURVE_TOKENIZER_ERROR_TRAIN] = {PHASE_TOKENIZER, "train", "hard_error"},
    [CURVE_TOKENIZER_ERROR_HELD] = {PHASE_TOKENIZER, "heldout", "hard_error"},
    [CURVE_PERPLEXITY_TRAIN] = {PHASE_TOKENIZER, "train", "perplexity"},
    [CURVE_PERPLEXITY_HELD] = {PHASE_TOKENIZER, "heldout", "perplexity"},
    [CURVE_MODEL_LOSS] = {PHASE_PRETRAIN, "", "loss"},
    [CURVE_MODEL_LOSS_TRAIN] = {PHASE_PRETRAIN, "train", "loss"},
    [CURVE_MODEL_LOSS_HELD] = {PHASE_PRETRAIN, "heldout", "loss"},
    [CURVE_ACCURACY] = {PHASE_PRETRAIN, "", "mlm_acc"},
    [CURVE_ACCURACY_TRAIN] = {PHASE_PRETRAIN, "train", "mlm_acc"},
    [CURVE_ACCURACY_HELD] = {PHASE_PRETRAIN, "heldout", "mlm_acc"},
};

static const struct wanted_row {
    const char *phase, *eval;
} wanted_rows[ROWS] = {
    [ROW_TOKENIZER_TRAIN] = {PHASE_TOKENIZER, "train"},
    [ROW_TOKENIZER_HELD] = {PHASE_TOKENIZER, "heldout"},
    [ROW_MODEL_TRAIN] = {PHASE_PRETRAIN, "train"},
    [ROW_MODEL_HELD] = {PHASE_PRETRAIN, "heldout"},
};

static const char *text_of(const json_t *row, const char *field)
{
    const char *text = json_string_value(json_object_get(row, field));
    return text ? text : "";
}

double history_number(const json_t *row, const char *field)
{
    const json_t *value = json_object_get(row, field);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void keep(json_t **place, const json_t *row)
{
    json_decref(*place);
    *place = json_incref((json_t *)row);
}

static void take_row(void *user, const json_t *row)
{
    history_t *history = user;
    const char *phase = text_of(row, "phase"), *eval = text_of(row, "eval");
    const double step = history_number(row, "step");
    if (strcmp(text_of(row, "event"), "begin") == 0)
        keep(&history->rows[ROW_BEGIN], row);
    if (*text_of(row, "event"))
        return;
    keep(&history->rows[ROW_LAST], row);
    for (int i = 0; i < ROWS; i++)
        if (wanted_rows[i].phase && strcmp(wanted_rows[i].phase, phase) == 0 &&
            strcmp(wanted_rows[i].eval, eval) == 0)
            keep(&history->rows[i], row);
    for (int i = 0; i < CURVES; i++)
        if (strcmp(wanted_curves[i].phase, phase) == 0 && strcmp(wanted_curves[i].eval, eval) == 0)
            (void)curve_add(&history->curves[i], step, history_number(row, wanted_curves[i].field));
}

outcome_t history_open(history_t *history, const char *log_path)
{
    *history = (history_t){0};
    if (json_log_read(log_path, take_row, history))
        return OUTCOME_DONE;
    return fail(OUTCOME_FAILURE, "%s: cannot be read: %s", log_path, strerror(errno));
}

void history_close(history_t *history)
{
    for (int i = 0; i < CURVES; i++)
        curve_free(&history->curves[i]);
    for (int i = 0; i < ROWS; i++)
        json_decref(history->rows[i]);
    *history = (history_t){0};
}
