/* Batches made ahead: in order, each made once, whatever the number of threads; failures arrive in
 * their place; an early end leaves nothing behind. And the order of pictures: a permutation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "common/loader.h"
#include "common/shuffle.h"

enum { BATCHES = 500, BAD = 77 };

typedef struct maker {
    atomic_int made[BATCHES];
    atomic_int inside, most_inside; /* calls at the same time */
    uint64_t fails_at;
    long nanoseconds;
} maker_t;

static bool make(void *user, uint64_t index, void *slot, char reason[LOADER_REASON])
{
    maker_t *maker = user;
    const int inside = atomic_fetch_add(&maker->inside, 1) + 1;
    if (inside > atomic_load(&maker->most_inside))
        atomic_store(&maker->most_inside, inside);
    atomic_fetch_add(&maker->made[index], 1);
    if (maker->nanoseconds)
        (void)nanosleep(&(struct timespec){.tv_nsec = maker->nanoseconds}, NULL);
    *(uint64_t *)slot = index * index;
    atomic_fetch_sub(&maker->inside, 1);
    snprintf(reason, LOADER_REASON, "batch %llu is bad", (unsigned long long)index);
    return index != maker->fails_at;
}

static loader_t *start(maker_t *maker, uint64_t first, size_t ahead, unsigned threads)
{
    const loader_config_t config = {.make = make,
                                    .user = maker,
                                    .first = first,
                                    .end = BATCHES,
                                    .slot_bytes = sizeof(uint64_t),
                                    .ahead = ahead,
                                    .threads = threads};
    loader_t *loader = loader_start(&config);
    assert_non_null(loader);
    return loader;
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        size_t ahead;
        unsigned threads;
    } settings[] = {{1, 1}, {1, 4}, {2, 1}, {3, 4}, {8, 3}};
    for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
        maker_t maker = {.fails_at = BATCHES};
        char reason[LOADER_REASON];
        loader_t *loader = start(&maker, 3, settings[s].ahead, settings[s].threads);
        for (uint64_t i = 3; i < BATCHES; i++) {
            const uint64_t *slot = loader_next(loader, reason);
            assert_non_null(slot);
            assert_int_equal(*slot, i * i);
        }
        loader_stop(loader);
        for (int i = 0; i < BATCHES; i++)
            assert_int_equal(maker.made[i], i >= 3);
        assert_true(maker.most_inside <= (int)settings[s].ahead);
    }
}

static void test_failure(void **state)
{
    (void)state;
    maker_t maker = {.fails_at = BAD};
    char reason[LOADER_REASON];
    loader_t *loader = start(&maker, 0, 4, 2);
    for (uint64_t i = 0; i < BAD; i++)
        assert_non_null(loader_next(loader, reason));
    assert_null(loader_next(loader, reason));
    assert_string_equal(reason, "batch 77 is bad");
    assert_non_null(loader_next(loader, reason));
    loader_stop(loader);
}

/* Stopped while threads wait for room and while one is at work. */
static void test_early_end(void **state)
{
    (void)state;
    for (int taken = 0; taken < 4; taken++) {
        maker_t maker = {.fails_at = BATCHES, .nanoseconds = 2000000};
        char reason[LOADER_REASON];
        loader_t *loader = start(&maker, 0, 3, 2);
        for (int i = 0; i < taken; i++)
            assert_non_null(loader_next(loader, reason));
        loader_stop(loader);
        int made = 0;
        for (int i = 0; i < BATCHES; i++)
            made += maker.made[i];
        assert_true(made <= taken + 3);
    }
    loader_stop(NULL);
}

static void test_waiting_is_measured(void **state)
{
    (void)state;
    maker_t maker = {.fails_at = BATCHES, .nanoseconds = 20000000};
    char reason[LOADER_REASON];
    loader_t *loader = start(&maker, 0, 1, 1);
    for (int i = 0; i < 5; i++)
        assert_non_null(loader_next(loader, reason));
    assert_true(loader_waited(loader) >= 0.08); /* five times 20 ms, less what ran ahead */
    loader_stop(loader);
}

static void test_shuffle(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2, 3, 19, 64, 65, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint8_t seen[1000] = {0};
        uint64_t moved = 0, differs = 0;
        for (uint64_t k = 0; k < sizes[s]; k++) {
            const uint64_t at = shuffle_at(5, 9, k, sizes[s]);
            assert_true(at < sizes[s]);
            assert_int_equal(seen[at]++, 0);
            moved += at != k;
            differs += at != shuffle_at(5, 10, k, sizes[s]);
        }
        assert_true(sizes[s] < 19 || (moved > sizes[s] / 2 && differs > sizes[s] / 2));
    }
}

/* First places over many epochs: each of 10 pictures about equally often. 1000 draws, 100 expected,
 * standard deviation 9.5: beyond 50 and 150 is no accident. */
static void test_shuffle_is_even(void **state)
{
    (void)state;
    int count[10] = {0};
    for (uint64_t epoch = 0; epoch < 1000; epoch++)
        count[shuffle_at(1, epoch, 0, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(count[i], 50, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),     cmocka_unit_test(test_failure),
        cmocka_unit_test(test_early_end), cmocka_unit_test(test_waiting_is_measured),
        cmocka_unit_test(test_shuffle),   cmocka_unit_test(test_shuffle_is_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
