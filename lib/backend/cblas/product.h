/* Matrix products inside a task: the right-hand operand is prepared once, then multiplied by any
 * number of row blocks. With own kernels "prepared" means cut into panels of nr columns; with
 * CBLAS it is a plain row-major matrix. Layers above need not know which. */
#ifndef BEIT_BACKEND_CBLAS_PRODUCT_H
#define BEIT_BACKEND_CBLAS_PRODUCT_H

#include "backend/cblas/cblas.h"

/* A prepared right-hand operand (k,n). Element (p,j) is at
 * data[(j / width) * stride + p * ld + j % width]. */
typedef struct beit__rhs {
    float *data;
    size_t k, n;
    size_t width;  /* columns per panel */
    size_t stride; /* from panel to panel */
    size_t ld;     /* from row to row */
} beit__rhs_t;

/* Describe an operand of k x n at `data`, which has beit__rhs_floats() elements. */
size_t beit__rhs_floats(const beit__cblas_t *self, size_t k, size_t n);
beit__rhs_t beit__rhs(const beit__cblas_t *self, size_t k, size_t n, float *data);
size_t beit__rhs_panels(const beit__rhs_t *rhs);

/* Fill panels from (k,n), or from (n,k) when `trans`. */
void beit__rhs_pack(const beit__cblas_t *self, const beit__rhs_t *rhs, beit__span_t panels,
                    const float *src, size_t lds, bool trans);
void beit__rhs_pack_all(const beit__cblas_t *self, const beit__rhs_t *rhs, const float *src,
                        size_t lds, bool trans);

/* Cut (k,n), row stride lds, into panels as even as can be, one after the other at dst. */
void beit__pack_across(const beit__kernels_t *kernels, size_t k, size_t n, size_t panels,
                       const float *src, size_t lds, bool relu, float *dst);

/* A left-hand operand. */
typedef struct beit__lhs_view {
    const float *data;
    size_t ld;
    beit__lhs_t layout; /* PACKED only with own kernels */
} beit__lhs_view_t;

/* What becomes of a product: c (m, rhs->n) = alpha lhs rhs + beta c, + bias where there is one,
 * then ReLU on request. */
typedef struct beit__result {
    float *c;
    size_t ldc;
    float alpha, beta;
    const float *bias;
    bool relu;
} beit__result_t;

void beit__product(const beit__cblas_t *self, size_t m, beit__lhs_view_t lhs,
                   const beit__rhs_t *rhs, beit__result_t result);

#endif
