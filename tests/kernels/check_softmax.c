/* softmax.c: rows of probabilities. exp and log of the levels have relative errors below 1.5e-7;
 * sums of up to 500 terms are taken in single precision where C takes double. */
#include "levels.h"

static const float RELATIVE = 3e-6f;

static void softmax_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t rows = draw_below(10), n = 1 + draw_size();
        const size_t ldx = n + draw_below(3), ldadd = n + draw_below(3), ldy = n + draw_below(3);
        const float *x = draw_floats(rows * ldx, 10.0f);
        float *add = draw_below(2) ? draw_floats(rows * ldadd, 5.0f) : NULL;
        if (add && n > 1)
            for (size_t r = 0; r < rows; r++) /* excluded: probability exactly 0 */
                add[r * ldadd + draw_below(n - 1)] = -INFINITY;
        const float scale = 0.1f + draw_float(0.05f);
        const pair_t y = draw_pair(rows * ldy, 1.0f), lse = draw_pair(rows, 1.0f);
        const bool wanted = draw_below(2);
        in_c.softmax(rows, n, scale, x, ldx, add, ldadd, y.c, ldy, wanted ? lse.c : NULL);
        under_test.softmax(rows, n, scale, x, ldx, add, ldadd, y.level, ldy,
                           wanted ? lse.level : NULL);
        check_pair(y, 1e-9f, RELATIVE);
        check_pair(lse, 3e-6f, 0.0f);
    }
    begin_round(0);
}

static void softmax_of_extremes(void **unused)
{
    (void)unused;
    begin_round(0);
    const float x[] = {1000.0f, 1000.0f, -1000.0f, 0.0f};
    const float wanted[] = {0.5f, 0.5f, 0.0f, 0.0f};
    const pair_t y = draw_pair(4, 1.0f);
    float lse;
    memcpy(y.c, wanted, sizeof wanted);
    under_test.softmax(1, 4, 1.0f, x, 4, NULL, 0, y.level, 4, &lse);
    check_near((double)lse, 1000.0 + log(2.0), 1e-4);
    check_pair(y, 0.0f, 1e-7f);
    begin_round(0);
}

static void attention_gradient_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const float *bias = draw_below(2) ? draw_floats(n, 1.0f) : NULL;
        float *keep = draw_below(2) ? draw_floats(n, 1.0f) : NULL;
        for (size_t i = 0; keep && i < n; i++)
            keep[i] = keep[i] > 0.0f ? 1.25f : 0.0f;
        const bool wanted = draw_below(2);
        const pair_t s = draw_pair(n, 4.0f), dp = draw_pair(n, 1.0f), dbias = draw_pair(n, 1.0f);
        in_c.attention_backward(n, 0.5f, bias, 3.0f, 0.25f, keep, s.c, dp.c,
                                wanted ? dbias.c : NULL);
        under_test.attention_backward(n, 0.5f, bias, 3.0f, 0.25f, keep, s.level, dp.level,
                                      wanted ? dbias.level : NULL);
        check_pair(s, 0.0f, RELATIVE);
        check_pair(dp, 1e-6f, RELATIVE);
        check_pair(dbias, 2e-6f, 0.0f);
    }
    begin_round(0);
}

static void cross_entropy_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = 1 + draw_size(), label = draw_below(n);
        const pair_t z = draw_pair(n, 6.0f);
        const float smoothing = draw_below(2) ? 0.1f : 0.0f;
        const bool backward = draw_below(4);
        bool right_c, right_level;
        const double c = in_c.cross_entropy(n, z.c, label, 0.5f, smoothing, backward, &right_c);
        const double level =
            under_test.cross_entropy(n, z.level, label, 0.5f, smoothing, backward, &right_level);
        check_near(level, c, 5e-6);
        assert_int_equal(right_level, right_c);
        check_pair(z, 1e-6f, 0.0f);
    }
    begin_round(0);
}

static void argmax_is_the_first(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = 1 + draw_size();
        float *x = draw_floats(n, 1.0f);
        for (size_t i = 0; i < n; i++)
            x[i] = (float)draw_below(1 + n / 2) - 3.0f; /* ties are the rule */
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (x[i] > x[best])
                best = i;
        assert_int_equal(in_c.argmax(n, x), best);
        assert_int_equal(under_test.argmax(n, x), best);
    }
    begin_round(0);
}

static void gradient_and_logarithm_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        float *y = draw_floats(n, 0.1f);
        const float *dy = draw_floats(n, 1.0f);
        const pair_t dx = draw_pair(n, 1.0f), ln = draw_pair(n, 1.0f);
        in_c.softmax_backward(n, 2.0f, y, dy, dx.c);
        under_test.softmax_backward(n, 2.0f, y, dy, dx.level);
        check_pair(dx, 2e-6f, 0.0f);
        for (size_t i = 0; i < n; i++) /* from 1e-30 to 1e30, and close to 1 */
            y[i] = round % 2 ? powf(10.0f, 300.0f * y[i]) : 1.0f + 1e-4f * y[i];
        in_c.log(n, y, ln.c);
        under_test.log(n, y, ln.level);
        check_pair(ln, 0.0f, 3e-7f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(softmax_agrees),
                                       cmocka_unit_test(softmax_of_extremes),
                                       cmocka_unit_test(attention_gradient_agrees),
                                       cmocka_unit_test(cross_entropy_agrees),
                                       cmocka_unit_test(argmax_is_the_first),
                                       cmocka_unit_test(gradient_and_logarithm_agree)};
    return run_levels("softmax", tests, sizeof tests / sizeof tests[0]);
}
