/* Collecting the pixels under a kernel. */
#include "backend/cblas/gather.h"

#include <string.h>

static size_t small_extent(int64_t large, const beit_conv_args_t *a)
{
    return (size_t)((large + 2 * a->pad - a->kernel) / a->stride + 1);
}

size_t beit__conv_small_height(const beit_conv_args_t *a)
{
    return small_extent(a->height, a);
}

size_t beit__conv_small_width(const beit_conv_args_t *a)
{
    return small_extent(a->width, a);
}

static beit__axis_t axis_forward(int64_t large, const beit_conv_args_t *a)
{
    return (beit__axis_t){.count = small_extent(large, a),
                          .source = (size_t)large,
                          .every = 1,
                          .step = (size_t)a->stride,
                          .taps = (size_t)a->kernel,
                          .offset = -(ptrdiff_t)a->pad,
                          .tap_step = 1};
}

/* Position Y takes from y where Y = y stride + k - pad: k = (Y + pad) mod stride, + stride, ... The
 * last of these reads the lowest y, so taps are counted from it. */
static beit__axis_t axis_transpose(int64_t large, const beit_conv_args_t *a, size_t parity)
{
    const size_t s = (size_t)a->stride, kernel = (size_t)a->kernel;
    const size_t shifted = parity + (size_t)a->pad, tap = shifted % s;
    const size_t taps = kernel > tap ? beit__pieces(kernel - tap, s) : 0;
    return (beit__axis_t){.count =
                              (size_t)large > parity ? beit__pieces((size_t)large - parity, s) : 0,
                          .source = small_extent(large, a),
                          .first = parity,
                          .every = s,
                          .step = 1,
                          .taps = taps,
                          .offset = (ptrdiff_t)(shifted / s) - (ptrdiff_t)taps + 1,
                          .tap_first = (ptrdiff_t)(tap + s * taps) - (ptrdiff_t)s,
                          .tap_step = -(ptrdiff_t)s};
}

beit__gather_t beit__gather_forward(const beit_conv_args_t *a)
{
    return (beit__gather_t){.source = a->large,
                            .batch = (size_t)a->batch,
                            .channels = (size_t)a->in_channels,
                            .y = axis_forward(a->height, a),
                            .x = axis_forward(a->width, a),
                            .relu = a->relu_input};
}

beit__gather_t beit__gather_transpose(const beit_conv_args_t *a, size_t py, size_t px)
{
    return (beit__gather_t){.source = a->small,
                            .batch = (size_t)a->batch,
                            .channels = (size_t)a->out_channels,
                            .y = axis_transpose(a->height, a, py),
                            .x = axis_transpose(a->width, a, px)};
}

static void copy(const beit__cblas_t *self, bool relu, size_t n, const float *x, float *y)
{
    if (relu)
        self->k.relu(n, x, y);
    else
        memcpy(y, x, n * sizeof *y);
}

/* The taps of one kernel row at one pixel, the first at position x; row is NULL when it lies beyond
 * the border. */
static void gather_taps(const beit__cblas_t *self, const beit__gather_t *g, const float *row,
                        ptrdiff_t x, float *dst)
{
    const size_t C = g->channels, taps = g->x.taps;
    const ptrdiff_t source = (ptrdiff_t)g->x.source;
    if (!row) {
        memset(dst, 0, taps * C * sizeof *dst);
    } else if (x >= 0 && x + (ptrdiff_t)taps <= source) {
        copy(self, g->relu, taps * C, row + (size_t)x * C, dst);
    } else {
        for (size_t j = 0; j < taps; j++, x++, dst += C) {
            if (x >= 0 && x < source)
                copy(self, g->relu, C, row + (size_t)x * C, dst);
            else
                memset(dst, 0, C * sizeof *dst);
        }
    }
}

void beit__gather_rows(const beit__cblas_t *self, const beit__gather_t *g, beit__span_t pixels,
                       float *dst, size_t ld)
{
    const size_t C = g->channels, width = g->x.source;
    for (size_t p = pixels.first; p < pixels.end; p++, dst += ld) {
        const size_t x = p % g->x.count, line = p / g->x.count;
        const size_t y = line % g->y.count, image = line / g->y.count;
        const ptrdiff_t sx = (ptrdiff_t)(x * g->x.step) + g->x.offset;
        ptrdiff_t sy = (ptrdiff_t)(y * g->y.step) + g->y.offset;
        float *at = dst;
        for (size_t j = 0; j < g->y.taps; j++, sy++, at += g->x.taps * C) {
            const bool inside = sy >= 0 && sy < (ptrdiff_t)g->y.source;
            const float *row =
                inside ? g->source + (image * g->y.source + (size_t)sy) * width * C : NULL;
            gather_taps(self, g, row, sx, at);
        }
    }
}
