/* Both axes of a table, one after the other, in double. */
#include "model/resize.h"

#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

enum { SPECIAL_ROWS = 3 /* class to patch, patch to class, class to class */, CLASS_ROWS = 1 };

/* Everything that one call allocates. */
typedef struct work {
    beit__grid_t from, to; /* extents of the table's own grid */
    int64_t width;         /* values per place */
    double *rows, *cols;   /* (to.rows, from.rows), (to.cols, from.cols) */
    double *between;       /* (to.rows, from.cols, width) */
    double *axis;          /* 4 times the larger of the `from` extents: knots and scratch */
} work_t;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* No product of the extents that a model's configuration admits exceeds 63 bits. */
static size_t axis_count(const work_t *work)
{
    return (size_t)(4 * larger(work->from.rows, work->from.cols));
}

static size_t between_count(const work_t *work)
{
    return (size_t)(work->to.rows * work->from.cols * work->width);
}

static void release(beit_context_t *ctx, work_t *work)
{
    const size_t rows = (size_t)(work->to.rows * work->from.rows);
    const size_t cols = (size_t)(work->to.cols * work->from.cols);
    beit__free(ctx, work->rows, rows * sizeof(double));
    beit__free(ctx, work->cols, cols * sizeof(double));
    beit__free(ctx, work->between, between_count(work) * sizeof(double));
    beit__free(ctx, work->axis, axis_count(work) * sizeof(double));
}

static beit_status_t acquire(beit_context_t *ctx, work_t *work)
{
    work->rows = beit__calloc(ctx, (size_t)(work->to.rows * work->from.rows), sizeof(double));
    work->cols = beit__calloc(ctx, (size_t)(work->to.cols * work->from.cols), sizeof(double));
    work->between = beit__calloc(ctx, between_count(work), sizeof(double));
    work->axis = beit__calloc(ctx, axis_count(work), sizeof(double));
    if (work->rows && work->cols && work->between && work->axis)
        return BEIT_OK;
    release(ctx, work);
    return BEIT_E_NOMEM;
}

/* y (n) += factor * x (n) */
static void add_floats(double *y, double factor, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += factor * (double)x[i];
}

/* Rows of the grid first, into `between`, then columns. */
static void apply(const work_t *work, const float *src, float *dst)
{
    const int64_t line = work->from.cols * work->width, width = work->width;
    for (int64_t o = 0; o < work->to.rows; o++)
        for (int64_t i = 0; i < work->from.rows; i++)
            add_floats(work->between + o * line, work->rows[o * work->from.rows + i],
                       src + i * line, line);
    for (int64_t place = 0; place < work->to.rows * work->to.cols; place++) {
        const double *weights = work->cols + place % work->to.cols * work->from.cols;
        const double *values = work->between + place / work->to.cols * line;
        for (int64_t c = 0; c < width; c++) {
            double sum = 0;
            for (int64_t i = 0; i < work->from.cols; i++)
                sum += weights[i] * values[i * width + c];
            dst[place * width + c] = (float)sum;
        }
    }
}

/* Offsets along an axis of n patches run from -(n - 1) to n - 1. */
static int64_t offsets(int64_t patches)
{
    return 2 * patches - 1;
}

static void weigh_offsets(int32_t method, int64_t from, int64_t to, double *axis, double *weights)
{
    const int64_t knots = offsets(from);
    beit__geometric_axis(from, to, axis);
    if (method == BEIT_TABLE_LINEAR)
        beit__linear_weights(axis, knots, to - 1, weights);
    else
        beit__spline_weights(axis, knots, to - 1, axis + knots, weights);
}

beit_status_t beit__resize_relative(beit_context_t *ctx, int32_t method, beit__grid_t from,
                                    beit__grid_t to, int64_t heads, const float *src, float *dst)
{
    work_t work = {.from = {offsets(from.rows), offsets(from.cols)},
                   .to = {offsets(to.rows), offsets(to.cols)},
                   .width = heads};
    BEIT__TRY(acquire(ctx, &work));
    weigh_offsets(method, from.rows, to.rows, work.axis, work.rows);
    weigh_offsets(method, from.cols, to.cols, work.axis, work.cols);
    apply(&work, src, dst);
    memcpy(dst + work.to.rows * work.to.cols * heads, src + work.from.rows * work.from.cols * heads,
           (size_t)(SPECIAL_ROWS * heads) * sizeof *dst);
    release(ctx, &work);
    return BEIT_OK;
}

beit_status_t beit__resize_absolute(beit_context_t *ctx, beit__grid_t from, beit__grid_t to,
                                    int64_t width, const float *src, float *dst)
{
    work_t work = {.from = from, .to = to, .width = width};
    BEIT__TRY(acquire(ctx, &work));
    beit__bicubic_weights(from.rows, to.rows, work.rows);
    beit__bicubic_weights(from.cols, to.cols, work.cols);
    memcpy(dst, src, (size_t)(CLASS_ROWS * width) * sizeof *dst);
    apply(&work, src + CLASS_ROWS * width, dst + CLASS_ROWS * width);
    release(ctx, &work);
    return BEIT_OK;
}
