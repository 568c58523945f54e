/* CPU features, as levels that kernel tables are filled by, and how many CPUs there are. */
#ifndef BEIT_CORE_CPU_H
#define BEIT_CORE_CPU_H

#include <stdint.h>

typedef enum beit__isa {
    BEIT__ISA_C = 0,
    BEIT__ISA_AVX2 = 1,  /* AVX2 and FMA */
    BEIT__ISA_AVX512 = 2 /* F, BW, DQ, VL */
} beit__isa_t;

beit__isa_t beit__cpu_isa(void);             /* best level of this CPU and operating system */
const char *beit__isa_name(beit__isa_t isa); /* "c", "avx2", "avx512" */

/* CPUs this process may use, >= 1: affinity mask and cgroup quota (`cpu.max`, version 2). */
int32_t beit__cpu_count(void);

/* The quota alone, of the cgroup that the file `membership` (as /proc/self/cgroup) names and of
 * those above it, under the mount point `root` (as /sys/fs/cgroup); INT32_MAX when unlimited. */
int32_t beit__cgroup_cpus(const char *membership, const char *root);

#endif
