/* The BLAS behind CBLAS: its one routine that we call, and its threads. */
#ifndef BEIT_BACKEND_CBLAS_BLAS_H
#define BEIT_BACKEND_CBLAS_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Row-major C = alpha op(A) op(B) + beta C. */
void beit__blas_sgemm(bool trans_a, bool trans_b, size_t m, size_t n, size_t k, float alpha,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                      size_t ldc);

int beit__blas_threads(void);             /* as the BLAS reports; 1 when it says nothing */
bool beit__blas_set_threads(int threads); /* process-wide; false when the BLAS has no such call */
const char *beit__blas_name(void);        /* "OpenBLAS", "MKL", "BLIS" or "BLAS" */

#endif
