/* gemm.c: panel products against C, which is itself checked against a loop in double. */
#include "levels.h"

enum { MAX_M = 40, MAX_K = 70 };

/* The largest sum here has 70 terms of at most 1: 70 roundings of at most 70 * 2^-24. */
static const float TOLERANCE = 3e-5f;

typedef struct product {
    size_t m, n, k, lda, ldb, ldc;
    beit__lhs_t lhs;
    float alpha, beta;
    const float *a, *b, *bias;
    bool relu;
} product_t;

static const float FACTORS[] = {1.0f, 0.0f, -0.5f};

static product_t draw_product(size_t widest)
{
    product_t p = {.m = 1 + draw_below(MAX_M),
                   .n = 1 + draw_below(widest),
                   .k = draw_below(MAX_K),
                   .lhs = (beit__lhs_t)draw_below(2),
                   .alpha = draw_below(2) ? 1.0f : 0.75f,
                   .beta = FACTORS[draw_below(3)]};
    p.lda = (p.lhs == BEIT__LHS_ROWS ? p.k : p.m) + draw_below(4);
    p.ldb = BEIT__MAX_NR + draw_below(4);
    p.ldc = p.n + draw_below(4);
    p.a = draw_floats(p.lda * (p.lhs == BEIT__LHS_ROWS ? p.m : p.k), 1.0f);
    p.b = draw_floats(p.ldb * p.k, 1.0f);
    p.bias = draw_below(2) ? draw_floats(p.n, 1.0f) : NULL;
    p.relu = draw_below(3) == 0;
    return p;
}

static pair_t draw_result(const product_t *p)
{
    pair_t c = draw_pair(p->m * p->ldc, 1.0f);
    if (p->beta == 0.0f) /* must not be read */
        for (size_t i = 0; i < p->m; i++)
            for (size_t j = 0; j < p->n; j++)
                c.c[i * p->ldc + j] = c.level[i * p->ldc + j] = NAN;
    return c;
}

static beit__strip_t strip_of(const product_t *p, size_t first, size_t n, float *c)
{
    return (beit__strip_t){.m = p->m,
                           .n = n,
                           .k = p->k,
                           .a = p->a,
                           .lda = p->lda,
                           .b = p->b + first,
                           .ldb = p->ldb,
                           .c = c + first,
                           .ldc = p->ldc,
                           .alpha = p->alpha,
                           .beta = p->beta,
                           .bias = p->bias ? p->bias + first : NULL,
                           .lhs = p->lhs,
                           .relu = p->relu};
}

/* Any width, in strips of the widest that the table takes. */
static void multiply(const beit__kernels_t *k, const product_t *p, float *c)
{
    for (size_t first = 0; first < p->n; first += k->nr) {
        const size_t left = p->n - first;
        const beit__strip_t s = strip_of(p, first, left < k->nr ? left : k->nr, c);
        k->strip(&s);
    }
}

static void c_is_a_product(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const product_t p = draw_product(in_c.nr);
        const pair_t result = draw_result(&p);
        multiply(&in_c, &p, result.c);
        for (size_t i = 0; i < p.m; i++)
            for (size_t j = 0; j < p.n; j++) {
                double sum = 0.0;
                for (size_t q = 0; q < p.k; q++)
                    sum += (double)p.a[p.lhs == BEIT__LHS_ROWS ? i * p.lda + q : q * p.lda + i] *
                           (double)p.b[q * p.ldb + j];
                sum *= (double)p.alpha;
                if (p.beta != 0.0f)
                    sum += (double)p.beta * (double)result.level[i * p.ldc + j];
                sum += p.bias ? (double)p.bias[j] : 0.0;
                sum = p.relu && sum < 0.0 ? 0.0 : sum;
                check_near((double)result.c[i * p.ldc + j], sum, (double)TOLERANCE);
            }
    }
    begin_round(0);
}

static void levels_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < 3 * ROUNDS; round++) {
        begin_round(round);
        const product_t p = draw_product(under_test.nr);
        const pair_t result = draw_result(&p);
        multiply(&in_c, &p, result.c);
        multiply(&under_test, &p, result.level);
        check_pair(result, TOLERANCE, 0.0f);
    }
    begin_round(0);
}

/* Pack the left operand as the backend does. */
static void pack(const beit__kernels_t *k, const product_t *p, float *packed)
{
    const size_t panels = beit__panel_count(p->m, k->mr);
    for (size_t i = 0, first = 0; i < panels; i++) {
        const float *rows[BEIT__MAX_MR];
        const size_t height = beit__panel_height(p->m, panels, i);
        for (size_t r = 0; r < height; r++)
            rows[r] = p->a + (first + r) * p->lda;
        k->pack_rows(height, p->k, rows, false, packed + first * p->k, height);
        first += height;
    }
}

static void layout_and_cuts_change_no_bit(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        product_t p = draw_product(under_test.nr);
        if (p.lhs != BEIT__LHS_ROWS)
            continue;
        const pair_t result = draw_result(&p);
        multiply(&under_test, &p, result.c); /* in place, all rows at once */
        float *packed = draw_floats(p.m * p.k, 1.0f);
        pack(&under_test, &p, packed);
        product_t top = p, bottom = p;
        top.a = packed;
        top.lhs = BEIT__LHS_PACKED;
        if (draw_below(2)) {
            multiply(&under_test, &top, result.level);
        } else {
            top = p;
            top.m = draw_below(p.m);
            bottom.m = p.m - top.m;
            bottom.a += top.m * p.lda;
            multiply(&under_test, &top, result.level);
            multiply(&under_test, &bottom, result.level + top.m * p.ldc);
        }
        check_pair(result, 0.0f, 0.0f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(c_is_a_product),
                                       cmocka_unit_test(levels_agree),
                                       cmocka_unit_test(layout_and_cuts_change_no_bit)};
    return run_levels("gemm", tests, sizeof tests / sizeof tests[0]);
}
