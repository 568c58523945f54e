/* Many small pieces that are freed together, in blocks of the context's memory. Whoever reads a
 * hostile file sets the limit, so that no file can ask for more than that. */
#ifndef BEIT_IO_PIECES_H
#define BEIT_IO_PIECES_H

#include <beit/base.h>

typedef struct beit__pieces {
    beit_context_t *ctx; /* borrowed */
    struct beit__pieces_block *blocks;
    const char *owner;    /* borrowed, begins the message: the file that is read */
    size_t bytes, limit;  /* handed out so far, and at most */
    beit_status_t status; /* why beit__pieces_take() returned NULL */
} beit__pieces_t;

/* `bytes` of zeroed memory, aligned for any scalar. NULL when there is no memory (BEIT_E_NOMEM) or
 * beyond the limit (BEIT_E_FORMAT); the line is recorded, return pieces->status. */
void *beit__pieces_take(beit__pieces_t *pieces, size_t bytes);

/* A copy of n bytes, with a terminator. */
char *beit__pieces_text(beit__pieces_t *pieces, const char *text, size_t n);

void beit__pieces_free(beit__pieces_t *pieces);

#endif
