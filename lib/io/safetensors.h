/* The safetensors format: header length (u64, little-endian), JSON header, packed tensors. The
 * reader takes its input as hostile; the writer's files open in every other implementation. */
#ifndef BEIT_IO_SAFETENSORS_H
#define BEIT_IO_SAFETENSORS_H

#include <stdbool.h>

#include "io/file.h"
#include "nn/param.h"

struct json_t; /* jansson's */

/* One tensor of a file. */
typedef struct beit__stored {
    const char *name;
    int32_t dtype; /* beit_dtype_t; 0 for those that can only be passed over */
    int32_t ndim;
    int64_t shape[BEIT_MAX_DIMS]; /* the first ones, should there be more */
    uint64_t count;               /* elements */
    uint64_t begin, end;          /* bytes, from the start of the data */
} beit__stored_t;

/* A file whose header was checked: the tensors cover the data without holes or overlaps. */
typedef struct beit__safetensors {
    beit_context_t *ctx;          /* borrowed: allocations */
    const beit__source_t *source; /* borrowed */
    struct json_t *root;          /* owns names and metadata */
    beit__stored_t *tensors;      /* sorted by name */
    size_t count;
    uint64_t data; /* where the data start */
} beit__safetensors_t;

/* BEIT_E_FORMAT says what the file is instead, if that can be told. */
beit_status_t beit__safetensors_open(beit__safetensors_t *file, beit_context_t *ctx,
                                     const beit__source_t *source);
void beit__safetensors_close(beit__safetensors_t *file);

/* Compare the data with the checksum in the metadata, if there is one. Reads everything. */
beit_status_t beit__safetensors_verify(const beit__safetensors_t *file);

const beit__stored_t *beit__safetensors_find(const beit__safetensors_t *file, const char *name);
const char *beit__safetensors_metadata(const beit__safetensors_t *file, const char *key);

/* True for F32, F16, BF16 and F64, which beit__safetensors_read() converts. */
bool beit__stored_is_float(const beit__stored_t *tensor);
beit_status_t beit__safetensors_read(const beit__safetensors_t *file, const beit__stored_t *tensor,
                                     float *dst /* (tensor->count) host */);

/* One f32 tensor to be written. */
typedef struct beit__item {
    char name[BEIT__NAME_MAX + 16]; /* room for a prefix */
    int32_t ndim;
    int64_t shape[4];
    size_t count;
    const float *data; /* backend memory */
} beit__item_t;

/* Write a whole file; the caller commits. Items are put into the order of the reference writer.
 * metadata: strings, to which the checksum is added, or NULL for none. */
beit_status_t beit__safetensors_write(beit_context_t *ctx, beit__sink_t *sink, beit__item_t *items,
                                      size_t count, struct json_t *metadata);

#define BEIT__METADATA_CHECKSUM "libbeit.xxh3"

#endif
