/* abi.c: the struct_size rule on a struct of our own; test_structs.c repeats it through every
 * public function that takes a struct. */
#include "check.h"

#include "core/abi.h"

typedef struct version_1 {
    size_t struct_size;
    int64_t first;
} version_1_t;

typedef struct version_2 {
    size_t struct_size;
    int64_t first, second;
} version_2_t;

typedef struct version_3 {
    size_t struct_size;
    int64_t first, second, third;
} version_3_t;

#define OLDEST sizeof(version_1_t)

static beit_status_t read_in(version_2_t *ours, const void *theirs)
{
    return beit__abi_in(ours, sizeof *ours, OLDEST, theirs, "thing");
}

static void exact_size_is_copied(void **state)
{
    (void)state;
    const version_2_t theirs = {sizeof theirs, 11, 22};
    version_2_t ours;
    memset(&ours, 0xFF, sizeof ours);
    check_ok(read_in(&ours, &theirs));
    assert_memory_equal(&ours, &theirs, sizeof ours);
}

static void shorter_tail_reads_as_zero(void **state)
{
    (void)state;
    const version_1_t theirs = {sizeof theirs, 11};
    version_2_t ours;
    memset(&ours, 0xFF, sizeof ours);
    check_ok(read_in(&ours, &theirs));
    assert_int_equal(ours.first, 11);
    assert_int_equal(ours.second, 0);
    assert_int_equal(ours.struct_size, sizeof ours);
}

static void longer_is_accepted_only_with_zero_tail(void **state)
{
    (void)state;
    version_3_t theirs = {sizeof theirs, 11, 22, 0};
    version_2_t ours;
    check_ok(read_in(&ours, &theirs));
    assert_int_equal(ours.second, 22);

    unsigned char *last = (unsigned char *)(&theirs + 1) - 1;
    *last = 1;
    const version_2_t before = ours;
    check_status(read_in(&ours, &theirs), BEIT_E_ABI);
    check_error_has("thing");
    assert_memory_equal(&ours, &before, sizeof ours);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, sizeof(size_t), OLDEST - 1, OLDEST + 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        version_2_t theirs = {sizes[i], 11, 22}, ours;
        check_status(read_in(&ours, &theirs), BEIT_E_ABI);
        check_error_has("struct_size");
        check_status(beit__abi_out(&theirs, &ours, sizeof ours, OLDEST, "thing"), BEIT_E_ABI);
        assert_int_equal(theirs.first, 11);
    }
    version_2_t ours;
    check_status(read_in(&ours, NULL), BEIT_E_ARGUMENT);
    check_error_has("thing is NULL");
    check_status(beit__abi_out(NULL, &ours, sizeof ours, OLDEST, "thing"), BEIT_E_ARGUMENT);
}

/* Room for any version, with a guard behind what the caller admits to have. */
typedef union caller {
    size_t struct_size;
    unsigned char bytes[64];
} caller_t;

static void out_writes_what_the_caller_has(void **state)
{
    (void)state;
    const version_2_t ours = {sizeof ours, 11, 22};
    static const size_t sizes[] = {sizeof(version_1_t), sizeof(version_2_t), sizeof(version_3_t)};
    for (size_t i = 0; i < 3; i++) {
        caller_t theirs;
        memset(&theirs, 0xEE, sizeof theirs);
        theirs.struct_size = sizes[i];
        check_ok(beit__abi_out(&theirs, &ours, sizeof ours, OLDEST, "thing"));
        assert_int_equal(theirs.struct_size, sizes[i]);
        version_3_t seen = {0};
        memcpy(&seen, &theirs, sizes[i]);
        assert_int_equal(seen.first, 11);
        assert_int_equal(seen.second, sizes[i] >= sizeof(version_2_t) ? 22 : 0);
        assert_int_equal(seen.third, 0);
        for (size_t j = sizes[i]; j < sizeof theirs; j++)
            assert_int_equal(theirs.bytes[j], 0xEE);
    }
}

static void init_writes_defaults_and_size(void **state)
{
    (void)state;
    const version_2_t defaults = {0, 11, 22};
    caller_t theirs;
    memset(&theirs, 0xEE, sizeof theirs);
    beit__abi_init(&theirs, sizeof(version_3_t), &defaults, sizeof defaults);
    version_3_t seen;
    memcpy(&seen, &theirs, sizeof seen);
    assert_int_equal(seen.struct_size, sizeof seen);
    assert_int_equal(seen.first, 11);
    assert_int_equal(seen.second, 22);
    assert_int_equal(seen.third, 0);
    assert_int_equal(theirs.bytes[sizeof seen], 0xEE);
}

static void init_does_nothing_without_room(void **state)
{
    (void)state;
    const version_2_t defaults = {0, 11, 22};
    caller_t theirs;
    memset(&theirs, 0xEE, sizeof theirs);
    beit__abi_init(&theirs, sizeof(size_t) - 1, &defaults, sizeof defaults);
    for (size_t j = 0; j < sizeof theirs; j++)
        assert_int_equal(theirs.bytes[j], 0xEE);
    beit__abi_init(NULL, sizeof defaults, &defaults, sizeof defaults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_size_is_copied),
        cmocka_unit_test(shorter_tail_reads_as_zero),
        cmocka_unit_test(longer_is_accepted_only_with_zero_tail),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(out_writes_what_the_caller_has),
        cmocka_unit_test(init_writes_defaults_and_size),
        cmocka_unit_test(init_does_nothing_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
