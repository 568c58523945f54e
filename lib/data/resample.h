/* Pillow's antialiased resize of packed RGB bytes, one row in and one row out at a time, so that
 * a caller may make input rows on the fly and use output rows at once. */
#ifndef BEIT_DATA_RESAMPLE_H
#define BEIT_DATA_RESAMPLE_H

#include <beit/image.h>

#include "core/arena.h"

/* One output index reads inputs first .. first+count-1. */
typedef struct beit__window {
    int32_t first, count;
} beit__window_t;

/* The weights of one direction. */
typedef struct beit__resample_axis {
    int32_t in, out; /* extents; when equal, the pass is a copy */
    int32_t taps;    /* largest count, row length of weights */
    int32_t reserved;
    beit__window_t *windows; /* (out) */
    int32_t *weights;        /* (out,taps), fixed point */
} beit__resample_axis_t;

typedef struct beit__resample {
    beit__resample_axis_t x, y;
    uint8_t *rows; /* (y.in,x.out,3): what the horizontal pass made */
    int32_t *sums; /* (x.out,3): one row of the vertical pass */
} beit__resample_t;

/* Lay a resize of (in_height,in_width) to (out_height,out_width) out in an arena; while it is not
 * measuring, also compute the weights. */
void beit__resample_plan(beit__resample_t *plan, beit__arena_t *arena, beit_filter_t filter,
                         const int32_t in[2], const int32_t out[2]); /* height, width */

/* Horizontal pass of input row y. */
void beit__resample_push(const beit__resample_t *plan, int32_t y,
                         const uint8_t *restrict line); /* (x.in,3) */

/* Vertical pass for output row y, after all input rows were pushed. */
void beit__resample_pull(const beit__resample_t *plan, int32_t y,
                         uint8_t *restrict line); /* (x.out,3) */

#endif
