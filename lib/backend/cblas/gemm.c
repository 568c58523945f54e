/* Matrix products. With own kernels the right operand is packed and shared, a band of columns at a
 * time; each task packs its block of the left one and finishes its tile, epilogue included, while
 * that is in cache. With CBLAS each task is one call. Tiles follow from the shape alone. */
#include "backend/cblas/gemm.h"

#include "backend/cblas/blas.h"
#include "backend/cblas/product.h"
#include "core/status.h"

/* Own kernels: a block of the left operand and the tile of C share the second-level cache. */
#define ROW_TILE    112u
#define COLUMN_TILE 768u
#define K_BLOCK     800u
/* A packed band of the right operand stays in the last-level cache. */
#define BAND_FLOATS (2u << 20)
#define BAND_K      3200u
/* Panels of the right operand that one task packs. */
#define PACK_PANELS 8u
/* CBLAS packs the whole right operand again in each call, hence taller tiles. */
#define BLAS_ROW_TILE    394u
#define BLAS_COLUMN_TILE 768u
#define BLAS_MIN_TASKS   4u

/* Equal parts of about `target`, a multiple of `unit`. */
static size_t even_tile(size_t n, size_t target, size_t unit)
{
    return beit__round_up(beit__pieces(n, beit__pieces(n, target)), unit);
}

typedef struct gemm {
    const beit__cblas_t *self;
    const beit_gemm_args_t *a;
    size_t m, n, k;
    size_t row_tile, column_tile, k_block;
    beit__rhs_t rhs; /* own kernels: right operand, packed */
    float *lhs;      /* own kernels: one block per worker */
    size_t lhs_floats;
    bool relu_lhs;
} gemm_t;

static size_t lhs_floats(const beit_gemm_args_t *a)
{
    const size_t rows = beit__min((size_t)a->m, ROW_TILE);
    return beit__line_floats(rows * beit__min((size_t)a->k, K_BLOCK));
}

size_t beit__cblas_gemm_space(const beit__cblas_t *self, const beit_gemm_args_t *a)
{
    if (!self->own_gemm)
        return 0;
    const size_t k = beit__min((size_t)a->k, BAND_K);
    const size_t narrow = beit__rhs_floats(self, k, COLUMN_TILE);
    const size_t rhs =
        beit__min(beit__rhs_floats(self, k, (size_t)a->n), beit__max(BAND_FLOATS, narrow));
    return (rhs + self->workers * lhs_floats(a)) * sizeof(float);
}

static void finish(const gemm_t *g, beit__span_t rows, beit__span_t columns, const float *bias,
                   float *c, float *aux)
{
    const beit_gemm_args_t *a = g->a;
    if (!bias && a->epilogue == BEIT_EPILOGUE_NONE)
        return;
    bias = bias ? bias + columns.first : NULL;
    for (size_t i = rows.first; i < rows.end; i++) {
        const size_t at = i * (size_t)a->ldc + columns.first;
        g->self->k.epilogue[a->epilogue](columns.end - columns.first, bias, aux ? aux + at : NULL,
                                         c + at);
    }
}

static void blas_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const gemm_t *g = arg;
    const beit_gemm_args_t *a = g->a;
    const size_t row_tiles = beit__pieces(g->m, g->row_tile);
    const size_t tiles = row_tiles * beit__pieces(g->n, g->column_tile);
    const size_t item = index / tiles, tile = index % tiles;
    const beit__span_t rows = beit__span(g->m, g->row_tile, tile % row_tiles);
    const beit__span_t columns = beit__span(g->n, g->column_tile, tile / row_tiles);
    const size_t lda = (size_t)a->lda, ldb = (size_t)a->ldb;
    const float *lhs = a->a + item * (size_t)a->stride_a + rows.first * (a->trans_a ? 1 : lda);
    const float *rhs = a->b + item * (size_t)a->stride_b + columns.first * (a->trans_b ? ldb : 1);
    float *c = a->c + item * (size_t)a->stride_c;
    beit__blas_sgemm(a->trans_a, a->trans_b, rows.end - rows.first, columns.end - columns.first,
                     g->k, a->alpha, lhs, lda, rhs, ldb, a->beta,
                     c + rows.first * (size_t)a->ldc + columns.first, (size_t)a->ldc);
    finish(g, rows, columns, a->bias, c, a->aux ? a->aux + item * (size_t)a->stride_c : NULL);
}

static beit_status_t blas_gemm(const beit__cblas_t *self, const beit_gemm_args_t *a)
{
    gemm_t g = {.self = self, .a = a, .m = (size_t)a->m, .n = (size_t)a->n, .k = (size_t)a->k};
    const bool whole = self->blas_threads > 1;
    g.row_tile = whole ? g.m : even_tile(g.m, BLAS_ROW_TILE, 1);
    g.column_tile = g.n;
    if (!whole && beit__pieces(g.m, g.row_tile) < BLAS_MIN_TASKS)
        g.column_tile = even_tile(g.n, BLAS_COLUMN_TILE, 1);
    const size_t tiles = beit__pieces(g.m, g.row_tile) * beit__pieces(g.n, g.column_tile);
    return beit__cblas_products(self, tiles * (size_t)a->batch, blas_task, &g);
}

static void pack_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const gemm_t *g = arg;
    const beit__span_t panels = beit__span(beit__rhs_panels(&g->rhs), PACK_PANELS, index);
    beit__rhs_pack(g->self, &g->rhs, panels, g->a->b, (size_t)g->a->ldb, g->a->trans_b);
}

/* Rows and columns [p, p + k) of the left operand, in panels. */
static void pack_lhs(const gemm_t *g, beit__span_t rows, size_t p, size_t k, float *dst)
{
    const beit__kernels_t *kernels = &g->self->k;
    const size_t lda = (size_t)g->a->lda, m = rows.end - rows.first;
    const size_t panels = beit__panel_count(m, kernels->mr);
    if (g->a->trans_a) {
        beit__pack_across(kernels, k, m, panels, g->a->a + p * lda + rows.first, lda, g->relu_lhs,
                          dst);
        return;
    }
    for (size_t i = 0, row = rows.first; i < panels; i++) {
        const float *pointers[BEIT__MAX_MR];
        const size_t height = beit__panel_height(m, panels, i);
        for (size_t r = 0; r < height; r++)
            pointers[r] = g->a->a + (row + r) * lda + p;
        kernels->pack_rows(height, k, pointers, g->relu_lhs, dst, height);
        row += height;
        dst += height * k;
    }
}

static void tile_task(void *arg, size_t index, unsigned worker)
{
    const gemm_t *g = arg;
    const beit_gemm_args_t *a = g->a;
    const size_t row_tiles = beit__pieces(g->m, g->row_tile);
    const beit__span_t rows = beit__span(g->m, g->row_tile, index % row_tiles);
    const beit__span_t columns = beit__span(g->n, g->column_tile, index / row_tiles);
    float *lhs = g->lhs + worker * g->lhs_floats;
    float *c = a->c + rows.first * (size_t)a->ldc;
    size_t p = 0;
    do {
        const size_t k = beit__min(g->k - p, g->k_block);
        const bool last = p + k == g->k;
        pack_lhs(g, rows, p, k, lhs);
        for (size_t j = columns.first; j < columns.end; j += g->rhs.width)
            g->self->k.strip(&(beit__strip_t){.m = rows.end - rows.first,
                                              .n = beit__min(columns.end - j, g->rhs.width),
                                              .k = k,
                                              .a = lhs,
                                              .b = g->rhs.data + (j * g->k + p * g->rhs.width),
                                              .ldb = g->rhs.ld,
                                              .c = c + j,
                                              .ldc = (size_t)a->ldc,
                                              .alpha = a->alpha,
                                              .beta = p == 0 ? a->beta : 1.0f,
                                              .bias = last && a->bias ? a->bias + j : NULL,
                                              .lhs = BEIT__LHS_PACKED,
                                              .relu = last && a->epilogue == BEIT_EPILOGUE_RELU});
        p += k;
    } while (p < g->k);
    if (a->epilogue != BEIT_EPILOGUE_RELU) /* the strips have done that, and the bias */
        finish(g, rows, columns, NULL, a->c, a->aux);
}

/* A product that is one band. */
static beit_status_t band_gemm(const beit__cblas_t *self, const beit_gemm_args_t *a, bool relu_lhs)
{
    gemm_t g = {.self = self,
                .a = a,
                .m = (size_t)a->m,
                .n = (size_t)a->n,
                .k = (size_t)a->k,
                .relu_lhs = relu_lhs};
    g.row_tile = even_tile(g.m, ROW_TILE, 1);
    g.column_tile = even_tile(g.n, COLUMN_TILE, self->k.nr);
    g.k_block = g.k ? even_tile(g.k, K_BLOCK, 1) : 1;
    g.rhs = beit__rhs(self, g.k, g.n, a->op.workspace);
    g.lhs = g.rhs.data + beit__rhs_floats(self, g.k, g.n);
    g.lhs_floats = lhs_floats(a);
    const size_t panels = beit__rhs_panels(&g.rhs);
    BEIT__TRY(beit__cblas_tasks(self, beit__pieces(panels, PACK_PANELS), pack_task, &g));
    const size_t tiles = beit__pieces(g.m, g.row_tile) * beit__pieces(g.n, g.column_tile);
    return beit__cblas_tasks(self, tiles, tile_task, &g);
}

/* The part of a product that belongs to [p, p + k), added to the parts before. */
static beit_gemm_args_t product_of(const beit_gemm_args_t *a, int64_t p, int64_t k)
{
    beit_gemm_args_t part = *a;
    part.k = k;
    part.a += p * (a->trans_a ? a->lda : 1);
    part.b += p * (a->trans_b ? 1 : a->ldb);
    part.beta = p == 0 ? a->beta : 1.0f;
    return part;
}

/* A product of any length: bands of k one after the other, epilogue with the last. */
static beit_status_t long_gemm(const beit__cblas_t *self, const beit_gemm_args_t *a, bool relu_lhs)
{
    const int64_t band = a->k ? (int64_t)even_tile((size_t)a->k, BAND_K, 1) : 1;
    int64_t p = 0;
    for (; p + band < a->k; p += band) {
        beit_gemm_args_t part = product_of(a, p, band);
        part.bias = NULL;
        part.epilogue = BEIT_EPILOGUE_NONE;
        BEIT__TRY(band_gemm(self, &part, relu_lhs));
    }
    const beit_gemm_args_t last = product_of(a, p, a->k - p);
    return band_gemm(self, &last, relu_lhs);
}

beit_status_t beit__own_gemm(const beit__cblas_t *self, const beit_gemm_args_t *a, bool relu_lhs)
{
    if (a->m == 0 || a->n == 0)
        return BEIT_OK;
    const size_t n = (size_t)a->n, k = beit__max(1, beit__min((size_t)a->k, BAND_K));
    const size_t tiles = beit__max(1, BAND_FLOATS / (k * COLUMN_TILE));
    const size_t band = even_tile(n, tiles * COLUMN_TILE, self->k.nr);
    for (int64_t item = 0; item < a->batch; item++)
        for (size_t j = 0; j < n; j += band) {
            beit_gemm_args_t part = *a;
            part.n = (int64_t)beit__min(band, n - j);
            part.a += item * a->stride_a;
            part.b += item * a->stride_b + (int64_t)j * (a->trans_b ? a->ldb : 1);
            part.c += item * a->stride_c + (int64_t)j;
            part.aux = a->aux ? a->aux + item * a->stride_c + j : NULL;
            part.bias = a->bias ? a->bias + j : NULL;
            BEIT__TRY(long_gemm(self, &part, relu_lhs));
        }
    return BEIT_OK;
}

beit_status_t beit__cblas_gemm(void *instance, const beit_gemm_args_t *a)
{
    const beit__cblas_t *self = instance;
    if (self->own_gemm)
        return beit__own_gemm(self, a, false);
    return a->m == 0 || a->n == 0 ? BEIT_OK : blas_gemm(self, a);
}
