/* alloc.c and arena.c: alignment, counting, overflow, refusal. */
#include "check.h"

#include "core/alloc.h"
#include "core/arena.h"
#include "core/context.h"
#include "failing_alloc.h"

/* A context by hand: the allocation layer looks at nothing but allocator and counters. */
static beit_context_t *bare_context(failing_alloc_t *state)
{
    static beit_context_t ctx;
    memset(&ctx, 0, sizeof ctx);
    ctx.allocator = failing_alloc(state);
    return &ctx;
}

static void blocks_are_aligned(void **state)
{
    (void)state;
    failing_alloc_t counts = {0};
    beit_context_t *contexts[] = {NULL, bare_context(&counts)};
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4097};
    for (size_t c = 0; c < 2; c++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *ptr = beit__alloc(contexts[c], sizes[i]);
            assert_non_null(ptr);
            assert_int_equal((uintptr_t)ptr % BEIT__ALIGN, 0);
            beit__free(contexts[c], ptr, sizes[i]);
        }
    assert_int_equal(counts.blocks, 0);
    assert_int_equal(counts.mismatches, 0);
}

static void calloc_zeroes_and_checks(void **state)
{
    (void)state;
    failing_alloc_t counts = {0};
    beit_context_t *ctx = bare_context(&counts);
    unsigned char *ptr = beit__calloc(ctx, 10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(ptr[i], 0);
    beit__free(ctx, ptr, 100);

    assert_null(beit__calloc(ctx, SIZE_MAX / 2, 3));
    check_error_has("address space");
    assert_null(beit__calloc(NULL, SIZE_MAX, 1)); /* rounding up to the alignment overflows */
    check_error_has("out of memory");
    assert_int_equal(counts.requests, 1);
}

static void bytes_are_counted(void **state)
{
    (void)state;
    failing_alloc_t counts = {0};
    beit_context_t *ctx = bare_context(&counts);
    size_t now, peak;
    void *a = beit__alloc(ctx, 100), *b = beit__alloc(ctx, 50);
    now = atomic_load(&ctx->bytes_now), peak = atomic_load(&ctx->bytes_peak);
    assert_int_equal(now, 150);
    assert_int_equal(peak, 150);
    beit__free(ctx, a, 100);
    a = beit__alloc(ctx, 20);
    now = atomic_load(&ctx->bytes_now), peak = atomic_load(&ctx->bytes_peak);
    assert_int_equal(now, 70);
    assert_int_equal(peak, 150);
    beit__free(ctx, a, 20);
    beit__free(ctx, b, 50);
    beit__free(ctx, NULL, 7);
    assert_int_equal(atomic_load(&ctx->bytes_now), 0);
}

static void refusals_are_reported_and_not_counted(void **state)
{
    (void)state;
    failing_alloc_t counts = {.fail_at = 1};
    beit_context_t *ctx = bare_context(&counts);
    assert_null(beit__alloc(ctx, 12345));
    check_error_has("12345");
    assert_int_equal(atomic_load(&ctx->bytes_now), 0);
    counts.fail_at = 2;
    assert_null(beit__strdup(ctx, "text"));
    char *copy = beit__strdup(ctx, "text");
    assert_string_equal(copy, "text");
    beit__free(ctx, copy, strlen(copy) + 1);
    assert_int_equal(counts.bytes, 0);
}

static void *misaligned_alloc(void *user, size_t size, size_t align)
{
    (void)size, (void)align;
    return (unsigned char *)user + 8;
}

static void misaligned_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)size, (void)align;
    unsigned char *block = user;
    assert_ptr_equal(ptr, block + 8);
    block[0] = 1; /* returned */
}

static void misaligned_memory_is_given_back(void **state)
{
    (void)state;
    _Alignas(64) unsigned char block[128] = {0};
    const beit_allocator_t allocator = {sizeof allocator, block, misaligned_alloc, misaligned_free};
    assert_null(beit__allocator_alloc(&allocator, 16));
    check_error_has("not aligned");
    assert_int_equal(block[0], 1);
}

/* ---- arena ---- */

typedef struct plan {
    float *a, *b;
    char *c;
} plan_t;

static void lay_out(beit__arena_t *arena, plan_t *plan)
{
    plan->a = beit__arena_take(arena, 3, sizeof *plan->a);
    const size_t mark = beit__arena_mark(arena);
    plan->b = beit__arena_take(arena, 100, sizeof *plan->b);
    beit__arena_rewind(arena, mark);
    plan->c = beit__arena_take(arena, 1, 1);
}

static void arena_measures_then_hands_out(void **state)
{
    (void)state;
    plan_t plan;
    beit__arena_t measure = {0};
    lay_out(&measure, &plan);
    assert_null(plan.a);
    assert_null(plan.c);
    assert_int_equal(measure.used, 128);
    assert_int_equal(measure.peak, 64 + 448); /* b, rewound since, is in the peak */
    assert_false(measure.overflow);

    unsigned char *block = beit__alloc(NULL, measure.peak);
    beit__arena_t arena = {.base = block, .size = measure.peak};
    lay_out(&arena, &plan);
    assert_ptr_equal(plan.a, block);
    assert_ptr_equal(plan.b, block + 64);
    assert_ptr_equal(plan.c, block + 64); /* b's place */
    assert_int_equal(arena.peak, measure.peak);
    beit__free(NULL, block, measure.peak);
}

static void arena_remembers_overflow(void **state)
{
    (void)state;
    static const size_t requests[][2] = {
        {SIZE_MAX, 2}, {SIZE_MAX - 3, 1}, {SIZE_MAX / 64, 64} /* sum with what is used */};
    for (size_t i = 0; i < 3; i++) {
        beit__arena_t arena = {0};
        beit__arena_take(&arena, 1, 64);
        assert_null(beit__arena_take(&arena, requests[i][0], requests[i][1]));
        assert_true(arena.overflow);
        assert_int_equal(arena.used, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_aligned),
        cmocka_unit_test(calloc_zeroes_and_checks),
        cmocka_unit_test(bytes_are_counted),
        cmocka_unit_test(refusals_are_reported_and_not_counted),
        cmocka_unit_test(misaligned_memory_is_given_back),
        cmocka_unit_test(arena_measures_then_hands_out),
        cmocka_unit_test(arena_remembers_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
