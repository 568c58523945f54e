/* Host memory: the context's allocator, or the C library's where there is no context. What is
 * handed out is counted per context by the size that was asked for. */
#include "core/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/context.h"
#include "core/status.h"

static void *c_library_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    size_t padded; /* aligned_alloc wants a multiple of the alignment */
    if (beit__add_overflow(size, align - 1, &padded))
        return NULL;
    return aligned_alloc(align, padded / align * align);
}

static void c_library_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    free(ptr);
}

const beit_allocator_t beit__c_library = {
    .struct_size = sizeof(beit_allocator_t),
    .alloc = c_library_alloc,
    .free = c_library_free,
};

/* Hosts never see a size of zero, whose meaning differs between allocators. */
static size_t at_least_one(size_t bytes)
{
    return bytes ? bytes : 1;
}

void *beit__allocator_alloc(const beit_allocator_t *allocator, size_t bytes)
{
    const size_t size = at_least_one(bytes);
    void *ptr = allocator->alloc(allocator->user, size, BEIT__ALIGN);
    if (ptr && (uintptr_t)ptr % BEIT__ALIGN) {
        allocator->free(allocator->user, ptr, size, BEIT__ALIGN);
        beit__fail(BEIT_E_NOMEM, "the allocator returned %p, which is not aligned to %u bytes", ptr,
                   BEIT__ALIGN);
        return NULL;
    }
    if (!ptr)
        beit__fail(BEIT_E_NOMEM, "out of memory: %zu bytes were refused", bytes);
    return ptr;
}

void beit__allocator_free(const beit_allocator_t *allocator, void *ptr, size_t bytes)
{
    if (ptr)
        allocator->free(allocator->user, ptr, at_least_one(bytes), BEIT__ALIGN);
}

void beit__context_count(beit_context_t *ctx, size_t bytes, int sign)
{
    if (sign < 0) {
        atomic_fetch_sub(&ctx->bytes_now, bytes);
        return;
    }
    const size_t now = atomic_fetch_add(&ctx->bytes_now, bytes) + bytes;
    size_t peak = atomic_load(&ctx->bytes_peak);
    while (peak < now && !atomic_compare_exchange_weak(&ctx->bytes_peak, &peak, now))
        continue;
}

static const beit_allocator_t *allocator_of(const beit_context_t *ctx)
{
    return ctx ? &ctx->allocator : &beit__c_library;
}

void *beit__alloc(beit_context_t *ctx, size_t bytes)
{
    void *ptr = beit__allocator_alloc(allocator_of(ctx), bytes);
    if (ptr && ctx)
        beit__context_count(ctx, bytes, 1);
    return ptr;
}

void *beit__calloc(beit_context_t *ctx, size_t count, size_t size)
{
    size_t bytes;
    if (beit__mul_overflow(count, size, &bytes)) {
        beit__fail(BEIT_E_NOMEM, "out of memory: %zu x %zu bytes exceed the address space", count,
                   size);
        return NULL;
    }
    void *ptr = beit__alloc(ctx, bytes);
    if (ptr)
        memset(ptr, 0, bytes);
    return ptr;
}

void beit__free(beit_context_t *ctx, void *ptr, size_t bytes)
{
    if (!ptr)
        return;
    beit__allocator_free(allocator_of(ctx), ptr, bytes);
    if (ctx)
        beit__context_count(ctx, bytes, -1);
}

char *beit__strdup(beit_context_t *ctx, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = beit__alloc(ctx, bytes);
    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}
