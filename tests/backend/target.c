/* See target.h. */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h" /* the list of operations */

/* ---- what the library lends ---- */

static void *lent_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void lent_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    free(ptr);
}

static const beit_allocator_t lent_allocator = {
    .struct_size = sizeof(beit_allocator_t), .alloc = lent_alloc, .free = lent_free};

static unsigned lent_workers(void *user)
{
    return ((const instance_t *)user)->workers;
}

/* One thread, but the order and the worker numbers of that many. */
static beit_status_t lent_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    const instance_t *instance = user;
    const unsigned workers = instance->workers;
    if (workers == 1)
        for (size_t i = 0; i < n; i++)
            fn(arg, i, 0);
    else if (workers == 3) /* backwards */
        for (size_t i = n; i-- > 0;)
            fn(arg, i, (unsigned)(i % workers));
    else /* each worker a stride */
        for (unsigned w = workers; w-- > 0;)
            for (size_t i = w; i < n; i += workers)
                fn(arg, i, w);
    return BEIT_OK;
}

static void lent_log(void *token, beit_log_level_t level, const char *line)
{
    (void)token, (void)level;
    fprintf(stderr, "%s\n", line);
}

static void lent_set_error(const char *message)
{
    fprintf(stderr, "%s\n", message);
}

bool open_instance(instance_t *instance, const beit_backend_ops_t *ops, unsigned workers,
                   const char *options)
{
    *instance = (instance_t){.ops = ops, .workers = workers};
    instance->executor = (beit_executor_t){.struct_size = sizeof(beit_executor_t),
                                           .user = instance,
                                           .workers = lent_workers,
                                           .parallel_for = lent_parallel_for};
    instance->host = (beit_backend_host_t){.struct_size = sizeof(beit_backend_host_t),
                                           .allocator = &lent_allocator,
                                           .executor = &instance->executor,
                                           .log = lent_log,
                                           .set_error = lent_set_error};
    if (!ops->open)
        return true;
    const beit_status_t status = ops->open(&instance->self, &instance->host, options);
    if (status != BEIT_OK)
        fprintf(stderr, "%s does not open with options \"%s\": %s; %s\n", ops->name,
                options ? options : "", beit_status_string(status), beit_last_error());
    return status == BEIT_OK;
}

void close_instance(instance_t *instance)
{
    if (instance->ops && instance->ops->close)
        instance->ops->close(instance->self);
}

/* ---- operations by number ---- */

#define CALL(op, args, ID)                                                                         \
    case BEIT_OP_##ID:                                                                             \
        return ops->op(self, (const beit_##args##_args_t *)a);

beit_status_t call_op(const beit_backend_ops_t *ops, void *self, beit_op_id_t id,
                      const beit_op_t *a)
{
    switch (id) {
        BEIT__OPS(CALL)
    default:
        return BEIT_E_UNSUPPORTED;
    }
}

#define NAME(op, args, ID) [BEIT_OP_##ID] = #op,
static const char *const names[BEIT_OP_COUNT] = {BEIT__OPS(NAME)};

const char *op_name(beit_op_id_t id)
{
    return names[id];
}

#define PRESENT(op, args, ID)                                                                      \
    case BEIT_OP_##ID:                                                                             \
        return ops->op != NULL;

bool has_op(const beit_backend_ops_t *ops, beit_op_id_t id)
{
    switch (id) {
        BEIT__OPS(PRESENT)
    default:
        return false;
    }
}

/* ---- memory ---- */

/* Backend memory where the backend has its own. */
unsigned char *block_alloc(const instance_t *instance, bool host, size_t bytes)
{
    void *block = NULL;
    if (host || !instance->ops->alloc)
        block = lent_alloc(NULL, bytes, 64);
    else if (instance->ops->alloc(instance->self, bytes, &block) != BEIT_OK)
        block = NULL;
    if (!block)
        abort();
    return block;
}

void block_free(const instance_t *instance, bool host, unsigned char *block, size_t bytes)
{
    if (host || !instance->ops->free)
        free(block);
    else
        instance->ops->free(instance->self, block, bytes);
}

void block_write(const instance_t *instance, bool host, unsigned char *block,
                 const unsigned char *from, size_t bytes)
{
    if (host || !instance->ops->upload)
        memcpy(block, from, bytes);
    else if (instance->ops->upload(instance->self, block, from, bytes) != BEIT_OK)
        abort();
}

void block_read(const instance_t *instance, bool host, unsigned char *to,
                const unsigned char *block, size_t bytes)
{
    if (host || !instance->ops->download)
        memcpy(to, block, bytes);
    else if (instance->ops->download(instance->self, to, block, bytes) != BEIT_OK)
        abort();
}
