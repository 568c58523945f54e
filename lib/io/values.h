/* Numbers of any real type in a file to f32 in memory. */
#ifndef BEIT_IO_VALUES_H
#define BEIT_IO_VALUES_H

#include <stdbool.h>

#include "io/file.h"

/* True for F32, F16, BF16 and F64. */
bool beit__values_are_real(int32_t dtype);

/* `count` numbers that follow each other from byte `at` on. */
beit_status_t beit__values_read(const beit__source_t *source, uint64_t at, int32_t dtype,
                                uint64_t count, float *dst /* (count) host */);

/* A tensor whose element i lies sum(i[d] stride[d]) elements after byte `at`; dst is packed. All of
 * it must lie inside the source; strides are natural numbers. */
beit_status_t beit__values_gather(const beit__source_t *source, uint64_t at, int32_t dtype,
                                  int32_t ndim, const int64_t *shape, const int64_t *stride,
                                  float *dst /* (shape) host */);

#endif
