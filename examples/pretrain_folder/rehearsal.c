/* Everything that a run allocates is allocated here too, and the passes that run most are run: so
 * what is announced is measured, not guessed. */
#include "rehearsal.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "common/signals.h"
#include "model_phase.h"
#include "recipe.h"
#include "tokenizer_figures.h"
#include "tokenizer_phase.h"

enum {
    TIMED_STEPS = 3, /* at most; the fastest counts, because the first touches new memory */
    EVALUATED_VIEWS = 8
};
#define PATIENCE 5.0 /* seconds after which no further step is timed */
#define MB       1e6

static outcome_t time_steps(beit_trainer_t *trainer, const view_source_t *source, double *seconds)
{
    void *slot = malloc(view_source_slot_bytes(source));
    char reason[LOADER_REASON];
    if (!slot)
        return fail(OUTCOME_FAILURE, "no memory for a batch");
    outcome_t outcome = view_source_make((void *)source, 0, slot, reason)
                            ? OUTCOME_DONE
                            : fail(OUTCOME_DATA, "%s", reason);
    const double begin = clock_seconds();
    for (int i = 0; outcome == OUTCOME_DONE && i < TIMED_STEPS; i++) {
        if (i > 0 && clock_seconds() - begin > PATIENCE)
            break;
        beit_batch_t batch;
        beit_batch_init(&batch, sizeof batch);
        if (source->pixels)
            batch.pixels = view_source_pixels(source, slot, source->batch);
        batch.token_pixels = view_source_tokens(source, slot, source->batch);
        const double start = clock_seconds();
        outcome = check(beit_trainer_step(trainer, &batch, NULL), "a step to measure time");
        const double took = clock_seconds() - start;
        *seconds = i == 0 || took < *seconds ? took : *seconds;
        if (outcome == OUTCOME_DONE && signals_received())
            outcome = OUTCOME_STOPPED;
    }
    free(slot);
    return outcome;
}

static outcome_t rehearse_tokenizer(run_t *run, rehearsal_t *rehearsal)
{
    beit_trainer_t *trainer = NULL;
    view_source_t source;
    tokenizer_phase_source(run, &source);
    outcome_t outcome = tokenizer_phase_trainer(run, &trainer);
    if (outcome == OUTCOME_DONE)
        outcome = time_steps(trainer, &source, &rehearsal->tokenizer_step);
    rehearsal->tokenizer_memory.struct_size = sizeof rehearsal->tokenizer_memory;
    if (outcome == OUTCOME_DONE)
        outcome = check(beit_trainer_memory(trainer, &rehearsal->tokenizer_memory), "memory");
    beit_trainer_destroy(trainer);
    return outcome;
}

/* A tokenizer as it will be, if there is none yet. */
static outcome_t provide_tokenizer(run_t *run)
{
    beit_dvae_config_t cfg;
    if (run->dvae)
        return OUTCOME_DONE;
    recipe_tokenizer(&run->settings, &cfg);
    return check(beit_dvae_create(&run->dvae, run->ctx, &cfg), "the tokenizer");
}

/* What an evaluation needs besides: the tokenizer's maps for decoding. */
static outcome_t rehearse_evaluation(run_t *run)
{
    eval_set_t set;
    tokenizer_figures_t figures = {0};
    outcome_t outcome =
        eval_set_open(&set, run, "train", &run->collection.train, EVALUATED_VIEWS, 0);
    if (outcome == OUTCOME_DONE)
        outcome = tokenizer_measure(&set, run->dvae, &figures);
    free(figures.histogram);
    eval_set_close(&set);
    return outcome;
}

outcome_t rehearse_model(run_t *run, rehearsal_t *rehearsal)
{
    beit_trainer_t *trainer = NULL;
    beit_model_t *model = NULL;
    view_source_t source;
    model_phase_source(run, &source);
    outcome_t outcome = provide_tokenizer(run);
    if (outcome == OUTCOME_DONE)
        outcome = model_phase_trainer(run, &trainer, &model);
    if (outcome == OUTCOME_DONE)
        outcome = time_steps(trainer, &source, &rehearsal->model_step);
    if (outcome == OUTCOME_DONE && run->settings.dry_run)
        outcome = rehearse_evaluation(run);
    rehearsal->model_memory.struct_size = sizeof rehearsal->model_memory;
    if (outcome == OUTCOME_DONE)
        outcome = check(beit_trainer_memory(trainer, &rehearsal->model_memory), "memory");
    if (outcome == OUTCOME_DONE)
        rehearsal->model_weights = beit_params_elements(beit_model_params(model));
    beit_trainer_destroy(trainer);
    beit_model_destroy(model);
    return outcome;
}

static void say_memory(const char *what, const beit_memory_report_t *memory)
{
    printf("memory, %s: weights %.1f MB, gradients %.1f MB, moments %.1f MB, activations and "
           "workspace %.1f MB, tokenizer %.1f MB, together %.1f MB\n",
           what, (double)memory->weights / MB, (double)memory->gradients / MB,
           (double)memory->moments / MB, (double)memory->activations / MB,
           (double)memory->tokenizer / MB, (double)memory->total / MB);
}

static void say_time(const char *what, int64_t steps, double seconds)
{
    char text[DURATION_TEXT];
    progress_duration((double)steps * seconds, text);
    printf("time, %s: %lld steps of %.3f s: %s\n", what, (long long)steps, seconds, text);
}

/* Weights once, and weights with both moments in each checkpoint that is kept; one more while it is
 * written. */
static void say_disk(const settings_t *s, const rehearsal_t *rehearsal)
{
    const double kept = 1 + 3 * (double)(s->keep + 1);
    const double model = (double)rehearsal->model_memory.weights;
    const double tokenizer = (double)rehearsal->tokenizer_weights * sizeof(float);
    printf("disk: about %.0f MB\n", (kept * model + (s->tokenizer ? 1 : kept) * tokenizer) / MB);
}

/* What decoding, the report and the allocator's own waste come to at most; 2 % were seen. */
#define PEAK_MARGIN 1.05

/* Largest resident memory of this process so far, which has just done what a run does, and what a
 * run has besides: pictures, and batches in the making. */
static double peak_mb(const run_t *run)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    view_source_t source;
    model_phase_source(run, &source);
    const size_t read = run->collection.train.count + run->collection.held.count;
    const double all = (double)run->collection.folder.count;
    const double held = (double)picture_store_bytes(run->collection.store);
    const double limit = (double)run->settings.cache_mb * 1048576;
    const double pictures = read ? held / (double)read * all : 0;
    const double batches =
        (double)view_source_slots(&source) * (double)view_source_slot_bytes(&source);
    const double more = (pictures < limit ? pictures : limit) - held + batches;
    return PEAK_MARGIN * ((double)usage.ru_maxrss * 1024 + more) / MB;
}

outcome_t rehearse(run_t *run)
{
    const settings_t *s = &run->settings;
    rehearsal_t rehearsal = {0};
    const bool trains_tokenizer = !run->dvae;
    if (trains_tokenizer)
        TRY(rehearse_tokenizer(run, &rehearsal));
    TRY(rehearse_model(run, &rehearsal));
    rehearsal.tokenizer_weights = beit_params_elements(beit_dvae_params(run->dvae));
    printf("pictures: %zu found in %s\n", run->collection.folder.count, s->images);
    printf("runs on: %s\n", beit_context_describe(run->ctx));
    printf("tokenizer: %s, %lld codes, %.2f million weights\n",
           trains_tokenizer ? "to be trained" : s->tokenizer, (long long)s->vocab,
           (double)rehearsal.tokenizer_weights / 1e6);
    printf("model: %s, %lld/%lld/%lld, %lld x %lld patches, %.2f million weights\n",
           settings_model_name(s), (long long)s->embed_dim, (long long)s->depth,
           (long long)s->heads, (long long)recipe_grid(s), (long long)recipe_grid(s),
           (double)rehearsal.model_weights / 1e6);
    if (trains_tokenizer)
        say_memory("training the tokenizer", &rehearsal.tokenizer_memory);
    say_memory("pre-training", &rehearsal.model_memory);
    printf("memory, most that the process will hold: about %.0f MB\n", peak_mb(run));
    say_disk(s, &rehearsal);
    if (trains_tokenizer)
        say_time("tokenizer", s->tokenizer_steps, rehearsal.tokenizer_step);
    say_time("pre-training", s->steps, rehearsal.model_step);
    printf("nothing was written\n");
    return OUTCOME_DONE;
}
