/* Host memory through the context's allocator, counted. */
#ifndef BEIT_CORE_ALLOC_H
#define BEIT_CORE_ALLOC_H

#include <beit/base.h>
#include <stdbool.h>

#define BEIT__ALIGN 64u

/* All return NULL and record BEIT_E_NOMEM's line when they cannot. ctx may be NULL: C library. */
void *beit__alloc(beit_context_t *ctx, size_t bytes);               /* 64-byte aligned */
void *beit__calloc(beit_context_t *ctx, size_t count, size_t size); /* zeroed, overflow-checked */
void beit__free(beit_context_t *ctx, void *ptr, size_t bytes);      /* bytes as allocated */
char *beit__strdup(beit_context_t *ctx, const char *text);          /* free with strlen + 1 */

/* The same below the context, which does not exist yet or any more: uncounted. */
extern const beit_allocator_t beit__c_library;
void *beit__allocator_alloc(const beit_allocator_t *allocator, size_t bytes);
void beit__allocator_free(const beit_allocator_t *allocator, void *ptr, size_t bytes);

/* True on overflow. */
static inline bool beit__mul_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}
static inline bool beit__add_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out);
}

#endif
