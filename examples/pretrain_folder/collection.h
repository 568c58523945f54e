/* The pictures of a run: found, read as far as memory goes, unreadable ones left out, and divided
 * into those that are trained on and those that are held out. */
#ifndef PRETRAIN_COLLECTION_H
#define PRETRAIN_COLLECTION_H

#include "common/folder.h"
#include "common/picture_store.h"
#include "common/progress.h"
#include "outcome.h"
#include "settings.h"

/* Some of the pictures, as indices into the store. */
typedef struct subset {
    size_t *pictures;
    size_t count;
} subset_t;

typedef struct collection {
    folder_t folder;
    picture_store_t *store;
    subset_t train, held; /* held is empty below 50 pictures */
    size_t listed_bad;    /* unreadable files in bad_files.txt so far */
} collection_t;

/* Find the pictures of settings->images; nothing is read. `threads` is only needed by
 * collection_read(). Zeroed memory expected; collection_close() also after a failure. */
outcome_t collection_find(collection_t *collection, const settings_t *settings);

/* Read what fits into memory, at most `most` pictures, and divide. */
outcome_t collection_read(collection_t *collection, unsigned threads, size_t most,
                          progress_t *progress);

void collection_close(collection_t *collection);

/* Bring DIR/bad_files.txt up to date; without unreadable files there is none. */
outcome_t collection_list_bad(collection_t *collection, const char *out);

#endif
