/* Convolutions as products: each pixel of the result becomes a row that holds the source pixels
 * under the kernel, tap after tap (zeros beyond the border), and weights become the right operand.
 * A transposed convolution of stride s is s x s ordinary ones, one per parity of the result's row
 * and column, each with the taps that reach that parity. */
#ifndef BEIT_BACKEND_CBLAS_GATHER_H
#define BEIT_BACKEND_CBLAS_GATHER_H

#include "backend/cblas/product.h"

/* One direction. Result i of `count` stands at first + every * i of the target map; its tap j reads
 * source position i * step + offset + j and uses row tap_first + tap_step * j of the kernel. */
typedef struct beit__axis {
    size_t count, source;
    size_t first, every;
    size_t step, taps;
    ptrdiff_t offset, tap_first, tap_step;
} beit__axis_t;

typedef struct beit__gather {
    const float *source; /* (B, y.source, x.source, C) */
    size_t batch, channels;
    beit__axis_t y, x;
    bool relu;
} beit__gather_t;

/* Extents of the smaller map. */
size_t beit__conv_small_height(const beit_conv_args_t *a);
size_t beit__conv_small_width(const beit_conv_args_t *a);

/* The convolution itself, from the larger map to the smaller. */
beit__gather_t beit__gather_forward(const beit_conv_args_t *a);
/* Its adjoint, for the parity (py, px) of the larger map; taps may be none. */
beit__gather_t beit__gather_transpose(const beit_conv_args_t *a, size_t py, size_t px);

static inline size_t beit__gather_pixels(const beit__gather_t *g)
{
    return g->batch * g->y.count * g->x.count;
}
static inline size_t beit__gather_columns(const beit__gather_t *g)
{
    return g->y.taps * g->x.taps * g->channels;
}

/* Row of the kernel that tap j uses. */
static inline size_t beit__axis_tap(const beit__axis_t *axis, size_t j)
{
    return (size_t)(axis->tap_first + axis->tap_step * (ptrdiff_t)j);
}

/* Rows of pixels [first, end), in (b,y,x) order, to dst with row stride ld. */
void beit__gather_rows(const beit__cblas_t *self, const beit__gather_t *g, beit__span_t pixels,
                       float *dst, size_t ld);

#endif
