/* Many small steps beat few large ones, and the network is convolutional: so it learns from small
 * pieces and is used on whole views. */
#include "tokenizer_phase.h"

#include <stdlib.h>

#include "out_folder.h"
#include "phase_names.h"
#include "pictures.h"
#include "recipe.h"
#include "report.h"
#include "tokenizer_figures.h"

enum { MOST_SETS = 2, UNHEALTHY = 10 }; /* below vocab / 10 a perplexity is worth a warning */

typedef struct tokenizer_state {
    eval_set_t sets[MOST_SETS]; /* the last one is what the report shows */
    size_t count;
} tokenizer_state_t;

outcome_t tokenizer_phase_trainer(run_t *run, beit_trainer_t **trainer)
{
    beit_dvae_config_t cfg;
    beit_trainer_config_t training;
    recipe_tokenizer(&run->settings, &cfg);
    recipe_tokenizer_trainer(&run->settings, &training);
    TRY(check(beit_dvae_create(&run->dvae, run->ctx, &cfg), "the tokenizer"));
    TRY(check(beit_dvae_config(run->dvae, &run->dvae_config), "the tokenizer"));
    return check(beit_trainer_create_dvae(trainer, run->dvae, &training), "training the tokenizer");
}

void tokenizer_phase_source(const run_t *run, view_source_t *source)
{
    *source = (view_source_t){.store = run->collection.store,
                              .subset = &run->collection.train,
                              .views = run->views,
                              .seed = (uint64_t)run->settings.seed,
                              .shuffled = true,
                              .piece = (int32_t)run->settings.piece,
                              .batch = (size_t)run->settings.tokenizer_batch};
}

static outcome_t open_sets(run_t *run, tokenizer_state_t *state)
{
    const collection_t *pictures = &run->collection;
    const size_t views = (size_t)run->settings.eval_views;
    TRY(eval_set_open(&state->sets[state->count++], run, "train", &pictures->train, views, 0));
    if (pictures->held.count > 0)
        TRY(eval_set_open(&state->sets[state->count++], run, "heldout", &pictures->held, views, 1));
    return OUTCOME_DONE;
}

static outcome_t evaluate_set(phase_t *phase, eval_set_t *set, bool shown)
{
    run_t *run = phase->run;
    const int32_t vocab = (int32_t)run->settings.vocab;
    tokenizer_figures_t figures;
    outcome_t outcome = tokenizer_measure(set, run->dvae, &figures);
    if (outcome == OUTCOME_DONE) {
        json_t *row = phase_row(phase);
        json_object_set_new(row, "eval", json_string(set->name));
        tokenizer_figures_log(&figures, vocab, row);
        outcome = phase_write_row(phase, row);
    }
    if (outcome == OUTCOME_DONE && shown) {
        progress_say(&run->progress,
                     "tokenizer step %llu: %llu of %d codes used, perplexity %.0f, hard error %.3f "
                     "of the variance",
                     (unsigned long long)beit_trainer_steps(phase->trainer),
                     (unsigned long long)figures.usage.used, vocab, figures.usage.perplexity,
                     figures.hard_error);
        if (beit_trainer_steps(phase->trainer) == phase->steps &&
            figures.usage.perplexity < (double)vocab / UNHEALTHY)
            warn("the tokenizer uses few of its codes (perplexity %.0f of %d): train it longer, or "
                 "raise --balance a little",
                 figures.usage.perplexity, vocab);
        outcome = pictures_tokens(run, figures.histogram);
    }
    free(figures.histogram);
    return outcome;
}

static outcome_t evaluate(phase_t *phase)
{
    tokenizer_state_t *state = phase->self;
    for (size_t i = 0; i < state->count; i++)
        TRY(evaluate_set(phase, &state->sets[i], i + 1 == state->count));
    TRY(pictures_reconstructions(&state->sets[state->count - 1], phase->run->dvae));
    TRY(collection_list_bad(&phase->run->collection, phase->run->settings.out));
    return report_write(phase->run);
}

outcome_t tokenizer_save(const run_t *run)
{
    char *path = out_path(run->settings.out, "tokenizer.safetensors");
    if (!path)
        return fail(OUTCOME_FAILURE, "no memory");
    const outcome_t outcome =
        check(beit_dvae_save(run->dvae, path, NULL), "the tokenizer cannot be saved");
    free(path);
    return outcome;
}

outcome_t tokenizer_phase(run_t *run, double seconds_after)
{
    tokenizer_state_t state = {0};
    phase_t phase = {.run = run,
                     .name = PHASE_TOKENIZER,
                     .steps = (uint64_t)run->settings.tokenizer_steps,
                     .evaluate = evaluate,
                     .self = &state,
                     .seconds_after = seconds_after};
    tokenizer_phase_source(run, &phase.source);
    outcome_t outcome = tokenizer_phase_trainer(run, &phase.trainer);
    if (outcome == OUTCOME_DONE)
        outcome = open_sets(run, &state);
    if (outcome == OUTCOME_DONE)
        outcome = phase_run(&phase);
    if (outcome == OUTCOME_DONE)
        outcome = tokenizer_save(run);
    for (size_t i = 0; i < state.count; i++)
        eval_set_close(&state.sets[i]);
    beit_trainer_destroy(phase.trainer);
    return outcome;
}

outcome_t tokenizer_phase_done(run_t *run, const char *path)
{
    TRY(check(beit_dvae_load(&run->dvae, run->ctx, path, NULL), "the tokenizer of this run"));
    return check(beit_dvae_config(run->dvae, &run->dvae_config), "the tokenizer of this run");
}
