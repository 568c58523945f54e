/* status.c: pinned values, texts, and one error line per thread. */
#include "check.h"

#include <pthread.h>

#include "core/status.h"

/* The values are part of the ABI; a row is added for each new one, none is ever changed. */
static const struct {
    beit_status_t status;
    int value;
} pinned[] = {
    {BEIT_OK, 0},         {BEIT_E_ARGUMENT, -1},   {BEIT_E_NOMEM, -2},
    {BEIT_E_STATE, -3},   {BEIT_E_SHAPE, -4},      {BEIT_E_IO, -5},
    {BEIT_E_FORMAT, -6},  {BEIT_E_MISMATCH, -7},   {BEIT_E_UNSUPPORTED, -8},
    {BEIT_E_NUMERIC, -9}, {BEIT_E_CANCELLED, -10}, {BEIT_E_BACKEND, -11},
    {BEIT_E_ABI, -12},
};
#define PINNED (sizeof pinned / sizeof *pinned)

static void values_are_pinned(void **state)
{
    (void)state;
    for (size_t i = 0; i < PINNED; i++)
        assert_int_equal(pinned[i].status, pinned[i].value);
}

static void every_status_has_its_own_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < PINNED; i++) {
        const char *text = beit_status_string(pinned[i].status);
        assert_non_null(text);
        assert_string_not_equal(text, "unknown status");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(text, beit_status_string(pinned[j].status));
    }
}

static void unknown_values_have_a_text_too(void **state)
{
    (void)state;
    static const int unknown[] = {1, 99, -13, -1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_string_equal(beit_status_string((beit_status_t)unknown[i]), "unknown status");
}

static void fail_formats_and_returns(void **state)
{
    (void)state;
    assert_int_equal(beit__fail(BEIT_E_SHAPE, "dim %d is %s", 2, "wrong"), BEIT_E_SHAPE);
    assert_string_equal(beit_last_error(), "dim 2 is wrong");
    beit__set_error("a backend's line");
    assert_string_equal(beit_last_error(), "a backend's line");
    beit__set_error(NULL);
    assert_string_equal(beit_last_error(), "");
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char line[5000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    beit__fail(BEIT_E_IO, "%s", line);
    const size_t length = strlen(beit_last_error());
    assert_true(length >= 200 && length < sizeof line - 1);
    beit__set_error(line);
    assert_int_equal(strlen(beit_last_error()), length);
}

static void *other_thread(void *empty_at_start)
{
    *(int *)empty_at_start = beit_last_error()[0] == '\0';
    beit__fail(BEIT_E_IO, "of the other thread");
    return NULL;
}

static void lines_belong_to_threads(void **state)
{
    (void)state;
    int empty_at_start = 0;
    pthread_t thread;
    beit__fail(BEIT_E_IO, "of this thread");
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &empty_at_start), 0);
    pthread_join(thread, NULL);
    assert_true(empty_at_start);
    assert_string_equal(beit_last_error(), "of this thread");
}

static beit_status_t tries(beit_status_t given, int *reached)
{
    BEIT__TRY(given);
    *reached = 1;
    return BEIT_OK;
}

static void try_returns_early(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(tries(BEIT_E_IO, &reached), BEIT_E_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(tries(BEIT_OK, &reached), BEIT_OK);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_pinned),
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(unknown_values_have_a_text_too),
        cmocka_unit_test(fail_formats_and_returns),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(lines_belong_to_threads),
        cmocka_unit_test(try_returns_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
