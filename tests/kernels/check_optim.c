/* optim.c: Adam. Levels fuse where C rounds twice. */
#include "levels.h"

static void adam_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_size();
        const beit__adam_step_t step = {.grad_scale = 0.5f,
                                        .decay = draw_below(2) ? 0.01f : 0.0f,
                                        .beta1 = 0.9f,
                                        .beta2 = 0.98f,
                                        .rest1 = 0.1f,
                                        .rest2 = 0.02f,
                                        .rate = 0.01f,
                                        .inv_root = 3.0f,
                                        .eps = 1e-8f,
                                        .coupled = draw_below(2)};
        float *grad = draw_floats(n, 1.0f);
        const pair_t p = draw_pair(n, 1.0f), m = draw_pair(n, 1.0f), v = draw_pair(n, 1.0f);
        for (size_t i = 0; i < n; i++)
            v.c[i] = v.level[i] = fabsf(v.c[i]);
        if (n) /* a parameter that never had a gradient stays where it is */
            grad[0] = m.c[0] = m.level[0] = v.c[0] = v.level[0] = 0.0f;
        in_c.adam(n, &step, grad, p.c, m.c, v.c);
        under_test.adam(n, &step, grad, p.level, m.level, v.level);
        check_pair(m, 1e-7f, 2e-7f);
        check_pair(v, 1e-8f, 2e-7f);
        check_pair(p, 1e-6f, 1e-6f); /* v near 0 makes the step as steep as 1 / sqrt(v) */
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(adam_agrees)};
    return run_levels("optim", tests, sizeof tests / sizeof tests[0]);
}
