/* Products of a task, by own kernels panel by panel or by CBLAS as a whole. */
#include "backend/cblas/product.h"

#include "backend/cblas/blas.h"

size_t beit__rhs_floats(const beit__cblas_t *self, size_t k, size_t n)
{
    return self->own_gemm ? k * beit__round_up(n, self->k.nr) : beit__line_floats(k * n);
}

beit__rhs_t beit__rhs(const beit__cblas_t *self, size_t k, size_t n, float *data)
{
    const size_t width = self->own_gemm ? self->k.nr : n;
    return (beit__rhs_t){
        .data = data, .k = k, .n = n, .width = width, .stride = k * width, .ld = width};
}

size_t beit__rhs_panels(const beit__rhs_t *rhs)
{
    return beit__pieces(rhs->n, rhs->width);
}

static void pack_transposed(const beit__cblas_t *self, const beit__rhs_t *rhs, size_t columns,
                            const float *src, size_t lds, float *dst)
{
    const float *rows[BEIT__MAX_NR];
    if (self->own_gemm) {
        for (size_t j = 0; j < columns; j++)
            rows[j] = src + j * lds;
        self->k.pack_rows(columns, rhs->k, rows, false, dst, rhs->ld);
        return;
    }
    for (size_t j = 0; j < columns; j++)
        for (size_t p = 0; p < rhs->k; p++)
            dst[p * rhs->ld + j] = src[j * lds + p];
}

/* Rows are walked in pieces across all panels: each row of a wide matrix is a page of its own, and
 * a piece's pages stay at hand. */
#define PIECE_ROWS 8u

void beit__pack_across(const beit__kernels_t *kernels, size_t k, size_t n, size_t panels,
                       const float *src, size_t lds, bool relu, float *dst)
{
    for (size_t p = 0; p < k; p += PIECE_ROWS) {
        const size_t rows = beit__min(PIECE_ROWS, k - p);
        for (size_t i = 0, column = 0; i < panels; i++) {
            const size_t width = beit__panel_height(n, panels, i);
            kernels->pack_columns(rows, width, src + p * lds + column, lds, relu,
                                  dst + column * k + p * width, width);
            column += width;
        }
    }
}

void beit__rhs_pack(const beit__cblas_t *self, const beit__rhs_t *rhs, beit__span_t panels,
                    const float *src, size_t lds, bool trans)
{
    const size_t step = trans ? rhs->k : PIECE_ROWS;
    for (size_t p = 0; p < rhs->k; p += step)
        for (size_t i = panels.first; i < panels.end; i++) {
            const beit__span_t columns = beit__span(rhs->n, rhs->width, i);
            const size_t width = columns.end - columns.first;
            float *dst = rhs->data + i * rhs->stride + p * rhs->ld;
            if (trans)
                pack_transposed(self, rhs, width, src + columns.first * lds, lds, dst);
            else
                self->k.pack_columns(beit__min(step, rhs->k - p), width,
                                     src + p * lds + columns.first, lds, false, dst, rhs->ld);
        }
}

void beit__rhs_pack_all(const beit__cblas_t *self, const beit__rhs_t *rhs, const float *src,
                        size_t lds, bool trans)
{
    beit__rhs_pack(self, rhs, (beit__span_t){0, beit__rhs_panels(rhs)}, src, lds, trans);
}

/* CBLAS knows neither bias nor ReLU. */
static void blas_product(const beit__cblas_t *self, size_t m, beit__lhs_view_t lhs,
                         const beit__rhs_t *rhs, beit__result_t r)
{
    beit__blas_sgemm(lhs.layout == BEIT__LHS_COLUMNS, false, m, rhs->n, rhs->k, r.alpha, lhs.data,
                     lhs.ld, rhs->data, rhs->ld, r.beta, r.c, r.ldc);
    if (r.bias || r.relu)
        for (size_t i = 0; i < m; i++)
            self->k.epilogue[r.relu ? BEIT_EPILOGUE_RELU : BEIT_EPILOGUE_NONE](rhs->n, r.bias, NULL,
                                                                               r.c + i * r.ldc);
}

void beit__product(const beit__cblas_t *self, size_t m, beit__lhs_view_t lhs,
                   const beit__rhs_t *rhs, beit__result_t r)
{
    if (!self->own_gemm) {
        blas_product(self, m, lhs, rhs, r);
        return;
    }
    for (size_t i = 0; i < beit__rhs_panels(rhs); i++) {
        const beit__span_t span = beit__span(rhs->n, rhs->width, i);
        self->k.strip(&(beit__strip_t){.m = m,
                                       .n = span.end - span.first,
                                       .k = rhs->k,
                                       .a = lhs.data,
                                       .lda = lhs.ld,
                                       .b = rhs->data + i * rhs->stride,
                                       .ldb = rhs->ld,
                                       .c = r.c + span.first,
                                       .ldc = r.ldc,
                                       .alpha = r.alpha,
                                       .beta = r.beta,
                                       .bias = r.bias ? r.bias + span.first : NULL,
                                       .lhs = lhs.layout,
                                       .relu = r.relu});
    }
}
