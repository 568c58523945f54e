/* Folders of weights as Hugging Face's libraries write them: one file, or shards with an index, and
 * a config.json beside them. */
#include "io/archive_files.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/alloc.h"
#include "core/status.h"
#include "io/archive.h"
#include "io/json.h"
#include "io/sniff.h"

#define LARGEST_JSON (UINT64_C(4) << 20)
#define MOST_SHARDS  1000u

static const char *const weight_files[] = {"model.safetensors", "model.safetensors.index.json",
                                           "pytorch_model.bin", "pytorch_model.bin.index.json"};

static beit_status_t join(const char *folder, size_t n, const char *name, char file[BEIT__PATH_MAX])
{
    const int length = snprintf(file, BEIT__PATH_MAX, "%.*s%s", (int)n, folder, name);
    if (n >= BEIT__PATH_MAX || length < 0 || length >= BEIT__PATH_MAX)
        return beit__fail(BEIT_E_ARGUMENT, "path has more than %d bytes", BEIT__PATH_MAX - 1);
    return BEIT_OK;
}

static bool exists(const char *path, mode_t kind)
{
    struct stat info;
    return stat(path, &info) == 0 && (info.st_mode & S_IFMT) == kind;
}

beit_status_t beit__archive_resolve(const char *path, char file[BEIT__PATH_MAX])
{
    if (!exists(path, S_IFDIR))
        return join(path, strlen(path), "", file);
    for (size_t i = 0; i < sizeof weight_files / sizeof *weight_files; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "/%s", weight_files[i]);
        BEIT__TRY(join(path, strlen(path), name, file));
        if (exists(file, S_IFREG))
            return BEIT_OK;
    }
    return beit__fail(BEIT_E_IO,
                      "%s: is a directory without %s or %s, expected a file of weights or such a "
                      "directory",
                      path, weight_files[0], weight_files[2]);
}

bool beit__archive_is_index(const char *path)
{
    static const char suffix[] = ".index.json";
    const size_t n = strlen(path), tail = sizeof suffix - 1;
    return n > tail && strcmp(path + n - tail, suffix) == 0;
}

beit_status_t beit__archive_beside(const char *path, const char *name, char file[BEIT__PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    return join(path, slash ? (size_t)(slash - path) + 1 : 0, name, file);
}

/* ---- JSON ---- */

static beit_status_t parse_object(const char *path, const char *text, size_t length, json_t **json)
{
    json_error_t error;
    *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!*json && beit__json_is_nomem(&error))
        return beit__fail(BEIT_E_NOMEM, "%s: no memory for a text of %zu bytes", path, length);
    const char *kind = beit__sniff((const unsigned char *)text, length);
    if (!*json && kind && text[0] != '{')
        return beit__fail(BEIT_E_FORMAT, "%s: this is %s", path, kind);
    if (!*json)
        return beit__fail(BEIT_E_FORMAT, "%s: line %d: %s", path, error.line, error.text);
    if (json_is_object(*json))
        return BEIT_OK;
    json_decref(*json);
    *json = NULL;
    return beit__fail(BEIT_E_FORMAT, "%s: is not a JSON object", path);
}

beit_status_t beit__archive_load_json(beit_context_t *ctx, const char *path, json_t **json)
{
    beit__source_t source;
    BEIT__TRY(beit__source_open(&source, path, NULL));
    const size_t length = source.bytes <= LARGEST_JSON ? (size_t)source.bytes : 0;
    char *text = beit__alloc(ctx, length);
    beit_status_t status = text ? BEIT_OK : BEIT_E_NOMEM;
    if (status == BEIT_OK && length != source.bytes)
        status = beit__fail(BEIT_E_FORMAT, "%s: %llu bytes, expected a short text", path,
                            (unsigned long long)source.bytes);
    if (status == BEIT_OK)
        status = beit__source_read(&source, 0, text, length);
    if (status == BEIT_OK)
        status = parse_object(path, text, length, json);
    beit__free(ctx, text, length);
    beit__source_close(&source);
    return status;
}

beit_status_t beit__archive_list_shards(const char *path, const json_t *index, const json_t **map,
                                        json_t **shards)
{
    *map = json_object_get(index, "weight_map");
    if (json_object_size(*map) == 0)
        return beit__fail(BEIT_E_FORMAT, "%s: has no weight_map, expected the index of shards",
                          path);
    *shards = json_object();
    const char *name;
    json_t *shard;
    json_object_foreach((json_t *)*map, name, shard)
    {
        const char *file = json_string_value(shard);
        if (!file || !*file || strchr(file, '/') || beit__archive_is_index(file))
            return beit__fail(BEIT_E_FORMAT,
                              "%s: '%s' is said to be in '%s', expected a file beside it", path,
                              name, file ? file : "(no text)");
        if (json_object_set_new(*shards, file, json_null()) != 0)
            return beit__fail(BEIT_E_NOMEM, "%s: no memory for the names of its shards", path);
    }
    if (json_object_size(*shards) > MOST_SHARDS)
        return beit__fail(BEIT_E_FORMAT, "%s: %zu shards, expected at most %u", path,
                          json_object_size(*shards), MOST_SHARDS);
    return BEIT_OK;
}

beit_status_t beit__archive_config(const beit__archive_t *archive, json_t **config)
{
    char path[BEIT__PATH_MAX];
    *config = NULL;
    if (!archive->path[0])
        return BEIT_OK;
    BEIT__TRY(beit__archive_beside(archive->path, "config.json", path));
    return exists(path, S_IFREG) ? beit__archive_load_json(archive->ctx, path, config) : BEIT_OK;
}
