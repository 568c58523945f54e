/* Matrix products for other operations of this backend. */
#ifndef BEIT_BACKEND_CBLAS_GEMM_H
#define BEIT_BACKEND_CBLAS_GEMM_H

#include "backend/cblas/cblas.h"

/* As the operation, with own kernels only; the left operand passes through ReLU on request. */
beit_status_t beit__own_gemm(const beit__cblas_t *self, const beit_gemm_args_t *a, bool relu_lhs);

#endif
