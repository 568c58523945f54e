/* Position tables for another grid of patches: specification, section 12. Every method is linear
 * and works on the two axes apart, so each is a matrix per axis, (to, from) in row-major order. */
#ifndef BEIT_MODEL_RESIZE_H
#define BEIT_MODEL_RESIZE_H

#include <beit/model.h>

typedef struct beit__grid {
    int64_t rows, cols; /* patches */
} beit__grid_t;

/* Relative table ((2 rows-1)(2 cols-1) + 3, heads); `method` is a beit_table_resize_t. */
beit_status_t beit__resize_relative(beit_context_t *ctx, int32_t method, beit__grid_t from,
                                    beit__grid_t to, int64_t heads, const float *src, float *dst);
/* Absolute positions (1 + rows cols, width), bicubic. */
beit_status_t beit__resize_absolute(beit_context_t *ctx, beit__grid_t from, beit__grid_t to,
                                    int64_t width, const float *src, float *dst);

/* resize_axis.c: coordinates of 2n-1 offsets that a table of `from` patches along an axis has, laid
 * out over those of `to` patches: the distance grows geometrically with the offset. */
void beit__geometric_axis(int64_t from, int64_t to, double *coordinates);
double beit__geometric_ratio(int64_t from, int64_t to);

/* resize_weights.c: matrices for values at `knots` (n, increasing), wanted at -reach .. reach in
 * steps of 1, clamped to the knots. `scratch` has 3 n doubles. */
void beit__spline_weights(const double *knots, int64_t n, int64_t reach, double *scratch,
                          double *weights);
void beit__linear_weights(const double *knots, int64_t n, int64_t reach, double *weights);
/* Bicubic with a = -0.75, pixel centres, edges repeated, no smoothing. */
void beit__bicubic_weights(int64_t from, int64_t to, double *weights);

#endif
