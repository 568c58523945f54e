/* An opened backend: the completed table, the instance behind it, and the lock that keeps calls
 * into it apart. */
#ifndef BEIT_BACKEND_INSTANCE_H
#define BEIT_BACKEND_INSTANCE_H

#include "backend/backend.h"

#include <pthread.h>

struct beit__backend {
    beit_backend_ops_t ops; /* our copy: unknown tail cut, missing tail zero, NULL ops filled */
    void *self;
    beit_context_t *owner; /* whose allocator this record came from */
    beit_backend_host_t host;
    pthread_mutex_t lock;
    bool builtin;                       /* ours: its errors are worded already */
    bool from_reference[BEIT_OP_COUNT]; /* filled ops: their workspace is the reference's too */
};

/* Before a call into the backend, and after it: takes the lock; gives it back, and turns what the
 * backend returned into a status with a line, naming `what` when the backend left none. */
void beit__backend_enter(beit__backend_t *backend);
beit_status_t beit__backend_leave(beit__backend_t *backend, beit_status_t status, const char *what);

/* One log line about a finished operation. */
void beit__backend_trace(beit_context_t *ctx, beit_op_id_t id, const char *name,
                         const beit_op_t *args, double microseconds);

#endif
