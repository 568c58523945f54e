/* Philox-4x32-10 in vectors: lane j of four registers holds the four counter words of one block.
 * Blocks are dealt to lanes so that a transpose within 128 bits brings the words into order. */
#include "kernels/levels.h"
#include "kernels/x86/math.h"

enum { ROUNDS = 10, WORDS = V_LANES * BEIT__BLOCK_WORDS };
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0       0x9E3779B9u
#define WEYL_1       0xBB67AE85u

#ifdef __AVX512F__
#define LANE_BLOCKS _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)

#define UNPACK(half, width, a, b) _mm512_unpack##half##_epi##width(a, b)
#define ODD_LANES(even, odd)      _mm512_mask_blend_epi32(0xaaaa, even, odd)
#define MULTIPLY_EVEN             _mm512_mul_epu32
#define SHIFT_WIDE_RIGHT          _mm512_srli_epi64
#define SHIFT_WIDE_LEFT           _mm512_slli_epi64
#else
#define LANE_BLOCKS               _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7)
#define UNPACK(half, width, a, b) _mm256_unpack##half##_epi##width(a, b)
#define ODD_LANES(even, odd)      _mm256_blend_epi32(even, odd, 0xaa)
#define MULTIPLY_EVEN             _mm256_mul_epu32
#define SHIFT_WIDE_RIGHT          _mm256_srli_epi64
#define SHIFT_WIDE_LEFT           _mm256_slli_epi64
#endif

/* x times a constant: both halves of each 64-bit product. */
V_INLINE veci_t multiply(veci_t x, veci_t factor, veci_t *high)
{
    const veci_t even = MULTIPLY_EVEN(x, factor);
    const veci_t odd = MULTIPLY_EVEN(SHIFT_WIDE_RIGHT(x, 32), factor);
    *high = ODD_LANES(SHIFT_WIDE_RIGHT(even, 32), odd);
    return ODD_LANES(even, SHIFT_WIDE_LEFT(odd, 32));
}

/* V_LANES blocks from `block` on: w[j] = words j V_LANES .. (j + 1) V_LANES - 1. */
V_INLINE void draw(uint64_t key, uint64_t sample, uint32_t place, uint32_t block, veci_t w[4])
{
    veci_t c0 = vi_set((uint32_t)sample), c1 = vi_set((uint32_t)(sample >> 32));
    veci_t c2 = vi_add(vi_set(block), LANE_BLOCKS), c3 = vi_set(place);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    const veci_t m0 = vi_set(MULTIPLIER_0), m1 = vi_set(MULTIPLIER_1);
    for (int round = 0; round < ROUNDS; round++) {
        veci_t high0, high1;
        const veci_t low0 = multiply(c0, m0, &high0), low1 = multiply(c2, m1, &high1);
        c0 = vi_xor(vi_xor(high1, c1), vi_set(k0));
        c1 = low1;
        c2 = vi_xor(vi_xor(high0, c3), vi_set(k1));
        c3 = low0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    const veci_t a = UNPACK(lo, 32, c0, c1), b = UNPACK(hi, 32, c0, c1);
    const veci_t c = UNPACK(lo, 32, c2, c3), d = UNPACK(hi, 32, c2, c3);
    w[0] = UNPACK(lo, 64, a, c);
    w[1] = UNPACK(hi, 64, a, c);
    w[2] = UNPACK(lo, 64, b, d);
    w[3] = UNPACK(hi, 64, b, d);
}

/* As beit__unit_float(). */
V_INLINE vec_t unit(veci_t word)
{
    const vec_t whole = v_of_int(vi_shift_right(word, 9));
    return v_mul(v_add(whole, v_set(0.5f)), v_set(0x1p-23f));
}

V_INLINE vec_t keep_of(vec_t u, vec_t rate)
{
    const vec_t kept = v_div(v_set(1.0f), v_sub(v_set(1.0f), rate));
    return v_select_less(u, rate, v_set(0.0f), kept);
}

V_INLINE vec_t gumbel_of(vec_t u, vec_t unused)
{
    (void)unused;
    const vec_t zero = v_set(0.0f);
    return v_sub(zero, v_log(v_sub(zero, v_log(u))));
}

#define DEFINE_ROW(name, of)                                                                       \
    V_INLINE void name##_row(size_t n, uint64_t key, uint64_t sample, uint32_t place,              \
                             size_t first, float parameter, float *out)                            \
    {                                                                                              \
        const vec_t p = v_set(parameter);                                                          \
        for (size_t i = 0; i < n; i += WORDS) {                                                    \
            veci_t w[4];                                                                           \
            draw(key, sample, place, (uint32_t)((first + i) / BEIT__BLOCK_WORDS), w);              \
            for (size_t j = 0; j < 4 && i + j * V_LANES < n; j++) {                                \
                const size_t left = n - i - j * V_LANES;                                           \
                v_put(out + i + j * V_LANES, of(unit(w[j]), p), left < V_LANES ? left : V_LANES);  \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_ROW(keep, keep_of)
DEFINE_ROW(gumbel, gumbel_of)

static void keep(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first, float rate,
                 float *factor)
{
    keep_row(n, key, sample, place, first, rate, factor);
}

static void gumbel(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first,
                   float *noise)
{
    gumbel_row(n, key, sample, place, first, 0.0f, noise);
}

void V_LEVEL(beit__fill_random)(beit__kernels_t *k)
{
    k->keep = keep;
    k->gumbel = gumbel;
}
