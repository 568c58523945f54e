/* Reading picture files: every kind that make_pictures writes comes back as what was drawn, and
 * what cannot be read is refused with its reason. usage: test_image_file FOLDER      of
 * make_pictures FOLDER 24 damaged */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/folder.h"
#include "common/image_file.h"
#include "common/picture_store.h"
#include "picture_pattern.h"

/* Lossless files come back exactly. At quality 92 with halved chroma JPEG errs by a few levels on
 * average here, most of it at edges of the pattern. */
#define JPEG_TOLERANCE 9.0

static const char *folder_name;

static void read_picture(int number, int32_t enough, image_t *image)
{
    char path[4096], reason[IMAGE_REASON] = "";
    snprintf(path, sizeof path, PATTERN_PATH_FORMAT, PATTERN_PATH(folder_name, number));
    if (!image_read(path, enough, image, reason))
        fail_msg("%s: %s", path, reason);
}

/* What a colour channel of a picture must be. */
static int expected(int number, int c, int x, int y)
{
    const int grey = pattern_value(number, 0, x, y);
    switch (number % PATTERN_KINDS) {
    case JPEG_GREY:
    case PNG_GREY:
        return grey;
    case JPEG_CMYK: /* libjpeg marks CMYK as Adobe's, which stores light, not ink */
        return pattern_value(number, c, x, y) * pattern_value(number, 3, x, y) / 255;
    case PNG_PALETTE:
        return c == 0 ? grey : c == 1 ? 255 - grey : grey / 2;
    default:
        return pattern_value(number, c, x, y);
    }
}

static void test_all_kinds(void **state)
{
    (void)state;
    for (int number = 0; number < 2 * PATTERN_KINDS; number++) {
        image_t image;
        double error = 0;
        read_picture(number, 0, &image);
        assert_int_equal(image.width, PATTERN_WIDTH);
        assert_int_equal(image.height, PATTERN_HEIGHT);
        for (int y = 0; y < PATTERN_HEIGHT; y++)
            for (int x = 0; x < PATTERN_WIDTH; x++)
                for (int c = 0; c < 3; c++)
                    error +=
                        abs(image.rgb[(y * PATTERN_WIDTH + x) * 3 + c] - expected(number, c, x, y));
        error /= PATTERN_WIDTH * PATTERN_HEIGHT * 3;
        const char *ending = pattern_endings[number % PATTERN_KINDS];
        const double most = ending[0] == 'p' || ending[0] == 'P' ? 0 : JPEG_TOLERANCE;
        if (error > most)
            fail_msg("picture %d (%s): mean error %g, allowed %g", number, ending, error, most);
        image_free(&image);
    }
}

/* A shorter side of 7 suffices: 56 is halved while at least 14 is left. */
static void test_shrunk_while_decoding(void **state)
{
    (void)state;
    image_t image;
    read_picture(JPEG_COLOUR, 7, &image);
    assert_int_equal(image.width, PATTERN_WIDTH / 4);
    assert_int_equal(image.height, PATTERN_HEIGHT / 4);
    image_free(&image);
    read_picture(JPEG_COLOUR, PATTERN_HEIGHT, &image);
    assert_int_equal(image.width, PATTERN_WIDTH);
    image_free(&image);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *reason;
    } files[] = {
        {"half.jpg", "truncated"},
        {"half-progressive.jpg", "truncated"},
        {"half.png", ""},
        {"empty.jpg", "empty"},
        {"page.png", "HTML"},
        {"animation.jpeg", "GIF"},
        {"notes.txt", "no picture"},
        {"absent.jpg", "No such file"},
        {"even", "Is a directory"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[4096], reason[IMAGE_REASON] = "";
        image_t image = {0};
        snprintf(path, sizeof path, "%s/%s", folder_name, files[i].name);
        assert_false(image_read(path, 0, &image, reason));
        assert_null(image.rgb);
        assert_true(reason[0] != '\0');
        if (!strstr(reason, files[i].reason))
            fail_msg("%s: '%s' does not say '%s'", files[i].name, reason, files[i].reason);
    }
}

/* A header may claim any size; it must be refused before memory is asked for. */
static void test_absurd_size(void **state)
{
    (void)state;
    char reason[IMAGE_REASON];
    image_t image;
    assert_false(image_allocate(&image, 60000, 60000, reason));
    assert_non_null(strstr(reason, "60000 x 60000"));
    assert_false(image_allocate(&image, 0, 5, reason));
    assert_false(image_allocate(&image, 70000, 1, reason));
}

static void test_folder(void **state)
{
    (void)state;
    folder_t folder, again;
    char reason[FOLDER_REASON];
    assert_true(folder_scan(folder_name, NULL, &folder, reason));
    assert_int_equal(folder.count, 30); /* neither notes.txt nor .hidden.jpg */
    for (size_t i = 1; i < folder.count; i++)
        assert_true(strcmp(folder.files[i - 1], folder.files[i]) < 0);
    assert_true(folder_scan(folder_name, NULL, &again, reason));
    assert_true(again.fingerprint == folder.fingerprint);
    folder_free(&again);
    folder_free(&folder);
    char except[4096];
    snprintf(except, sizeof except, "%s/./odd", folder_name);
    assert_true(folder_scan(folder_name, except, &folder, reason));
    assert_int_equal(folder.count, 18);
    folder_free(&folder);
    assert_false(folder_scan("/nowhere", NULL, &folder, reason));
    assert_non_null(strstr(reason, "/nowhere"));
}

static bool keep_on(void *user, size_t done)
{
    *(size_t *)user = done;
    return true;
}

/* Shrunk pictures are kept up to the limit; beyond it they are read again and belong to the
 * borrower. */
static void test_store(void **state)
{
    (void)state;
    enum { SIDE = 28, BYTES = SIDE * 36 * 3 };
    folder_t folder;
    char reason[FOLDER_REASON];
    size_t done = 0;
    assert_true(folder_scan(folder_name, NULL, &folder, reason));
    picture_store_t *store = picture_store_create(&folder, SIDE, 3 * BYTES + BYTES / 2);
    assert_non_null(store);
    picture_store_preload(store, folder.count, 3, keep_on, &done);
    assert_int_equal(done, folder.count);
    assert_int_equal(picture_store_bytes(store), 3 * BYTES);
    assert_int_equal(picture_store_bad(store), 6);
    size_t kept = 0;
    for (size_t i = 0; i < folder.count; i++) {
        picture_t picture;
        const bool readable = picture_store_get(store, i, &picture);
        assert_int_equal(readable, picture_store_reason(store, i) == NULL);
        if (!readable)
            continue;
        kept += !picture.own;
        assert_int_equal(picture.image.height, SIDE);
        assert_int_equal(picture.image.width, 36);
        picture_return(&picture);
    }
    assert_int_equal(kept, 3);
    picture_store_destroy(store);
    folder_free(&folder);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    folder_name = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds), cmocka_unit_test(test_shrunk_while_decoding),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_absurd_size),
        cmocka_unit_test(test_folder),    cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
