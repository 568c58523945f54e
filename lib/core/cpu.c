/* The best instruction set that both the CPU and the operating system support. */
#include "core/cpu.h"

beit__isa_t beit__cpu_isa(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return BEIT__ISA_C;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return BEIT__ISA_AVX512;
    return BEIT__ISA_AVX2;
#else
    return BEIT__ISA_C;
#endif
}

const char *beit__isa_name(beit__isa_t isa)
{
    static const char *const names[] = {
        [BEIT__ISA_C] = "c", [BEIT__ISA_AVX2] = "avx2", [BEIT__ISA_AVX512] = "avx512"};
    return names[isa];
}
