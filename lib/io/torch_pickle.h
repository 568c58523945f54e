/* A restricted unpickler: Python's pickle format to plain data (torch_object.h), executing nothing.
 * Memory, stack, memo and work are bounded, whatever the file claims. */
#ifndef BEIT_IO_TORCH_PICKLE_H
#define BEIT_IO_TORCH_PICKLE_H

#include "io/file.h"
#include "io/torch_object.h"

#define BEIT__UNPICKLER_WINDOW 4096

typedef struct beit__unpickler {
    beit_context_t *ctx;          /* borrowed */
    const beit__source_t *source; /* borrowed */
    uint64_t at, end;             /* next byte, and the one behind the last that may be read */
    beit__pieces_t pieces;        /* owns every object */
    beit__storage_t *storages;    /* those that were named, in order */
    beit__storage_t **last_storage;
    size_t storage_count;
    uint64_t opcode_at;     /* for messages */
    uint64_t steps;         /* done so far */
    beit__object_t **stack; /* of the pickle being read */
    size_t depth, stack_room;
    beit__object_t **memo;
    size_t memo_size, memo_room; /* highest index that was put, + 1 */
    uint64_t window_at;
    size_t window_bytes;
    unsigned char window[BEIT__UNPICKLER_WINDOW];
} beit__unpickler_t;

void beit__unpickler_open(beit__unpickler_t *unpickler, beit_context_t *ctx,
                          const beit__source_t *source, uint64_t at, uint64_t end);

/* Read one pickle; `at` moves behind it. Objects live until the unpickler is closed. */
beit_status_t beit__unpickle(beit__unpickler_t *unpickler, const beit__object_t **object);

/* Account for `n` steps of work on the objects; BEIT_E_FORMAT when it is more than any file of
 * weights needs. Pickles can describe graphs whose walk would never end. */
beit_status_t beit__unpickler_work(beit__unpickler_t *unpickler, uint64_t n);

void beit__unpickler_close(beit__unpickler_t *unpickler);

/* For torch_build.c: what a call or an instantiation yields. */
beit_status_t beit__torch_build(beit__unpickler_t *unpickler, const beit__object_t *callable,
                                const beit__object_t *args, beit__object_t **result);
/* And what PyTorch's persistent id stands for. */
beit_status_t beit__torch_persistent(beit__unpickler_t *unpickler, const beit__object_t *id,
                                     beit__object_t **result);

/* A new object; NULL with pieces.status set when there is no room. */
beit__object_t *beit__object_new(beit__unpickler_t *unpickler, beit__object_kind_t kind);
beit_status_t beit__object_append(beit__unpickler_t *unpickler, beit__object_t *container,
                                  const beit__object_t *key, const beit__object_t *value);

/* BEIT_E_FORMAT with the place in the file. */
beit_status_t beit__pickle_broken(const beit__unpickler_t *unpickler, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
