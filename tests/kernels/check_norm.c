/* norm.c: layer normalisation of rows, C summing in double. */
#include "levels.h"

static void statistics_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = 1 + draw_size();
        float *x = draw_floats(n, 1.0f);
        const float shift = round % 2 ? 10.0f : 0.0f; /* the mean must not spoil the variance */
        for (size_t i = 0; i < n; i++)
            x[i] += shift;
        const pair_t mean = draw_pair(1, 1.0f), rstd = draw_pair(1, 1.0f);
        in_c.layernorm_statistics(n, x, 1e-6f, mean.c, rstd.c);
        under_test.layernorm_statistics(n, x, 1e-6f, mean.level, rstd.level);
        check_pair(mean, 1e-6f, 1e-6f);
        /* one element: the variance is the rounding of its mean */
        check_pair(rstd, 0.0f, n == 1 ? 1e-3f : 2e-5f);
    }
    begin_round(0);
}

static void rows_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const float *x = draw_floats(n, 2.0f), *weight = draw_floats(n, 1.0f);
        const float *bias = draw_floats(n, 1.0f), *dy = draw_floats(n, 1.0f);
        const float mean = draw_float(0.1f), rstd = 1.0f + draw_float(0.5f);
        const pair_t y = draw_pair(n, 1.0f), dx = draw_pair(n, 1.0f);
        const pair_t dweight = draw_pair(n, 1.0f), dbias = draw_pair(n, 1.0f);
        in_c.layernorm_apply(n, x, mean, rstd, weight, bias, y.c);
        under_test.layernorm_apply(n, x, mean, rstd, weight, bias, y.level);
        check_pair(y, 1e-6f, 0.0f);
        const bool wanted = draw_below(4);
        in_c.layernorm_backward(n, dy, x, mean, rstd, weight, wanted ? dx.c : NULL, dweight.c,
                                dbias.c);
        under_test.layernorm_backward(n, dy, x, mean, rstd, weight, wanted ? dx.level : NULL,
                                      dweight.level, dbias.level);
        check_pair(dx, 1e-5f, 0.0f); /* means over up to 500 terms below 4, in single */
        check_pair(dweight, 1e-6f, 0.0f);
        check_pair(dbias, 0.0f, 0.0f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(statistics_agree),
                                       cmocka_unit_test(rows_agree)};
    return run_levels("norm", tests, sizeof tests / sizeof tests[0]);
}
