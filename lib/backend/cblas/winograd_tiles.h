/* Where the tiles of a map lie. Tiles are counted over images, rows and columns. */
#ifndef BEIT_BACKEND_CBLAS_WINOGRAD_TILES_H
#define BEIT_BACKEND_CBLAS_WINOGRAD_TILES_H

#include "backend/cblas/cblas.h"
#include <stdint.h>

typedef struct beit__tiles {
    size_t height, width, down, across, count;
} beit__tiles_t;

static inline beit__tiles_t beit__tiles(size_t batch, size_t height, size_t width)
{
    const size_t down = beit__pieces(height, BEIT__TILE), across = beit__pieces(width, BEIT__TILE);
    return (beit__tiles_t){height, width, down, across, batch * down * across};
}

/* Stands for a pixel beyond the border. */
#define BEIT__OUTSIDE PTRDIFF_MIN

/* Offsets in a map, (B,H,W,channels), of the square of pixels that starts `before` pixels up and
 * left of a tile's corner. */
static inline void beit__tile_offsets(const beit__tiles_t *t, size_t tile, size_t channels,
                                      const size_t before, const size_t side, ptrdiff_t *offsets)
{
    const size_t line = tile / t->across, image = line / t->down;
    const size_t y0 = line % t->down * BEIT__TILE, x0 = tile % t->across * BEIT__TILE;
    const ptrdiff_t step = (ptrdiff_t)channels;
    const ptrdiff_t corner =
        (ptrdiff_t)((image * t->height + y0) * t->width + x0 - before * t->width - before) * step;
    for (size_t i = 0; i < side; i++) {
        const bool row_inside = y0 + i - before < t->height; /* wraps below zero */
        for (size_t j = 0; j < side; j++) {
            const bool inside = row_inside && x0 + j - before < t->width;
            const ptrdiff_t offset = corner + (ptrdiff_t)(i * t->width + j) * step;
            offsets[i * side + j] = inside ? offset : BEIT__OUTSIDE;
        }
    }
}

/* The same as pointers to be read; `border` stands for every pixel beyond the border. */
static inline void beit__tile_pixels(const beit__tiles_t *t, size_t tile, size_t channels,
                                     const size_t before, const size_t side, const float *map,
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
