/* Planned storage: the same code runs twice, first to measure, then to hand out addresses. */
#include "core/arena.h"

#include <assert.h>

#include "core/alloc.h"

void *beit__arena_take(beit__arena_t *arena, size_t count, size_t size)
{
    size_t bytes, end;
    if (beit__mul_overflow(count, size, &bytes) ||
        beit__add_overflow(bytes, BEIT__ALIGN - 1, &bytes) ||
        beit__add_overflow(arena->used, bytes / BEIT__ALIGN * BEIT__ALIGN, &end)) {
        arena->overflow = true;
        return NULL;
    }
    assert(!arena->base || end <= arena->size);
    void *place = arena->base ? arena->base + arena->used : NULL;
    arena->used = end;
    if (end > arena->peak)
        arena->peak = end;
    return place;
}
