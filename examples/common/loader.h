/* Batches made ahead by threads, so that decoding and augmentation overlap with computing. Batch k
 * is a function of k alone and batches come in order, so the number of threads changes nothing but
 * time. Thread-safety: one consumer. */
#ifndef EXAMPLES_LOADER_H
#define EXAMPLES_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOADER_REASON = 512 };

typedef struct loader loader_t;

/* Make batch `index` in `slot`; called on loader threads, several at a time. On failure false and
 * a reason. */
typedef bool (*loader_make_fn)(void *user, uint64_t index, void *slot, char reason[LOADER_REASON]);

typedef struct loader_config {
    loader_make_fn make;
    void *user;
    uint64_t first, end; /* batches [first, end) */
    size_t slot_bytes;
    size_t ahead;     /* batches that may be ready or in the making, >= 1 */
    unsigned threads; /* >= 1 */
} loader_config_t;

/* Start the threads; NULL when memory or threads are short. */
loader_t *loader_start(const loader_config_t *config);

/* The next batch, valid until the next call; NULL with a reason when it could not be made. Must not
 * be called more often than there are batches. */
void *loader_next(loader_t *loader, char reason[LOADER_REASON]);

/* Seconds that loader_next() has spent waiting so far. */
double loader_waited(const loader_t *loader);

/* Stop the threads and free; NULL allowed. */
void loader_stop(loader_t *loader);

#endif
