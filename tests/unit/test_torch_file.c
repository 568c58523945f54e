/* Files of torch.save: whatever real ones use is understood, in both containers. */
#include "torch_case.h"

/* ---- sound files ---- */

static void both_containers_are_read(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) { /* zip, zip64, legacy */
        bytes_t pickle = {0}, bytes;
        assemble(&pickle, SOUND);
        zip_case_t zip;
        zip_whole(&zip, pickle.data, pickle.size, kind == 1);
        bytes = zip.bytes;
        if (kind == 2) {
            free_bytes(&bytes);
            bytes = legacy_whole(&(legacy_case_t){0});
        }
        opened_t opened;
        check_ok(open_bytes(&opened, &bytes));
        assert_int_equal(opened.archive.count, 1);
        check_tensor(&opened.archive, "w", 4, one_to_four);
        close_bytes(&opened);
        free_bytes(&bytes);
        free_bytes(&pickle);
    }
}

/* Other ways to say the same as SOUND, or the same with something around it. */
static const char *const same_as_sound[] = {
    /* protocol 4: FRAME, SHORT_BINUNICODE, MEMOIZE */
    "=8004 =950500000000000000 } ( =8c0177 =94 " W1234 "u .",
    /* BINUNICODE8, BINGET, STACK_GLOBAL */
    PROTOCOL
    "} ( =8d010000000000000077 =94 0 h=00 'torch._utils' '_rebuild_tensor_v2' =93 ( " FLOATS
    "#0 " FOUR ONE "=89 ) t R u .",
    /* Python 2: SHORT_BINSTRING, BINSTRING, memo from 1, OrderedDict of pairs */
    PROTOCOL "@collections:OrderedDict ] ( ] ( U=0177 =7101 " W1234 "e e =85 R .",
    PROTOCOL "} ( T=0100000077 " W1234 "u .",
    /* LONG1, LONG4, BININT1, BININT2 as sizes */
    PROTOCOL "} ( 'w' " REBUILD "( " FLOATS "=8a00 =8b0100000004 =85 K=01 =85 =89 ) t R u .",
    PROTOCOL "} ( 'w' " REBUILD "( " FLOATS "K=00 M=0400 =85 " ONE "=89 ) t R u .",
    /* a Parameter, one with state, one of a subclass */
    PROTOCOL "} ( 'w' @torch._utils:_rebuild_parameter " W1234 "=88 } =87 R u .",
    PROTOCOL "} ( 'w' @torch._utils:_rebuild_parameter_with_state ( " W1234 "=88 } } t R u .",
    PROTOCOL "} ( 'w' @torch._tensor:_rebuild_from_type_v2 ( " REBUILD "@my:Tensor ( " FLOATS
             "#0 " FOUR ONE "=89 ) t } t R u .",
    /* torch.Size, and a state that a dict does not need */
    PROTOCOL "@collections:OrderedDict ) R ( 'w' " REBUILD "( " FLOATS "#0 @torch:Size " FOUR
             "=85 R " ONE "=89 ) t R u } 'x' N s b .",
    /* wrappers; other keys; classes that nobody knows, called, built, filled, subclassed */
    PROTOCOL "} ( 'model' } 'w' " W1234 "s 'epoch' K=03 u .",
    PROTOCOL "} 'state_dict' } 'module' } 'w' " W1234 "s s s .",
    PROTOCOL "} ( 'weights' } 'w' " W1234 "s 'args' @argparse:Namespace ) =81 } 'x' K=01 s b u .",
    PROTOCOL "} ( 'model' } 'w' " W1234 "s 'x' @os:system 'rm' =85 R ( K=01 K=02 e u .",
    PROTOCOL "} ( 'model' @my:Dict ) } =92 'w' " W1234 "s 'x' @a:b ) R ) R u .",
    /* sets, bytes, numbers, POP, POP_MARK, DUP */
    PROTOCOL "} ( 'w' " W1234 "'x' =8f ( K=01 =90 'y' ( K=01 =91 u .",
    PROTOCOL "} ( 'w' " W1234 "'x' C=0261ff 'y' B=0100000061 'z' G=3ff0000000000000 u .",
    PROTOCOL "K=07 0 ( N N 1 } ( 'w' " W1234 "2 0 u .",
    /* a module: its own parameter, no buffers, no child */
    PROTOCOL "@my:Module ) =81 } ( '_parameters' } 'w' " W1234
             "s '_buffers' } '_modules' } 'x' N s u b .",
};

static void every_way_to_write_it_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof same_as_sound / sizeof *same_as_sound; i++) {
        bytes_t bytes = zip_of(same_as_sound[i]);
        opened_t opened;
        if (open_bytes(&opened, &bytes) != BEIT_OK)
            fail_msg("%s: %s", same_as_sound[i], beit_last_error());
        check_tensor(&opened.archive, "w", 4, one_to_four);
        close_bytes(&opened);
        free_bytes(&bytes);
    }
}

static const struct {
    const char *words;
    size_t count;
    float wanted[8];
} arrangements[] = {
    {W("0", "#2 #2 =86 ", "#2 #1 =86 "), 4, {1, 2, 3, 4}},
    {W("0", "#2 #2 =86 ", "#1 #2 =86 "), 4, {1, 3, 2, 4}},
    {W("1", "#3 =85 ", "#1 =85 "), 3, {2, 3, 4}},
    {W("3", "#1 =85 ", "#7 =85 "), 1, {4}},
    {W("0", "#2 =85 ", "#3 =85 "), 2, {1, 4}},
    {W("2", ") ", ") "), 1, {3}},
    {W("1", "#2 #3 =86 ", "#1 #0 =86 "), 6, {2, 2, 2, 3, 3, 3}},
    {W("1", "#2 #3 =86 ", "#0 #1 =86 "), 6, {2, 3, 4, 2, 3, 4}},
    {W("3", "#2 #2 =86 ", "#0 #0 =86 "), 4, {4, 4, 4, 4}},
    {W("0", "#1 #2 #2 =87 ", "#9 #1 #2 =87 "), 4, {1, 3, 2, 4}},
    {W("4", "#0 =85 ", "#1 =85 "), 0, {0}},
    {W("0", "#3 #0 =86 ", "#4 #4 =86 "), 0, {0}},
};

static void any_arrangement_is_gathered(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof arrangements / sizeof *arrangements; i++) {
        bytes_t bytes = zip_of(arrangements[i].words);
        opened_t opened;
        check_ok(open_bytes(&opened, &bytes));
        check_tensor(&opened.archive, "w", arrangements[i].count, arrangements[i].wanted);
        close_bytes(&opened);
        free_bytes(&bytes);
    }
}

/* The keys are sorted otherwise than the pickle names them; one storage has a view. */
static void legacy_storages_are_found(void **state)
{
    (void)state;
    bytes_t bytes = legacy_whole(&(legacy_case_t){
        .object = PROTOCOL
        "} ( 'b' " REBUILD "( ( 'storage' @torch:FloatStorage '9' 'cpu' #2 ( '9v' #1 #1 t t Q "
        "#0 " ONE ONE "=89 ) t R "
        "'a' " REBUILD "( ( 'storage' @torch.cuda:HalfStorage '10' 'cuda:0' #1 N t Q "
        "#0 " ONE ONE "=89 ) t R u .",
        .keys = PROTOCOL "] ( '10' '9' e .",
        .storages = "=0100000000000000003c =02000000000000000000803f00000040"});
    opened_t opened;
    check_ok(open_bytes(&opened, &bytes));
    check_tensor(&opened.archive, "a", 1, (float[]){1});
    check_tensor(&opened.archive, "b", 1, (float[]){2});
    close_bytes(&opened);
    free_bytes(&bytes);
}

/* Modules within modules give names with dots; placeholders stand where tensors could. */
static void modules_are_walked(void **state)
{
    (void)state;
#define MODULE(parameters, modules)                                                                \
    "@my:Module ) =81 } ( '_parameters' } " parameters "'_modules' } " modules "u b "
    bytes_t bytes = zip_of(PROTOCOL MODULE(
        "", "'a' " MODULE(
                "'w' " W1234 "s ",
                "'b' " MODULE("'w' " TENSOR("1", "2", "#2 =85 ", ONE) "s "
                                                                      "'x' @my:Strange ) R s ",
                              "") "s ") "s ") ".");
    opened_t opened;
    check_ok(open_bytes(&opened, &bytes));
    assert_int_equal(opened.archive.count, 3);
    check_tensor(&opened.archive, "a.w", 4, one_to_four);
    check_tensor(&opened.archive, "a.b.w", 2, one_to_four + 2);
    const beit__entry_t *strange = beit__archive_find(&opened.archive, "a.b.x");
    assert_non_null(strange);
    check_status(beit__archive_check_real(&opened.archive, strange), BEIT_E_MISMATCH);
    check_error_has("'a.b.x' is a placeholder for my.Strange, expected a tensor");
    close_bytes(&opened);
    free_bytes(&bytes);
}

static void settings_are_kept(void **state)
{
    (void)state;
    bytes_t bytes = zip_of(
        PROTOCOL
        "} ( 'hparams' } ( 'n' K=07 'x' G=3fe0000000000000 't' =88 'none' N 'deep' ) K=01 K=02 u "
        "'weights' } 'w' " W1234 "s u .");
    opened_t opened;
    double number;
    check_ok(open_bytes(&opened, &bytes));
    assert_true(beit__archive_setting(&opened.archive, "n", &number) && number == 7);
    assert_true(beit__archive_setting(&opened.archive, "x", &number) && number == 0.5);
    assert_true(beit__archive_setting(&opened.archive, "t", &number) && number == 1);
    assert_true(beit__archive_setting(&opened.archive, "none", &number) && isnan(number));
    assert_false(beit__archive_setting(&opened.archive, "deep", &number));
    assert_false(beit__archive_setting(&opened.archive, "absent", &number));
    close_bytes(&opened);
    free_bytes(&bytes);
}

/* An end record may be followed by a note, however long, in which another one seems to begin. */
static void notes_are_skipped(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 65535; n = 2 * n + 21) {
        bytes_t pickle = {0};
        zip_case_t zip;
        assemble(&pickle, SOUND);
        zip_whole(&zip, pickle.data, pickle.size, false);
        zip.bytes.data[zip.bytes.size - 2] = (unsigned char)n;
        zip.bytes.data[zip.bytes.size - 1] = (unsigned char)(n >> 8);
        for (size_t i = 0; i < n; i++)
            add_bytes(&zip.bytes, "PK\005\006" + i % 4, 1);
        opened_t opened;
        check_ok(open_bytes(&opened, &zip.bytes));
        check_tensor(&opened.archive, "w", 4, one_to_four);
        close_bytes(&opened);
        free_bytes(&zip.bytes);
        free_bytes(&pickle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_containers_are_read),
        cmocka_unit_test(every_way_to_write_it_is_read),
        cmocka_unit_test(any_arrangement_is_gathered),
        cmocka_unit_test(legacy_storages_are_found),
        cmocka_unit_test(modules_are_walked),
        cmocka_unit_test(settings_are_kept),
        cmocka_unit_test(notes_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
