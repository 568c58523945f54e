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

void beit__rhs_pack(const beit__cblas_t *self, const beit__rhs_t *rhs, size_t panel,
                    const float *src, size_t lds, bool trans)
{
    const beit__span_t span = beit__span(rhs->n, rhs->width, panel);
    const size_t columns = span.end - span.first;
    float *dst = rhs->data + panel * rhs->stride;
    if (trans)
        pack_transposed(self, rhs, columns, src + span.first * lds, lds, dst);
    else
        self->k.pack_columns(rhs->k, columns, src + span.first, lds, false, dst, rhs->ld);
}

void beit__rhs_pack_all(const beit__cblas_t *self, const beit__rhs_t *rhs, const float *src,
                        size_t lds, bool trans)
{
    for (size_t i = 0; i < beit__rhs_panels(rhs); i++)
        beit__rhs_pack(self, rhs, i, src, lds, trans);
}

void beit__product(const beit__cblas_t *self, size_t m, beit__lhs_view_t lhs,
                   const beit__rhs_t *rhs, float alpha, float beta, float *c, size_t ldc)
{
    if (!self->own_gemm) {
        beit__blas_sgemm(lhs.layout == BEIT__LHS_COLUMNS, false, m, rhs->n, rhs->k, alpha, lhs.data,
                         lhs.ld, rhs->data, rhs->ld, beta, c, ldc);
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
                                       .c = c + span.first,
                                       .ldc = ldc,
                                       .alpha = alpha,
                                       .beta = beta,
                                       .lhs = lhs.layout});
    }
}
