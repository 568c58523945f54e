/* CPU features, as levels that kernel tables are filled by. */
#ifndef BEIT_CORE_CPU_H
#define BEIT_CORE_CPU_H

typedef enum beit__isa {
    BEIT__ISA_C = 0,
    BEIT__ISA_AVX2 = 1,  /* AVX2 and FMA */
    BEIT__ISA_AVX512 = 2 /* F, BW, DQ, VL */
} beit__isa_t;

beit__isa_t beit__cpu_isa(void);               /* best level of this CPU and operating system */
const char *beit__isa_name(beit__isa_t isa);   /* "c", "avx2", "avx512" */

#endif
