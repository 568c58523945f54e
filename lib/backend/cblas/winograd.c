/* Winograd's convolution and its adjoint, which is the same with taps reversed and channel roles
 * exchanged. Weights are transformed first, panel by panel; then each task takes a block of tiles
 * through all three steps, so that the transformed planes never leave the cache. */
#include "backend/cblas/winograd.h"

#include <string.h>

#include "backend/cblas/product.h"
#include "backend/cblas/winograd_tiles.h"
#include "core/status.h"

/* Fewer channels or tiles do not pay for the transforms. */
#define MIN_CHANNELS 16
#define MIN_TILES    16
/* A task's planes, in floats, and its tiles. */
#define PLANE_FLOATS (300u << 10)
#define BLOCK_MIN    24u
#define BLOCK_MAX    128u
/* Tasks wanted even when the planes would allow larger ones. */
#define WANTED_TASKS 8u
/* Source channels whose taps are transformed at once. */
#define TAP_ROWS 16u

bool beit__winograd_fits(const beit_conv_args_t *a)
{
    return a->kernel == 3 && a->stride == 1 && a->pad == 1 && a->in_channels >= MIN_CHANNELS &&
           a->out_channels >= MIN_CHANNELS;
}

bool beit__winograd_pays(const beit_conv_args_t *a)
{
    const beit__tiles_t tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width);
    return beit__winograd_fits(a) && tiles.count >= MIN_TILES;
}

typedef struct winograd {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    const float *source; /* (B,H,W,c) */
    float *target;       /* (B,H,W,n) */
    size_t c, n;
    bool transpose;
    beit__tiles_t tiles;
    size_t block;           /* tiles per task */
    size_t ldv, ldm;        /* floats per tile in the planes of source and result */
    size_t points, line;    /* floats of transformed weights per point; of a border pixel */
    float *u, *bias, *zero; /* weights; bias times alpha; a pixel beyond the border */
    float *scratch;         /* of worker 0: planes, then a pixel nobody reads */
    size_t scratch_floats;
} winograd_t;

static size_t tap_width(const beit__cblas_t *self)
{
    return self->own_gemm ? self->k.nr : BEIT__MAX_NR;
}

/* The most tiles that a task can get. */
static size_t block_limit(size_t per_tile)
{
    return beit__min(BLOCK_MAX, beit__max(BLOCK_MIN, PLANE_FLOATS / per_tile));
}

static size_t scratch_floats(const beit__cblas_t *self, size_t tiles, size_t c, size_t n)
{
    const size_t per_tile = BEIT__POINTS * (beit__plane_stride(c) + beit__plane_stride(n));
    const size_t limit =
        beit__min(BLOCK_MAX * per_tile, beit__max(PLANE_FLOATS, BLOCK_MIN * per_tile));
    const size_t planes = beit__min(tiles * per_tile, limit) + 2 * BEIT__POINTS * BEIT__LINE_FLOATS;
    const size_t taps = TAP_ROWS * BEIT__TAPS * tap_width(self);
    return beit__max(planes, taps) + beit__plane_stride(n);
}

size_t beit__winograd_space(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose)
{
    const size_t c = (size_t)(transpose ? a->out_channels : a->in_channels);
    const size_t n = (size_t)(transpose ? a->in_channels : a->out_channels);
    const beit__tiles_t tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width);
    return (BEIT__POINTS * beit__rhs_floats(self, c, n) + beit__plane_stride(c) +
            beit__plane_stride(n) + self->workers * scratch_floats(self, tiles.count, c, n)) *
           sizeof(float);
}

static winograd_t plan(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose)
{
    winograd_t w = {.self = self,
                    .a = a,
                    .source = transpose ? a->small : a->large,
                    .target = transpose ? a->large : a->small,
                    .c = (size_t)(transpose ? a->out_channels : a->in_channels),
                    .n = (size_t)(transpose ? a->in_channels : a->out_channels),
                    .transpose = transpose,
                    .tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width),
                    .u = a->op.workspace};
    w.ldv = beit__plane_stride(w.c);
    w.ldm = beit__plane_stride(w.n);
    const size_t wanted = beit__max(beit__pieces(w.tiles.count, WANTED_TASKS), self->k.mr);
    w.block = beit__min(block_limit(BEIT__POINTS * (w.ldv + w.ldm)), wanted);
    w.block = beit__pieces(w.tiles.count, beit__pieces(w.tiles.count, w.block));
    w.points = beit__rhs_floats(self, w.c, w.n);
    w.zero = w.u + BEIT__POINTS * w.points;
    memset(w.zero, 0, w.c * sizeof *w.zero);
    w.bias = w.zero + w.ldv;
    if (a->bias)
        self->k.affine(w.n, a->alpha, 0.0f, a->bias, w.bias);
    w.scratch = w.bias + w.ldm;
    w.scratch_floats = scratch_floats(self, w.tiles.count, w.c, w.n);
    return w;
}

/* Weights of TAP_ROWS source channels and a panel of result channels: taps are brought side by
 * side by channel, (row, tap, channel), then transformed into all points. */
static void weights_task(void *arg, size_t index, unsigned worker)
{
    const winograd_t *w = arg;
    const beit__kernels_t *k = &w->self->k;
    const size_t width = tap_width(w->self), pieces = beit__pieces(w->n, width);
    const beit__span_t columns = beit__span(w->n, width, index % pieces);
    const beit__span_t rows = beit__span(w->c, TAP_ROWS, index / pieces);
    const size_t n = columns.end - columns.first, c = rows.end - rows.first;
    const float *sources[BEIT__MAX_NR];
    float *taps = w->scratch + worker * w->scratch_floats;
    for (size_t r = 0; r < (w->transpose ? c : 1); r++) {
        const size_t row = rows.first + r;
        for (size_t j = 0; j < n; j++) {
            const size_t column = columns.first + j;
            sources[j] = w->a->weight +
                         BEIT__TAPS * (w->transpose ? row * w->n + column : column * w->c + row);
        }
        k->pack_rows(n, BEIT__TAPS * (w->transpose ? 1 : c), sources, false,
                     taps + r * BEIT__TAPS * width, width);
    }
    const beit__rhs_t u = beit__rhs(w->self, w->c, w->n, w->u);
    float *dst = u.data + rows.first * u.ld +
                 (w->self->own_gemm ? index % pieces * u.stride : columns.first);
    k->winograd_weights(c, n, taps, width, w->transpose, dst, u.ld, w->points);
}

/* Planes of one task: points stand apart by a little more than their tiles take. */
typedef struct planes {
    size_t first, count; /* tiles */
    float *v, *m, *nobody;
    size_t v_points, m_points;
} planes_t;

static void transform_source(const winograd_t *w, const planes_t *p)
{
    const float *pixels[BEIT__POINTS];
    for (size_t t = 0; t < p->count; t++) {
        beit__tile_pixels(&w->tiles, p->first + t, w->c, 1, BEIT__PATCH, w->source, w->zero,
                          pixels);
        w->self->k.winograd_input(w->c, pixels, w->a->relu_input && !w->transpose,
                                  p->v + t * w->ldv, p->v_points);
    }
}

static void multiply(const winograd_t *w, const planes_t *p)
{
    for (size_t xi = 0; xi < BEIT__POINTS; xi++) {
        const beit__rhs_t u = beit__rhs(w->self, w->c, w->n, w->u + xi * w->points);
        const beit__lhs_view_t v = {p->v + xi * p->v_points, w->ldv, BEIT__LHS_ROWS};
        beit__product(w->self, p->count, v, &u, w->a->alpha, 0.0f, p->m + xi * p->m_points, w->ldm);
    }
}

static void transform_result(const winograd_t *w, const planes_t *p)
{
    enum { PIXELS = BEIT__TILE * BEIT__TILE };
    ptrdiff_t offsets[PIXELS];
    float *pixels[PIXELS];
    for (size_t t = 0; t < p->count; t++) {
        beit__tile_offsets(&w->tiles, p->first + t, w->n, 0, BEIT__TILE, offsets);
        for (size_t i = 0; i < PIXELS; i++)
            pixels[i] = offsets[i] == BEIT__OUTSIDE ? p->nobody : w->target + offsets[i];
        w->self->k.winograd_output(w->n, p->m + t * w->ldm, p->m_points,
                                   w->a->bias ? w->bias : NULL, w->a->beta, w->a->relu_output,
                                   pixels);
    }
}

static void tiles_task(void *arg, size_t index, unsigned worker)
{
    const winograd_t *w = arg;
    const beit__span_t tiles = beit__span(w->tiles.count, w->block, index);
    planes_t p = {.first = tiles.first, .count = tiles.end - tiles.first};
    p.v_points = p.count * w->ldv + BEIT__LINE_FLOATS;
    p.m_points = p.count * w->ldm + BEIT__LINE_FLOATS;
    p.v = w->scratch + worker * w->scratch_floats;
    p.m = p.v + BEIT__POINTS * p.v_points;
    p.nobody = p.m + BEIT__POINTS * p.m_points;
    transform_source(w, &p);
    multiply(w, &p);
    transform_result(w, &p);
}

beit_status_t beit__winograd_conv(const beit__cblas_t *self, const beit_conv_args_t *a,
                                  bool transpose)
{
    winograd_t w = plan(self, a, transpose);
    const size_t panels = beit__pieces(w.n, tap_width(self));
    BEIT__TRY(beit__cblas_tasks(self, panels * beit__pieces(w.c, TAP_ROWS), weights_task, &w));
    return beit__cblas_products(self, beit__pieces(w.tiles.count, w.block), tiles_task, &w);
}
