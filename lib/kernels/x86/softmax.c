/* Rows of probabilities. The lanes beyond the end of a row count as minus infinity: they change
 * neither the maximum nor the sum. */
#include <math.h>

#include "kernels/levels.h"
#include "kernels/x86/math.h"

V_INLINE vec_t fill_low(vec_t x, size_t lanes)
{
    return lanes == V_LANES ? x : v_first(x, lanes, v_set(-INFINITY));
}

/* Rows taken together: the reductions of one row are chains of waiting that others fill. */
enum { TOGETHER = 4 };

typedef struct rows {
    size_t n;
    float scale;
    const float *x, *add;
    size_t ldx, ldadd;
    float *y;
    size_t ldy;
} rows_t;

/* Store scale x + add; returns the rows' maxima in tops. */
V_INLINE void scale_block(const rows_t *s, const size_t rows, size_t i, size_t lanes, vec_t *tops)
{
    V_UNROLL
    for (size_t r = 0; r < rows; r++) {
        vec_t v = v_mul(v_set(s->scale), v_get(s->x + r * s->ldx + i, lanes));
        if (s->add)
            v = v_add(v, v_get(s->add + r * s->ldadd + i, lanes));
        v_put(s->y + r * s->ldy + i, v, lanes);
        tops[r] = v_max(tops[r], fill_low(v, lanes));
    }
}

V_INLINE void exp_block(const rows_t *s, const size_t rows, size_t i, size_t lanes,
                        const vec_t *shifts, vec_t *sums)
{
    V_UNROLL
    for (size_t r = 0; r < rows; r++) {
        float *y = s->y + r * s->ldy + i;
        const vec_t e = v_exp(fill_low(v_sub(v_get(y, lanes), shifts[r]), lanes));
        v_put(y, e, lanes);
        sums[r] = v_add(sums[r], e);
    }
}

V_INLINE void softmax_rows(const rows_t *s, const size_t rows, float *lse)
{
    vec_t tops[TOGETHER], sums[TOGETHER];
    float totals[TOGETHER], highest[TOGETHER];
    V_UNROLL
    for (size_t r = 0; r < rows; r++) {
        tops[r] = v_set(-INFINITY);
        sums[r] = v_set(0.0f);
    }
    V_EACH(i, lanes, s->n, { scale_block(s, rows, i, lanes, tops); });
    V_UNROLL
    for (size_t r = 0; r < rows; r++) {
        highest[r] = v_top(tops[r]);
        tops[r] = v_set(highest[r]);
    }
    V_EACH(i, lanes, s->n, { exp_block(s, rows, i, lanes, tops, sums); });
    V_UNROLL
    for (size_t r = 0; r < rows; r++)
        totals[r] = v_sum(sums[r]);
    for (size_t r = 0; r < rows; r++) {
        const vec_t inverse = v_set(1.0f / totals[r]);
        float *y = s->y + r * s->ldy;
        V_EACH(i, lanes, s->n, { v_put(y + i, v_mul(v_get(y + i, lanes), inverse), lanes); });
        if (lse)
            lse[r] = highest[r] + logf(totals[r]);
    }
}

static void softmax(size_t rows, size_t n, float scale, const float *x, size_t ldx,
                    const float *add, size_t ldadd, float *y, size_t ldy, float *lse)
{
    for (size_t r = 0; r < rows;) {
        const rows_t s = {.n = n,
                          .scale = scale,
                          .x = x + r * ldx,
                          .add = add ? add + r * ldadd : NULL,
                          .ldx = ldx,
                          .ldadd = ldadd,
                          .y = y + r * ldy,
                          .ldy = ldy};
        if (r + TOGETHER <= rows) {
            softmax_rows(&s, TOGETHER, lse ? lse + r : NULL);
            r += TOGETHER;
        } else {
            softmax_rows(&s, 1, lse ? lse + r : NULL);
            r++;
        }
    }
}

V_INLINE void attention_row(size_t n, float scale, const float *bias, float lse, float delta,
                            const float *keep, float *s, float *dp, float *dbias)
{
    const vec_t factor = v_set(scale), shift = v_set(lse), mean = v_set(delta);
    V_EACH(i, lanes, n, {
        vec_t z = v_get(s + i, lanes);
        z = bias ? v_fma(factor, z, v_get(bias + i, lanes)) : v_mul(factor, z);
        const vec_t p = v_exp(v_sub(z, shift));
        vec_t d = v_get(dp + i, lanes);
        vec_t kept = p;
        if (keep) {
            const vec_t k = v_get(keep + i, lanes);
            d = v_mul(d, k);
            kept = v_mul(p, k);
        }
        d = v_mul(p, v_sub(d, mean));
        v_put(s + i, kept, lanes);
        v_put(dp + i, d, lanes);
        if (dbias)
            v_put(dbias + i, v_add(v_get(dbias + i, lanes), d), lanes);
    });
}

static void attention_backward(size_t n, float scale, const float *bias, float lse, float delta,
                               const float *keep, float *s, float *dp, float *dbias)
{
    if (bias && dbias && !keep) /* as in pre-training */
        attention_row(n, scale, bias, lse, delta, NULL, s, dp, dbias);
    else
        attention_row(n, scale, bias, lse, delta, keep, s, dp, dbias);
}

/* The maximum first, then the first place where it stands. NaN is never the maximum. */
static size_t argmax(size_t n, const float *x)
{
    vec_t top = v_set(-INFINITY);
    V_EACH(i, lanes, n, { top = v_max(fill_low(v_get(x + i, lanes), lanes), top); });
    const vec_t highest = v_set(v_top(top));
    V_EACH(i, lanes, n, {
        const unsigned equal = v_equal(v_get(x + i, lanes), highest) & ((1u << lanes) - 1u);
        if (equal)
            return i + (size_t)__builtin_ctz(equal);
    });
    return 0;
}

static double cross_entropy(size_t n, float *z, size_t label, float grad_scale, float smoothing,
                            bool backward, bool *correct)
{
    const size_t best = argmax(n, z);
    const float highest = z[best], target = z[label];
    const vec_t top = v_set(highest);
    vec_t sum = v_set(0.0f), total = v_set(0.0f);
    V_EACH(i, lanes, n, {
        const vec_t v = v_get(z + i, lanes);
        const vec_t e = v_exp(fill_low(v_sub(v, top), lanes));
        sum = v_add(sum, e);
        total = v_add(total, v);
        if (backward)
            v_put(z + i, e, lanes);
    });
    *correct = best == label;
    const double whole = (double)v_sum(sum), s = (double)smoothing;
    const double lse = (double)highest + log(whole);
    if (backward) {
        const vec_t factor = v_set((float)((double)grad_scale / whole));
        const vec_t spread = v_set(-grad_scale * smoothing / (float)n);
        V_EACH(i, lanes, n, { v_put(z + i, v_fma(v_get(z + i, lanes), factor, spread), lanes); });
        z[label] -= grad_scale * (1.0f - smoothing);
    }
    return lse - (1.0 - s) * (double)target - s * (double)v_sum(total) / (double)n;
}

static void softmax_backward(size_t n, float scale, const float *y, const float *dy, float *dx)
{
    vec_t sum = v_set(0.0f);
    V_EACH(i, lanes, n, { sum = v_fma(v_get(y + i, lanes), v_get(dy + i, lanes), sum); });
    const vec_t mean = v_set(v_sum(sum)), factor = v_set(scale);
    V_EACH(i, lanes, n, {
        const vec_t d = v_sub(v_get(dy + i, lanes), mean);
        const vec_t g = v_mul(factor, v_get(y + i, lanes));
        v_put(dx + i, v_fma(g, d, v_get(dx + i, lanes)), lanes);
    });
}

static void logarithm(size_t n, const float *x, float *y)
{
    V_EACH(i, lanes, n, { v_put(y + i, v_log(v_get(x + i, lanes)), lanes); });
}

void V_LEVEL(beit__fill_softmax)(beit__kernels_t *k)
{
    k->softmax = softmax;
    k->attention_backward = attention_backward;
    k->argmax = argmax;
    k->cross_entropy = cross_entropy;
    k->softmax_backward = softmax_backward;
    k->log = logarithm;
}
