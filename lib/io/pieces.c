/* A chain of blocks, of which the newest is filled from its start. A piece that does not fit begins
 * a new block, which is as large as the piece where that is larger than usual. */
#include "io/pieces.h"

#include <stddef.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

#define BLOCK_BYTES ((size_t)16384)
#define ALIGNMENT   _Alignof(max_align_t)

typedef struct beit__pieces_block {
    struct beit__pieces_block *older;
    size_t size, used; /* of the bytes that follow */
    _Alignas(max_align_t) unsigned char bytes[];
} block_t;

static block_t *add_block(beit__pieces_t *pieces, size_t least)
{
    const size_t size = least > BLOCK_BYTES ? least : BLOCK_BYTES;
    block_t *block = beit__alloc(pieces->ctx, sizeof *block + size);
    if (!block)
        return NULL;
    *block = (block_t){.older = pieces->blocks, .size = size};
    pieces->blocks = block;
    return block;
}

void *beit__pieces_take(beit__pieces_t *pieces, size_t bytes)
{
    if (bytes > pieces->limit - pieces->bytes) {
        pieces->status = beit__fail(BEIT_E_FORMAT,
                                    "%s: its objects take more than %zu MiB, which no file of "
                                    "weights needs",
                                    pieces->owner, pieces->limit >> 20);
        return NULL;
    }
    const size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; /* the limit is far away */
    block_t *block = pieces->blocks;
    if (!block || size > block->size - block->used)
        block = add_block(pieces, size);
    if (!block) {
        pieces->status = BEIT_E_NOMEM;
        return NULL;
    }
    void *piece = block->bytes + block->used;
    block->used += size;
    pieces->bytes += bytes;
    return memset(piece, 0, size);
}

char *beit__pieces_text(beit__pieces_t *pieces, const char *text, size_t n)
{
    char *copy = beit__pieces_take(pieces, n + 1);
    return copy ? memcpy(copy, text, n) : NULL;
}

void beit__pieces_free(beit__pieces_t *pieces)
{
    while (pieces->blocks) {
        block_t *block = pieces->blocks;
        pieces->blocks = block->older;
        beit__free(pieces->ctx, block, sizeof *block + block->size);
    }
    pieces->bytes = 0;
}
