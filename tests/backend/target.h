/* A backend as the conformance harness opens it: the host's part played by the harness, and
 * operations and memory behind functions that work for any backend. */
#ifndef TESTS_BACKEND_TARGET_H
#define TESTS_BACKEND_TARGET_H

#include <beit/backend.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct instance {
    const beit_backend_ops_t *ops;
    void *self;
    beit_executor_t executor; /* one thread that behaves like `workers` of them */
    beit_backend_host_t host;
    unsigned workers;
} instance_t;

bool open_instance(instance_t *instance, const beit_backend_ops_t *ops, unsigned workers,
                   const char *options);
void close_instance(instance_t *instance);

const char *op_name(beit_op_id_t id);
bool has_op(const beit_backend_ops_t *ops, beit_op_id_t id);
beit_status_t call_op(const beit_backend_ops_t *ops, void *self, beit_op_id_t id,
                      const beit_op_t *a);

/* Memory for arrays: the host's, or the backend's where it has its own. They do not fail. */
unsigned char *block_alloc(const instance_t *instance, bool host, size_t bytes);
void block_free(const instance_t *instance, bool host, unsigned char *block, size_t bytes);
void block_write(const instance_t *instance, bool host, unsigned char *block,
                 const unsigned char *from, size_t bytes);
void block_read(const instance_t *instance, bool host, unsigned char *to,
                const unsigned char *block, size_t bytes);

#endif
