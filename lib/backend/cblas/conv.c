/* Convolution and its adjoint: rows of gathered pixels times a matrix of weights, block of pixels
 * by block of pixels. Kernels of one pixel multiply the map where it stands. */
#include <string.h>

#include "backend/cblas/gather.h"
#include "backend/cblas/pointwise.h"
#include "backend/cblas/taps.h"
#include "backend/cblas/winograd.h"
#include "core/status.h"

/* Gathered rows of one task share the second-level cache with the weights that pass by. */
#define BLOCK_FLOATS 65536u
#define MIN_PIXELS   48u
#define MAX_PIXELS   384u
/* Source channels whose taps one task brings into place, in floats of these taps. */
#define TAP_FLOATS 8192u
/* Tasks that a map is cut into when its blocks may be smaller than the cache allows. */
#define WANTED_TASKS 16u

typedef struct conv {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    beit__gather_t gather;
    beit__rhs_t weights;  /* (taps x C, N) */
    const float *bias;    /* times alpha, or NULL */
    float *target;        /* (B, height, width, N) */
    size_t height, width; /* of the target */
    size_t columns, n;
    size_t block;       /* pixels per task */
    float *rows, *taps; /* scratch of worker 0 */
    size_t rows_floats, tap_floats;
    bool transpose;
    bool in_place; /* the map itself is the left operand */
} conv_t;

static size_t block_pixels(size_t pixels, size_t columns)
{
    const size_t fits = beit__min(beit__max(BLOCK_FLOATS / columns, MIN_PIXELS), MAX_PIXELS);
    const size_t wanted = beit__max(beit__pieces(pixels, WANTED_TASKS), MIN_PIXELS);
    return beit__min(fits, wanted);
}

/* Rows of gathered pixels stand apart by no power of two. */
static size_t row_stride(size_t columns)
{
    return beit__line_floats(columns) + BEIT__LINE_FLOATS;
}

static size_t rows_floats(size_t columns)
{
    return beit__max(BLOCK_FLOATS + MIN_PIXELS * row_stride(columns), MAX_PIXELS * row_stride(1));
}

/* Source channels that one task of weights takes; all their taps, also those of other parities. */
static size_t tap_rows(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    const size_t one = (size_t)(a->kernel * a->kernel) * beit__taps_width(self);
    return beit__max(1, TAP_FLOATS / one);
}

static size_t tap_floats(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    return beit__max(TAP_FLOATS, (size_t)(a->kernel * a->kernel) * beit__taps_width(self));
}

/* Upper bound over all parities: with stride 1 it is met. */
static size_t conv_space(const beit__cblas_t *self, const beit_conv_args_t *a, size_t c, size_t n)
{
    const size_t columns = (size_t)(a->kernel * a->kernel) * c;
    const size_t scratch = rows_floats(columns) + tap_floats(self, a);
    return (beit__rhs_floats(self, columns, n) + beit__line_floats(n) + self->workers * scratch) *
           sizeof(float);
}

size_t beit__cblas_conv_forward_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    if (beit__pointwise_fits(self, a))
        return beit__pointwise_space(self, a);
    return beit__max(conv_space(self, a, (size_t)a->in_channels, (size_t)a->out_channels),
                     beit__winograd_fits(a) ? beit__winograd_space(self, a, false) : 0);
}

size_t beit__cblas_conv_transpose_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    if (beit__pointwise_fits(self, a))
        return beit__pointwise_space(self, a);
    return beit__max(conv_space(self, a, (size_t)a->out_channels, (size_t)a->in_channels),
                     beit__winograd_fits(a) ? beit__winograd_space(self, a, true) : 0);
}

/* A piece of the weights: rows in the order of the gathered pixels, (tap, channel). */
static void weights_task(void *arg, size_t index, unsigned worker)
{
    const conv_t *c = arg;
    const beit__gather_t *g = &c->gather;
    const size_t width = beit__taps_width(c->self), pieces = beit__pieces(c->n, width);
    const size_t kernel = (size_t)c->a->kernel;
    const beit__span_t columns = beit__span(c->n, width, index % pieces);
    const beit__span_t rows = beit__span(g->channels, tap_rows(c->self, c->a), index / pieces);
    float *taps = c->taps + worker * c->tap_floats;
    beit__taps_pack(c->self, c->a, c->transpose, rows, columns, taps);
    for (size_t jy = 0; jy < g->y.taps; jy++)
        for (size_t jx = 0; jx < g->x.taps; jx++) {
            const size_t tap = beit__axis_tap(&g->y, jy) * kernel + beit__axis_tap(&g->x, jx);
            const size_t first = (jy * g->x.taps + jx) * g->channels + rows.first;
            float *dst = beit__taps_target(c->self, &c->weights, first, columns.first);
            for (size_t r = 0; r < rows.end - rows.first; r++, dst += c->weights.ld)
                memcpy(dst, taps + (r * kernel * kernel + tap) * width,
                       (columns.end - columns.first) * sizeof *dst);
        }
}

static float *target_row(const conv_t *c, size_t pixel)
{
    const beit__axis_t *y = &c->gather.y, *x = &c->gather.x;
    const size_t line = pixel / x->count;
    const size_t row = y->first + y->every * (line % y->count);
    const size_t column = x->first + x->every * (pixel % x->count);
    return c->target + ((line / y->count * c->height + row) * c->width + column) * c->n;
}

/* Multiply rows of gathered pixels [first, end): as far as the target's rows are evenly spaced at
 * once, which is everywhere, or up to the end of a line. */
static void multiply(const conv_t *c, beit__span_t pixels, const float *rows, size_t ld)
{
    const size_t every = c->gather.x.every, line = c->gather.x.count;
    for (size_t p = pixels.first; p < pixels.end;) {
        const size_t end = every == 1 ? pixels.end : beit__min(pixels.end, (p / line + 1) * line);
        const beit__lhs_view_t lhs = {rows + (p - pixels.first) * ld, ld, BEIT__LHS_ROWS};
        beit__product(c->self, end - p, lhs, &c->weights,
                      (beit__result_t){.c = target_row(c, p),
                                       .ldc = every * c->n,
                                       .alpha = c->a->alpha,
                                       .beta = c->a->beta,
                                       .bias = c->bias,
                                       .relu = c->a->relu_output});
        p = end;
    }
}

static void conv_task(void *arg, size_t index, unsigned worker)
{
    const conv_t *c = arg;
    const beit__span_t pixels = beit__span(beit__gather_pixels(&c->gather), c->block, index);
    if (c->in_place) {
        multiply(c, pixels, c->gather.source + pixels.first * c->columns, c->columns);
        return;
    }
    float *rows = c->rows + worker * c->rows_floats;
    const size_t ld = row_stride(c->columns);
    beit__gather_rows(c->self, &c->gather, pixels, rows, ld);
    multiply(c, pixels, rows, ld);
}

/* One gather of `gather`; everything else is set. */
static beit_status_t run(conv_t *c)
{
    const size_t pixels = beit__gather_pixels(&c->gather);
    if (pixels == 0 || c->n == 0)
        return BEIT_OK;
    c->columns = beit__gather_columns(&c->gather);
    c->weights = beit__rhs(c->self, c->columns, c->n, c->a->op.workspace);
    const size_t pieces = beit__pieces(c->n, beit__taps_width(c->self)) *
                          beit__pieces(c->gather.channels, tap_rows(c->self, c->a));
    BEIT__TRY(beit__cblas_tasks(c->self, pieces, weights_task, c));
    c->block = block_pixels(pixels, beit__max(1, c->columns));
    if (c->gather.x.every > 1 && c->block > c->gather.x.count) /* whole lines */
        c->block -= c->block % c->gather.x.count;
    return beit__cblas_products(c->self, beit__pieces(pixels, c->block), conv_task, c);
}

/* Lay out the workspace: weights, bias, then rows and taps per worker. */
static conv_t conv_plan(const beit__cblas_t *self, const beit_conv_args_t *a, size_t c, size_t n)
{
    const size_t columns = (size_t)(a->kernel * a->kernel) * c;
    conv_t plan = {.self = self, .a = a, .n = n};
    float *bias = (float *)a->op.workspace + beit__rhs_floats(self, columns, n);
    if (a->bias) {
        self->k.affine(n, a->alpha, 0.0f, a->bias, bias);
        plan.bias = bias;
    }
    plan.rows_floats = rows_floats(columns);
    plan.tap_floats = tap_floats(self, a);
    plan.rows = bias + beit__line_floats(n);
    plan.taps = plan.rows + self->workers * plan.rows_floats;
    plan.in_place = a->kernel == 1 && a->stride == 1 && a->pad == 0;
    return plan;
}

beit_status_t beit__cblas_conv_forward(void *instance, const beit_conv_args_t *a)
{
    if (beit__pointwise_fits(instance, a))
        return beit__pointwise_conv(instance, a, false);
    if (beit__winograd_pays(a))
        return beit__winograd_conv(instance, a, false);
    conv_t c = conv_plan(instance, a, (size_t)a->in_channels, (size_t)a->out_channels);
    c.gather = beit__gather_forward(a);
    c.target = a->small;
    c.height = c.gather.y.count;
    c.width = c.gather.x.count;
    c.in_place &= !a->relu_input;
    return run(&c);
}

beit_status_t beit__cblas_conv_transpose(void *instance, const beit_conv_args_t *a)
{
    if (beit__pointwise_fits(instance, a))
        return beit__pointwise_conv(instance, a, true);
    if (beit__winograd_pays(a))
        return beit__winograd_conv(instance, a, true);
    conv_t c = conv_plan(instance, a, (size_t)a->out_channels, (size_t)a->in_channels);
    c.target = a->large;
    c.height = (size_t)a->height;
    c.width = (size_t)a->width;
    c.transpose = true;
    for (size_t py = 0; py < (size_t)a->stride; py++)
        for (size_t px = 0; px < (size_t)a->stride; px++) {
            c.gather = beit__gather_transpose(a, py, px);
            BEIT__TRY(run(&c));
        }
    return BEIT_OK;
}
