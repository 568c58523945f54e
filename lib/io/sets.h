/* Parameter sets to a safetensors file, and from any archive. A file may hold several sets under
 * different prefixes: a trainer's weights and both moments. */
#ifndef BEIT_IO_SETS_H
#define BEIT_IO_SETS_H

#include "io/archive.h"
#include "io/checksum.h"

/* A set and what its names begin with in the file. */
typedef struct beit__set {
    const char *prefix; /* "" for none */
    beit_params_t *params;
} beit__set_t;

/* Write the sets and the metadata (see doc/reference/checkpoint-format.md) as a whole file.
 * config and state are JSON, taken over (also on failure); NULL = left out. */
beit_status_t beit__sets_save(beit_context_t *ctx, const beit__set_t *sets, size_t count,
                              const char *kind, struct json_t *config, struct json_t *state,
                              const char *path, const beit_io_t *io);

#define BEIT__LOAD_FRESH 0x10000u /* nobody minds the sets' values when loading fails half-way */

/* Check names, shapes and checksum, read everything, then change the sets. flags: BEIT_LOAD_* and
 * BEIT__LOAD_FRESH. Integer tensors that the sets do not know (buffers, such as
 * relative_position_index) are passed over. */
beit_status_t beit__sets_load(const beit__archive_t *archive, const beit__set_t *sets, size_t count,
                              uint32_t flags);

/* The metadata's JSON text under `key`, a new reference; BEIT_E_FORMAT when it is none, and
 * *json = NULL when there is no such key. */
beit_status_t beit__checkpoint_json(const beit__archive_t *archive, const char *key,
                                    struct json_t **json);

/* Checksum of the values of a set. */
beit_status_t beit__params_checksum(const beit_params_t *params, char text[BEIT__CHECKSUM_TEXT]);

#define BEIT__METADATA_KIND    "libbeit.kind"
#define BEIT__METADATA_CONFIG  "libbeit.config"
#define BEIT__METADATA_STATE   "libbeit.state"
#define BEIT__METADATA_VERSION "libbeit.version"

#endif
