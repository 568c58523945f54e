/* Winograd's weight gradient: dW = G^T (sum over tiles of (A dy A^T) x (B^T d B)) G. As with the
 * convolution there are two ways. Where the sums of all points stay in the second-level cache,
 * tiles are cut into fixed groups with sums of their own, added in order afterwards; a task takes
 * its group through both steps, a few tiles at a time. Otherwise both planes are made for as many
 * tiles as the last-level cache holds, and a task of the second step is one point. */
#include "backend/cblas/winograd.h"

#include <string.h>

#include "backend/cblas/product.h"
#include "backend/cblas/winograd_tiles.h"
#include "core/status.h"

/* Sums of all points, in floats, up to which groups have their own; groups; tiles at a time. */
#define LIGHT_FLOATS (150u << 10)
#define GROUPS       8u
#define GROUP_TILES  42u
/* Otherwise: floats of both planes at most, as many as the sums have between these; the tiles that
 * they are for at least, tiles per task. */
#define PLANES_LEAST (2u << 20)
#define PLANES_MOST  (12u << 20)
#define MIN_TILES    96u
#define TASK_TILES   8u

/* Both planes of consecutive tiles. */
typedef struct planes {
    size_t first, count; /* tiles */
    float *v, *n;
    size_t v_points, n_points; /* floats from point to point */
} planes_t;

typedef struct gradient {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    size_t in, out;
    beit__tiles_t tiles;
    size_t ldv, ldn;
    size_t block;         /* tiles at once */
    size_t group, groups; /* tiles per group with sums of its own */
    float *du;            /* (groups, 36, O, I) */
    size_t du_floats;
    float *zero; /* a pixel beyond the border */
    float *space;
    size_t space_floats; /* of planes, per worker or for all */
    planes_t shared;
} gradient_t;

static size_t tile_floats(const beit_conv_args_t *a)
{
    return BEIT__POINTS * (beit__plane_stride((size_t)a->in_channels) +
                           beit__plane_stride((size_t)a->out_channels));
}

static size_t du_floats(const beit_conv_args_t *a)
{
    return beit__line_floats(BEIT__POINTS * (size_t)(a->in_channels * a->out_channels));
}

/* Tiles whose planes are held at once. */
static size_t batch_tiles(const beit_conv_args_t *a)
{
    const size_t planes = beit__min(PLANES_MOST, beit__max(PLANES_LEAST, du_floats(a)));
    return beit__max(MIN_TILES, planes / tile_floats(a));
}

static bool is_light(const beit_conv_args_t *a)
{
    return du_floats(a) <= LIGHT_FLOATS;
}

static beit__tiles_t tiles_of(const beit_conv_args_t *a)
{
    return beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width);
}

/* Planes of `tiles` tiles; points stand a line further apart than that. */
static size_t planes_floats(const beit_conv_args_t *a, size_t tiles)
{
    return tiles * tile_floats(a) + 2 * BEIT__POINTS * BEIT__LINE_FLOATS;
}

size_t beit__winograd_gradient_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    const size_t one = tile_floats(a), least = MIN_TILES * one;
    const size_t planes = beit__min(PLANES_MOST, beit__max(PLANES_LEAST, du_floats(a)));
    const size_t shared = beit__min(tiles_of(a).count * one, beit__max(planes, least)) +
                          planes_floats(a, 0) + du_floats(a);
    const size_t grouped = self->workers * planes_floats(a, GROUP_TILES) +
                           GROUPS * beit__min(du_floats(a), LIGHT_FLOATS);
    const size_t border = beit__plane_stride((size_t)(a->in_channels + a->out_channels));
    return (beit__max(shared, grouped) + border) * sizeof(float);
}

static gradient_t plan(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    gradient_t g = {.self = self,
                    .a = a,
                    .in = (size_t)a->in_channels,
                    .out = (size_t)a->out_channels,
                    .tiles = tiles_of(a),
                    .groups = 1,
                    .du_floats = du_floats(a)};
    g.ldv = beit__plane_stride(g.in);
    g.ldn = beit__plane_stride(g.out);
    size_t block = batch_tiles(a);
    g.group = g.tiles.count;
    if (is_light(a)) {
        block = GROUP_TILES;
        g.group =
            beit__pieces(g.tiles.count, beit__min(GROUPS, beit__pieces(g.tiles.count, block)));
        g.groups = beit__pieces(g.tiles.count, g.group);
    }
    g.block = beit__pieces(g.group, beit__pieces(g.group, block));
    g.space_floats = planes_floats(a, g.block);
    g.zero = a->op.workspace;
    g.du = g.zero + beit__plane_stride(beit__max(g.in, g.out));
    g.space = g.du + g.groups * g.du_floats;
    memset(g.zero, 0, beit__max(g.in, g.out) * sizeof *g.zero);
    return g;
}

static planes_t planes_at(const gradient_t *g, size_t first, size_t count, float *space)
{
    planes_t p = {.first = first, .count = count, .v = space};
    p.v_points = count * g->ldv + BEIT__LINE_FLOATS;
    p.n_points = count * g->ldn + BEIT__LINE_FLOATS;
    p.n = p.v + BEIT__POINTS * p.v_points;
    return p;
}

static void transform(const gradient_t *g, const planes_t *p, beit__span_t tiles)
{
    const beit__kernels_t *k = &g->self->k;
    const float *pixels[BEIT__POINTS];
    for (size_t t = tiles.first; t < tiles.end; t++) {
        beit__tile_pixels(&g->tiles, p->first + t, g->in, 1, BEIT__PATCH, g->a->large, g->zero,
                          pixels);
        k->winograd_input(g->in, pixels, g->a->relu_input, p->v + t * g->ldv, p->v_points);
        beit__tile_pixels(&g->tiles, p->first + t, g->out, 0, BEIT__TILE, g->a->small, g->zero,
                          pixels);
        k->winograd_spread(g->out, pixels, p->n + t * g->ldn, p->n_points);
    }
}

static void multiply(const gradient_t *g, const planes_t *p, size_t xi, float beta, float *du)
{
    const size_t width = g->self->own_gemm ? g->self->k.nr : g->in;
    const beit__rhs_t v = {.data = p->v + xi * p->v_points,
                           .k = p->count,
                           .n = g->in,
                           .width = width,
                           .stride = width,
                           .ld = g->ldv};
    const beit__lhs_view_t n = {p->n + xi * p->n_points, g->ldn, BEIT__LHS_COLUMNS};
    beit__product(
        g->self, g->out, n, &v,
        (beit__result_t){.c = du + xi * g->out * g->in, .ldc = g->in, .alpha = 1.0f, .beta = beta});
}

static void group_task(void *arg, size_t group, unsigned worker)
{
    const gradient_t *g = arg;
    const beit__span_t tiles = beit__span(g->tiles.count, g->group, group);
    float *du = g->du + group * g->du_floats;
    for (size_t first = tiles.first; first < tiles.end; first += g->block) {
        const size_t count = beit__min(g->block, tiles.end - first);
        const planes_t p = planes_at(g, first, count, g->space + worker * g->space_floats);
        transform(g, &p, (beit__span_t){0, count});
        for (size_t xi = 0; xi < BEIT__POINTS; xi++)
            multiply(g, &p, xi, first == tiles.first ? 0.0f : 1.0f, du);
    }
}

static void planes_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    transform(g, &g->shared, beit__span(g->shared.count, TASK_TILES, index));
}

static void point_task(void *arg, size_t xi, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    multiply(g, &g->shared, xi, g->shared.first ? 1.0f : 0.0f, g->du);
}

/* Rows of the gradient: sums of the groups, then the adjoint of the weights' transform. */
static void store_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    const beit__span_t rows = beit__span(g->out, beit__row_grain(BEIT__POINTS * g->in), index);
    const size_t at = rows.first * g->in, n = (rows.end - rows.first) * g->in;
    for (size_t group = 1; group < g->groups; group++)
        for (size_t xi = 0; xi < BEIT__POINTS; xi++) {
            const size_t point = xi * g->out * g->in + at;
            g->self->k.axpy(n, 1.0f, g->du + group * g->du_floats + point, g->du + point);
        }
    g->self->k.winograd_gather(n, g->du + at, g->out * g->in, g->a->alpha,
                               g->a->dweight + at * BEIT__TAPS);
}

beit_status_t beit__winograd_gradient(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    gradient_t g = plan(self, a);
    if (is_light(a)) {
        BEIT__TRY(beit__cblas_products(self, g.groups, group_task, &g));
    } else {
        for (size_t first = 0; first < g.tiles.count; first += g.block) {
            const size_t count = beit__min(g.block, g.tiles.count - first);
            g.shared = planes_at(&g, first, count, g.space);
            BEIT__TRY(beit__cblas_tasks(self, beit__pieces(count, TASK_TILES), planes_task, &g));
            BEIT__TRY(beit__cblas_products(self, BEIT__POINTS, point_task, &g));
        }
    }
    const size_t rows = beit__pieces(g.out, beit__row_grain(BEIT__POINTS * g.in));
    return beit__cblas_tasks(self, rows, store_task, &g);
}
