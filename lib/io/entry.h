/* What is known of one tensor of a file, whatever the file's format. */
#ifndef BEIT_IO_ENTRY_H
#define BEIT_IO_ENTRY_H

#include "io/file.h"

#define BEIT__MOST_ROWS 3 /* blocks of rows that may be joined: query, key, value */

typedef struct beit__entry {
    const char *name;   /* by which it is asked for */
    const char *stored; /* by which the file knows it: for messages */
    const char *class;  /* of what is there in place of a tensor; NULL = it is a tensor */
    const beit__source_t *source;
    uint64_t at;    /* byte of its first element */
    uint64_t count; /* elements */
    int32_t dtype;  /* beit_dtype_t; 0 for those that can only be passed over */
    int32_t ndim;
    int64_t shape[BEIT_MAX_DIMS];  /* the first ones, should there be more */
    int64_t stride[BEIT_MAX_DIMS]; /* in elements; all of the tensor lies inside the source */
    /* Its rows are those of these entries, one after the other; NULL when it is stored as one. */
    const struct beit__entry *rows[BEIT__MOST_ROWS];
} beit__entry_t;

/* A number that a file has beside its tensors. */
typedef struct beit__setting {
    const char *name;
    double number; /* NaN for None */
} beit__setting_t;

#endif
