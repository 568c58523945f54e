/* One vector of floats at the instruction set level that this file is compiled for: 8 lanes with
 * AVX2, 16 with AVX-512. Kernel files are written once in these terms and compiled once per
 * level. Reductions add lanes in a fixed tree. */
#ifndef BEIT_KERNELS_X86_VEC_H
#define BEIT_KERNELS_X86_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define V_INLINE static inline __attribute__((always_inline))

/* Before a loop with a constant count: unroll it wholly, so that arrays it walks can become
 * registers. */
#ifdef __clang__
#define V_UNROLL _Pragma("clang loop unroll(full)")
#else
#define V_UNROLL _Pragma("GCC unroll 36")
#endif

/* ---- what differs between the levels ---- */

#ifdef __AVX512F__

#define V_LEVEL(name) name##_avx512
#define V_LANES       16u
#define V_PS(op)      _mm512_##op##_ps
#define V_EPI32(op)   _mm512_##op##_epi32
#define V_ROUND       _mm512_roundscale_ps
#define V_AND         _mm512_and_si512
#define V_XOR         _mm512_xor_si512
#define V_PS_TO_SI    _mm512_castps_si512
#define V_SI_TO_PS    _mm512_castsi512_ps
#define V_PS_TO_EPI32 _mm512_cvtps_epi32
#define V_EPI32_TO_PS _mm512_cvtepi32_ps

typedef __m512 vec_t;
typedef __m512i veci_t;
typedef __m512d vecd_t;

V_INLINE __mmask16 v_mask(size_t lanes)
{
    return (__mmask16)((1u << lanes) - 1u);
}
V_INLINE vec_t v_load_some(const float *p, size_t lanes) /* zeros beyond */
{
    return _mm512_maskz_loadu_ps(v_mask(lanes), p);
}
V_INLINE void v_store_some(float *p, vec_t x, size_t lanes)
{
    _mm512_mask_storeu_ps(p, v_mask(lanes), x);
}
V_INLINE vec_t v_first(vec_t x, size_t lanes, vec_t beyond) /* `beyond` in the other lanes */
{
    return _mm512_mask_blend_ps(v_mask(lanes), beyond, x);
}
V_INLINE unsigned v_equal(vec_t a, vec_t b) /* bit j: lane j */
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
V_INLINE vec_t v_select_less(vec_t a, vec_t b, vec_t x, vec_t y) /* a < b ? x : y */
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
V_INLINE float v_sum(vec_t x)
{
    return _mm512_reduce_add_ps(x);
}
V_INLINE float v_top(vec_t x) /* the largest lane */
{
    return _mm512_reduce_max_ps(x);
}
V_INLINE vecd_t vd_zero(void)
{
    return _mm512_setzero_pd();
}
V_INLINE double vd_sum(vecd_t x)
{
    return _mm512_reduce_add_pd(x);
}
/* sum + x y in double, the vectors' upper halves folded onto the lower ones. */
V_INLINE vecd_t vd_fma(vec_t x, vec_t y, vecd_t sum)
{
    const __m512d x0 = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    const __m512d y0 = _mm512_cvtps_pd(_mm512_castps512_ps256(y));
    const __m512d x1 = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    const __m512d y1 = _mm512_cvtps_pd(_mm512_extractf32x8_ps(y, 1));
    return _mm512_fmadd_pd(x1, y1, _mm512_fmadd_pd(x0, y0, sum));
}

#else

#define V_LEVEL(name) name##_avx2
#define V_LANES       8u
#define V_PS(op)      _mm256_##op##_ps
#define V_EPI32(op)   _mm256_##op##_epi32
#define V_ROUND       _mm256_round_ps
#define V_AND         _mm256_and_si256
#define V_XOR         _mm256_xor_si256
#define V_PS_TO_SI    _mm256_castps_si256
#define V_SI_TO_PS    _mm256_castsi256_ps
#define V_PS_TO_EPI32 _mm256_cvtps_epi32
#define V_EPI32_TO_PS _mm256_cvtepi32_ps

typedef __m256 vec_t;
typedef __m256i veci_t;
typedef __m256d vecd_t;

V_INLINE __m256i v_mask(size_t lanes)
{
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)lanes), order);
}
V_INLINE vec_t v_load_some(const float *p, size_t lanes) /* zeros beyond */
{
    return _mm256_maskload_ps(p, v_mask(lanes));
}
V_INLINE void v_store_some(float *p, vec_t x, size_t lanes)
{
    _mm256_maskstore_ps(p, v_mask(lanes), x);
}
V_INLINE vec_t v_first(vec_t x, size_t lanes, vec_t beyond) /* `beyond` in the other lanes */
{
    return _mm256_blendv_ps(beyond, x, _mm256_castsi256_ps(v_mask(lanes)));
}
V_INLINE unsigned v_equal(vec_t a, vec_t b) /* bit j: lane j */
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}
V_INLINE vec_t v_select_less(vec_t a, vec_t b, vec_t x, vec_t y) /* a < b ? x : y */
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
V_INLINE float v_sum(vec_t x)
{
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
}
V_INLINE float v_top(vec_t x) /* the largest lane */
{
    __m128 h = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)));
}
V_INLINE vecd_t vd_zero(void)
{
    return _mm256_setzero_pd();
}
V_INLINE double vd_sum(vecd_t x)
{
    const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}
/* sum + x y in double, the vectors' upper halves folded onto the lower ones. */
V_INLINE vecd_t vd_fma(vec_t x, vec_t y, vecd_t sum)
{
    const __m256d x0 = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
    const __m256d y0 = _mm256_cvtps_pd(_mm256_castps256_ps128(y));
    const __m256d x1 = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
    const __m256d y1 = _mm256_cvtps_pd(_mm256_extractf128_ps(y, 1));
    return _mm256_fmadd_pd(x1, y1, _mm256_fmadd_pd(x0, y0, sum));
}

#endif

/* ---- floats ---- */

V_INLINE vec_t v_set(float x)
{
    return V_PS(set1)(x);
}
V_INLINE vec_t v_load(const float *p)
{
    return V_PS(loadu)(p);
}
V_INLINE void v_store(float *p, vec_t x)
{
    V_PS(storeu)(p, x);
}
V_INLINE vec_t v_add(vec_t a, vec_t b)
{
    return V_PS(add)(a, b);
}
V_INLINE vec_t v_sub(vec_t a, vec_t b)
{
    return V_PS(sub)(a, b);
}
V_INLINE vec_t v_mul(vec_t a, vec_t b)
{
    return V_PS(mul)(a, b);
}
V_INLINE vec_t v_div(vec_t a, vec_t b)
{
    return V_PS(div)(a, b);
}
V_INLINE vec_t v_sqrt(vec_t x)
{
    return V_PS(sqrt)(x);
}
V_INLINE vec_t v_max(vec_t a, vec_t b) /* b where either is NaN */
{
    return V_PS(max)(a, b);
}
V_INLINE vec_t v_min(vec_t a, vec_t b) /* b where either is NaN */
{
    return V_PS(min)(a, b);
}
V_INLINE vec_t v_fma(vec_t a, vec_t b, vec_t c) /* a b + c */
{
    return V_PS(fmadd)(a, b, c);
}
V_INLINE vec_t v_fnma(vec_t a, vec_t b, vec_t c) /* c - a b */
{
    return V_PS(fnmadd)(a, b, c);
}
V_INLINE vec_t v_round(vec_t x) /* to the nearest integer */
{
    return V_ROUND(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
V_INLINE vec_t v_relu(vec_t x) /* keeps NaN */
{
    return v_max(v_set(0.0f), x);
}
V_INLINE vec_t v_abs(vec_t x)
{
    return v_max(v_sub(v_set(0.0f), x), x);
}

/* ---- 32-bit integers ---- */

#define vi_shift_left(x, bits)   V_EPI32(slli)(x, bits)
#define vi_shift_right(x, bits)  V_EPI32(srli)(x, bits) /* zeros come in */
#define vi_shift_signed(x, bits) V_EPI32(srai)(x, bits) /* signs come in */

V_INLINE veci_t vi_set(uint32_t x)
{
    return V_EPI32(set1)((int)x);
}
V_INLINE veci_t vi_add(veci_t a, veci_t b)
{
    return V_EPI32(add)(a, b);
}
V_INLINE veci_t vi_sub(veci_t a, veci_t b)
{
    return V_EPI32(sub)(a, b);
}
V_INLINE veci_t vi_xor(veci_t a, veci_t b)
{
    return V_XOR(a, b);
}
V_INLINE veci_t vi_of_bits(vec_t x)
{
    return V_PS_TO_SI(x);
}
V_INLINE vec_t v_of_bits(veci_t x)
{
    return V_SI_TO_PS(x);
}
V_INLINE veci_t vi_round(vec_t x) /* to the nearest integer */
{
    return V_PS_TO_EPI32(x);
}

V_INLINE vec_t v_of_int(veci_t x)
{
    return V_EPI32_TO_PS(x);
}

/* ---- rows ---- */

/* The first `lanes` elements, zeros beyond; a plain load where the compiler knows that all
 * count. */
V_INLINE vec_t v_get(const float *p, size_t lanes)
{
    return lanes == V_LANES ? v_load(p) : v_load_some(p, lanes);
}
V_INLINE void v_put(float *p, vec_t x, size_t lanes)
{
    if (lanes == V_LANES)
        v_store(p, x);
    else
        v_store_some(p, x, lanes);
}

/* Run a block for i = 0, V_LANES, ... below n; `lanes` of its lanes count: a constant except in
 * the last round. */
#define V_EACH(i, lanes, n, ...)                                                                   \
    do {                                                                                           \
        size_t i = 0;                                                                              \
        for (; i + V_LANES <= (n); i += V_LANES) {                                                 \
            const size_t lanes = V_LANES;                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
        if (i < (n)) {                                                                             \
            const size_t lanes = (n)-i;                                                            \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    } while (0)

#endif
