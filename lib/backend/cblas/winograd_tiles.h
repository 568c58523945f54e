/* Where the tiles of a map lie. Tiles are counted over images, rows and columns. */
#ifndef BEIT_BACKEND_CBLAS_WINOGRAD_TILES_H
#define BEIT_BACKEND_CBLAS_WINOGRAD_TILES_H

#include "backend/cblas/cblas.h"

typedef struct beit__tiles {
    size_t height, width, down, across, count;
} beit__tiles_t;

static inline beit__tiles_t beit__tiles(size_t batch, size_t height, size_t width)
{
    const size_t down = beit__pieces(height, BEIT__TILE), across = beit__pieces(width, BEIT__TILE);
    return (beit__tiles_t){height, width, down, across, batch * down * across};
}

/* What a tile reads or writes: a square of pixels. */
enum { BEIT__OUTSIDE = -1 };

/* Offsets in the map, (B,H,W,channels), of the square of `side` that starts `before` pixels up and
 * left of a tile's corner; BEIT__OUTSIDE beyond the border. */
static inline void beit__tile_offsets(const beit__tiles_t *t, size_t tile, size_t channels,
                                      size_t before, size_t side, ptrdiff_t *offsets)
{
    const size_t line = tile / t->across, image = line / t->down;
    const size_t y0 = line % t->down * BEIT__TILE, x0 = tile % t->across * BEIT__TILE;
    for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j < side; j++) {
            const size_t y = y0 + i - before, x = x0 + j - before; /* wrap below zero */
            const size_t pixel = (image * t->height + y) * t->width + x;
            const bool inside = y < t->height && x < t->width;
            offsets[i * side + j] = inside ? (ptrdiff_t)(pixel * channels) : BEIT__OUTSIDE;
        }
}

/* The same as pointers to be read; `border` stands for every pixel beyond the border. */
static inline void beit__tile_pixels(const beit__tiles_t *t, size_t tile, size_t channels,
                                     size_t before, size_t side, const float *map,
                                     const float *border, const float **pixels)
{
    ptrdiff_t offsets[BEIT__POINTS];
    beit__tile_offsets(t, tile, channels, before, side, offsets);
    for (size_t i = 0; i < side * side; i++)
        pixels[i] = offsets[i] == BEIT__OUTSIDE ? border : map + offsets[i];
}

/* Floats between the pixels of a transformed plane: no power of two, so that they do not meet in
 * one cache set, and enough that a whole panel can be read. */
static inline size_t beit__plane_stride(size_t channels)
{
    return beit__line_floats(channels) + BEIT__LINE_FLOATS;
}

#endif
