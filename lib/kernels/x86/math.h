/* Elementary functions of vectors. The polynomials were fitted for least maximal error on the
 * intervals stated; errors given are those of the whole function in single precision. */
#ifndef BEIT_KERNELS_X86_MATH_H
#define BEIT_KERNELS_X86_MATH_H

#include "kernels/x86/vec.h"

/* ln 2 in two parts: the first has so few bits that its products with exponents are exact. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW  (-2.12194440e-4f)

/* p 2^n for n from -150 to 128, the result being subnormal where it must. */
V_INLINE vec_t v_scale(vec_t p, vec_t n)
{
#ifdef __AVX512F__
    return _mm512_scalef_ps(p, n);
#else
    const veci_t all = vi_round(n), half = vi_shift_signed(all, 1), bias = vi_set(127);
    const vec_t first = v_of_bits(vi_shift_left(vi_add(half, bias), 23));
    const vec_t second = v_of_bits(vi_shift_left(vi_add(vi_sub(all, half), bias), 23));
    return v_mul(v_mul(p, first), second);
#endif
}

/* e^x = 2^n e^r, n the nearest integer to x / ln 2 (Cody and Waite), e^r of degree 6 on |r| <=
 * ln 2 / 2. Relative error 1.2e-7; 0 from -104 down, infinite from 89 up, NaN stays. */
V_INLINE vec_t v_exp(vec_t x)
{
    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    const vec_t n = v_round(v_mul(x, v_set(1.44269504f)));
    vec_t r = v_fnma(n, v_set(LN2_HIGH), x);
    r = v_fnma(n, v_set(LN2_LOW), r);
    vec_t p = v_set(0.0013814467f);
    p = v_fma(p, r, v_set(0.008368781f));
    p = v_fma(p, r, v_set(0.041668393f));
    p = v_fma(p, r, v_set(0.1666652f));
    p = v_fma(p, r, v_set(0.49999994f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    return v_scale(p, n);
}

/* ln x for positive normal x = 2^n (1 + f), 1 + f from sqrt(1/2) to sqrt(2): f - f^2/2 + f^3 P(f),
 * P of degree 7. Relative error 1.5e-7, also near x = 1. */
V_INLINE vec_t v_log(vec_t x)
{
    const veci_t root_half = vi_set(0x3f3504f3u);
    const veci_t exponent = vi_shift_signed(vi_sub(vi_of_bits(x), root_half), 23);
    const vec_t n = v_of_int(exponent);
    const vec_t f =
        v_sub(v_of_bits(vi_sub(vi_of_bits(x), vi_shift_left(exponent, 23))), v_set(1.0f));
    vec_t p = v_set(-0.07634493f);
    p = v_fma(p, f, v_set(0.12761575f));
    p = v_fma(p, f, v_set(-0.13160183f));
    p = v_fma(p, f, v_set(0.14201759f));
    p = v_fma(p, f, v_set(-0.16623357f));
    p = v_fma(p, f, v_set(0.20001227f));
    p = v_fma(p, f, v_set(-0.2500082f));
    p = v_fma(p, f, v_set(0.3333333f));
    const vec_t square = v_mul(f, f);
    p = v_mul(v_mul(p, f), square);
    p = v_fma(n, v_set(LN2_LOW), p);
    p = v_fnma(v_set(0.5f), square, p);
    return v_fma(n, v_set(LN2_HIGH), v_add(f, p));
}

/* The normal distribution: *density = e^(-x^2/2) (without 1/sqrt(2 pi)), result = Phi(x).
 * Phi(-|x|) = density s P(s), s = 1/(1 + |x|/4), P of degree 6. Absolute error 1.2e-7; relative
 * error of the tail 2e-6 down to the smallest normal number. */
V_INLINE vec_t v_normal(vec_t x, vec_t *density)
{
    const vec_t one = v_set(1.0f), size = v_abs(x);
    const vec_t s = v_div(one, v_fma(size, v_set(0.25f), one));
    vec_t p = v_set(-0.090205856f);
    p = v_fma(p, s, v_set(0.33570662f));
    p = v_fma(p, s, v_set(-0.2568672f));
    p = v_fma(p, s, v_set(0.2722089f));
    p = v_fma(p, s, v_set(0.029065501f));
    p = v_fma(p, s, v_set(0.111183494f));
    p = v_fma(p, s, v_set(0.09890854f));
    *density = v_exp(v_mul(v_mul(x, x), v_set(-0.5f)));
    const vec_t tail = v_mul(v_mul(p, s), *density);
    return v_select_less(x, v_set(0.0f), tail, v_sub(one, tail));
}

#endif
