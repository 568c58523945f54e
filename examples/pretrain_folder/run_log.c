/* Which rows stay is decided by what the checkpoint knows: a killed run may have logged steps that
 * its last checkpoint does not hold. */
#include "run_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out_folder.h"
#include "phase_names.h"

typedef struct keeping {
    const char *phase;
    uint64_t step;
    size_t rows;
    bool evaluated;
    double wall;
} keeping_t;

static bool keep_row(void *user, const json_t *row)
{
    keeping_t *keeping = user;
    const char *phase = json_string_value(json_object_get(row, "phase"));
    const uint64_t step = (uint64_t)json_integer_value(json_object_get(row, "step"));
    const int order = phase ? phase_order(phase) - phase_order(keeping->phase) : -1;
    if (order > 0 || (order == 0 && step > keeping->step))
        return false;
    keeping->rows++;
    keeping->evaluated |= order == 0 && step == keeping->step && json_object_get(row, "eval");
    const double wall = json_number_value(json_object_get(row, "wall_s"));
    keeping->wall = wall > keeping->wall ? wall : keeping->wall;
    return true;
}

static json_t *command_line(const run_t *run)
{
    json_t *array = json_array();
    for (int i = 0; i < run->argc; i++)
        json_array_append_new(array, json_string(run->argv[i]));
    return array;
}

/* The first row: the whole configuration, and what it runs on. */
static json_t *opening_row(const run_t *run)
{
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    const collection_t *pictures = &run->collection;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:o, s:o, s:{s:s, s:I, s:I, s:I, s:I}}", "event", "begin", "libbeit",
        beit_build_info(), "runs_on", beit_context_describe(run->ctx), "host", host, "command",
        command_line(run), "settings", options_to_json(&settings_options, &run->settings),
        "pictures", "folder", run->settings.images, "found", (json_int_t)pictures->folder.count,
        "unreadable", (json_int_t)picture_store_bad(pictures->store), "train",
        (json_int_t)pictures->train.count, "heldout", (json_int_t)pictures->held.count);
}

static json_t *resuming_row(const run_t *run, const keeping_t *keeping)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:o}", "event", "resume", "phase", keeping->phase,
                     "step", (json_int_t)keeping->step, "runs_on", beit_context_describe(run->ctx),
                     "command", command_line(run));
}

outcome_t run_log_open(run_t *run, const char *phase, uint64_t step, bool *evaluated)
{
    json_log_close(run->log);
    char reason[JSON_LOG_REASON];
    keeping_t keeping = {.phase = phase, .step = step};
    char *path = out_path(run->settings.out, "log.jsonl");
    run->log = path ? json_log_open(path, keep_row, &keeping, reason) : NULL;
    free(path);
    if (!run->log)
        return fail(OUTCOME_FAILURE, "%s", path ? reason : "no memory");
    *evaluated = keeping.evaluated;
    if (run->announced)
        return OUTCOME_DONE;
    run->announced = true;
    run->wall_before = keeping.wall;
    return run_log_write(run, keeping.rows == 0 ? opening_row(run) : resuming_row(run, &keeping));
}

outcome_t run_log_write(run_t *run, json_t *row)
{
    if (json_log_write(run->log, row))
        return OUTCOME_DONE;
    return fail(OUTCOME_FAILURE, "%s/log.jsonl: cannot be written: %s", run->settings.out,
                strerror(errno));
}
