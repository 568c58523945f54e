/* Which files make up an archive. */
#ifndef BEIT_IO_ARCHIVE_FILES_H
#define BEIT_IO_ARCHIVE_FILES_H

#include <stdbool.h>

#include "io/file.h"

struct json_t;

/* The file that `path` stands for: itself, or, of a folder, the weights in it. */
beit_status_t beit__archive_resolve(const char *path, char file[BEIT__PATH_MAX]);

/* Whether the name is that of an index: "....index.json". */
bool beit__archive_is_index(const char *path);

/* The path of `name` in the folder of `path`. */
beit_status_t beit__archive_beside(const char *path, const char *name, char file[BEIT__PATH_MAX]);

/* The JSON object of a file, a new reference. */
beit_status_t beit__archive_load_json(beit_context_t *ctx, const char *path, struct json_t **json);

/* The index's map from tensors to files, borrowed from it, and an object whose keys are the files,
 * a new reference. Files are names in the same folder: an index cannot reach elsewhere. */
beit_status_t beit__archive_list_shards(const char *path, const struct json_t *index,
                                        const struct json_t **map, struct json_t **shards);

#endif
