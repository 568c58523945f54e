/* Opening a backend: its table is checked once, copied, and completed with reference operations
 * where its memory is the host's. After that nothing above asks what a backend has or lacks. */
#include "backend/backend.h"

#include <stddef.h>
#include <string.h>

#include "backend/instance.h"
#include "backend/reference/reference.h"
#include "core/abi.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/log.h"
#include "core/status.h"

#define KNOWN_FLAGS (BEIT_BACKEND_HOST_MEMORY | BEIT_BACKEND_DETERMINISTIC)

#ifdef BEIT_HAVE_CBLAS
extern const beit_backend_ops_t beit__cblas_ops;
#endif

/* The default comes first. */
static const beit_backend_ops_t *const builtin[] = {
#ifdef BEIT_HAVE_CBLAS
    &beit__cblas_ops,
#endif
    &beit__reference_ops,
};

const beit_backend_ops_t *beit_backend_builtin(const char *name)
{
    for (size_t i = 0; name && i < sizeof builtin / sizeof *builtin; i++)
        if (!strcmp(builtin[i]->name, name))
            return builtin[i];
    return NULL;
}

/* ---- the table ---- */

static beit_status_t copy_table(beit_backend_ops_t *ours, const beit_backend_ops_t *theirs)
{
    /* A table may end anywhere behind the fixed head: what follows are operations. */
    const size_t shortest = offsetof(beit_backend_ops_t, gemm);
    BEIT__TRY(beit__abi_in(ours, sizeof *ours, shortest, theirs, "backend table"));
    if (ours->abi != BEIT_BACKEND_ABI)
        return beit__fail(BEIT_E_ABI, "backend table: abi is %u, expected %u", ours->abi,
                          BEIT_BACKEND_ABI);
    if (!ours->name || !ours->name[0])
        return beit__fail(BEIT_E_ARGUMENT, "backend table: name is %s",
                          ours->name ? "empty" : "NULL");
    if (ours->flags & ~KNOWN_FLAGS)
        return beit__fail(BEIT_E_ARGUMENT, "backend %s: flags are 0x%x, known are 0x%x", ours->name,
                          ours->flags, KNOWN_FLAGS);
    if (!ours->alloc != !ours->free)
        return beit__fail(BEIT_E_ARGUMENT,
                          "backend %s: %s is NULL, expected both alloc and free or neither",
                          ours->name, ours->alloc ? "free" : "alloc");
    return BEIT_OK;
}

#define NAME_MISSING(name)                                                                         \
    if (!ops->name)                                                                                \
        return #name;
#define NAME_MISSING_OP(name, args, ID) NAME_MISSING(name)

/* What a backend with memory of its own cannot do without. */
static const char *missing_on_device(const beit_backend_ops_t *ops)
{
    NAME_MISSING(alloc)
    NAME_MISSING(free)
    NAME_MISSING(upload)
    NAME_MISSING(download)
    NAME_MISSING(copy)
    BEIT__OPS(NAME_MISSING_OP)
    return NULL;
}

#define LEND_OP(op, args, ID)                                                                      \
    if (!backend->ops.op) {                                                                        \
        backend->ops.op = beit__reference_ops.op;                                                  \
        backend->from_reference[BEIT_OP_##ID] = true;                                              \
    }

static beit_status_t complete(beit__backend_t *backend)
{
    if (backend->ops.flags & BEIT_BACKEND_HOST_MEMORY) {
        BEIT__OPS(LEND_OP)
        return BEIT_OK;
    }
    const char *missing = missing_on_device(&backend->ops);
    if (missing)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "backend %s: %s is NULL, and its memory is not the host's, so that "
                          "nothing can stand in",
                          backend->ops.name, missing);
    return BEIT_OK;
}

/* ---- what the library lends ---- */

/* Whether the backend said what was wrong in the call that this thread is in. */
static _Thread_local bool reported;

static void host_set_error(const char *message)
{
    reported = true;
    beit__set_error(message);
}

static void host_log(void *token, beit_log_level_t level, const char *line)
{
    beit__log(token, level, "%s", line);
}

void beit__backend_enter(beit__backend_t *backend)
{
    pthread_mutex_lock(&backend->lock);
    reported = false;
}

static beit_status_t settle(const beit__backend_t *backend, beit_status_t status, const char *what)
{
    if (status == BEIT_OK || reported || backend->builtin)
        return status > 0 ? BEIT_E_BACKEND : status;
    if (status > 0 || status < BEIT_E_ABI)
        return beit__fail(BEIT_E_BACKEND, "backend %s: %s returned %d, which is no status",
                          backend->ops.name, what, (int)status);
    return beit__fail(status, "backend %s: %s failed: %s", backend->ops.name, what,
                      beit_status_string(status));
}

beit_status_t beit__backend_leave(beit__backend_t *backend, beit_status_t status, const char *what)
{
    pthread_mutex_unlock(&backend->lock);
    return settle(backend, status, what);
}

/* ---- life ---- */

static beit_status_t open_instance(beit__backend_t *backend, const char *options)
{
    if (!backend->ops.open) {
        if (options && options[0])
            return beit__fail(BEIT_E_ARGUMENT, "backend %s takes no options, but was given \"%s\"",
                              backend->ops.name, options);
        return BEIT_OK;
    }
    reported = false;
    return settle(backend, backend->ops.open(&backend->self, &backend->host, options), "open");
}

beit_status_t beit__backend_open(beit__backend_t **out, beit_context_t *ctx,
                                 const beit_backend_ops_t *ops, const char *options)
{
    *out = NULL;
    beit__backend_t *backend = beit__calloc(ctx, 1, sizeof *backend);
    if (!backend)
        return BEIT_E_NOMEM;
    backend->host = (beit_backend_host_t){.struct_size = sizeof backend->host,
                                          .allocator = &ctx->allocator,
                                          .executor = &ctx->executor,
                                          .log = host_log,
                                          .log_token = ctx,
                                          .set_error = host_set_error};
    backend->owner = ctx;
    if (!ops)
        ops = builtin[0];
    beit_status_t status;
    BEIT__TRY_GOTO(copy_table(&backend->ops, ops));
    backend->builtin = ops == beit_backend_builtin(backend->ops.name);
    BEIT__TRY_GOTO(complete(backend));
    if (pthread_mutex_init(&backend->lock, NULL)) {
        status =
            beit__fail(BEIT_E_NOMEM, "out of memory: no lock for backend %s", backend->ops.name);
        goto fail;
    }
    status = open_instance(backend, options);
    if (status != BEIT_OK) {
        pthread_mutex_destroy(&backend->lock);
        goto fail;
    }
    *out = backend;
    return BEIT_OK;
fail:
    beit__free(ctx, backend, sizeof *backend);
    return status;
}

void beit__backend_close(beit__backend_t *backend)
{
    if (!backend)
        return;
    if (backend->ops.close)
        backend->ops.close(backend->self);
    pthread_mutex_destroy(&backend->lock);
    beit__free(backend->owner, backend, sizeof *backend);
}

const char *beit__backend_name(const beit__backend_t *backend)
{
    return backend->ops.name;
}

const char *beit__backend_describe(const beit__backend_t *backend)
{
    const char *text = backend->ops.describe ? backend->ops.describe(backend->self) : NULL;
    return text ? text : "";
}

bool beit__backend_on_host(const beit__backend_t *backend)
{
    return backend->ops.flags & BEIT_BACKEND_HOST_MEMORY;
}
