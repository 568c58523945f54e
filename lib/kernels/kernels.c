/* The table of kernels: every slot in C first, then each level overwrites its own. */
#include "kernels/kernels.h"

#include "kernels/levels.h"

#define BEIT__FILL_FAMILY(family, level) beit__fill_##family##_##level(k);

void beit__kernels_init(beit__kernels_t *k, beit__isa_t isa)
{
    *k = (beit__kernels_t){.isa = BEIT__ISA_C};
    BEIT__KERNEL_FAMILIES(BEIT__FILL_FAMILY, c)
#ifdef BEIT_HAVE_X86_KERNELS
    if (isa >= BEIT__ISA_AVX2) {
        BEIT__KERNEL_FAMILIES(BEIT__FILL_FAMILY, avx2)
        k->isa = BEIT__ISA_AVX2;
    }
    if (isa >= BEIT__ISA_AVX512) {
        BEIT__KERNEL_FAMILIES(BEIT__FILL_FAMILY, avx512)
        k->isa = BEIT__ISA_AVX512;
    }
#else
    (void)isa;
#endif
}
