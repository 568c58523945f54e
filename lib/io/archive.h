/* A file of named tensors, or several that belong together, whatever the format: safetensors, one
 * or in shards, and both containers of torch.save. The loaders see nothing else. */
#ifndef BEIT_IO_ARCHIVE_H
#define BEIT_IO_ARCHIVE_H

#include "io/entry.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

/* One file of an archive. */
typedef struct beit__archive_file {
    char path[BEIT__PATH_MAX];
    beit__source_t source;
    beit__safetensors_t safetensors; /* empty for PyTorch's files */
    beit__torch_t torch;             /* empty for safetensors */
} beit__archive_file_t;

typedef struct beit__archive {
    beit_context_t *ctx;       /* borrowed */
    const char *name;          /* for messages: the path as it was given */
    char path[BEIT__PATH_MAX]; /* of the file that was opened first; "" for host storage */
    beit__archive_file_t *files;
    size_t file_count;
    beit__entry_t *entries; /* sorted by name; changed by beit__names_translate() */
    size_t count, room;
    beit__entry_t *stored; /* what the files hold, once `entries` is something else */
    size_t stored_count;
    beit__pieces_t names; /* those that the files do not have */
} beit__archive_t;

/* path: a file; the index of a sharded one; or a folder with model.safetensors or
 * pytorch_model.bin, or their indices. BEIT_E_FORMAT says what the file is instead, if that can be
 * told. `path` must outlive the archive. */
beit_status_t beit__archive_open(beit__archive_t *archive, beit_context_t *ctx, const char *path,
                                 const beit_io_t *io);
void beit__archive_close(beit__archive_t *archive);

const beit__entry_t *beit__archive_find(const beit__archive_t *archive, const char *name);

/* BEIT_E_MISMATCH when it holds no real numbers: those of other types, or no tensor at all. */
beit_status_t beit__archive_check_real(const beit__archive_t *archive, const beit__entry_t *entry);

/* Bytes of all files: no more weights can be in them. */
uint64_t beit__archive_bytes(const beit__archive_t *archive);

/* Text from a safetensors file's metadata, or NULL. */
const char *beit__archive_metadata(const beit__archive_t *archive, const char *key);

/* A number from a file of PyTorch's; false when it is not there. */
bool beit__archive_setting(const beit__archive_t *archive, const char *name, double *number);

/* The object of the config.json beside the file, a new reference; *config = NULL when there is
 * none. */
beit_status_t beit__archive_config(const beit__archive_t *archive, struct json_t **config);

/* Compare the data with the checksum in the metadata, where there is one. Reads everything. */
beit_status_t beit__archive_verify(const beit__archive_t *archive);

beit_status_t beit__archive_read(const beit__entry_t *entry, float *dst /* (entry->count) host */);

/* For names.c: restore the order after names were changed. */
void beit__archive_sort(beit__archive_t *archive);

#endif
