/* row.c: passes over rows. */
#include "levels.h"

/* Levels fuse the multiply-add that C rounds twice: one unit in the last place of values below 4,
 * and of sums of up to 500 of them, taken in another order. */
static const float ONE_ROUNDING = 5e-7f;
static const float SUM = 2e-4f;

static void elements_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const float *x = draw_floats(n, 1.0f), *f = draw_floats(n, 1.0f);
        const float *add = draw_floats(n, 1.0f);
        const float a = draw_float(2.0f), b = draw_float(2.0f);
        pair_t y = draw_pair(n, 1.0f);
        const float *factor = draw_below(2) ? f : NULL;
        const float *addend = draw_below(2) ? add : NULL;
        in_c.scale_add(n, x, factor, a, addend, y.c);
        under_test.scale_add(n, x, factor, a, addend, y.level);
        check_pair(y, ONE_ROUNDING, 0.0f);
        y = draw_pair(n, 1.0f);
        in_c.axpy(n, a, x, y.c);
        under_test.axpy(n, a, x, y.level);
        check_pair(y, ONE_ROUNDING, 0.0f);
        y = draw_pair(n, 1.0f);
        in_c.affine(n, a, b, x, y.c);
        under_test.affine(n, a, b, x, y.level);
        check_pair(y, ONE_ROUNDING, 0.0f);
        y = draw_pair(n, 1.0f);
        in_c.multiply(n, x, f, y.c);
        under_test.multiply(n, x, f, y.level);
        check_pair(y, 0.0f, 0.0f);
        y = draw_pair(n, 1.0f);
        in_c.maximum(n, x, y.c);
        under_test.maximum(n, x, y.level);
        check_pair(y, 0.0f, 0.0f);
    }
    begin_round(0);
}

static void sums_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size(), rows = draw_below(20), ldx = n + draw_below(4);
        const float *x = draw_floats(n, 1.0f), *y = draw_floats(n, 1.0f);
        check_near((double)under_test.dot(n, x, y), (double)in_c.dot(n, x, y), (double)SUM);
        const double squares = in_c.square_sum(n, x);
        check_near(under_test.square_sum(n, x), squares, 1e-12 * squares);
        const float *block = draw_floats(rows * ldx, 1.0f);
        const pair_t sum = draw_pair(n, 1.0f);
        in_c.add_rows(rows, n, block, ldx, sum.c);
        under_test.add_rows(rows, n, block, ldx, sum.level);
        check_pair(sum, 2e-5f, 0.0f);
    }
    begin_round(0);
}

static void squares_show_what_is_not_finite(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = 1 + draw_size();
        float *x = draw_floats(n, 1.0f);
        x[draw_below(n)] = round % 2 ? NAN : INFINITY;
        assert_false(isfinite(under_test.square_sum(n, x)));
        assert_false(isfinite(in_c.square_sum(n, x)));
    }
    begin_round(0);
}

static void reconstruction_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const bool smooth = draw_below(2), wanted = draw_below(2);
        const float *x = draw_floats(n, 2.0f), *target = draw_floats(n, 1.0f);
        const pair_t dx = draw_pair(n, 1.0f);
        const double c = in_c.recon(n, smooth, 0.5f, x, target, wanted ? dx.c : NULL);
        const double level = under_test.recon(n, smooth, 0.5f, x, target, wanted ? dx.level : NULL);
        check_near(level, c, 1e-6 * (double)(n + 1)); /* d - c / 2 is rounded to single */
        check_pair(dx, ONE_ROUNDING, 0.0f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_agree), cmocka_unit_test(sums_agree),
        cmocka_unit_test(squares_show_what_is_not_finite), cmocka_unit_test(reconstruction_agrees)};
    return run_levels("row", tests, sizeof tests / sizeof tests[0]);
}
