/* Passes over rows of a matrix: normalisation, scaling, sums over rows, gathering. Column sums are
 * taken per fixed block of rows, then added in a fixed tree. */
#include <string.h>

#include "backend/cblas/cblas.h"
#include "core/status.h"

/* ---- sums of blocks ---- */

/* At most this many blocks of rows have partial sums of their own. */
#define SUM_BLOCKS 32u
#define SUM_FLOATS 16384u

static size_t sum_grain(size_t rows, size_t cols)
{
    const size_t grain = beit__max(1, SUM_FLOATS / beit__max(1, cols));
    return beit__max(grain, beit__pieces(rows, SUM_BLOCKS));
}

/* Add rows 1..n-1 of (n, ld) to row 0, neighbours first. */
static void tree_sum(const beit__cblas_t *self, size_t n, size_t cols, float *x, size_t ld)
{
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step)
            self->k.axpy(cols, 1.0f, x + (i + step) * ld, x + i * ld);
}

typedef struct column_sum {
    const beit__cblas_t *self;
    const beit_column_sum_args_t *a;
    size_t rows, cols, grain, line;
} column_sum_t;

size_t beit__cblas_column_sum_space(const beit__cblas_t *self, const beit_column_sum_args_t *a)
{
    (void)self;
    return SUM_BLOCKS * beit__line_floats((size_t)a->cols) * sizeof(float);
}

static void column_sum_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const column_sum_t *c = arg;
    const beit__span_t rows = beit__span(c->rows, c->grain, index);
    float *sum = (float *)c->a->op.workspace + index * c->line;
    memset(sum, 0, c->cols * sizeof *sum);
    c->self->k.add_rows(rows.end - rows.first, c->cols, c->a->x + rows.first * (size_t)c->a->ldx,
                        (size_t)c->a->ldx, sum);
}

beit_status_t beit__cblas_column_sum(void *instance, const beit_column_sum_args_t *a)
{
    column_sum_t c = {instance, a, (size_t)a->rows, (size_t)a->cols, 0, 0};
    if (c.rows == 0)
        return BEIT_OK;
    c.grain = sum_grain(c.rows, c.cols);
    c.line = beit__line_floats(c.cols);
    const size_t blocks = beit__pieces(c.rows, c.grain);
    BEIT__TRY(beit__cblas_tasks(c.self, blocks, column_sum_task, &c));
    tree_sum(c.self, blocks, c.cols, a->op.workspace, c.line);
    c.self->k.axpy(c.cols, 1.0f, a->op.workspace, a->out);
    return BEIT_OK;
}

/* ---- layer normalisation ---- */

typedef struct norm_forward {
    const beit__cblas_t *self;
    const beit_layernorm_forward_args_t *a;
    size_t rows, cols, grain;
} norm_forward_t;

static void norm_forward_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const norm_forward_t *f = arg;
    const beit_layernorm_forward_args_t *a = f->a;
    const beit__span_t rows = beit__span(f->rows, f->grain, index);
    for (size_t r = rows.first; r < rows.end; r++) {
        const float *x = a->x + r * f->cols;
        if (!a->normalize)
            f->self->k.layernorm_statistics(f->cols, x, a->eps, &a->mean[r], &a->rstd[r]);
        if (a->y)
            f->self->k.layernorm_apply(f->cols, x, a->mean[r], a->rstd[r], a->weight, a->bias,
                                       a->y + r * f->cols);
    }
}

beit_status_t beit__cblas_layernorm_forward(void *instance, const beit_layernorm_forward_args_t *a)
{
    norm_forward_t f = {instance, a, (size_t)a->rows, (size_t)a->cols, 0};
    f.grain = beit__row_grain(f.cols);
    return beit__cblas_tasks(f.self, beit__pieces(f.rows, f.grain), norm_forward_task, &f);
}

typedef struct norm_backward {
    const beit__cblas_t *self;
    const beit_layernorm_backward_args_t *a;
    size_t rows, cols, grain, line;
} norm_backward_t;

size_t beit__cblas_layernorm_backward_space(const beit__cblas_t *self,
                                            const beit_layernorm_backward_args_t *a)
{
    (void)self;
    return SUM_BLOCKS * 2 * beit__line_floats((size_t)a->cols) * sizeof(float);
}

static void norm_backward_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const norm_backward_t *b = arg;
    const beit_layernorm_backward_args_t *a = b->a;
    const beit__span_t rows = beit__span(b->rows, b->grain, index);
    float *dweight = (float *)a->op.workspace + index * 2 * b->line, *dbias = dweight + b->line;
    memset(dweight, 0, 2 * b->line * sizeof *dweight);
    for (size_t r = rows.first; r < rows.end; r++) {
        const size_t at = r * b->cols;
        b->self->k.layernorm_backward(b->cols, a->dy + at, a->x + at, a->mean[r], a->rstd[r],
                                      a->weight, a->dx ? a->dx + at : NULL, dweight, dbias);
    }
}

beit_status_t beit__cblas_layernorm_backward(void *instance,
                                             const beit_layernorm_backward_args_t *a)
{
    norm_backward_t b = {instance, a, (size_t)a->rows, (size_t)a->cols, 0, 0};
    if (b.rows == 0)
        return BEIT_OK;
    b.grain = sum_grain(b.rows, b.cols);
    b.line = beit__line_floats(b.cols);
    const size_t blocks = beit__pieces(b.rows, b.grain);
    BEIT__TRY(beit__cblas_tasks(b.self, blocks, norm_backward_task, &b));
    float *sums = a->op.workspace;
    tree_sum(b.self, blocks, 2 * b.line, sums, 2 * b.line);
    b.self->k.axpy(b.cols, 1.0f, sums, a->dweight);
    b.self->k.axpy(b.cols, 1.0f, sums + b.line, a->dbias);
    return BEIT_OK;
}

/* ---- scaling ---- */

typedef struct scale_add {
    const beit__cblas_t *self;
    const beit_scale_add_args_t *a;
    size_t rows, cols, grain;
} scale_add_t;

static void scale_add_row(const scale_add_t *s, size_t row)
{
    const beit_scale_add_args_t *a = s->a;
    const size_t at = row * s->cols;
    const float scale = a->sample_scale ? a->sample_scale[row / (size_t)a->rows_per_sample] : 1.0f;
    const float *add = a->add ? a->add + at : NULL;
    float *y = a->y + at;
    if (scale != 0.0f)
        s->self->k.scale_add(s->cols, a->x + at, a->col_scale, scale, add, y);
    else if (!add)
        memset(y, 0, s->cols * sizeof *y);
    else if (add != y)
        memcpy(y, add, s->cols * sizeof *y);
}

static void scale_add_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const scale_add_t *s = arg;
    const beit__span_t rows = beit__span(s->rows, s->grain, index);
    for (size_t r = rows.first; r < rows.end; r++)
        scale_add_row(s, r);
}

beit_status_t beit__cblas_scale_add(void *instance, const beit_scale_add_args_t *a)
{
    scale_add_t s = {instance, a, (size_t)a->rows, (size_t)a->cols, 0};
    s.grain = beit__row_grain(s.cols);
    return beit__cblas_tasks(s.self, beit__pieces(s.rows, s.grain), scale_add_task, &s);
}

typedef struct layer_scale {
    const beit__cblas_t *self;
    const beit_layer_scale_backward_args_t *a;
    size_t n, k, grain;
} layer_scale_t;

static void layer_scale_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const layer_scale_t *l = arg;
    const beit_layer_scale_backward_args_t *a = l->a;
    const beit__span_t rows = beit__span(l->n, l->grain, index);
    for (size_t i = rows.first; i < rows.end; i++) {
        const float *g = a->g + i * l->k;
        const float bias = a->bias ? a->bias[i] * a->t[i] : 0.0f;
        a->dgamma[i] += l->self->k.dot(l->k, a->w + i * l->k, g) + bias;
        l->self->k.axpy(l->k, a->gamma[i], g, a->dw + i * l->k);
        if (a->dbias)
            a->dbias[i] += a->gamma[i] * a->t[i];
    }
}

beit_status_t beit__cblas_layer_scale_backward(void *instance,
                                               const beit_layer_scale_backward_args_t *a)
{
    layer_scale_t l = {instance, a, (size_t)a->n, (size_t)a->k, 0};
    l.grain = beit__row_grain(l.k);
    return beit__cblas_tasks(l.self, beit__pieces(l.n, l.grain), layer_scale_task, &l);
}

/* ---- gather and scatter ---- */

typedef struct rows {
    const beit__cblas_t *self;
    const beit_rows_args_t *a;
    size_t rows, cols, grain;
} rows_t;

static void gather_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const rows_t *g = arg;
    const beit_rows_args_t *a = g->a;
    const beit__span_t rows = beit__span(g->rows, g->grain, index);
    for (size_t i = rows.first; i < rows.end; i++)
        memcpy(a->y + i * (size_t)a->ldy, a->x + (size_t)a->index[i] * (size_t)a->ldx,
               g->cols * sizeof(float));
}

/* Indices may repeat, so tasks share columns out, not rows. */
static void scatter_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const rows_t *g = arg;
    const beit_rows_args_t *a = g->a;
    const beit__span_t columns = beit__span(g->cols, g->grain, index);
    for (size_t i = 0; i < g->rows; i++)
        g->self->k.axpy(columns.end - columns.first, 1.0f,
                        a->x + i * (size_t)a->ldx + columns.first,
                        a->y + (size_t)a->index[i] * (size_t)a->ldy + columns.first);
}

beit_status_t beit__cblas_rows(void *instance, const beit_rows_args_t *a)
{
    rows_t g = {instance, a, (size_t)a->rows, (size_t)a->cols, 0};
    if (a->scatter) {
        g.grain = beit__round_up(beit__row_grain(g.rows), BEIT__LINE_FLOATS);
        return beit__cblas_tasks(g.self, beit__pieces(g.cols, g.grain), scatter_task, &g);
    }
    g.grain = beit__row_grain(g.cols);
    return beit__cblas_tasks(g.self, beit__pieces(g.rows, g.grain), gather_task, &g);
}
