/* Parameter sets to and from a safetensors file. A file may hold several sets under different
 * prefixes: a trainer's weights and both moments. */
#ifndef BEIT_IO_SETS_H
#define BEIT_IO_SETS_H

#include "io/checksum.h"
#include "io/safetensors.h"

/* A set and how its names read in the file: prefix + (name without `drop`). */
typedef struct beit__set {
    const char *prefix; /* "" for none */
    const char *drop;   /* "" for none; names that do not begin with it are not in the file */
    beit_params_t *params;
} beit__set_t;

/* Write the sets and the metadata (see doc/reference/checkpoint-format.md) as a whole file.
 * config and state are JSON, taken over (also on failure); NULL = left out. */
beit_status_t beit__sets_save(beit_context_t *ctx, const beit__set_t *sets, size_t count,
                              const char *kind, struct json_t *config, struct json_t *state,
                              const char *path, const beit_io_t *io);

/* A file that is open for loading. */
typedef struct beit__checkpoint {
    beit__source_t source;
    beit__safetensors_t file;
} beit__checkpoint_t;

beit_status_t beit__checkpoint_open(beit__checkpoint_t *checkpoint, beit_context_t *ctx,
                                    const char *path, const beit_io_t *io);
void beit__checkpoint_close(beit__checkpoint_t *checkpoint);

#define BEIT__LOAD_FRESH 0x10000u /* nobody minds the sets' values when loading fails half-way */

/* Check names, shapes and checksum, read everything, then change the sets. flags: BEIT_LOAD_* and
 * BEIT__LOAD_FRESH. Integer tensors that the sets do not know (buffers, such as
 * relative_position_index) are passed over. */
beit_status_t beit__sets_load(const beit__checkpoint_t *checkpoint, const beit__set_t *sets,
                              size_t count, uint32_t flags);

/* The metadata's JSON text under `key`, a new reference; BEIT_E_FORMAT when it is none, and
 * *json = NULL when there is no such key. */
beit_status_t beit__checkpoint_json(const beit__checkpoint_t *checkpoint, const char *key,
                                    struct json_t **json);

/* Checksum of the values of a set. */
beit_status_t beit__params_checksum(const beit_params_t *params, char text[BEIT__CHECKSUM_TEXT]);

#define BEIT__METADATA_KIND    "libbeit.kind"
#define BEIT__METADATA_CONFIG  "libbeit.config"
#define BEIT__METADATA_STATE   "libbeit.state"
#define BEIT__METADATA_VERSION "libbeit.version"

#endif
