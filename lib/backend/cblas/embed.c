/* What stands before the first block: patches, class and mask token, relative positions. */
#include <string.h>

#include "backend/cblas/cblas.h"
#include "core/status.h"

/* ---- patches ---- */

typedef struct patchify {
    const beit_patchify_args_t *a;
    size_t channels, height, width, patch;
    size_t across, down; /* patches per row and column */
} patchify_t;

/* One row of patches of one image. */
static void patchify_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const patchify_t *p = arg;
    const size_t P = p->patch, image = index / p->down, py = index % p->down;
    float *y = p->a->y + index * p->across * p->channels * P * P;
    for (size_t px = 0; px < p->across; px++)
        for (size_t c = 0; c < p->channels; c++) {
            const float *x =
                p->a->x + ((image * p->channels + c) * p->height + py * P) * p->width + px * P;
            for (size_t ky = 0; ky < P; ky++, y += P, x += p->width)
                memcpy(y, x, P * sizeof *y);
        }
}

beit_status_t beit__cblas_patchify(void *instance, const beit_patchify_args_t *a)
{
    patchify_t p = {
        a, (size_t)a->channels, (size_t)a->height, (size_t)a->width, (size_t)a->patch, 0, 0};
    p.across = p.width / p.patch;
    p.down = p.height / p.patch;
    return beit__cblas_tasks(instance, (size_t)a->batch * p.down, patchify_task, &p);
}

/* ---- tokens ---- */

typedef struct embed {
    const beit__cblas_t *self;
    const beit_embed_forward_args_t *f;
    const beit_embed_backward_args_t *b;
    size_t batch, patches, cols, grain;
} embed_t;

static void embed_forward_task(void *arg, size_t image, unsigned worker)
{
    (void)worker;
    const embed_t *e = arg;
    const beit_embed_forward_args_t *f = e->f;
    const size_t D = e->cols, N = e->patches;
    for (size_t t = 0; t <= N; t++) {
        const size_t patch = image * N + t - 1;
        const float *x = t == 0                      ? f->cls_token
                         : f->mask && f->mask[patch] ? f->mask_token
                                                     : f->x + patch * D;
        float *y = f->y + (image * (N + 1) + t) * D;
        if (f->pos_embed)
            e->self->k.scale_add(D, x, NULL, 1.0f, f->pos_embed + t * D, y);
        else
            memcpy(y, x, D * sizeof *y);
    }
}

beit_status_t beit__cblas_embed_forward(void *instance, const beit_embed_forward_args_t *a)
{
    embed_t e = {instance, a, NULL, (size_t)a->batch, (size_t)a->patches, (size_t)a->cols, 0};
    return beit__cblas_tasks(e.self, e.batch, embed_forward_task, &e);
}

static void embed_dx_task(void *arg, size_t image, unsigned worker)
{
    (void)worker;
    const embed_t *e = arg;
    const beit_embed_backward_args_t *b = e->b;
    const size_t D = e->cols, N = e->patches;
    for (size_t n = 0; n < N; n++) {
        float *dx = b->dx + (image * N + n) * D;
        if (b->mask && b->mask[image * N + n])
            memset(dx, 0, D * sizeof *dx);
        else
            memcpy(dx, b->dy + (image * (N + 1) + n + 1) * D, D * sizeof *dx);
    }
}

/* Class token, mask token and positions are sums over images, so tasks share columns out. */
static void embed_sums_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const embed_t *e = arg;
    const beit_embed_backward_args_t *b = e->b;
    const size_t N = e->patches;
    const beit__span_t columns = beit__span(e->cols, e->grain, index);
    const size_t c = columns.first, n = columns.end - c;
    for (size_t row = 0; row < e->batch * (N + 1); row++) {
        const size_t image = row / (N + 1), t = row % (N + 1);
        const float *dy = b->dy + row * e->cols + c;
        if (t == 0)
            e->self->k.axpy(n, 1.0f, dy, b->dcls_token + c);
        else if (b->mask && b->mask[image * N + t - 1])
            e->self->k.axpy(n, 1.0f, dy, b->dmask_token + c);
        if (b->dpos_embed)
            e->self->k.axpy(n, 1.0f, dy, b->dpos_embed + t * e->cols + c);
    }
}

beit_status_t beit__cblas_embed_backward(void *instance, const beit_embed_backward_args_t *a)
{
    embed_t e = {instance, NULL, a, (size_t)a->batch, (size_t)a->patches, (size_t)a->cols, 0};
    if (a->dx)
        BEIT__TRY(beit__cblas_tasks(e.self, e.batch, embed_dx_task, &e));
    e.grain = beit__round_up(beit__row_grain(e.batch * (e.patches + 1)), BEIT__LINE_FLOATS);
    return beit__cblas_tasks(e.self, beit__pieces(e.cols, e.grain), embed_sums_task, &e);
}

/* ---- relative positions ---- */

/* Rows of the table after those of the grid's displacements. */
enum { CLASS_TO_PATCH, PATCH_TO_CLASS, CLASS_TO_CLASS };

typedef struct relpos {
    const beit_relpos_args_t *a;
    size_t rows, cols, heads, tokens;
    size_t special; /* first of the three last rows */
} relpos_t;

static relpos_t relpos_plan(const beit_relpos_args_t *a)
{
    relpos_t p = {a, (size_t)a->rows, (size_t)a->cols, (size_t)a->heads, 0, 0};
    p.tokens = p.rows * p.cols + 1;
    p.special = (2 * p.rows - 1) * (2 * p.cols - 1);
    return p;
}

/* Table row of a patch's query at (y,x) and the key at (key_y, 0); keys further right in that line
 * of patches use the rows before it, one by one. */
static size_t relpos_line(const relpos_t *p, size_t patch, size_t key_y)
{
    const size_t y = patch / p->cols, x = patch % p->cols;
    return (y + p->rows - 1 - key_y) * (2 * p->cols - 1) + x + p->cols - 1;
}

static void put(const relpos_t *p, float value, float *bias)
{
    *bias = p->a->accumulate ? *bias + value : value;
}

/* The biases of one query token in one head; row = head * T + token. */
static void relpos_row(const relpos_t *p, size_t row)
{
    const size_t head = row / p->tokens, i = row % p->tokens;
    const float *table = p->a->table + head, *special = table + p->special * p->heads;
    float *bias = p->a->bias + row * p->tokens;
    put(p, special[(i == 0 ? CLASS_TO_CLASS : PATCH_TO_CLASS) * p->heads], bias++);
    if (i == 0) {
        for (size_t j = 1; j < p->tokens; j++)
            put(p, special[CLASS_TO_PATCH * p->heads], bias++);
        return;
    }
    for (size_t y = 0; y < p->rows; y++) {
        const float *line = table + relpos_line(p, i - 1, y) * p->heads;
        for (size_t x = 0; x < p->cols; x++)
            put(p, *(line - x * p->heads), bias++);
    }
}

static void relpos_forward_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const relpos_t *p = arg;
    const beit__span_t rows = beit__span(p->heads * p->tokens, beit__row_grain(p->tokens), index);
    for (size_t row = rows.first; row < rows.end; row++)
        relpos_row(p, row);
}

beit_status_t beit__cblas_relpos_forward(void *instance, const beit_relpos_args_t *a)
{
    relpos_t p = relpos_plan(a);
    const size_t tasks = beit__pieces(p.heads * p.tokens, beit__row_grain(p.tokens));
    return beit__cblas_tasks(instance, tasks, relpos_forward_task, &p);
}

static void relpos_backward_task(void *arg, size_t head, unsigned worker)
{
    (void)worker;
    const relpos_t *p = arg;
    const float *dbias = p->a->dbias + head * p->tokens * p->tokens;
    float *dtable = p->a->dtable + head, *special = dtable + p->special * p->heads;
    special[CLASS_TO_CLASS * p->heads] += *dbias++;
    for (size_t j = 1; j < p->tokens; j++)
        special[CLASS_TO_PATCH * p->heads] += *dbias++;
    for (size_t i = 1; i < p->tokens; i++) {
        special[PATCH_TO_CLASS * p->heads] += *dbias++;
        for (size_t y = 0; y < p->rows; y++) {
            float *line = dtable + relpos_line(p, i - 1, y) * p->heads;
            for (size_t x = 0; x < p->cols; x++)
                *(line - x * p->heads) += *dbias++;
        }
    }
}

beit_status_t beit__cblas_relpos_backward(void *instance, const beit_relpos_args_t *a)
{
    relpos_t p = relpos_plan(a);
    return beit__cblas_tasks(instance, p.heads, relpos_backward_task, &p);
}
