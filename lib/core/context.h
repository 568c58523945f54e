/* The context's insides, for the layers above core. */
#ifndef BEIT_CORE_CONTEXT_H
#define BEIT_CORE_CONTEXT_H

#include <beit/backend.h>
#include <beit/base.h>
#include <stdatomic.h>

#include "executor.h"

struct beit__backend; /* backend/backend.h */

struct beit_context {
    atomic_size_t references;
    beit_allocator_t allocator;
    beit_executor_t executor; /* the host's, or beit__pool's */
    beit__pool_t *pool;       /* NULL when the host's executor is used */
    beit_log_fn log;
    void *log_user;
    int32_t log_level;
    int32_t padding;
    struct beit__backend *backend; /* opened instance, see backend/backend.h */
    atomic_size_t bytes_now, bytes_peak;
    char describe[512];
};

/* ctx itself with one more reference, or a new default context when NULL. */
beit_status_t beit__context_acquire(beit_context_t **out, beit_context_t *ctx);

/* Add to or subtract from the bytes that are reported by beit_context_memory(). */
void beit__context_count(beit_context_t *ctx, size_t bytes, int sign);

#endif
