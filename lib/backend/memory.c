/* Backend memory: the backend's own functions, or the context's allocator and memcpy. */
#include "backend/backend.h"

#include <string.h>

#include "backend/instance.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"

/* Zeroing goes through the fill operation, since nobody else can write there. */
static beit_status_t zero(beit__backend_t *backend, void *ptr, size_t bytes)
{
    const beit_fill_args_t args = {
        .op.struct_size = sizeof args, .count = (int64_t)(bytes / sizeof(float)), .x = ptr};
    beit__backend_enter(backend);
    return beit__backend_leave(backend, backend->ops.fill(backend->self, &args), "fill");
}

static beit_status_t alloc_from_backend(beit_context_t *ctx, size_t bytes, void **ptr)
{
    beit__backend_t *backend = ctx->backend;
    beit__backend_enter(backend);
    BEIT__TRY(beit__backend_leave(backend, backend->ops.alloc(backend->self, bytes, ptr), "alloc"));
    const beit_status_t status = zero(backend, *ptr, bytes);
    if (status != BEIT_OK) {
        beit__backend_enter(backend);
        backend->ops.free(backend->self, *ptr, bytes);
        beit__backend_leave(backend, BEIT_OK, "free");
        *ptr = NULL;
        return status;
    }
    beit__context_count(ctx, bytes, 1);
    return BEIT_OK;
}

/* Whole lines: free() finds the same size again. */
static size_t padded(size_t bytes)
{
    return (bytes + BEIT__ALIGN - 1) / BEIT__ALIGN * BEIT__ALIGN;
}

beit_status_t beit__backend_alloc(beit_context_t *ctx, size_t bytes, void **ptr)
{
    *ptr = NULL;
    if (bytes > SIZE_MAX - BEIT__ALIGN)
        return beit__fail(BEIT_E_NOMEM, "out of memory: %zu bytes exceed the address space", bytes);
    if (ctx->backend->ops.alloc)
        return alloc_from_backend(ctx, padded(bytes), ptr);
    *ptr = beit__calloc(ctx, 1, padded(bytes));
    return *ptr ? BEIT_OK : BEIT_E_NOMEM;
}

/* Calls still under way may use or produce what the host is about to free or read. */
static beit_status_t synchronize(beit__backend_t *backend)
{
    if (!backend->ops.synchronize)
        return BEIT_OK;
    beit__backend_enter(backend);
    return beit__backend_leave(backend, backend->ops.synchronize(backend->self), "synchronize");
}

void beit__backend_free(beit_context_t *ctx, void *ptr, size_t bytes)
{
    beit__backend_t *backend = ctx->backend;
    if (!ptr)
        return;
    if (!backend->ops.free) {
        beit__free(ctx, ptr, padded(bytes));
        return;
    }
    synchronize(backend);
    beit__backend_enter(backend);
    backend->ops.free(backend->self, ptr, padded(bytes));
    beit__backend_leave(backend, BEIT_OK, "free");
    beit__context_count(ctx, padded(bytes), -1);
}

typedef beit_status_t (*transfer_fn)(void *self, void *dst, const void *src, size_t bytes);

static beit_status_t transfer(beit__backend_t *backend, transfer_fn fn, void *dst, const void *src,
                              size_t bytes, const char *what)
{
    if (bytes == 0)
        return BEIT_OK;
    if (!fn) {
        BEIT__TRY(synchronize(backend));
        memmove(dst, src, bytes);
        return BEIT_OK;
    }
    beit__backend_enter(backend);
    return beit__backend_leave(backend, fn(backend->self, dst, src, bytes), what);
}

beit_status_t beit__upload(beit_context_t *ctx, void *dst, const void *src, size_t bytes)
{
    return transfer(ctx->backend, ctx->backend->ops.upload, dst, src, bytes, "upload");
}

beit_status_t beit__download(beit_context_t *ctx, void *dst, const void *src, size_t bytes)
{
    BEIT__TRY(synchronize(ctx->backend));
    return transfer(ctx->backend, ctx->backend->ops.download, dst, src, bytes, "download");
}

beit_status_t beit__copy(beit_context_t *ctx, void *dst, const void *src, size_t bytes)
{
    return transfer(ctx->backend, ctx->backend->ops.copy, dst, src, bytes, "copy");
}
