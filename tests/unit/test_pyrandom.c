/* pyrandom.c: the numbers that CPython's `random.Random` draws. Those marked "specification" stand
 * in its section 19.1, the others were printed by CPython 3.11. */
#include "check.h"
#include "failing_alloc.h"

#include <beit/masker.h>

static beit_pyrandom_t *seeded(uint64_t seed)
{
    beit_pyrandom_t *rng;
    check_ok(beit_pyrandom_create(&rng, NULL, seed));
    return rng;
}

static void seed_zero(void **state) /* specification */
{
    (void)state;
    beit_pyrandom_t *rng = seeded(0);
    assert_true(beit_pyrandom_random(rng) == 0.8444218515250481);
    assert_true(beit_pyrandom_random(rng) == 0.7579544029403025);
    assert_true(beit_pyrandom_random(rng) == 0.420571580830845);
    beit_pyrandom_destroy(rng);

    rng = seeded(0);
    assert_true(beit_pyrandom_uniform(rng, 16, 75) == 65.82088923997784);
    assert_int_equal(beit_pyrandom_randint(rng, 0, 10), 6);
    beit_pyrandom_destroy(rng);
}

static void seed_12345(void **state) /* specification */
{
    (void)state;
    static const int64_t integers[] = {4, 5, 3, 4, 9};
    beit_pyrandom_t *rng = seeded(12345);
    assert_int_equal(beit_pyrandom_next32(rng), 1789368711);
    assert_true(beit_pyrandom_random(rng) == 0.7326852754516092);
    for (int i = 0; i < 5; i++)
        assert_int_equal(beit_pyrandom_randint(rng, 0, 10), integers[i]);
    beit_pyrandom_destroy(rng);
}

/* Draw 2000 lies in the fourth block of 624 words. */
static void long_run(void **state)
{
    (void)state;
    beit_pyrandom_t *rng = seeded(0);
    for (int i = 0; i < 1999; i++)
        beit_pyrandom_next32(rng);
    assert_int_equal(beit_pyrandom_next32(rng), 3908016617);
    beit_pyrandom_destroy(rng);
}

/* Seeds of two limbs, and integers of one, two and (the whole range) three words. */
static void wide_seeds_and_integers(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed;
        uint32_t first, last;
        double unit;
        int64_t upto_2_40, whole, from_minus_2_62;
    } cases[] = {
        {(UINT64_C(1) << 40) + 7, 2635837658, 1688693473, 0.7473242567100844, 1046707559811,
         310174283734367447, 8665663229968925662},
        {UINT64_MAX, 93740670, 3165929296, 0.24877853198420496, 466513984275, 2123699851945351762,
         8218869108900083891},
        {UINT64_C(1) << 32, 485306839, 60122280, 0.35131142599753185, 38374335698,
         4839191886960714240, 5453005424514885740},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        beit_pyrandom_t *rng = seeded(cases[i].seed);
        assert_int_equal(beit_pyrandom_next32(rng), cases[i].first);
        assert_true(beit_pyrandom_random(rng) == cases[i].unit);
        assert_int_equal(beit_pyrandom_randint(rng, 0, INT64_C(1) << 40), cases[i].upto_2_40);
        assert_int_equal(beit_pyrandom_randint(rng, INT64_MIN, INT64_MAX), cases[i].whole);
        assert_int_equal(beit_pyrandom_randint(rng, INT64_MIN / 2, INT64_MAX),
                         cases[i].from_minus_2_62);
        assert_int_equal(beit_pyrandom_randint(rng, 5, 5), 5);
        assert_int_equal(beit_pyrandom_next32(rng), cases[i].last);
        beit_pyrandom_destroy(rng);
    }
}

static void refusals(void **state)
{
    (void)state;
    check_status(beit_pyrandom_create(NULL, NULL, 0), BEIT_E_ARGUMENT);
    check_error_has("out is NULL");
    beit_pyrandom_destroy(NULL);

    failing_alloc_t memory = {0};
    beit_context_t *ctx;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    const size_t before = memory.blocks;
    memory.fail_at = memory.requests + 1;
    beit_pyrandom_t *rng = (beit_pyrandom_t *)&memory;
    check_status(beit_pyrandom_create(&rng, ctx, 0), BEIT_E_NOMEM);
    assert_null(rng);
    assert_int_equal(memory.blocks, before);
    check_ok(beit_pyrandom_create(&rng, ctx, 0));
    beit_pyrandom_destroy(rng);
    assert_int_equal(memory.blocks, before);
    beit_context_unref(ctx);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.mismatches, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_zero), cmocka_unit_test(seed_12345),
        cmocka_unit_test(long_run),  cmocka_unit_test(wide_seeds_and_integers),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
