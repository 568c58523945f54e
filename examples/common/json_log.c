/* Pruning writes a new file beside the old one and renames it over, so that no rows are lost when
 * that fails. */
#include "common/json_log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct json_log {
    FILE *file;
};

enum { DIGITS = 9 };

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static bool write_row(FILE *file, const json_t *row)
{
    char *text = json_dumps(row, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
    if (!text) {
        errno = ENOMEM;
        return false;
    }
    const bool done = fprintf(file, "%s\n", text) > 0;
    free(text);
    return done;
}

bool json_log_read(const char *path, void (*each)(void *user, const json_t *row), void *user)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) > 0) {
        json_t *row = line[length - 1] == '\n' ? json_loads(line, 0, NULL) : NULL;
        if (json_is_object(row))
            each(user, row);
        json_decref(row);
    }
    const bool done = !ferror(file);
    free(line);
    (void)fclose(file);
    return done;
}

typedef struct pruning {
    FILE *file;
    bool (*keep)(void *user, const json_t *row);
    void *user;
    bool failed;
} pruning_t;

static void keep_row(void *user, const json_t *row)
{
    pruning_t *pruning = user;
    if (pruning->keep(pruning->user, row) && !write_row(pruning->file, row))
        pruning->failed = true;
}

/* Leave at `path` a file with the rows to keep. */
static bool prune(const char *path, bool (*keep)(void *user, const json_t *row), void *user)
{
    const size_t size = strlen(path) + sizeof ".new";
    char *beside = malloc(size);
    if (!beside)
        return false;
    snprintf(beside, size, "%s.new", path);
    pruning_t pruning = {.file = fopen(beside, "w"), .keep = keep, .user = user};
    bool done = pruning.file != NULL;
    if (done && keep)
        done = json_log_read(path, keep_row, &pruning) || errno == ENOENT;
    if (pruning.file && fclose(pruning.file) != 0)
        done = false;
    done = done && !pruning.failed && rename(beside, path) == 0;
    if (!done) {
        const int error = errno;
        (void)unlink(beside);
        errno = error;
    }
    free(beside);
    return done;
}

json_log_t *json_log_open(const char *path, bool (*keep)(void *user, const json_t *row), void *user,
                          char reason[JSON_LOG_REASON])
{
    json_log_t *log = calloc(1, sizeof *log);
    if (log && prune(path, keep, user) && (log->file = fopen(path, "a")))
        return log;
    snprintf(reason, JSON_LOG_REASON, "%s: %s", path, log ? strerror(errno) : "no memory");
    free(log);
    return NULL;
}

bool json_log_write(json_log_t *log, json_t *row)
{
    const bool done = row && write_row(log->file, row) && fflush(log->file) == 0;
    if (!row)
        errno = ENOMEM;
    json_decref(row);
    return done;
}

void json_log_close(json_log_t *log)
{
    if (!log)
        return;
    (void)fclose(log->file);
    free(log);
}
