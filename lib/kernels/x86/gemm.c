/* Products of panels. A block of MR x NR sums stays in registers: with AVX-512 14 rows of two
 * vectors, with AVX2 6 rows of two. Each step of k loads one row of the right panel and
 * broadcasts one element of each row of the left one. Every height has code of its own, so that
 * rows can be shared out evenly and no panel is mostly padding. */
#include "kernels/levels.h"
#include "kernels/x86/vec.h"

#ifdef __AVX512F__
enum { MR = 14 };
#define HEIGHTS(X, ...)                                                                            \
    X(1, __VA_ARGS__)                                                                              \
    X(2, __VA_ARGS__)                                                                              \
    X(3, __VA_ARGS__)                                                                              \
    X(4, __VA_ARGS__)                                                                              \
    X(5, __VA_ARGS__)                                                                              \
    X(6, __VA_ARGS__)                                                                              \
    X(7, __VA_ARGS__)                                                                              \
    X(8, __VA_ARGS__)                                                                              \
    X(9, __VA_ARGS__)                                                                              \
    X(10, __VA_ARGS__) X(11, __VA_ARGS__) X(12, __VA_ARGS__) X(13, __VA_ARGS__) X(14, __VA_ARGS__)
#else
enum { MR = 6 };
#define HEIGHTS(X, ...)                                                                            \
    X(1, __VA_ARGS__)                                                                              \
    X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(5, __VA_ARGS__) X(6, __VA_ARGS__)
#endif
enum { VECTORS = 2, NR = VECTORS * V_LANES };

/* Element (i,p) of the left panel is at a[i * row + p * column]. height and vectors are constants
 * where this is inlined: all loops over them unroll and the sums live in registers. */
V_INLINE void panel(const beit__strip_t *s, const size_t height, const size_t vectors,
                    const float *a, size_t row, size_t column, float *c)
{
    vec_t sum[MR][VECTORS];
    V_UNROLL
    for (size_t i = 0; i < height; i++) {
        V_UNROLL
        for (size_t j = 0; j < vectors; j++)
            sum[i][j] = v_set(0.0f);
    }
    const float *b = s->b;
    for (size_t p = 0; p < s->k; p++, a += column, b += s->ldb) {
        vec_t right[VECTORS];
        V_UNROLL
        for (size_t j = 0; j < vectors; j++)
            right[j] = v_load(b + j * V_LANES);
        V_UNROLL
        for (size_t i = 0; i < height; i++) {
            const vec_t left = v_set(a[i * row]);
            V_UNROLL
            for (size_t j = 0; j < vectors; j++)
                sum[i][j] = v_fma(left, right[j], sum[i][j]);
        }
    }
    const vec_t alpha = v_set(s->alpha), beta = v_set(s->beta);
    const size_t last = s->n - (vectors - 1) * V_LANES;
    vec_t bias[VECTORS];
    V_UNROLL
    for (size_t j = 0; j < vectors; j++) {
        const size_t lanes = j + 1 < vectors ? V_LANES : last;
        bias[j] = s->bias ? v_load_some(s->bias + j * V_LANES, lanes) : v_set(0.0f);
    }
    V_UNROLL
    for (size_t i = 0; i < height; i++, c += s->ldc) {
        V_UNROLL
        for (size_t j = 0; j < vectors; j++) {
            const size_t lanes = j + 1 < vectors ? V_LANES : last;
            vec_t v = v_fma(alpha, sum[i][j], bias[j]);
            if (s->beta != 0.0f)
                v = v_fma(beta, v_load_some(c + j * V_LANES, lanes), v);
            v_store_some(c + j * V_LANES, s->relu ? v_relu(v) : v, lanes);
        }
    }
}

typedef void (*panel_fn)(const beit__strip_t *s, const float *a, size_t stride, float *c);

/* Rows contiguous in p (stride: from row to row), or p contiguous in rows (stride: from p to p). */
#define DEFINE_PANELS(h, v)                                                                        \
    static void along_##h##_##v(const beit__strip_t *s, const float *a, size_t stride, float *c)   \
    {                                                                                              \
        panel(s, h, v, a, stride, 1, c);                                                           \
    }                                                                                              \
    static void across_##h##_##v(const beit__strip_t *s, const float *a, size_t stride, float *c)  \
    {                                                                                              \
        panel(s, h, v, a, 1, stride, c);                                                           \
    }
HEIGHTS(DEFINE_PANELS, 1)
HEIGHTS(DEFINE_PANELS, 2)

#define NAME_PANEL(h, prefix, v) prefix##_##h##_##v,
static const panel_fn ALONG[VECTORS][MR] = {{HEIGHTS(NAME_PANEL, along, 1)},
                                            {HEIGHTS(NAME_PANEL, along, 2)}};
static const panel_fn ACROSS[VECTORS][MR] = {{HEIGHTS(NAME_PANEL, across, 1)},
                                             {HEIGHTS(NAME_PANEL, across, 2)}};

static void strip(const beit__strip_t *s)
{
    const size_t panels = beit__panel_count(s->m, MR);
    const size_t vectors = (s->n + V_LANES - 1) / V_LANES;
    const panel_fn *along = ALONG[vectors - 1], *across = ACROSS[vectors - 1];
    float *c = s->c;
    for (size_t i = 0, first = 0; i < panels; i++) {
        const size_t height = beit__panel_height(s->m, panels, i);
        if (s->lhs == BEIT__LHS_ROWS)
            along[height - 1](s, s->a + first * s->lda, s->lda, c);
        else if (s->lhs == BEIT__LHS_COLUMNS)
            across[height - 1](s, s->a + first, s->lda, c);
        else
            across[height - 1](s, s->a + first * s->k, height, c);
        first += height;
        c += height * s->ldc;
    }
}

void V_LEVEL(beit__fill_gemm)(beit__kernels_t *k)
{
    k->mr = MR;
    k->nr = NR;
    k->strip = strip;
}
