/* pretrain_folder: from a folder of pictures to a pre-trained BEiT. This file is the order of
 * events; every part has a file of its own. */
#include <stdlib.h>
#include <string.h>

#include "checkpoints.h"
#include "common/signals.h"
#include "model_phase.h"
#include "out_folder.h"
#include "phase_names.h"
#include "rehearsal.h"
#include "report.h"
#include "run_log.h"
#include "tokenizer_phase.h"

enum { PICTURES_OF_DRY_RUN = 16 };

/* Make DIR ready: go on with the run in it, start one, or put an old one aside. */
static outcome_t settle_out(run_t *run)
{
    settings_t *s = &run->settings;
    char fingerprint[20];
    snprintf(fingerprint, sizeof fingerprint, "%016llx",
             (unsigned long long)run->collection.folder.fingerprint);
    json_t *data = json_pack("{s:I, s:s}", "pictures", (json_int_t)run->collection.folder.count,
                             "fingerprint", fingerprint);
    outcome_t outcome = out_make(s->out);
    if (outcome == OUTCOME_DONE && out_holds_run(s->out)) {
        if (strcmp(s->resume, "none") != 0) {
            outcome = out_compare_config(s->out, s, data);
            json_decref(data);
            return outcome;
        }
        outcome = out_put_aside(s->out);
        if (outcome == OUTCOME_DONE)
            outcome = out_make(s->out);
    }
    if (strcmp(s->resume, "none") == 0)
        s->resume = "auto"; /* there is nothing left to go on from */
    if (outcome == OUTCOME_DONE)
        return out_write_config(s->out, &run->asked, s, data);
    json_decref(data);
    return outcome;
}

/* The tokenizer that a checkpoint in DIR/checkpoints was made with: DIR/tokenizer.safetensors. */
static char *tokenizer_beside(const char *checkpoint)
{
    char *folder = strdup(checkpoint);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    char *path = NULL;
    if (slash) {
        *slash = '\0';
        path = out_path(folder, "../tokenizer.safetensors");
    }
    free(folder);
    return path;
}

/* The first phase, or what it left behind. */
static outcome_t provide_tokenizer(run_t *run)
{
    const settings_t *s = &run->settings;
    if (run->dvae) /* a copy of --tokenizer's, so that the folder is complete */
        return out_exists(s->out, "tokenizer.safetensors") ? OUTCOME_DONE : tokenizer_save(run);
    if (checkpoints_is_of(s->resume, PHASE_PRETRAIN) &&
        !out_exists(s->out, "tokenizer.safetensors")) {
        char *path = tokenizer_beside(s->resume);
        const outcome_t outcome =
            path ? tokenizer_phase_done(run, path) : fail(OUTCOME_FAILURE, "no memory");
        free(path);
        return outcome;
    }
    if (out_exists(s->out, "tokenizer.safetensors") &&
        !checkpoints_is_of(s->resume, PHASE_TOKENIZER)) {
        char *path = out_path(s->out, "tokenizer.safetensors");
        const outcome_t outcome =
            path ? tokenizer_phase_done(run, path) : fail(OUTCOME_FAILURE, "no memory");
        free(path);
        return outcome;
    }
    rehearsal_t rehearsal = {0};
    TRY(rehearse_model(run, &rehearsal)); /* for the time that is left of the whole run */
    beit_dvae_destroy(run->dvae);
    run->dvae = NULL;
    return tokenizer_phase(run, rehearsal.model_step * (double)s->steps);
}

static void say_where(run_t *run)
{
    const char *out = run->settings.out;
    char *whole = realpath(out, NULL);
    progress_say(&run->progress,
                 "done: %s/tokenizer.safetensors, %s/model.safetensors\n"
                 "curves and pictures: %s/report/index.html",
                 out, out, whole ? whole : out);
    free(whole);
}

static outcome_t train(run_t *run)
{
    const settings_t *s = &run->settings;
    const collection_t *pictures = &run->collection;
    TRY(settle_out(run));
    progress_say(&run->progress, "%zu pictures to train on, %zu held out, %zu unreadable",
                 pictures->train.count, pictures->held.count, picture_store_bad(pictures->store));
    progress_say(&run->progress, "runs on %s", beit_context_describe(run->ctx));
    TRY(collection_list_bad(&run->collection, s->out));
    TRY(provide_tokenizer(run));
    TRY(model_phase(run));
    say_where(run);
    return OUTCOME_DONE;
}

static int exit_status(run_t *run, outcome_t outcome)
{
    const int signal = signals_received();
    if (outcome != OUTCOME_STOPPED)
        return (int)outcome;
    if (!run->said_command) {
        progress_say(&run->progress, "stopped; nothing is lost");
        run_say_command(run);
    }
    return signals_exit_status(signal);
}

static int run_program(const settings_t *settings, int argc, char **argv)
{
    run_t run;
    signals_install();
    const size_t most = settings->dry_run ? PICTURES_OF_DRY_RUN : RUN_READ_FIRST;
    outcome_t outcome = run_open(&run, settings, argc, argv, most);
    if (outcome == OUTCOME_DONE)
        outcome = settings->dry_run ? rehearse(&run) : train(&run);
    const int status = exit_status(&run, outcome);
    run_close(&run);
    return status;
}

int main(int argc, char **argv)
{
    settings_t settings;
    json_t *file;
    char message[OPTION_MESSAGE];
    int status = OUTCOME_DONE;
    if (!settings_read(&settings, &file, argc, argv, message))
        status = (int)fail(OUTCOME_USAGE, "%s; --help lists all options", message);
    else if (settings.help)
        settings_help(stdout);
    else if (settings.version)
        printf("pretrain_folder, %s\n", beit_build_info());
    else if (!settings.images)
        status = (int)fail(OUTCOME_USAGE, "which folder of pictures? --help lists all options");
    else
        status = run_program(&settings, argc, argv);
    json_decref(file);
    return status;
}
