/* philox.c and erfinv.c: the published vectors, and the derived draws as doc/reference/rng.md
 * defines them. */
#include "check.h"

#include "core/philox.h"

/* Random123 1.14, kat_vectors, philox4x32 with 10 rounds. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        beit__philox(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

/* The same third vector, reached through the named places of counter and key. */
static void places_of_counter_and_key(void **state)
{
    (void)state;
    uint32_t out[4];
    beit__stream_block(0x299f31d0a4093822u, 0x85a308d3243f6a88u, 0x03707344, 0x13198a2e, out);
    assert_memory_equal(out, known[2].out, sizeof out);

    const uint32_t counter[4] = {7, 9, BEIT__STREAM_GUMBEL, 0}, key[2] = {1, 2};
    beit__philox(counter, key, out);
    assert_true(beit__stream_key(0x200000001u, BEIT__STREAM_GUMBEL, 0x900000007u) ==
                ((uint64_t)out[1] << 32 | out[0]));
}

static void stream_numbers_are_pinned(void **state)
{
    (void)state;
    static const int streams[] = {
        BEIT__STREAM_INIT,      BEIT__STREAM_MASK,    BEIT__STREAM_CROP,
        BEIT__STREAM_FLIP,      BEIT__STREAM_JITTER,  BEIT__STREAM_SHUFFLE,
        BEIT__STREAM_DROP_PATH, BEIT__STREAM_DROPOUT, BEIT__STREAM_GUMBEL};
    for (int i = 0; i < 9; i++)
        assert_int_equal(streams[i], i + 1);
}

static void draws_walk_the_blocks(void **state)
{
    (void)state;
    const uint64_t key = beit__stream_key(5, BEIT__STREAM_CROP, 6);
    beit__draws_t draws = beit__draws(5, BEIT__STREAM_CROP, 6, 77, 3);
    for (uint32_t block = 0; block < 3; block++) {
        uint32_t words[4];
        beit__stream_block(key, 77, 3, block, words);
        for (int i = 0; i < 4; i++)
            assert_int_equal(beit__draw32(&draws), words[i]);
    }
}

static void unit_takes_two_words(void **state)
{
    (void)state;
    beit__draws_t a = beit__draws(1, BEIT__STREAM_MASK, 2, 3, 0), b = a;
    for (int i = 0; i < 1000; i++) {
        const uint64_t upper = beit__draw32(&b) >> 5, lower = beit__draw32(&b) >> 6;
        const double unit = beit__draw_unit(&a);
        assert_true(unit == (double)(upper << 26 | lower) / 9007199254740992.0);
        assert_true(unit >= 0 && unit < 1);
    }
    const double from = beit__draw_uniform(&a, -3, 5);
    assert_true(from == -3 + 8 * beit__draw_unit(&b));
}

static void below_takes_leading_bits(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        int bits;
    } cases[] = {{1, 1}, {2, 2}, {3, 2}, {6, 3}, {7, 3}, {8, 4}, {196, 8}, {0xffffffff, 32}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        beit__draws_t a = beit__draws(9, BEIT__STREAM_SHUFFLE, 0, c, 0), b = a;
        for (int i = 0; i < 100; i++) {
            uint32_t wanted;
            do
                wanted = beit__draw32(&b) >> (32 - cases[c].bits);
            while (wanted >= cases[c].n);
            assert_int_equal(beit__draw_below(&a, cases[c].n), wanted);
        }
    }
}

/* 70000 draws of 7 faces: chi-square with 6 degrees of freedom exceeds 33.1 with probability
 * 1e-5; the draws are fixed, so this passes always or never. */
static void below_is_even(void **state)
{
    (void)state;
    double chi_square = 0;
    int faces[7] = {0};
    beit__draws_t draws = beit__draws(3, BEIT__STREAM_SHUFFLE, 1, 4, 0);
    for (int i = 0; i < 70000; i++)
        faces[beit__draw_below(&draws, 7)]++;
    for (int i = 0; i < 7; i++)
        chi_square += (faces[i] - 1e4) * (faces[i] - 1e4) / 1e4;
    assert_true(chi_square < 33.1);
}

/* 1e5 draws: mean within 5 / sqrt(1e5), variance within 5 sqrt(2 / 1e5), all finite. */
static void normal_has_its_moments(void **state)
{
    (void)state;
    const int n = 100000;
    double sum = 0, squares = 0;
    beit__draws_t draws = beit__draws(11, BEIT__STREAM_INIT, 0, 0, 0);
    for (int i = 0; i < n; i++) {
        const double x = beit__draw_normal(&draws);
        assert_true(isfinite(x));
        sum += x;
        squares += x * x;
    }
    check_near(sum / n, 0, 0.016);
    check_near(squares / n, 1, 0.023);

    /* The unit draw 0 once in 2^53: as far out as the other end, not at infinity. */
    beit__draws_t zero = {.left = 4};
    const double lowest = beit__draw_normal(&zero);
    assert_true(lowest < -8 && lowest > -9);
}

static void unit_float_is_inside(void **state)
{
    (void)state;
    assert_true(beit__unit_float(0) == 0x1p-24f);
    assert_true(beit__unit_float(0xffffffff) == 1 - 0x1p-24f);
    assert_true(beit__unit_float(0x80000000) == 0.5f + 0x1p-24f);
}

/* Values by mpmath with 40 digits, one for each of the three approximations and their borders;
 * AS 241 promises about 1e-16 relative, libm adds a few ulp: 1e-15 in all. */
static const double inverse[][2] = {
    {1e-300, 8.862269254527580358571e-301},   {1e-8, 8.862269254527580553926e-9},
    {0.5, 0.4769362762044698733814},          {0.84999, 1.017877489144306098364},
    {0.85001, 1.017927441789718459846},       {0.999, 2.326753765513524493866},
    {0.99999999999, 4.812924058944832544914}, {0x1.fffffffffffffp-1, 5.863584748755167927208},
};

static void erfinv_is_precise(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inverse / sizeof *inverse; i++) {
        const double y = inverse[i][0], wanted = inverse[i][1];
        check_near(beit__erfinv(y), wanted, 1e-15 * wanted);
        check_near(beit__erfinv(-y), -wanted, 1e-15 * wanted);
    }
    assert_true(beit__erfinv(0) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(places_of_counter_and_key),
        cmocka_unit_test(stream_numbers_are_pinned),
        cmocka_unit_test(draws_walk_the_blocks),
        cmocka_unit_test(unit_takes_two_words),
        cmocka_unit_test(below_takes_leading_bits),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(normal_has_its_moments),
        cmocka_unit_test(unit_float_is_inside),
        cmocka_unit_test(erfinv_is_precise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
