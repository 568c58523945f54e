/* The loop. A failed write ends the run in good order: whatever can still be saved is, and the same
 * command goes on once there is room. */
#include "phase.h"

#include <math.h>
#include <string.h>

#include "checkpoints.h"
#include "common/clock.h"
#include "common/signals.h"
#include "phase_names.h"
#include "run_log.h"

enum { EVALUATIONS = 6 }; /* within a phase, unless told otherwise */
#define UNKNOWN   ((double)NAN)
#define SMOOTHING 0.05 /* of what the progress line shows */

/* Times that the progress line and the log are made of. */
typedef struct pace {
    double step_seconds;            /* smoothed */
    double eval_seconds;            /* of the last evaluation */
    double waited;                  /* by the loader so far */
    double loss, accuracy, waiting; /* smoothed */
} pace_t;

uint64_t phase_eval_every(const settings_t *settings, uint64_t steps)
{
    if (!option_is_auto(settings->eval_every))
        return (uint64_t)settings->eval_every;
    return steps < EVALUATIONS ? 1 : (steps + EVALUATIONS - 1) / EVALUATIONS;
}

json_t *phase_row(const phase_t *phase)
{
    return json_pack("{s:s, s:I}", "phase", phase->name, "step",
                     (json_int_t)beit_trainer_steps(phase->trainer));
}

outcome_t phase_write_row(const phase_t *phase, json_t *row)
{
    json_object_set_new(row, "rss_mb", json_number(run_resident_mb()));
    json_object_set_new(row, "wall_s", json_number(run_wall_seconds(phase->run)));
    return run_log_write(phase->run, row);
}

static bool is_tokenizer(const phase_t *phase)
{
    return strcmp(phase->name, PHASE_TOKENIZER) == 0;
}

static outcome_t log_step(const phase_t *phase, const beit_step_report_t *report, double seconds,
                          double waited)
{
    const bool tokenizer = is_tokenizer(phase);
    const struct figure {
        const char *name;
        double value;
        bool fits; /* this phase */
    } figures[] = {
        {"loss", report->loss, true},
        {"mlm_acc", tokenizer ? UNKNOWN : report->accuracy, true},
        {"grad_norm", report->grad_norm, true},
        {"lr", report->lr, true},
        {"weight_decay", report->weight_decay, true},
        {"images_per_second", (double)report->samples / seconds, true},
        {"data_fraction", waited / seconds, true},
        {"masked", (double)report->masked, !tokenizer},
        {"tokenize_fraction", report->tokenize_seconds / seconds, !tokenizer},
        {"recon_loss", report->recon_loss, tokenizer},
        {"kl", report->kl, tokenizer},
        {"balance", report->balance, tokenizer},
        {"sharpness", report->sharpness, tokenizer},
        {"batch_perplexity", report->perplexity, tokenizer},
        {"temperature", report->temperature, tokenizer},
    };
    json_t *row = phase_row(phase);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (figures[i].fits)
            json_object_set_new(row, figures[i].name, json_number(figures[i].value));
    return phase_write_row(phase, row);
}

static void smooth(double *mean, double value)
{
    *mean = isfinite(*mean) ? *mean + SMOOTHING * (value - *mean) : value;
}

/* Evaluations that are still to come after `step`. */
static uint64_t evaluations_left(const phase_t *phase, uint64_t step)
{
    const uint64_t every = phase_eval_every(&phase->run->settings, phase->steps);
    return (phase->steps - step) / every + (phase->steps % every != 0);
}

static void show(const phase_t *phase, const pace_t *pace)
{
    const uint64_t step = beit_trainer_steps(phase->trainer);
    const progress_figures_t figures = {
        .phase = phase->name,
        .step = step,
        .total = phase->steps,
        .loss = pace->loss,
        .accuracy = is_tokenizer(phase) ? UNKNOWN : pace->accuracy,
        .images_per_second = (double)phase->source.batch / pace->step_seconds,
        .waiting = pace->waiting,
        .eta = (double)(phase->steps - step) * pace->step_seconds +
               (double)evaluations_left(phase, step) * pace->eval_seconds + phase->seconds_after,
    };
    progress_show(&phase->run->progress, &figures);
}

static void fill_batch(const phase_t *phase, void *slot, beit_batch_t *batch)
{
    const view_source_t *source = &phase->source;
    const uint64_t first = beit_trainer_steps(phase->trainer) * source->batch;
    beit_batch_init(batch, sizeof *batch);
    batch->epoch = first / source->subset->count;
    if (source->pixels)
        batch->pixels = view_source_pixels(source, slot, source->batch);
    batch->token_pixels = view_source_tokens(source, slot, source->batch);
}

static outcome_t step(phase_t *phase, loader_t *loader, pace_t *pace)
{
    const double start = clock_seconds();
    char reason[LOADER_REASON];
    void *slot = loader_next(loader, reason);
    if (!slot)
        return fail(OUTCOME_DATA, "%s", reason);
    const double waited = loader_waited(loader) - pace->waited;
    pace->waited += waited;
    beit_batch_t batch;
    fill_batch(phase, slot, &batch);
    beit_step_report_t report = {.struct_size = sizeof report};
    const beit_status_t status = beit_trainer_step(phase->trainer, &batch, &report);
    if (status == BEIT_E_NUMERIC)
        return fail(OUTCOME_DIVERGED,
                    "%s step %llu: %s; the weights are those of the step before; a lower learning "
                    "rate may help",
                    phase->name, (unsigned long long)beit_trainer_steps(phase->trainer) + 1,
                    beit_last_error());
    TRY(check(status, phase->name));
    const double seconds = clock_seconds() - start;
    smooth(&pace->step_seconds, seconds);
    smooth(&pace->loss, report.loss);
    smooth(&pace->accuracy, report.accuracy);
    smooth(&pace->waiting, waited / seconds);
    show(phase, pace);
    return log_step(phase, &report, seconds, waited);
}

static outcome_t save(const phase_t *phase)
{
    const run_t *run = phase->run;
    return checkpoints_save(run->settings.out, phase->name, phase->trainer,
                            (size_t)run->settings.keep);
}

static outcome_t evaluate(phase_t *phase, pace_t *pace)
{
    const double start = clock_seconds();
    const outcome_t outcome = phase->evaluate(phase);
    pace->eval_seconds = clock_seconds() - start;
    return outcome;
}

/* Steps up to the end or a reason to stop. */
static outcome_t loop(phase_t *phase, loader_t *loader, bool evaluated)
{
    const settings_t *settings = &phase->run->settings;
    const uint64_t every = phase_eval_every(settings, phase->steps);
    pace_t pace = {
        .step_seconds = UNKNOWN, .loss = UNKNOWN, .accuracy = UNKNOWN, .waiting = UNKNOWN};
    for (;;) {
        const uint64_t at = beit_trainer_steps(phase->trainer);
        if (!evaluated && (at % every == 0 || at == phase->steps))
            TRY(evaluate(phase, &pace));
        evaluated = false;
        if (at == phase->steps)
            return OUTCOME_DONE;
        TRY(step(phase, loader, &pace));
        const uint64_t now = beit_trainer_steps(phase->trainer);
        if (now % (uint64_t)settings->save_every == 0 || now == phase->steps)
            TRY(save(phase));
        if (signals_received())
            return OUTCOME_STOPPED;
    }
}

/* What is left to do when the loop ended early: save, unless that is what failed. */
static outcome_t wind_up(phase_t *phase, outcome_t outcome)
{
    run_t *run = phase->run;
    const char *out = run->settings.out;
    const uint64_t at = beit_trainer_steps(phase->trainer);
    progress_end(&run->progress);
    if (outcome != OUTCOME_STOPPED && outcome != OUTCOME_FAILURE)
        return outcome;
    uint64_t saved = checkpoints_newest(out, phase->name);
    if (saved != at) {
        if (save(phase) == OUTCOME_DONE)
            saved = at;
        else
            outcome = OUTCOME_FAILURE;
    }
    progress_say(&run->progress, "%s stopped after step %llu of %llu; saved up to step %llu",
                 phase->name, (unsigned long long)at, (unsigned long long)phase->steps,
                 (unsigned long long)saved);
    run_say_command(run);
    return outcome;
}

outcome_t phase_run(phase_t *phase)
{
    run_t *run = phase->run;
    const settings_t *settings = &run->settings;
    const bool other_phase =
        strcmp(settings->resume, "auto") != 0 && !checkpoints_is_of(settings->resume, phase->name);
    TRY(checkpoints_resume(settings->out, phase->name, other_phase ? "auto" : settings->resume,
                           phase->trainer));
    const uint64_t first = beit_trainer_steps(phase->trainer);
    if (first > 0 && first < phase->steps)
        progress_say(&run->progress, "%s: going on after step %llu of %llu", phase->name,
                     (unsigned long long)first, (unsigned long long)phase->steps);
    bool evaluated;
    TRY(run_log_open(run, phase->name, first, &evaluated));
    loader_t *loader =
        view_source_load(&phase->source, first, phase->steps, (unsigned)settings->loader_threads);
    if (!loader)
        return fail(OUTCOME_FAILURE, "no memory or no threads to load pictures");
    const outcome_t outcome = wind_up(phase, loop(phase, loader, evaluated));
    loader_stop(loader);
    return outcome;
}
