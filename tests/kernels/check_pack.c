/* pack.c: packing moves values, so levels agree exactly. */
#include "levels.h"

enum { MAX_ROWS = 32 };

static void rows_become_columns(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < 2 * ROUNDS; round++) {
        begin_round(round);
        const size_t m = draw_below(MAX_ROWS + 1), k = draw_below(70), padding = draw_below(4);
        const size_t ldd = m + (padding == 3 ? MAX_ROWS - m : padding);
        const float *rows[MAX_ROWS];
        for (size_t i = 0; i < m; i++)
            rows[i] = draw_floats(k, 1.0f);
        const bool relu = draw_below(2);
        const pair_t packed = draw_pair(k * ldd, 1.0f);
        in_c.pack_rows(m, k, rows, relu, packed.c, ldd);
        under_test.pack_rows(m, k, rows, relu, packed.level, ldd);
        check_pair(packed, 0.0f, 0.0f);
        for (size_t p = 0; p < k; p++)
            for (size_t i = 0; i < ldd; i++) {
                const float x = i < m ? rows[i][p] : 0.0f;
                assert_true(packed.c[p * ldd + i] == (relu && x < 0.0f ? 0.0f : x));
            }
    }
    begin_round(0);
}

static void columns_are_cut_out(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < 2 * ROUNDS; round++) {
        begin_round(round);
        const size_t n = draw_below(40), k = draw_below(40), lds = n + draw_below(5);
        const size_t ldd = n + draw_below(4);
        const bool relu = draw_below(2);
        const float *src = draw_floats(k * lds, 1.0f);
        const pair_t packed = draw_pair(k * ldd, 1.0f);
        in_c.pack_columns(k, n, src, lds, relu, packed.c, ldd);
        under_test.pack_columns(k, n, src, lds, relu, packed.level, ldd);
        check_pair(packed, 0.0f, 0.0f);
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < ldd; j++) {
                const float x = j < n ? src[p * lds + j] : 0.0f;
                assert_true(packed.c[p * ldd + j] == (relu && x < 0.0f ? 0.0f : x));
            }
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_become_columns),
                                       cmocka_unit_test(columns_are_cut_out)};
    return run_levels("pack", tests, sizeof tests / sizeof tests[0]);
}
