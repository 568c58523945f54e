/* Tokens of the evaluation sets, and the baselines on them, do not change during this phase: they
 * are measured once, at its beginning. */
#include "model_phase.h"

#include <math.h>
#include <stdlib.h>

#include "baselines.h"
#include "out_folder.h"
#include "phase_names.h"
#include "pictures.h"
#include "recipe.h"
#include "report.h"
#include "tokenizer_figures.h"

enum { MOST_SETS = 2, STATISTICS_VIEWS = 4 /* times as many as an evaluation set has */ };

/* An evaluation set with what was measured at the beginning. */
typedef struct measured_set {
    eval_set_t set;
    tokenizer_figures_t tokenizer;
    baselines_t baselines;
} measured_set_t;

typedef struct model_state {
    beit_model_t *model;
    measured_set_t sets[MOST_SETS]; /* the last one is what the report shows */
    size_t count;
} model_state_t;

static outcome_t create_trainer(run_t *run, beit_model_t *model, beit_trainer_t **trainer)
{
    const settings_t *s = &run->settings;
    beit_masker_config_t masking;
    beit_masker_t *masker;
    beit_trainer_config_t training;
    recipe_masker(s, &masking);
    recipe_model_trainer(s, &training);
    TRY(check(beit_masker_create(&masker, run->ctx, &masking), "masks"));
    const outcome_t outcome =
        check(beit_trainer_create_mim(trainer, model, run->dvae, masker, &training),
              "training the model");
    beit_masker_destroy(masker);
    TRY(outcome);
    if (s->table_rate == 1 || s->relative == RELATIVE_NONE)
        return OUTCOME_DONE;
    return check(
        beit_trainer_set_group(*trainer, "*relative_position_bias_table", (float)s->table_rate, -1),
        "--table-rate");
}

outcome_t model_phase_trainer(run_t *run, beit_trainer_t **trainer, beit_model_t **model)
{
    beit_model_config_t cfg;
    recipe_model(&run->settings, &cfg);
    TRY(check(beit_model_create(model, run->ctx, &cfg), "the model"));
    return create_trainer(run, *model, trainer);
}

void model_phase_source(const run_t *run, view_source_t *source)
{
    *source = (view_source_t){.store = run->collection.store,
                              .subset = &run->collection.train,
                              .views = run->views,
                              .seed = (uint64_t)run->settings.seed,
                              .shuffled = true,
                              .pixels = true,
                              .batch = (size_t)run->settings.batch_size};
}

/* ---- evaluation ---- */

static outcome_t measure_set(measured_set_t *measured, const token_statistics_t *statistics,
                             run_t *run, const char *name, const subset_t *subset, uint64_t stream)
{
    eval_set_t *set = &measured->set;
    TRY(eval_set_open(set, run, name, subset, (size_t)run->settings.eval_views, stream));
    TRY(tokenizer_measure(set, run->dvae, &measured->tokenizer));
    TRY(baselines_measure(statistics, set, &measured->baselines));
    set->source.pixels = true;
    return OUTCOME_DONE;
}

static outcome_t measure_sets(run_t *run, model_state_t *state,
                              const token_statistics_t *statistics)
{
    const collection_t *pictures = &run->collection;
    TRY(measure_set(&state->sets[state->count++], statistics, run, "train", &pictures->train, 0));
    if (pictures->held.count > 0)
        TRY(measure_set(&state->sets[state->count++], statistics, run, "heldout", &pictures->held,
                        1));
    return pictures_tokens(run, state->sets[state->count - 1].tokenizer.histogram);
}

static outcome_t open_sets(run_t *run, model_state_t *state)
{
    eval_set_t counted;
    tokenizer_figures_t figures = {0};
    token_statistics_t statistics = {0};
    outcome_t outcome =
        eval_set_open(&counted, run, "statistics", &run->collection.train,
                      STATISTICS_VIEWS * (size_t)run->settings.eval_views, MOST_SETS);
    if (outcome == OUTCOME_DONE)
        outcome = tokenizer_measure(&counted, run->dvae, &figures);
    if (outcome == OUTCOME_DONE)
        outcome = token_statistics_open(&statistics, &counted);
    if (outcome == OUTCOME_DONE)
        outcome = measure_sets(run, state, &statistics);
    token_statistics_close(&statistics);
    free(figures.histogram);
    eval_set_close(&counted);
    return outcome;
}

/* Sums over the batches of a set. */
typedef struct totals {
    beit_trainer_t *trainer;
    double loss, correct, masked;
} totals_t;

static outcome_t evaluate_batch(void *user, const eval_set_t *set, size_t first, size_t count,
                                void *slot)
{
    totals_t *totals = user;
    const int64_t flat[] = {(int64_t)count, (int64_t)set->patches};
    beit_batch_t batch;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = view_source_pixels(&set->source, slot, count);
    batch.mask = beit_tensor_make(set->masks + first * set->patches, BEIT_U8, 2, flat);
    batch.tokens = beit_tensor_make(set->tokens + first * set->patches, BEIT_I32, 2, flat);
    beit_step_report_t report = {.struct_size = sizeof report};
    TRY(check(beit_trainer_evaluate(totals->trainer, &batch, &report), "evaluating the model"));
    const double masked = (double)report.masked;
    totals->loss += report.loss * masked;
    totals->correct += report.accuracy * masked;
    totals->masked += masked;
    return OUTCOME_DONE;
}

static outcome_t evaluate_set(phase_t *phase, const measured_set_t *measured, bool shown)
{
    const baselines_t *baselines = &measured->baselines;
    totals_t totals = {.trainer = phase->trainer};
    TRY(eval_set_each(&measured->set, evaluate_batch, &totals));
    const double loss = totals.loss / totals.masked, accuracy = totals.correct / totals.masked;
    json_t *row = phase_row(phase);
    json_object_set_new(row, "eval", json_string(measured->set.name));
    json_object_set_new(row, "loss", json_number(loss));
    json_object_set_new(row, "mlm_acc", json_number(accuracy));
    json_object_set_new(row, "below_H", json_number(baselines->entropy - loss));
    baselines_log(baselines, row);
    tokenizer_figures_log(&measured->tokenizer, (int32_t)phase->run->settings.vocab, row);
    TRY(phase_write_row(phase, row));
    if (shown)
        progress_say(&phase->run->progress,
                     "pretrain step %llu: %s loss %.3f against the tokens' entropy %.3f (neighbour "
                     "%.3f), accuracy %.3f (copying %.3f)",
                     (unsigned long long)beit_trainer_steps(phase->trainer), measured->set.name,
                     loss, baselines->entropy, baselines->neighbour, accuracy,
                     baselines->copy_accuracy);
    return OUTCOME_DONE;
}

static outcome_t evaluate(phase_t *phase)
{
    model_state_t *state = phase->self;
    run_t *run = phase->run;
    for (size_t i = 0; i < state->count; i++)
        TRY(evaluate_set(phase, &state->sets[i], i + 1 == state->count));
    const eval_set_t *shown = &state->sets[state->count - 1].set;
    TRY(pictures_reconstructions(shown, run->dvae));
    TRY(pictures_predictions(shown, run->dvae, state->model));
    TRY(collection_list_bad(&run->collection, run->settings.out));
    return report_write(run);
}

/* ---- the phase ---- */

static outcome_t save(const run_t *run, const beit_model_t *model)
{
    char *path = out_path(run->settings.out, "model.safetensors");
    if (!path)
        return fail(OUTCOME_FAILURE, "no memory");
    const outcome_t outcome =
        check(beit_model_save(model, path, NULL), "the model cannot be saved");
    free(path);
    return outcome;
}

outcome_t model_phase(run_t *run)
{
    model_state_t state = {0};
    phase_t phase = {.run = run,
                     .name = PHASE_PRETRAIN,
                     .steps = (uint64_t)run->settings.steps,
                     .evaluate = evaluate,
                     .self = &state};
    model_phase_source(run, &phase.source);
    outcome_t outcome = model_phase_trainer(run, &phase.trainer, &state.model);
    if (outcome == OUTCOME_DONE)
        outcome = open_sets(run, &state);
    if (outcome == OUTCOME_DONE)
        outcome = phase_run(&phase);
    if (outcome == OUTCOME_DONE)
        outcome = save(run, state.model);
    for (size_t i = 0; i < state.count; i++) {
        eval_set_close(&state.sets[i].set);
        free(state.sets[i].tokenizer.histogram);
    }
    beit_trainer_destroy(phase.trainer);
    beit_model_destroy(state.model);
    return outcome;
}
