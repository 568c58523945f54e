/* act.c: activations against C, which calls erff. */
#include "levels.h"

#include <beit/backend.h>

/* Phi(x) has an absolute error of 1.2e-7; C's own form loses as much by cancellation. Both are
 * multiplied by x. */
static const float ABSOLUTE = 4e-7f, RELATIVE = 4e-7f;

static void gelu_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const float *x = draw_floats(n, round % 2 ? 8.0f : 1.0f);
        const pair_t y = draw_pair(n, 1.0f);
        in_c.gelu(n, x, y.c);
        under_test.gelu(n, x, y.level);
        check_pair(y, ABSOLUTE, RELATIVE);
    }
    begin_round(0);
}

static void gelu_has_limits(void **unused)
{
    (void)unused;
    const float x[] = {0.0f, -1.0f, 0.5f, 3.0f, 100.0f, -100.0f, 1e30f, -1e30f, NAN};
    const float wanted[] = {0.0f, -0.15865529f, 0.34573120f, 2.99595022f, 100.0f,
                            0.0f, 1e30f,        0.0f,        NAN};
    enum { COUNT = sizeof x / sizeof x[0] };
    begin_round(0);
    const pair_t y = draw_pair(COUNT, 1.0f);
    memcpy(y.c, wanted, sizeof wanted);
    under_test.gelu(COUNT, x, y.level);
    check_pair(y, 1e-7f, 2e-7f);
    begin_round(0);
}

static void epilogues_agree(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < 2 * ROUNDS; round++) {
        begin_round(round);
        const size_t kind = draw_below(4), n = draw_size();
        const float *bias = draw_below(2) ? draw_floats(n, 1.0f) : NULL;
        const bool with_aux = kind == BEIT_EPILOGUE_GELU_BACKWARD || draw_below(2);
        const pair_t c = draw_pair(n, 4.0f), aux = draw_pair(n, 4.0f);
        in_c.epilogue[kind](n, bias, with_aux ? aux.c : NULL, c.c);
        under_test.epilogue[kind](n, bias, with_aux ? aux.level : NULL, c.level);
        check_pair(c, 4.0f * ABSOLUTE, RELATIVE);
        check_pair(aux, 0.0f, 0.0f);
    }
    begin_round(0);
}

static void relu_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        float *x = draw_floats(n, 1.0f);
        const float *dy = draw_floats(n, 1.0f);
        if (n > 2) {
            x[draw_below(n)] = 0.0f;
            x[draw_below(n)] = NAN;
        }
        const pair_t y = draw_pair(n, 1.0f), dx = draw_pair(n, 1.0f);
        in_c.relu(n, x, y.c);
        under_test.relu(n, x, y.level);
        in_c.relu_backward(n, x, dy, dx.c);
        under_test.relu_backward(n, x, dy, dx.level);
        check_pair(y, 0.0f, 0.0f);
        check_pair(dx, 0.0f, 0.0f);
        for (size_t i = 0; i < n; i++)
            assert_true(isnan(x[i]) ? isnan(y.c[i]) : y.c[i] == fmaxf(x[i], 0.0f));
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_agrees), cmocka_unit_test(gelu_has_limits),
        cmocka_unit_test(epilogues_agree), cmocka_unit_test(relu_agrees)};
    return run_levels("act", tests, sizeof tests / sizeof tests[0]);
}
