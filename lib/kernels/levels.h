/* One function per family and instruction set level that fills the family's slots. */
#ifndef BEIT_KERNELS_LEVELS_H
#define BEIT_KERNELS_LEVELS_H

#include "kernels/kernels.h"

#define BEIT__KERNEL_FAMILIES(X, level)                                                            \
    X(gemm, level)                                                                                 \
    X(pack, level)                                                                                 \
    X(act, level)                                                                                  \
    X(row, level)                                                                                  \
    X(norm, level) X(softmax, level) X(random, level) X(winograd, level) X(optim, level)

#define BEIT__DECLARE_FAMILY(family, level) void beit__fill_##family##_##level(beit__kernels_t *k);
BEIT__KERNEL_FAMILIES(BEIT__DECLARE_FAMILY, c)
BEIT__KERNEL_FAMILIES(BEIT__DECLARE_FAMILY, avx2)
BEIT__KERNEL_FAMILIES(BEIT__DECLARE_FAMILY, avx512)
#undef BEIT__DECLARE_FAMILY

#endif
