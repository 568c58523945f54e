/* Calling operations: one path for all of them, which plans, checks the workspace, keeps calls
 * apart, and traces. */
#include "backend/backend.h"

#include <assert.h>
#include <time.h>

#include "backend/instance.h"
#include "backend/reference/reference.h"
#include "core/context.h"
#include "core/status.h"

/* Operations behind one signature, so that they can stand in a table. */
#define DEFINE_INVOKE(name, args, ID)                                                              \
    static beit_status_t invoke_##name(const beit__backend_t *backend, const beit_op_t *a)         \
    {                                                                                              \
        return backend->ops.name(backend->self, (const beit_##args##_args_t *)a);                  \
    }
BEIT__OPS(DEFINE_INVOKE)

typedef struct operation {
    const char *name;
    beit_status_t (*invoke)(const beit__backend_t *backend, const beit_op_t *args);
} operation_t;

#define OPERATION(name, args, ID) [BEIT_OP_##ID] = {#name, invoke_##name},
static const operation_t operations[BEIT_OP_COUNT] = {BEIT__OPS(OPERATION)};

static size_t wanted_workspace(const beit__backend_t *backend, beit_op_id_t id,
                               const beit_op_t *args)
{
    if (backend->from_reference[id])
        return beit__reference_ops.workspace(NULL, id, args);
    return backend->ops.workspace ? backend->ops.workspace(backend->self, id, args) : 0;
}

static double microseconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e6 +
           (double)(now.tv_nsec - start->tv_nsec) * 1e-3;
}

static beit_status_t plan(beit__run_t *run, beit_op_id_t id, const beit_op_t *args)
{
    beit__backend_t *backend = run->ctx->backend;
    assert(!run->workspace); /* workspace_bytes is the maximum now, not the size of a block */
    beit__backend_enter(backend);
    const size_t bytes = wanted_workspace(backend, id, args);
    if (bytes > run->workspace_bytes)
        run->workspace_bytes = bytes;
    return beit__backend_leave(backend, BEIT_OK, operations[id].name);
}

static beit_status_t perform(const beit__backend_t *backend, beit_op_id_t id, const beit_op_t *args)
{
    /* A lent operation reads at once what the backend's own may still be writing. */
    if (backend->from_reference[id] && backend->ops.synchronize)
        BEIT__TRY(backend->ops.synchronize(backend->self));
    return operations[id].invoke(backend, args);
}

static beit_status_t execute(beit__run_t *run, beit_op_id_t id, beit_op_t *args)
{
    beit__backend_t *backend = run->ctx->backend;
    const bool traced = run->ctx->log && run->ctx->log_level >= BEIT_LOG_TRACE;
    struct timespec start = {0};
    if (traced)
        clock_gettime(CLOCK_MONOTONIC, &start);
    args->workspace = run->workspace;
    args->workspace_bytes = run->workspace_bytes;
    beit__backend_enter(backend);
    const size_t wanted = wanted_workspace(backend, id, args);
    const bool fits = wanted <= run->workspace_bytes;
    const beit_status_t status = fits ? perform(backend, id, args) : BEIT_OK;
    BEIT__TRY(beit__backend_leave(backend, status, operations[id].name));
    if (!fits)
        return beit__fail(BEIT_E_STATE,
                          "internal error: %s needs %zu bytes of workspace, planned "
                          "were %zu",
                          operations[id].name, wanted, run->workspace_bytes);
    if (traced)
        beit__backend_trace(run->ctx, id, operations[id].name, args, microseconds_since(&start));
    return BEIT_OK;
}

#define DEFINE_OP(name, args, ID)                                                                  \
    beit_status_t beit__##name(beit__run_t *run, beit_##args##_args_t *a)                          \
    {                                                                                              \
        a->op.struct_size = sizeof *a;                                                             \
        return run->planning ? plan(run, BEIT_OP_##ID, &a->op)                                     \
                             : execute(run, BEIT_OP_##ID, &a->op);                                 \
    }
BEIT__OPS(DEFINE_OP)

beit_status_t beit__run_commit(beit__run_t *run, size_t planned_bytes)
{
    const size_t present = run->workspace ? run->workspace_bytes : 0;
    if (planned_bytes > present) {
        void *workspace;
        BEIT__TRY(beit__backend_alloc(run->ctx, planned_bytes, &workspace));
        beit__backend_free(run->ctx, run->workspace, present);
        run->workspace = workspace;
        run->workspace_bytes = planned_bytes;
    }
    run->planning = false;
    return BEIT_OK;
}

void beit__run_release(beit__run_t *run)
{
    if (run->workspace)
        beit__backend_free(run->ctx, run->workspace, run->workspace_bytes);
    run->workspace = NULL;
    run->workspace_bytes = 0;
}
