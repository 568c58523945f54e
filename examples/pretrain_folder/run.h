/* What all parts of a run share. */
#ifndef PRETRAIN_RUN_H
#define PRETRAIN_RUN_H

#include <beit/beit.h>

#include "collection.h"
#include "common/json_log.h"
#include "common/progress.h"
#include "outcome.h"
#include "settings.h"

typedef struct run {
    settings_t asked;    /* as given */
    settings_t settings; /* with every auto resolved */
    int argc;
    char **argv;
    progress_t progress;
    beit_context_t *ctx;
    collection_t collection;
    beit_dvae_t *dvae;
    beit_dvae_config_t dvae_config;
    beit_views_config_t views;
    json_log_t *log;
    bool said_command;  /* how to go on */
    bool announced;     /* the log has this process's first row */
    double wall_before; /* seconds that earlier processes spent on this run */
    double started;     /* clock of this process */
} run_t;

/* Everything up to the first step: context, tokenizer of --tokenizer, pictures (at most `most` are
 * read beforehand), resolved settings. run_close() also after a failure. */
outcome_t run_open(run_t *run, const settings_t *asked, int argc, char **argv, size_t most);

void run_close(run_t *run);

/* The command that goes on with this run. */
void run_say_command(run_t *run);

/* Seconds spent on this run, earlier processes included, and resident memory in MB. */
double run_wall_seconds(const run_t *run);
double run_resident_mb(void);

/* How many pictures are read before anything else happens. */
enum { RUN_READ_FIRST = 10000 };

#endif
