/* Dropout factors for rows that start anywhere in a sample. */
#ifndef BEIT_BACKEND_CBLAS_RANDOM_H
#define BEIT_BACKEND_CBLAS_RANDOM_H

#include "backend/cblas/cblas.h"

/* Floats that beit__keep_row() needs for a row of n: it draws whole blocks. */
size_t beit__keep_floats(size_t n);

/* Factors of elements row * n .. row * n + n - 1 of sample `index`; returns where they start in
 * `space`. */
const float *beit__keep_row(const beit__cblas_t *self, const beit_op_random_t *random, size_t index,
                            size_t row, size_t n, float rate, float *space);

#endif
