/* Convolutions with a kernel of one pixel are matrix products over pixels: own kernels take them
 * as such. */
#ifndef BEIT_BACKEND_CBLAS_POINTWISE_H
#define BEIT_BACKEND_CBLAS_POINTWISE_H

#include "backend/cblas/cblas.h"

/* Whether a convolution is one; whether its weight gradient is large enough to be cut into tiles
 * instead of groups of pixels. */
bool beit__pointwise_fits(const beit__cblas_t *self, const beit_conv_args_t *a);
bool beit__pointwise_gradient_fits(const beit__cblas_t *self, const beit_conv_args_t *a);

/* Scratch in bytes, the same for all three operations. */
size_t beit__pointwise_space(const beit__cblas_t *self, const beit_conv_args_t *a);

beit_status_t beit__pointwise_conv(const beit__cblas_t *self, const beit_conv_args_t *a,
                                   bool transpose);
beit_status_t beit__pointwise_gradient(const beit__cblas_t *self, const beit_conv_args_t *a);

#endif
