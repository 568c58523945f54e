/* resize*.c: specification, section 19.3, for square grids; SciPy's not-a-knot splines, timm's
 * linear interpolation and PyTorch's bicubic one for others. The calculation is in double and the
 * result a float: 1e-6 of values up to about 1. */
#include "check.h"

#include "failing_alloc.h"
#include "model/resize.h"

#define ROUNDING 1e-6

enum { SPECIAL = 3 };

static int64_t table_rows(beit__grid_t grid)
{
    return (2 * grid.rows - 1) * (2 * grid.cols - 1) + SPECIAL;
}

/* A table of values sin(0.37 k) per head, heads shifted against each other. */
static float *table_of(beit__grid_t grid, int heads)
{
    float *table = malloc((size_t)(table_rows(grid) * heads) * sizeof *table);
    for (int64_t k = 0; k < table_rows(grid); k++)
        for (int h = 0; h < heads; h++)
            table[k * heads + h] = (float)sin(0.37 * (double)(k + 100 * h));
    return table;
}

static float *resized(int32_t method, beit__grid_t from, beit__grid_t to, int heads)
{
    float *table = table_of(from, heads);
    float *out = calloc((size_t)(table_rows(to) * heads), sizeof *out);
    check_ok(beit__resize_relative(NULL, method, from, to, heads, table, out));
    free(table);
    return out;
}

/* ---- relative tables ---- */

static void test_ratios(void **state)
{
    (void)state;
    static const struct {
        int64_t from, to;
        double ratio;
    } published[] = {{14, 24, 1.0903074455}, {14, 32, 1.1349178123}, {14, 40, 1.1685036278},
                     {24, 32, 1.0261433601}, {14, 7, 1.0100009346},  {4, 6, 1.49999906539917}};
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        check_near(beit__geometric_ratio(published[i].from, published[i].to), published[i].ratio,
                   1e-10);
    double axis[7];
    static const double wanted[7] = {-4.74999626, -2.49999907, -1, 0, 1, 2.49999907, 4.74999626};
    beit__geometric_axis(4, 6, axis);
    for (int i = 0; i < 7; i++)
        check_near(axis[i], wanted[i], 1e-8);
}

static void test_square(void **state)
{
    (void)state;
    const beit__grid_t from = {4, 4}, to = {6, 6};
    float *out = resized(BEIT_TABLE_GEOMETRIC, from, to, 1);
    static const struct {
        int row, col;
        double value;
    } some[] = {{0, 0, 0},
                {0, 5, 0.89569867},
                {3, 8, -0.11508507},
                {5, 5, 0.51822823},
                {10, 10, -0.88642144}};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        check_near((double)out[some[i].row * 11 + some[i].col], some[i].value, ROUNDING);
    double sum = 0;
    for (int i = 0; i < 11 * 11; i++)
        sum += (double)out[i];
    check_near(sum, 23.50415030, 121 * ROUNDING);
    for (int k = 0; k < SPECIAL; k++) /* class to patch, patch to class, class to class */
        assert_true(out[121 + k] == (float)sin(0.37 * (49 + k)));
    free(out);
}

typedef struct probe {
    int32_t method;
    beit__grid_t from, to;
    struct {
        int row, col;
        double value;
    } at[3];
    double sum;
} probe_t;

static const probe_t probes[] = {
    {BEIT_TABLE_GEOMETRIC,
     {4, 4},
     {6, 6},
     {{1, 9, -0.501730950}, {6, 3, -0.654178256}, {9, 4, 2.182920665}},
     42.952845763},
    {BEIT_TABLE_GEOMETRIC,
     {14, 14},
     {24, 24},
     {{1, 45, 0.737620691}, {24, 15, -0.268943923}, {45, 22, 1.308550995}},
     -52.327304249},
    {BEIT_TABLE_GEOMETRIC,
     {3, 5},
     {4, 9},
     {{1, 15, -0.933407594}, {4, 5, -0.485955547}, {5, 7, -1.180302038}},
     -19.814941428},
    {BEIT_TABLE_GEOMETRIC,
     {6, 4},
     {3, 7},
     {{1, 11, -0.633046567}, {3, 4, 0.386367543}, {3, 5, 0.126733378}},
     1.079097580},
    {BEIT_TABLE_GEOMETRIC,
     {14, 14},
     {7, 14},
     {{1, 25, 0.345670461}, {7, 9, -0.899759769}, {11, 12, 0.960379795}},
     3.107358416},
    {BEIT_TABLE_LINEAR,
     {3, 5},
     {4, 9},
     {{1, 15, 0.313577922}, {4, 5, -0.492112459}, {5, 7, 0.336291105}},
     12.063730341},
    {BEIT_TABLE_LINEAR,
     {14, 14},
     {24, 24},
     {{1, 45, 0.352619002}, {24, 15, -0.269026123}, {45, 22, 0.034790376}},
     -10.777696972},
};

static void check_probe(const probe_t *probe)
{
    enum { HEADS = 2 };
    float *out = resized(probe->method, probe->from, probe->to, HEADS);
    const int64_t cols = 2 * probe->to.cols - 1, places = table_rows(probe->to) - SPECIAL;
    double sum = 0;
    for (int64_t i = 0; i < places; i++)
        sum += (double)out[i * HEADS + 1];
    check_near(sum, probe->sum, (double)places * ROUNDING);
    for (int i = 0; i < 3; i++)
        check_near((double)out[(probe->at[i].row * cols + probe->at[i].col) * HEADS + 1],
                   probe->at[i].value, ROUNDING);
    free(out);
}

static void test_probes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        check_probe(&probes[i]);
}

/* The same grid and one axis that stays give the same values there, to the bit. */
static void test_unchanged_axes(void **state)
{
    (void)state;
    const beit__grid_t from = {3, 5}, taller = {6, 5};
    for (int32_t method = BEIT_TABLE_GEOMETRIC; method <= BEIT_TABLE_LINEAR; method++) {
        float *table = table_of(from, 2), *same = resized(method, from, from, 2);
        assert_memory_equal(table, same, (size_t)table_rows(from) * 2 * sizeof *table);
        float *tall = resized(method, from, taller, 2);
        /* offset 0 of the rows: row 2 of 5, row 5 of 11 */
        assert_memory_equal(tall + 5 * 9 * 2, table + 2 * 9 * 2, 9 * 2 * sizeof *table);
        free(tall);
        free(same);
        free(table);
    }
}

/* One row of patches has one offset; the other axis is resized all the same. */
static void test_single_row(void **state)
{
    (void)state;
    const beit__grid_t line = {1, 4}, longer = {1, 6}, thick = {3, 4};
    for (int32_t method = BEIT_TABLE_GEOMETRIC; method <= BEIT_TABLE_LINEAR; method++) {
        float *table = table_of(line, 1), *out = resized(method, line, longer, 1);
        assert_true(out[5] == table[3]);
        float *wide = resized(method, line, thick, 1);
        for (int row = 0; row < 5; row++)
            assert_memory_equal(wide + row * 7, table, 7 * sizeof *table);
        free(wide);
        free(out);
        free(table);
    }
}

/* A parabola through three offsets is what the spline is, at any place between them. */
static void test_three_offsets(void **state)
{
    (void)state;
    const beit__grid_t from = {2, 1}, to = {3, 1};
    float table[3 + SPECIAL] = {4, 0, 1}, out[5 + SPECIAL]; /* at -1, 0, 1: x (5 x - 3) / 2 */
    check_ok(beit__resize_relative(NULL, BEIT_TABLE_GEOMETRIC, from, to, 1, table, out));
    static const double wanted[5] = {4, 4, 0, 1, 1}; /* clamped beyond -1 and 1 */
    for (int i = 0; i < 5; i++)
        check_near((double)out[i], wanted[i], ROUNDING);
    double knots[3] = {-2, 0, 2}, scratch[9], weights[3 * 3];
    beit__spline_weights(knots, 3, 1, scratch, weights);
    /* at -1: quadratic Lagrange factors of the knots */
    check_near(weights[0], 0.375, 1e-15);
    check_near(weights[1], 0.75, 1e-15);
    check_near(weights[2], -0.125, 1e-15);
}

/* ---- absolute tables ---- */

static float *positions_of(beit__grid_t grid, beit__grid_t to, int width)
{
    const int64_t places = grid.rows * grid.cols;
    float *table = malloc((size_t)((places + 1) * width) * sizeof *table);
    float *out = calloc((size_t)((to.rows * to.cols + 1) * width), sizeof *out);
    for (int d = 0; d < width; d++) {
        table[d] = 7;
        for (int64_t k = 0; k < places; k++)
            table[(k + 1) * width + d] = (float)sin(0.21 * (double)(k + 50 * d));
    }
    check_ok(beit__resize_absolute(NULL, grid, to, width, table, out));
    for (int d = 0; d < width; d++)
        assert_true(out[d] == 7); /* the class token's */
    free(table);
    return out;
}

static void test_absolute(void **state)
{
    (void)state;
    static const double first[8] = {-0.0833803, 0.0236922, 0.1966729, 0.3174372,
                                    0.4768326,  0.5707101, 0.3332018, 0.4247808};
    float *out = positions_of((beit__grid_t){4, 4}, (beit__grid_t){6, 6}, 1);
    for (int i = 0; i < 8; i++)
        check_near((double)out[1 + i], first[i], ROUNDING);
    double sum = 0;
    for (int i = 0; i < 36; i++)
        sum += (double)out[1 + i];
    check_near(sum, 21.4685631, 36 * ROUNDING);
    free(out);
}

static const struct {
    beit__grid_t from, to;
    double first, last, sum;
} oblong[] = {
    {{3, 5}, {4, 9}, -0.872259684, 0.849112842, -12.919600836},
    {{6, 4}, {3, 7}, -0.962931639, 0.645517665, 1.661397793},
    {{14, 14}, {24, 24}, -1.031217389, 1.124497717, -11.090920223},
    {{2, 3}, {2, 5}, -0.872034566, -0.841460525, -9.367214992},
};

static void test_absolute_oblong(void **state)
{
    (void)state;
    enum { WIDTH = 2 };
    for (size_t i = 0; i < sizeof oblong / sizeof *oblong; i++) {
        float *out = positions_of(oblong[i].from, oblong[i].to, WIDTH);
        const int64_t places = oblong[i].to.rows * oblong[i].to.cols;
        double sum = 0;
        for (int64_t k = 1; k <= places; k++)
            sum += (double)out[k * WIDTH + 1];
        check_near((double)out[WIDTH + 1], oblong[i].first, ROUNDING);
        check_near((double)out[places * WIDTH + 1], oblong[i].last, ROUNDING);
        check_near(sum, oblong[i].sum, (double)places * ROUNDING);
        free(out);
    }
}

/* ---- memory ---- */

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_t alloc = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &alloc, NULL, 1));
    const beit__grid_t from = {3, 2}, to = {2, 4};
    float *table = table_of(from, 1), out[3 * 7 + SPECIAL];
    const size_t before = alloc.blocks;
    size_t refusals = 0;
    for (size_t n = 1;; n++, refusals++) {
        alloc.fail_at = alloc.requests + n;
        const beit_status_t status =
            beit__resize_relative(ctx, BEIT_TABLE_GEOMETRIC, from, to, 1, table, out);
        assert_int_equal(alloc.blocks, before);
        if (status == BEIT_OK)
            break;
        check_status(status, BEIT_E_NOMEM);
    }
    assert_int_equal(refusals, 4);
    free(table);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratios),
        cmocka_unit_test(test_square),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_unchanged_axes),
        cmocka_unit_test(test_single_row),
        cmocka_unit_test(test_three_offsets),
        cmocka_unit_test(test_absolute),
        cmocka_unit_test(test_absolute_oblong),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
