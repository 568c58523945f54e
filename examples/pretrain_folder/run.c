/* Opening a run: cheap checks come first, reading pictures last. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "run.h"

#include <beit/backend.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "recipe.h"

static void log_line(void *user, beit_log_level_t level, const char *line)
{
    (void)user;
    if (level <= BEIT_LOG_WARN)
        warn("%s", line);
}

static outcome_t open_context(run_t *run)
{
    const settings_t *s = &run->asked;
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.log = log_line;
    cfg.threads = option_is_auto(s->threads) ? 0 : (int32_t)s->threads;
    const bool reference = s->backend == BACKEND_REFERENCE;
    if (s->backend != BACKEND_AUTO) {
        cfg.backend = beit_backend_builtin(reference ? "reference" : "cblas");
        if (!cfg.backend)
            return fail(OUTCOME_USAGE, "--backend cblas: this build has none");
    }
    /* The reference backend knows no options; the program's own default is not for it. */
    cfg.backend_options = reference ? NULL : s->backend_options;
    return check(beit_context_create(&run->ctx, &cfg), "cannot begin");
}

/* As many as the library's own pool will have threads. */
static unsigned cpus(const run_t *run)
{
    cpu_set_t set;
    if (!option_is_auto(run->asked.threads))
        return (unsigned)run->asked.threads;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static outcome_t load_tokenizer(run_t *run)
{
    if (!run->asked.tokenizer)
        return OUTCOME_DONE;
    TRY(check(beit_dvae_load(&run->dvae, run->ctx, run->asked.tokenizer, NULL), "--tokenizer"));
    run->dvae_config.struct_size = sizeof run->dvae_config;
    return check(beit_dvae_config(run->dvae, &run->dvae_config), "--tokenizer");
}

outcome_t run_open(run_t *run, const settings_t *asked, int argc, char **argv, size_t most)
{
    *run = (run_t){.asked = *asked, .argc = argc, .argv = argv, .started = clock_seconds()};
    progress_begin(&run->progress, stdout, asked->quiet);
    TRY(collection_find(&run->collection, asked));
    TRY(open_context(run));
    TRY(load_tokenizer(run));
    run->settings = run->asked;
    const beit_dvae_config_t *ready = run->dvae ? &run->dvae_config : NULL;
    /* Once with a guess of the number of pictures, to find what makes no sense before reading. */
    TRY(recipe_resolve(&run->settings, ready, run->collection.folder.count, cpus(run)));
    TRY(collection_read(&run->collection, cpus(run), most, &run->progress));
    run->settings = run->asked;
    TRY(recipe_resolve(&run->settings, ready, run->collection.train.count, cpus(run)));
    if (!ready)
        recipe_tokenizer(&run->settings, &run->dvae_config);
    recipe_views(&run->settings, &run->dvae_config, &run->views);
    return OUTCOME_DONE;
}

void run_close(run_t *run)
{
    progress_end(&run->progress);
    json_log_close(run->log);
    beit_dvae_destroy(run->dvae);
    collection_close(&run->collection);
    beit_context_unref(run->ctx);
}

/* An argument as a shell takes it. */
static void print_quoted(FILE *out, const char *text)
{
    const char *harmless =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=+@";
    if (*text && strspn(text, harmless) == strlen(text)) {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

void run_say_command(run_t *run)
{
    run->said_command = true;
    if (run->progress.quiet)
        return;
    fputs("to go on: ", stdout);
    print_quoted(stdout, run->argv[0]);
    for (int i = 1; i < run->argc; i++) {
        if (strcmp(run->argv[i], "--resume") == 0) {
            i++; /* the default goes on */
            continue;
        }
        if (strncmp(run->argv[i], "--resume=", strlen("--resume=")) == 0)
            continue;
        fputc(' ', stdout);
        print_quoted(stdout, run->argv[i]);
    }
    fputc('\n', stdout);
    fflush(stdout);
}

double run_wall_seconds(const run_t *run)
{
    return run->wall_before + clock_seconds() - run->started;
}

double run_resident_mb(void)
{
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    const int read = fscanf(file, "%ld %ld", &total, &resident);
    (void)fclose(file);
    return read == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6 : 0;
}
