/* What a pickle is turned into: plain data. Nothing of it is ever called; a class that is not known
 * becomes a placeholder that remembers its name and its state. */
#ifndef BEIT_IO_TORCH_OBJECT_H
#define BEIT_IO_TORCH_OBJECT_H

#include <stdbool.h>

#include "io/pieces.h"

typedef enum beit__object_kind {
    BEIT__OBJECT_NONE,
    BEIT__OBJECT_BOOL,
    BEIT__OBJECT_INT,
    BEIT__OBJECT_BIG, /* an integer beyond 64 bits; text = its bytes */
    BEIT__OBJECT_REAL,
    BEIT__OBJECT_TEXT,
    BEIT__OBJECT_BYTES, /* contents are not kept */
    BEIT__OBJECT_TUPLE,
    BEIT__OBJECT_LIST, /* and sets */
    BEIT__OBJECT_DICT,
    BEIT__OBJECT_CLASS, /* or function; text = "module.name" */
    BEIT__OBJECT_STORAGE,
    BEIT__OBJECT_TENSOR,
    BEIT__OBJECT_BAG /* an instance of `class`, with its state, or of a class with items */
} beit__object_kind_t;

typedef struct beit__object beit__object_t;

/* One item of a tuple, a list or a dict. */
typedef struct beit__cell {
    struct beit__cell *next;
    const beit__object_t *key; /* of a dict's item */
    const beit__object_t *value;
} beit__cell_t;

/* A run of numbers in the file. Several storages may be views of one. */
typedef struct beit__storage {
    struct beit__storage *next; /* in the order of the pickle */
    const char *key;            /* of the numbers in the file */
    int32_t dtype;              /* beit_dtype_t; 0 for those that can only be passed over */
    uint32_t width;             /* bytes of an element */
    uint64_t count;             /* elements of the file's run */
    uint64_t first;             /* element at which this view begins */
    uint64_t at;                /* byte of the run in the file, once its container was read */
} beit__storage_t;

struct beit__object {
    int32_t kind;        /* beit__object_kind_t */
    uint32_t count;      /* items, or bytes of the text */
    const char *text;    /* TEXT (terminated), BIG, CLASS, BAG: its class */
    beit__cell_t *items; /* TUPLE, LIST, DICT, BAG */
    beit__cell_t *last;
    union {
        int64_t integer; /* BOOL, INT */
        double real;
        const beit__object_t *state; /* BAG; NULL = none */
        beit__storage_t *storage;    /* STORAGE, TENSOR */
    };
    const beit__object_t *shape, *stride; /* TENSOR: tuples of natural numbers */
    uint64_t first;                       /* TENSOR: its first element in the storage */
};

/* What is known of an object, for messages: "an integer", "a placeholder for argparse.Namespace".
 */
const char *beit__object_describe(const beit__object_t *object, char *text, size_t size);

/* Whether it is this text. */
bool beit__object_is(const beit__object_t *object, const char *text);

/* The object as something with keys: a dict, or a placeholder with items. NULL otherwise. */
const beit__object_t *beit__object_as_dict(const beit__object_t *object);

/* The last value under a key of a dict, or NULL. */
const beit__object_t *beit__object_get(const beit__object_t *dict, const char *key);

#endif
