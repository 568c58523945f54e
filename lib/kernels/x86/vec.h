/* One vector of floats at the instruction set level that this file is compiled for: 8 lanes with
 * AVX2, 16 with AVX-512. Kernel files are written once in these terms and compiled once per
 * level. */
#ifndef BEIT_KERNELS_X86_VEC_H
#define BEIT_KERNELS_X86_VEC_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define V_INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__

#define V_LEVEL(name) name##_avx512
#define V_LANES       16u

typedef __m512 vec_t;
typedef __m512i veci_t;

V_INLINE __mmask16 v_mask(size_t lanes)
{
    return (__mmask16)((1u << lanes) - 1u);
}
V_INLINE vec_t v_set(float x)
{
    return _mm512_set1_ps(x);
}
V_INLINE vec_t v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
V_INLINE void v_store(float *p, vec_t x)
{
    _mm512_storeu_ps(p, x);
}
V_INLINE vec_t v_load_some(const float *p, size_t lanes)
{
    return _mm512_maskz_loadu_ps(v_mask(lanes), p);
}
V_INLINE void v_store_some(float *p, vec_t x, size_t lanes)
{
    _mm512_mask_storeu_ps(p, v_mask(lanes), x);
}
V_INLINE vec_t v_add(vec_t a, vec_t b)
{
    return _mm512_add_ps(a, b);
}
V_INLINE vec_t v_sub(vec_t a, vec_t b)
{
    return _mm512_sub_ps(a, b);
}
V_INLINE vec_t v_mul(vec_t a, vec_t b)
{
    return _mm512_mul_ps(a, b);
}
V_INLINE vec_t v_div(vec_t a, vec_t b)
{
    return _mm512_div_ps(a, b);
}
V_INLINE vec_t v_max(vec_t a, vec_t b)
{
    return _mm512_max_ps(a, b);
}
V_INLINE vec_t v_min(vec_t a, vec_t b)
{
    return _mm512_min_ps(a, b);
}
V_INLINE vec_t v_fma(vec_t a, vec_t b, vec_t c) /* a b + c */
{
    return _mm512_fmadd_ps(a, b, c);
}
V_INLINE vec_t v_fnma(vec_t a, vec_t b, vec_t c) /* c - a b */
{
    return _mm512_fnmadd_ps(a, b, c);
}

#else

#define V_LEVEL(name) name##_avx2
#define V_LANES       8u

typedef __m256 vec_t;
typedef __m256i veci_t;

V_INLINE __m256i v_mask(size_t lanes)
{
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)lanes), order);
}
V_INLINE vec_t v_set(float x)
{
    return _mm256_set1_ps(x);
}
V_INLINE vec_t v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
V_INLINE void v_store(float *p, vec_t x)
{
    _mm256_storeu_ps(p, x);
}
V_INLINE vec_t v_load_some(const float *p, size_t lanes)
{
    return _mm256_maskload_ps(p, v_mask(lanes));
}
V_INLINE void v_store_some(float *p, vec_t x, size_t lanes)
{
    _mm256_maskstore_ps(p, v_mask(lanes), x);
}
V_INLINE vec_t v_add(vec_t a, vec_t b)
{
    return _mm256_add_ps(a, b);
}
V_INLINE vec_t v_sub(vec_t a, vec_t b)
{
    return _mm256_sub_ps(a, b);
}
V_INLINE vec_t v_mul(vec_t a, vec_t b)
{
    return _mm256_mul_ps(a, b);
}
V_INLINE vec_t v_div(vec_t a, vec_t b)
{
    return _mm256_div_ps(a, b);
}
V_INLINE vec_t v_max(vec_t a, vec_t b)
{
    return _mm256_max_ps(a, b);
}
V_INLINE vec_t v_min(vec_t a, vec_t b)
{
    return _mm256_min_ps(a, b);
}
V_INLINE vec_t v_fma(vec_t a, vec_t b, vec_t c) /* a b + c */
{
    return _mm256_fmadd_ps(a, b, c);
}
V_INLINE vec_t v_fnma(vec_t a, vec_t b, vec_t c) /* c - a b */
{
    return _mm256_fnmadd_ps(a, b, c);
}

#endif

/* Keeps NaN, as the second operand of max wins when either is one. */
V_INLINE vec_t v_relu(vec_t x)
{
    return v_max(v_set(0.0f), x);
}

#endif
