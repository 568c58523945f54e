/* Steps are padded with zeros to a fixed width, so that names sort like numbers. */
#include "checkpoints.h"

#include <beit/checkpoint.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out_folder.h"

#define SUFFIX ".safetensors"
enum { NAME_ROOM = 64, DIGITS = 8 };

typedef struct list {
    uint64_t *steps; /* descending */
    size_t count;
} list_t;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The step in "PHASE-STEP.safetensors"; false for other names. */
static bool parse_name(const char *name, const char *phase, uint64_t *step)
{
    const size_t length = strlen(phase);
    if (strncmp(name, phase, length) != 0 || name[length] != '-')
        return false;
    char *end;
    *step = strtoull(name + length + 1, &end, 10);
    return end != name + length + 1 && strcmp(end, SUFFIX) == 0;
}

int checkpoints_is_of(const char *path, const char *phase)
{
    uint64_t step;
    return parse_name(base_name(path), phase, &step);
}

static char *path_of(const char *out, const char *phase, uint64_t step)
{
    char name[NAME_ROOM];
    snprintf(name, sizeof name, "checkpoints/%s-%0*llu" SUFFIX, phase, DIGITS,
             (unsigned long long)step);
    return out_path(out, name);
}

static int newest_first(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

/* A folder that cannot be listed counts as empty: it was made and checked at the start. */
static list_t list_of(const char *out, const char *phase)
{
    list_t list = {0};
    char *path = out_path(out, "checkpoints");
    DIR *dir = path ? opendir(path) : NULL;
    const struct dirent *item;
    while (dir && (item = readdir(dir))) {
        uint64_t step;
        if (!parse_name(item->d_name, phase, &step))
            continue;
        uint64_t *steps = realloc(list.steps, (list.count + 1) * sizeof *steps);
        if (!steps)
            break;
        list.steps = steps;
        list.steps[list.count++] = step;
    }
    if (dir)
        (void)closedir(dir);
    free(path);
    if (list.count > 1)
        qsort(list.steps, list.count, sizeof *list.steps, newest_first);
    return list;
}

uint64_t checkpoints_newest(const char *out, const char *phase)
{
    const list_t list = list_of(out, phase);
    const uint64_t step = list.count > 0 ? list.steps[0] : 0;
    free(list.steps);
    return step;
}

/* Try checkpoints from the newest on; a damaged one is passed over, one that does not fit is not.
 */
static outcome_t resume_newest(const char *out, const char *phase, const list_t *list,
                               beit_trainer_t *trainer)
{
    for (size_t i = 0; i < list->count; i++) {
        char *path = path_of(out, phase, list->steps[i]);
        if (!path)
            return fail(OUTCOME_FAILURE, "no memory");
        const beit_status_t status = beit_trainer_resume(trainer, path, NULL);
        free(path);
        if (status == BEIT_OK)
            return OUTCOME_DONE;
        if ((status != BEIT_E_FORMAT && status != BEIT_E_IO) || i + 1 == list->count)
            return check(status, "cannot go on");
        warn("%s; going on from the checkpoint before", beit_last_error());
    }
    return OUTCOME_DONE;
}

outcome_t checkpoints_resume(const char *out, const char *phase, const char *resume,
                             beit_trainer_t *trainer)
{
    if (strcmp(resume, "auto") != 0)
        return check(beit_trainer_resume(trainer, resume, NULL), "--resume");
    const list_t list = list_of(out, phase);
    const outcome_t outcome = resume_newest(out, phase, &list, trainer);
    free(list.steps);
    return outcome;
}

/* Of those up to `step`, the newest `keep` stay. Later ones are of a continuation that was taken
 * back; they will be written again. */
static void remove_old(const char *out, const char *phase, uint64_t step, size_t keep)
{
    const list_t list = list_of(out, phase);
    size_t kept = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (list.steps[i] > step || kept++ < keep)
            continue;
        char *path = path_of(out, phase, list.steps[i]);
        if (path && unlink(path) != 0)
            warn("%s: cannot be removed: %s", path, strerror(errno));
        free(path);
    }
    free(list.steps);
}

outcome_t checkpoints_save(const char *out, const char *phase, const beit_trainer_t *trainer,
                           size_t keep)
{
    char *path = path_of(out, phase, beit_trainer_steps(trainer));
    if (!path)
        return fail(OUTCOME_FAILURE, "no memory");
    const outcome_t outcome =
        check(beit_trainer_save(trainer, path, NULL), "the checkpoint cannot be saved");
    free(path);
    if (outcome != OUTCOME_DONE)
        return outcome;
    remove_old(out, phase, beit_trainer_steps(trainer), keep);
    return OUTCOME_DONE;
}
