/* Planned storage: one block, laid out by running the same code twice. The first run measures
 * (base NULL: take returns NULL and only counts), then the block is allocated, then the second
 * run hands out addresses. */
#ifndef BEIT_CORE_ARENA_H
#define BEIT_CORE_ARENA_H

#include <beit/base.h>
#include <stdbool.h>

typedef struct beit__arena {
    unsigned char *base; /* NULL while measuring */
    size_t size;         /* of the block */
    size_t used;         /* so far */
    size_t peak;         /* largest `used`, for arenas that are rewound */
    bool overflow;       /* a size did not fit size_t */
} beit__arena_t;

/* `count` elements of `size` bytes, 64-byte aligned; NULL while measuring. */
void *beit__arena_take(beit__arena_t *arena, size_t count, size_t size);

/* Scratch discipline: remember `used`, take, then rewind. */
static inline size_t beit__arena_mark(const beit__arena_t *arena)
{
    return arena->used;
}
static inline void beit__arena_rewind(beit__arena_t *arena, size_t mark)
{
    arena->used = mark;
}

#endif
