/* Convolutions of 3x3 kernels, stride 1 and padding 1 by Winograd's F(4x4,3x3): 36 products where
 * the direct way takes 144. Used where there are channels and tiles enough to pay for the
 * transforms. */
#ifndef BEIT_BACKEND_CBLAS_WINOGRAD_H
#define BEIT_BACKEND_CBLAS_WINOGRAD_H

#include "backend/cblas/cblas.h"

/* Whether this kernel can be treated so at all, and whether these extents make it worth while. */
bool beit__winograd_fits(const beit_conv_args_t *a);
bool beit__winograd_pays(const beit_conv_args_t *a);

/* Scratch in bytes. */
size_t beit__winograd_space(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose);
size_t beit__winograd_gradient_space(const beit__cblas_t *self, const beit_conv_args_t *a);

/* The three operations of beit_conv_args_t. */
beit_status_t beit__winograd_conv(const beit__cblas_t *self, const beit_conv_args_t *a,
                                  bool transpose);
beit_status_t beit__winograd_gradient(const beit__cblas_t *self, const beit_conv_args_t *a);

#endif
