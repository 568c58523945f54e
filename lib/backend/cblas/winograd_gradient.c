/* Winograd's weight gradient: dW = G^T (sum over tiles of (A dy A^T) x (B^T d B)) G. Both planes
 * are made for as many tiles as fit the last-level cache, then each point is one product over
 * these tiles; the sums over tiles are complete when the last batch of them is through. */
#include "backend/cblas/winograd.h"

#include <string.h>

#include "backend/cblas/product.h"
#include "backend/cblas/winograd_tiles.h"
#include "core/status.h"

/* Both planes together, in floats, and tiles whose planes one task makes. */
#define PLANES_FLOATS (6u << 20)
#define MIN_TILES     96u
#define TASK_TILES    8u

typedef struct gradient {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    size_t in, out;
    beit__tiles_t tiles;
    size_t first, count, batch; /* tiles under way; at most so many at once */
    size_t ldv, ldn;
    float *v, *n, *du, *zero;
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

size_t beit__winograd_gradient_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    (void)self;
    const beit__tiles_t tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width);
    const size_t one = tile_floats(a);
    const size_t planes = beit__min(tiles.count * one, beit__max(PLANES_FLOATS, MIN_TILES * one));
    const size_t border = beit__plane_stride((size_t)(a->in_channels + a->out_channels));
    return (planes + du_floats(a) + border) * sizeof(float);
}

static gradient_t plan(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    gradient_t g = {.self = self,
                    .a = a,
                    .in = (size_t)a->in_channels,
                    .out = (size_t)a->out_channels,
                    .tiles = beit__tiles((size_t)a->batch, (size_t)a->height, (size_t)a->width)};
    const size_t most = beit__max(MIN_TILES, PLANES_FLOATS / tile_floats(a));
    g.batch = beit__pieces(g.tiles.count, beit__pieces(g.tiles.count, most));
    g.ldv = beit__plane_stride(g.in);
    g.ldn = beit__plane_stride(g.out);
    g.v = a->op.workspace;
    g.n = g.v + BEIT__POINTS * g.batch * g.ldv;
    g.du = g.n + BEIT__POINTS * g.batch * g.ldn;
    g.zero = g.du + du_floats(a);
    memset(g.zero, 0, beit__max(g.in, g.out) * sizeof *g.zero);
    return g;
}

static void planes_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    const beit__kernels_t *k = &g->self->k;
    const beit__span_t span = beit__span(g->count, TASK_TILES, index);
    const float *pixels[BEIT__POINTS];
    for (size_t t = span.first; t < span.end; t++) {
        beit__tile_pixels(&g->tiles, g->first + t, g->in, 1, BEIT__PATCH, g->a->large, g->zero,
                          pixels);
        k->winograd_input(g->in, pixels, g->a->relu_input, g->v + t * g->ldv, g->batch * g->ldv);
        beit__tile_pixels(&g->tiles, g->first + t, g->out, 0, BEIT__TILE, g->a->small, g->zero,
                          pixels);
        k->winograd_spread(g->out, pixels, g->n + t * g->ldn, g->batch * g->ldn);
    }
}

static void point_task(void *arg, size_t xi, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    const size_t width = g->self->own_gemm ? g->self->k.nr : g->in;
    const beit__rhs_t v = {.data = g->v + xi * g->batch * g->ldv,
                           .k = g->count,
                           .n = g->in,
                           .width = width,
                           .stride = width,
                           .ld = g->ldv};
    const beit__lhs_view_t n = {g->n + xi * g->batch * g->ldn, g->ldn, BEIT__LHS_COLUMNS};
    beit__product(g->self, g->out, n, &v, 1.0f, g->first ? 1.0f : 0.0f, g->du + xi * g->out * g->in,
                  g->in);
}

static void store_task(void *arg, size_t o, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    g->self->k.winograd_gather(g->in, g->du + o * g->in, g->out * g->in, g->a->alpha,
                               g->a->dweight + o * g->in * BEIT__TAPS);
}

beit_status_t beit__winograd_gradient(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    gradient_t g = plan(self, a);
    for (; g.first < g.tiles.count; g.first += g.batch) {
        g.count = beit__min(g.batch, g.tiles.count - g.first);
        BEIT__TRY(beit__cblas_tasks(self, beit__pieces(g.count, TASK_TILES), planes_task, &g));
        BEIT__TRY(beit__cblas_products(self, BEIT__POINTS, point_task, &g));
    }
    return beit__cblas_tasks(self, g.out, store_task, &g);
}
