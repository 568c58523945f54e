/* Winograd's convolution and its adjoint, which is the same with taps reversed and channel roles
 * exchanged. Weights are transformed first, panel by panel. Then there are two ways: as long as the
 * transformed weights stay in the last-level cache, each task takes a block of tiles through all
 * three steps, so that the planes never leave the second-level one; heavier weights are rather read
 * once for many tiles, so the steps are loops of their own, and a task of the middle one is one
 * point of the planes. */
#include "backend/cblas/winograd.h"

#include <string.h>

#include "backend/cblas/taps.h"
#include "backend/cblas/winograd_tiles.h"
#include "core/status.h"

/* Fewer channels or tiles do not pay for the transforms. */
#define MIN_CHANNELS 16
#define MIN_TILES    16
/* Transformed weights beyond this many floats are heavy. */
#define HEAVY_FLOATS (4u << 20)
/* Light weights: planes of one task in floats, its tiles, and how many tasks are wanted even where
 * the planes would allow fewer. */
#define PLANE_FLOATS (400u << 10)
#define BLOCK_MIN    28u
#define BLOCK_MAX    56u
#define WANTED_TASKS 8u
/* Heavy weights: planes of all tasks, tiles that they are for at least, tiles per task. */
#define HEAVY_PLANES (12u << 20)
#define HEAVY_MIN    128u
#define HEAVY_TILES  8u
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

/* Transformed source and result of consecutive tiles; points stand apart by a little more than
 * their tiles take. */
typedef struct planes {
    size_t first, count; /* tiles */
    float *v, *m;
    size_t v_points, m_points;
} planes_t;

typedef struct winograd {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    const float *source; /* (B,H,W,c) */
    float *target;       /* (B,H,W,n) */
    size_t c, n;
    bool transpose;
    beit__tiles_t tiles;
    size_t block;           /* tiles per task, or with heavy weights tiles at once */
    size_t ldv, ldm;        /* floats per tile in the planes of source and result */
    size_t points;          /* floats of transformed weights per point */
    float *u, *bias, *zero; /* weights; bias times alpha; a pixel beyond the border */
    float *scratch;         /* of worker 0: taps or planes, then a pixel nobody reads */
    size_t scratch_floats;
    planes_t shared; /* with heavy weights */
} winograd_t;

static bool is_heavy(size_t c, size_t n)
{
    return BEIT__POINTS * c * n > HEAVY_FLOATS;
}

static size_t tile_floats(size_t c, size_t n)
{
    return BEIT__POINTS * (beit__plane_stride(c) + beit__plane_stride(n));
}

/* Planes of `tiles` tiles, points being set apart. */
static size_t planes_floats(size_t tiles_floats)
{
    return tiles_floats + 2 * BEIT__POINTS * BEIT__LINE_FLOATS;
}

/* Upper bounds of what plan() uses, which grow with each extent. */
static size_t scratch_floats(const beit__cblas_t *self, size_t tiles, size_t c, size_t n)
{
    const size_t one = tile_floats(c, n);
    const size_t most = beit__min(BLOCK_MAX * one, beit__max(PLANE_FLOATS, BLOCK_MIN * one));
    const size_t taps = TAP_ROWS * BEIT__TAPS * beit__taps_width(self);
    return beit__max(planes_floats(beit__min(tiles * one, most)), taps) + beit__plane_stride(n);
}

static size_t heavy_floats(size_t tiles, size_t c, size_t n)
{
    const size_t one = tile_floats(c, n);
    return is_heavy(c, n)
               ? planes_floats(beit__min(tiles * one, beit__max(HEAVY_PLANES, HEAVY_MIN * one)))
               : 0;
}

size_t beit__winograd_space(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose)
{
    const size_t c = (size_t)(transpose ? a->out_channels : a->in_channels);
    const size_t n = (size_t)(transpose ? a->in_channels : a->out_channels);
    const beit__tiles_t tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width);
    return (BEIT__POINTS * beit__rhs_floats(self, c, n) + beit__plane_stride(c) +
            beit__plane_stride(n) + self->workers * scratch_floats(self, tiles.count, c, n) +
            heavy_floats(tiles.count, c, n)) *
           sizeof(float);
}

static planes_t planes_at(const winograd_t *w, size_t first, size_t count, float *space)
{
    planes_t p = {.first = first, .count = count, .v = space};
    p.v_points = count * w->ldv + BEIT__LINE_FLOATS;
    p.m_points = count * w->ldm + BEIT__LINE_FLOATS;
    p.m = p.v + BEIT__POINTS * p.v_points;
    return p;
}

/* Tiles per task; with heavy weights tiles at once. */
static size_t block_tiles(const winograd_t *w)
{
    const size_t one = tile_floats(w->c, w->n), count = w->tiles.count;
    size_t block = beit__max(HEAVY_MIN, HEAVY_PLANES / one);
    if (!is_heavy(w->c, w->n)) {
        const size_t wanted = beit__max(beit__pieces(count, WANTED_TASKS), w->self->k.mr);
        const size_t fits = beit__min(BLOCK_MAX, beit__max(BLOCK_MIN, PLANE_FLOATS / one));
        block = beit__min(fits, wanted);
    }
    return beit__pieces(count, beit__pieces(count, block));
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
    w.block = block_tiles(&w);
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
    const size_t width = beit__taps_width(w->self), pieces = beit__pieces(w->n, width);
    const beit__span_t columns = beit__span(w->n, width, index % pieces);
    const beit__span_t rows = beit__span(w->c, TAP_ROWS, index / pieces);
    float *taps = w->scratch + worker * w->scratch_floats;
    beit__taps_pack(w->self, w->a, w->transpose, rows, columns, taps);
    const beit__rhs_t u = beit__rhs(w->self, w->c, w->n, w->u);
    w->self->k.winograd_weights(
        rows.end - rows.first, columns.end - columns.first, taps, width, w->transpose,
        beit__taps_target(w->self, &u, rows.first, columns.first), u.ld, w->points);
}

static void transform_source(const winograd_t *w, const planes_t *p, beit__span_t tiles)
{
    const float *pixels[BEIT__POINTS];
    for (size_t t = tiles.first; t < tiles.end; t++) {
        beit__tile_pixels(&w->tiles, p->first + t, w->c, 1, BEIT__PATCH, w->source, w->zero,
                          pixels);
        w->self->k.winograd_input(w->c, pixels, w->a->relu_input && !w->transpose,
                                  p->v + t * w->ldv, p->v_points);
    }
}

static void multiply(const winograd_t *w, const planes_t *p, size_t xi)
{
    const beit__rhs_t u = beit__rhs(w->self, w->c, w->n, w->u + xi * w->points);
    const beit__lhs_view_t v = {p->v + xi * p->v_points, w->ldv, BEIT__LHS_ROWS};
    beit__product(
        w->self, p->count, v, &u,
        (beit__result_t){.c = p->m + xi * p->m_points, .ldc = w->ldm, .alpha = w->a->alpha});
}

static void transform_result(const winograd_t *w, const planes_t *p, beit__span_t tiles,
                             float *nobody)
{
    enum { PIXELS = BEIT__TILE * BEIT__TILE };
    ptrdiff_t offsets[PIXELS];
    float *pixels[PIXELS];
    for (size_t t = tiles.first; t < tiles.end; t++) {
        beit__tile_offsets(&w->tiles, p->first + t, w->n, 0, BEIT__TILE, offsets);
        for (size_t i = 0; i < PIXELS; i++)
            pixels[i] = offsets[i] == BEIT__OUTSIDE ? nobody : w->target + offsets[i];
        w->self->k.winograd_output(w->n, p->m + t * w->ldm, p->m_points,
                                   w->a->bias ? w->bias : NULL, w->a->beta, w->a->relu_output,
                                   pixels);
    }
}

static float *nobody_of(const winograd_t *w, unsigned worker)
{
    return w->scratch + (worker + 1) * w->scratch_floats - w->ldm;
}

static void tiles_task(void *arg, size_t index, unsigned worker)
{
    const winograd_t *w = arg;
    const beit__span_t tiles = beit__span(w->tiles.count, w->block, index);
    const beit__span_t all = {0, tiles.end - tiles.first};
    const planes_t p = planes_at(w, tiles.first, all.end, w->scratch + worker * w->scratch_floats);
    transform_source(w, &p, all);
    for (size_t xi = 0; xi < BEIT__POINTS; xi++)
        multiply(w, &p, xi);
    transform_result(w, &p, all, nobody_of(w, worker));
}

static void source_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const winograd_t *w = arg;
    transform_source(w, &w->shared, beit__span(w->shared.count, HEAVY_TILES, index));
}

static void point_task(void *arg, size_t xi, unsigned worker)
{
    (void)worker;
    const winograd_t *w = arg;
    multiply(w, &w->shared, xi);
}

static void result_task(void *arg, size_t index, unsigned worker)
{
    const winograd_t *w = arg;
    transform_result(w, &w->shared, beit__span(w->shared.count, HEAVY_TILES, index),
                     nobody_of(w, worker));
}

static beit_status_t heavy_conv(winograd_t *w)
{
    float *space = w->scratch + w->self->workers * w->scratch_floats;
    for (size_t first = 0; first < w->tiles.count; first += w->block) {
        w->shared = planes_at(w, first, beit__min(w->block, w->tiles.count - first), space);
        const size_t tasks = beit__pieces(w->shared.count, HEAVY_TILES);
        BEIT__TRY(beit__cblas_tasks(w->self, tasks, source_task, w));
        BEIT__TRY(beit__cblas_products(w->self, BEIT__POINTS, point_task, w));
        BEIT__TRY(beit__cblas_tasks(w->self, tasks, result_task, w));
    }
    return BEIT_OK;
}

beit_status_t beit__winograd_conv(const beit__cblas_t *self, const beit_conv_args_t *a,
                                  bool transpose)
{
    winograd_t w = plan(self, a, transpose);
    const size_t panels = beit__pieces(w.n, beit__taps_width(self));
    BEIT__TRY(beit__cblas_tasks(self, panels * beit__pieces(w.c, TAP_ROWS), weights_task, &w));
    if (is_heavy(w.c, w.n))
        return heavy_conv(&w);
    return beit__cblas_products(self, beit__pieces(w.tiles.count, w.block), tiles_task, &w);
}
