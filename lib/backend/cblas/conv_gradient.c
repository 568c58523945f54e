/* Gradient at convolution weights: output gradients, transposed, times gathered pixels. Pixels are
 * cut into fixed groups with a sum each; the sums are then added in order. Within a group tasks
 * share out the rows of the kernel. */
#include <string.h>

#include "backend/cblas/gather.h"
#include "backend/cblas/pointwise.h"
#include "backend/cblas/winograd.h"
#include "core/status.h"

#define PIXEL_BLOCK 256u
#define MAX_GROUPS  8u
/* Beyond this many floats of sums there are fewer groups. */
#define SUMS_FLOATS (4u << 20)

typedef struct gradient {
    const beit__cblas_t *self;
    const beit_conv_args_t *a;
    beit__gather_t gather;
    size_t in, out, kernel, pixels;
    size_t columns, line; /* gathered floats per pixel and kernel row; the same, padded */
    size_t groups, group; /* pixels per group */
    float *sums, *rows;   /* (groups, kernel, O, columns); gathered rows of worker 0 */
    size_t sum_floats, rows_floats;
} gradient_t;

static size_t line_floats(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    return beit__round_up((size_t)(a->kernel * a->in_channels), self->k.nr) + BEIT__LINE_FLOATS;
}

static size_t sum_floats(const beit_conv_args_t *a)
{
    return beit__line_floats((size_t)(a->kernel * a->kernel * a->in_channels * a->out_channels));
}

size_t beit__cblas_conv_weight_gradient_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    const size_t one = sum_floats(a);
    const size_t sums = beit__min(MAX_GROUPS * one, beit__max(SUMS_FLOATS, one));
    const size_t groups =
        (sums + self->workers * PIXEL_BLOCK * line_floats(self, a)) * sizeof(float);
    const size_t whole = beit__pointwise_fits(self, a) ? beit__pointwise_space(self, a)
                         : beit__winograd_fits(a)      ? beit__winograd_gradient_space(self, a)
                                                       : 0;
    return beit__max(groups, whole);
}

static gradient_t gradient_plan(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    gradient_t g = {.self = self,
                    .a = a,
                    .gather = beit__gather_forward(a),
                    .in = (size_t)a->in_channels,
                    .out = (size_t)a->out_channels,
                    .kernel = (size_t)a->kernel,
                    .line = line_floats(self, a),
                    .sum_floats = sum_floats(a)};
    g.columns = g.kernel * g.in;
    g.pixels = beit__gather_pixels(&g.gather);
    const size_t blocks = beit__pieces(g.pixels, PIXEL_BLOCK);
    const size_t affordable = beit__max(1, SUMS_FLOATS / g.sum_floats);
    g.groups = beit__max(1, beit__min(blocks, beit__min(affordable, MAX_GROUPS)));
    g.group = beit__max(1, beit__pieces(blocks, g.groups)) * PIXEL_BLOCK;
    g.groups = beit__pieces(g.pixels, g.group);
    g.sums = a->op.workspace;
    g.rows = g.sums + g.groups * g.sum_floats;
    g.rows_floats = PIXEL_BLOCK * g.line;
    return g;
}

static void group_task(void *arg, size_t index, unsigned worker)
{
    const gradient_t *g = arg;
    const size_t group = index / g->kernel, ky = index % g->kernel;
    const beit__span_t all = beit__span(g->pixels, g->group, group);
    float *rows = g->rows + worker * g->rows_floats;
    float *sum = g->sums + group * g->sum_floats + ky * g->out * g->columns;
    beit__gather_t gather = g->gather;
    gather.y.taps = 1;
    gather.y.offset += (ptrdiff_t)ky;
    for (size_t p = all.first; p < all.end; p += PIXEL_BLOCK) {
        const beit__span_t pixels = {p, beit__min(p + PIXEL_BLOCK, all.end)};
        beit__gather_rows(g->self, &gather, pixels, rows, g->line);
        const beit__rhs_t rhs = {.data = rows,
                                 .k = pixels.end - pixels.first,
                                 .n = g->columns,
                                 .width = g->self->own_gemm ? g->self->k.nr : g->columns,
                                 .stride = g->self->k.nr,
                                 .ld = g->line};
        const beit__lhs_view_t d = {g->a->small + p * g->out, g->out, BEIT__LHS_COLUMNS};
        beit__product(
            g->self, g->out, d, &rhs,
            (beit__result_t){
                .c = sum, .ldc = g->columns, .alpha = 1.0f, .beta = p == all.first ? 0.0f : 1.0f});
    }
}

/* Add one output channel's sums, (ky, kx, i) order, to the gradient in (i, ky, kx) order. */
static void store_task(void *arg, size_t o, unsigned worker)
{
    (void)worker;
    const gradient_t *g = arg;
    const size_t taps = g->kernel * g->kernel;
    float *dw = g->a->dweight + o * g->in * taps;
    for (size_t tap = 0; tap < taps; tap++) {
        const size_t ky = tap / g->kernel, kx = tap % g->kernel;
        const float *sum = g->sums + (ky * g->out + o) * g->columns + kx * g->in;
        for (size_t i = 0; i < g->in; i++) {
            float total = sum[i];
            for (size_t group = 1; group < g->groups; group++)
                total += sum[group * g->sum_floats + i];
            dw[i * taps + tap] += g->a->alpha * total;
        }
    }
}

beit_status_t beit__cblas_conv_weight_gradient(void *instance, const beit_conv_args_t *a)
{
    if (beit__pointwise_gradient_fits(instance, a))
        return beit__pointwise_gradient(instance, a);
    if (beit__winograd_pays(a))
        return beit__winograd_gradient(instance, a);
    if (sum_floats(a) == 0)
        return BEIT_OK;
    gradient_t g = gradient_plan(instance, a);
    if (g.pixels == 0)
        return BEIT_OK;
    BEIT__TRY(beit__cblas_products(g.self, g.groups * g.kernel, group_task, &g));
    return beit__cblas_tasks(g.self, g.out, store_task, &g);
}
