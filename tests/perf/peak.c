/* The FMA loop at each vector width. */
#include "peak.h"

#include <stddef.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double perf_seconds(void)
{
    return seconds(CLOCK_MONOTONIC);
}

double perf_cpu_seconds(void)
{
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

/* Independent chains: latency 4 times two units is 8; a few more do no harm. */
#define CHAINS(X)   X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CHAIN_COUNT 12.0
#define ROUNDS      500000u

#ifdef __x86_64__
#include <immintrin.h>

/* One chain in registers: the empty statement keeps the compiler from solving the recurrence. */
#define START(i) x##i = set((float)i);
#define STEP(i)                                                                                    \
    x##i = fma(x##i, a, b);                                                                        \
    __asm__ volatile("" : "+v"(x##i));
#define DECLARE(i) vector x##i;

__attribute__((target("avx2,fma"))) static void loop_avx2(void)
{
    typedef __m256 vector;
#define set _mm256_set1_ps
#define fma _mm256_fmadd_ps
    const vector a = set(0.999f), b = set(0.001f);
    CHAINS(DECLARE)
    CHAINS(START)
    for (size_t r = 0; r < ROUNDS; r++) {
        CHAINS(STEP)
    }
#undef set
#undef fma
}

__attribute__((target("avx512f"))) static void loop_avx512(void)
{
    typedef __m512 vector;
#define set _mm512_set1_ps
#define fma _mm512_fmadd_ps
    const vector a = set(0.999f), b = set(0.001f);
    CHAINS(DECLARE)
    CHAINS(START)
    for (size_t r = 0; r < ROUNDS; r++) {
        CHAINS(STEP)
    }
#undef set
#undef fma
}
#endif

/* What plain C reaches with vectors of four, multiply and add apart. */
static void loop_c(void)
{
    typedef float vector __attribute__((vector_size(16)));
    vector x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (vector){(float)i, 1.0f, 2.0f, 3.0f};
    for (size_t r = 0; r < ROUNDS; r++) {
        for (int i = 0; i < 12; i++)
            x[i] = x[i] * 0.999f + 0.001f;
        __asm__ volatile("" : : "r"(x) : "memory");
    }
}

static const struct {
    void (*loop)(void);
    double lanes;
} LOOPS[] = {
    [BEIT__ISA_C] = {loop_c, 4.0},
#ifdef __x86_64__
    [BEIT__ISA_AVX2] = {loop_avx2, 8.0},
    [BEIT__ISA_AVX512] = {loop_avx512, 16.0},
#endif
};

double perf_peak_gflops(beit__isa_t isa)
{
    double best = 0.0;
    for (int i = 0; i < 5; i++) {
        const double start = perf_cpu_seconds();
        LOOPS[isa].loop();
        const double flops = 2.0 * LOOPS[isa].lanes * CHAIN_COUNT * ROUNDS;
        const double now = flops / (perf_cpu_seconds() - start) * 1e-9;
        best = now > best ? now : best;
    }
    return best;
}
