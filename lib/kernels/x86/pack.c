/* Packing of product operands: square blocks are transposed in registers. */
#include "kernels/levels.h"
#include "kernels/x86/vec.h"

#ifdef __AVX512F__

/* r[i] lane j becomes r[j] lane i: pairs, then quadruples within 128-bit lanes, then the lanes. */
V_INLINE void transpose(vec_t r[V_LANES])
{
    vec_t t[V_LANES];
    V_UNROLL
    for (size_t i = 0; i < V_LANES; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    V_UNROLL
    for (size_t i = 0; i < V_LANES; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    V_UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    V_UNROLL
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#else

V_INLINE void transpose(vec_t r[V_LANES])
{
    vec_t t[V_LANES];
    V_UNROLL
    for (size_t i = 0; i < V_LANES; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    V_UNROLL
    for (size_t i = 0; i < V_LANES; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    V_UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    V_UNROLL
    for (size_t i = 0; i < V_LANES; i++)
        r[i] = t[i];
}

#endif

/* Row p of k in dst, `lanes` of its elements from here on. Masked stores are slow on some
 * processors, so a whole vector is stored wherever what it spills lies in dst and is written
 * later: that holds from the row's end on, if rows are written in order. */
V_INLINE int may_spill(size_t p, size_t k, size_t ldd, size_t lanes)
{
    return (k - 1 - p) * ldd + lanes >= V_LANES;
}
V_INLINE void store_row(float *dst, vec_t x, size_t lanes, int spill)
{
    if (lanes == V_LANES || spill)
        v_store(dst, x);
    else
        v_store_some(dst, x, lanes);
}

/* Rows i.. of at most V_LANES sources, all of k. */
V_INLINE void pack_block(size_t m, size_t k, const float *const *rows, const int relu, float *dst,
                         size_t ldd, size_t lanes)
{
    const int narrow = ldd <= V_LANES;
    const vec_t zero = v_set(0.0f);
    for (size_t p = 0; p < k; p += V_LANES) {
        const size_t columns = k - p < V_LANES ? k - p : V_LANES;
        vec_t r[V_LANES];
        V_UNROLL
        for (size_t i = 0; i < V_LANES; i++) {
            r[i] = zero;
            if (i < m)
                r[i] = columns == V_LANES ? v_load(rows[i] + p) : v_load_some(rows[i] + p, columns);
            if (relu)
                r[i] = v_relu(r[i]);
        }
        transpose(r);
        if (columns == V_LANES &&
            (lanes == V_LANES || (narrow && may_spill(p + V_LANES - 1, k, ldd, lanes)))) {
            V_UNROLL
            for (size_t j = 0; j < V_LANES; j++)
                v_store(dst + (p + j) * ldd, r[j]);
        } else {
            float block[V_LANES * V_LANES];
            V_UNROLL
            for (size_t j = 0; j < V_LANES; j++)
                v_store(block + j * V_LANES, r[j]);
            for (size_t j = 0; j < columns; j++)
                store_row(dst + (p + j) * ldd, v_load(block + j * V_LANES), lanes,
                          narrow && may_spill(p + j, k, ldd, lanes));
        }
    }
}

static void pack_rows(size_t m, size_t k, const float *const *rows, bool relu, float *dst,
                      size_t ldd)
{
    for (size_t i = 0; i < ldd; i += V_LANES) {
        const size_t lanes = ldd - i < V_LANES ? ldd - i : V_LANES;
        const size_t height = i >= m ? 0 : m - i < V_LANES ? m - i : V_LANES;
        if (relu)
            pack_block(height, k, rows + i, 1, dst + i, ldd, lanes);
        else
            pack_block(height, k, rows + i, 0, dst + i, ldd, lanes);
    }
}

/* Rows ahead that are asked for: they lie on other pages, where the processor does not look by
 * itself. */
enum { AHEAD = 24 };

V_INLINE void copy_rows(size_t k, size_t n, const float *src, size_t lds, const int relu,
                        float *dst, size_t ldd)
{
    for (size_t p = 0; p < k; p++, src += lds, dst += ldd)
        for (size_t j = 0; j < ldd; j += V_LANES) {
            const size_t have = j >= n ? 0 : n - j < V_LANES ? n - j : V_LANES;
            const size_t lanes = ldd - j < V_LANES ? ldd - j : V_LANES;
            _mm_prefetch((const char *)(src + AHEAD * lds + j), _MM_HINT_T0);
            vec_t x = have == V_LANES ? v_load(src + j) : v_load_some(src + j, have);
            if (relu)
                x = v_relu(x);
            store_row(dst + j, x, lanes, may_spill(p, k, ldd, lanes));
        }
}

static void pack_columns(size_t k, size_t n, const float *src, size_t lds, bool relu, float *dst,
                         size_t ldd)
{
    if (relu)
        copy_rows(k, n, src, lds, 1, dst, ldd);
    else
        copy_rows(k, n, src, lds, 0, dst, ldd);
}

void V_LEVEL(beit__fill_pack)(beit__kernels_t *k)
{
    k->pack_rows = pack_rows;
    k->pack_columns = pack_columns;
}
