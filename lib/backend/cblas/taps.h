/* Convolution weights stand in upstream's order (O,I,kernel,kernel). Before they are multiplied,
 * the taps are brought side by side by result channel, a piece of channels at a time. */
#ifndef BEIT_BACKEND_CBLAS_TAPS_H
#define BEIT_BACKEND_CBLAS_TAPS_H

#include "backend/cblas/product.h"

/* Result channels of one piece: a panel's width with own kernels. */
static inline size_t beit__taps_width(const beit__cblas_t *self)
{
    return self->own_gemm ? self->k.nr : BEIT__MAX_NR;
}

/* taps[(r * kernel^2 + tap) * width + j] = weight between source channel rows.first + r and result
 * channel columns.first + j; zero beyond the columns. With `transpose` O is the source, else I. */
void beit__taps_pack(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose,
                     beit__span_t rows, beit__span_t columns, float *taps);

/* Where a prepared operand keeps element (row, column), column being the first of a piece. */
static inline float *beit__taps_target(const beit__cblas_t *self, const beit__rhs_t *rhs,
                                       size_t row, size_t column)
{
    return rhs->data + row * rhs->ld +
           (self->own_gemm ? column / rhs->width * rhs->stride : column);
}

#endif
