/* Whether a run may go on is decided by config.json: settings that decide what is computed must be
 * the same, and so must the collection of pictures. */
#include "out_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a run leaves behind, in the order in which it is put aside: config.json last, because it is
 * what a run is recognised by. */
static const char *const products[] = {
    "checkpoints",   "report",    "model.safetensors", "tokenizer.safetensors",
    "bad_files.txt", "log.jsonl", "config.json"};
enum {
    PRODUCTS = sizeof products / sizeof *products,
    MOST_EARLIER = 10000,
    CONFIG_DIGITS = 15 /* decimals come back as they were written */
};

char *out_path(const char *out, const char *name)
{
    const size_t size = strlen(out) + strlen(name) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", out, name);
    return path;
}

static outcome_t no_memory(void)
{
    return fail(OUTCOME_FAILURE, "no memory");
}

bool out_exists(const char *out, const char *name)
{
    char *path = out_path(out, name);
    const bool exists = path && access(path, F_OK) == 0;
    free(path);
    return exists;
}

bool out_holds_run(const char *out)
{
    return out_exists(out, "config.json");
}

/* As mkdir -p. */
static bool make_folder(const char *path)
{
    char *part = strdup(path);
    if (!part)
        return false;
    bool done = true;
    for (char *at = part + 1; done && *at; at++)
        if (*at == '/') {
            *at = '\0';
            done = mkdir(part, 0777) == 0 || errno == EEXIST;
            *at = '/';
        }
    done = done && (mkdir(part, 0777) == 0 || errno == EEXIST);
    free(part);
    return done;
}

outcome_t out_make(const char *out)
{
    static const char *const folders[] = {"checkpoints", "report"};
    if (!make_folder(out))
        return fail(OUTCOME_FAILURE, "%s: cannot be made: %s", out, strerror(errno));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = out_path(out, folders[i]);
        if (!path)
            return no_memory();
        const bool done = make_folder(path) && access(path, W_OK | X_OK) == 0;
        if (!done)
            (void)fail(OUTCOME_FAILURE, "%s: cannot be written: %s", path, strerror(errno));
        free(path);
        if (!done)
            return OUTCOME_FAILURE;
    }
    return OUTCOME_DONE;
}

/* Make the first earlier-N that does not exist; its path in `path`. */
static bool make_earlier(const char *out, char **path)
{
    for (int n = 1; n < MOST_EARLIER; n++) {
        char name[32];
        snprintf(name, sizeof name, "earlier-%d", n);
        *path = out_path(out, name);
        if (!*path || mkdir(*path, 0777) == 0)
            return *path != NULL;
        free(*path);
        *path = NULL;
        if (errno != EEXIST)
            return false;
    }
    return false;
}

outcome_t out_put_aside(const char *out)
{
    char *aside;
    if (!make_earlier(out, &aside))
        return fail(OUTCOME_FAILURE, "%s: cannot be written: %s", out, strerror(errno));
    bool done = true;
    for (int i = 0; done && i < PRODUCTS; i++) {
        char *from = out_path(out, products[i]), *to = out_path(aside, products[i]);
        done = from && to && (rename(from, to) == 0 || errno == ENOENT);
        free(from);
        free(to);
    }
    const outcome_t outcome = done
                                  ? OUTCOME_DONE
                                  : fail(OUTCOME_FAILURE, "%s: the earlier run cannot be moved: %s",
                                         aside, strerror(errno));
    free(aside);
    return outcome;
}

/* Write all and sync. */
static bool write_all(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    bool done =
        fwrite(data, 1, size, file) == size && fflush(file) == 0 && fsync(fileno(file)) == 0;
    const int error = errno;
    if (fclose(file) != 0 && done)
        return false;
    errno = done ? errno : error;
    return done;
}

outcome_t out_write_file(const char *path, const void *data, size_t size)
{
    const size_t length = strlen(path) + sizeof ".new";
    char *beside = malloc(length);
    if (!beside)
        return no_memory();
    snprintf(beside, length, "%s.new", path);
    outcome_t outcome = OUTCOME_DONE;
    if (!write_all(beside, data, size) || rename(beside, path) != 0) {
        outcome = fail(OUTCOME_FAILURE, "%s: cannot be written: %s", path, strerror(errno));
        (void)unlink(beside);
    }
    free(beside);
    return outcome;
}

outcome_t out_write_config(const char *out, const settings_t *asked, const settings_t *resolved,
                           json_t *data)
{
    json_t *root = json_pack("{s:s, s:o, s:o, s:o}", "libbeit", beit_build_info(), "settings",
                             options_to_json(&settings_options, asked), "resolved",
                             options_to_json(&settings_options, resolved), "data", data);
    char *text =
        root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(CONFIG_DIGITS)) : NULL;
    char *path = out_path(out, "config.json");
    outcome_t outcome = text && path ? out_write_file(path, text, strlen(text)) : no_memory();
    free(path);
    free(text);
    json_decref(root);
    return outcome;
}

/* Say every difference in what decides; returns how many there are. */
static int say_differences(const json_t *before, const json_t *now)
{
    int differences = 0;
    for (size_t i = 0; i < settings_options.count; i++) {
        const option_t *option = &settings_options.items[i];
        if (option->kind == OPTION_GROUP || !(option->flags & OPTION_DECIDES))
            continue;
        const json_t *was = json_object_get(before, option->field);
        const json_t *is = json_object_get(now, option->field);
        if (json_is_number(was) && json_is_number(is)
                ? json_number_value(was) == json_number_value(is)
                : json_equal(was, is))
            continue;
        const size_t how = JSON_ENCODE_ANY | JSON_REAL_PRECISION(CONFIG_DIGITS);
        char *old = json_dumps(was, how), *new = json_dumps(is, how);
        fprintf(stderr, "  %-18s was %s, is now %s\n", option->field, old ? old : "not known",
                new ? new : "?");
        free(old);
        free(new);
        differences++;
    }
    return differences;
}

/* The settings as they come back from a file, so that rounding there is no difference. */
static json_t *as_stored(const settings_t *settings)
{
    json_t *object = options_to_json(&settings_options, settings);
    char *text = object ? json_dumps(object, JSON_REAL_PRECISION(CONFIG_DIGITS)) : NULL;
    json_t *stored = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    json_decref(object);
    return stored;
}

outcome_t out_compare_config(const char *out, const settings_t *resolved, const json_t *data)
{
    char *path = out_path(out, "config.json");
    json_error_t error;
    json_t *root = path ? json_load_file(path, 0, &error) : NULL;
    json_t *now = as_stored(resolved);
    const json_t *before = json_object_get(root, "resolved");
    outcome_t outcome = OUTCOME_DONE;
    if (!path || !now)
        outcome = no_memory();
    else if (!before)
        outcome = fail(OUTCOME_CHECKPOINT, "%s: is damaged%s%s; --resume none starts anew", path,
                       root ? "" : ": ", root ? "" : error.text);
    else if (!json_equal(json_object_get(root, "data"), data))
        outcome = fail(OUTCOME_CHECKPOINT,
                       "%s: belongs to a run with other pictures; choose another --out, or start "
                       "anew with --resume none",
                       out);
    else if (say_differences(before, now) > 0)
        outcome = fail(OUTCOME_CHECKPOINT,
                       "%s: holds a run with other settings (above); give the same ones, choose "
                       "another --out, or start anew with --resume none",
                       out);
    json_decref(now);
    json_decref(root);
    free(path);
    return outcome;
}
