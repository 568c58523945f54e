/* winograd.c: each transform against C, and in C the whole algorithm against a convolution. */
#include "levels.h"

enum { TILE_PIXELS = BEIT__TILE * BEIT__TILE };

/* Sums of at most 36 products of values below 1 with factors up to 25 (input) or 64 (output). */
static const float TOLERANCE = 2e-4f;

static void the_algorithm_convolves(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        float v[BEIT__POINTS], u[BEIT__POINTS], m[BEIT__POINTS], result[TILE_PIXELS] = {0};
        const float *pixels[BEIT__POINTS];
        float *results[TILE_PIXELS];
        const float *patch = draw_floats(BEIT__POINTS, 1.0f), *taps = draw_floats(BEIT__TAPS, 1.0f);
        const bool flip = draw_below(2);
        for (size_t i = 0; i < BEIT__POINTS; i++)
            pixels[i] = patch + i;
        for (size_t i = 0; i < TILE_PIXELS; i++)
            results[i] = result + i;
        in_c.winograd_input(1, pixels, false, v, 1);
        in_c.winograd_weights(1, 1, taps, 1, flip, u, 1, 1);
        for (size_t xi = 0; xi < BEIT__POINTS; xi++)
            m[xi] = u[xi] * v[xi];
        in_c.winograd_output(1, m, 1, NULL, 0.0f, false, results);
        for (size_t y = 0; y < BEIT__TILE; y++)
            for (size_t x = 0; x < BEIT__TILE; x++) {
                double sum = 0.0;
                for (size_t k = 0; k < BEIT__TAPS; k++)
                    sum += (double)taps[flip ? BEIT__TAPS - 1 - k : k] *
                           (double)patch[(y + k / 3) * BEIT__PATCH + x + k % 3];
                check_near((double)result[y * BEIT__TILE + x], sum, 2e-5);
            }
    }
    begin_round(0);
}

/* <A^T m A, y> = <m, A y A^T> and the same for the weights: adjoints undo no more than that. */
static void adjoints_are_adjoint(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        float spread[BEIT__POINTS], u[BEIT__POINTS], result[TILE_PIXELS];
        float gathered[BEIT__TAPS] = {0};
        const float *sources[TILE_PIXELS];
        float *results[TILE_PIXELS];
        const float *m = draw_floats(BEIT__POINTS, 1.0f), *y = draw_floats(TILE_PIXELS, 1.0f);
        const float *taps = draw_floats(BEIT__TAPS, 1.0f);
        for (size_t i = 0; i < TILE_PIXELS; i++) {
            sources[i] = y + i;
            results[i] = result + i;
        }
        in_c.winograd_output(1, m, 1, NULL, 0.0f, false, results);
        in_c.winograd_spread(1, sources, spread, 1);
        in_c.winograd_weights(1, 1, taps, 1, false, u, 1, 1);
        in_c.winograd_gather(1, m, 1, 1.0f, gathered);
        double left = 0.0, right = 0.0;
        for (size_t i = 0; i < TILE_PIXELS; i++)
            left += (double)result[i] * (double)y[i];
        for (size_t i = 0; i < BEIT__POINTS; i++)
            right += (double)m[i] * (double)spread[i];
        check_near(left, right, 2e-3); /* terms up to 64 */
        left = right = 0.0;
        for (size_t i = 0; i < BEIT__POINTS; i++)
            left += (double)u[i] * (double)m[i];
        for (size_t i = 0; i < BEIT__TAPS; i++)
            right += (double)taps[i] * (double)gathered[i];
        check_near(left, right, 1e-5);
    }
    begin_round(0);
}

static void weights_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t rows = 1 + draw_below(4), n = draw_below(70), ldt = n + draw_below(4);
        const size_t ldu = n + draw_below(4), stride = rows * ldu + 3;
        const bool flip = draw_below(2);
        const float *taps = draw_floats(rows * BEIT__TAPS * ldt, 1.0f);
        const pair_t u = draw_pair(BEIT__POINTS * stride, 1.0f);
        in_c.winograd_weights(rows, n, taps, ldt, flip, u.c, ldu, stride);
        under_test.winograd_weights(rows, n, taps, ldt, flip, u.level, ldu, stride);
        check_pair(u, 1e-6f, 0.0f);
        const pair_t dweight = draw_pair(BEIT__TAPS * n, 1.0f);
        in_c.winograd_gather(n, u.c, stride, 0.5f, dweight.c);
        under_test.winograd_gather(n, u.c, stride, 0.5f, dweight.level);
        check_pair(dweight, 1e-5f, 0.0f);
    }
    begin_round(0);
}

static void tiles_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_below(70), stride = n + draw_below(4);
        const float *map = draw_floats(BEIT__POINTS * n, 1.0f);
        const float *bias = draw_below(2) ? draw_floats(n, 1.0f) : NULL;
        const pair_t v = draw_pair(BEIT__POINTS * stride, 1.0f);
        const pair_t y = draw_pair(TILE_PIXELS * n, 1.0f);
        const float *pixels[BEIT__POINTS];
        float *in_c_pixels[TILE_PIXELS], *level_pixels[TILE_PIXELS];
        for (size_t i = 0; i < BEIT__POINTS; i++) /* a border pixel may stand for many */
            pixels[i] = map + draw_below(BEIT__POINTS) * n;
        for (size_t i = 0; i < TILE_PIXELS; i++) {
            in_c_pixels[i] = y.c + i * n;
            level_pixels[i] = y.level + i * n;
        }
        const bool relu = draw_below(2);
        in_c.winograd_input(n, pixels, relu, v.c, stride);
        under_test.winograd_input(n, pixels, relu, v.level, stride);
        check_pair(v, TOLERANCE, 0.0f);
        const float beta = draw_below(2) ? 0.5f : 0.0f;
        in_c.winograd_output(n, v.c, stride, bias, beta, relu, in_c_pixels);
        under_test.winograd_output(n, v.c, stride, bias, beta, relu, level_pixels);
        check_pair(y, 10.0f * TOLERANCE, 1e-6f);
        in_c.winograd_spread(n, pixels, v.c, stride);
        under_test.winograd_spread(n, pixels, v.level, stride);
        check_pair(v, TOLERANCE, 0.0f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_algorithm_convolves), cmocka_unit_test(adjoints_are_adjoint),
        cmocka_unit_test(weights_agree), cmocka_unit_test(tiles_agree)};
    return run_levels("winograd", tests, sizeof tests / sizeof tests[0]);
}
