/* Sources and sinks: what is opened, what is refused, and that a destination only ever changes as
 * a whole. Failing system calls are tested in tests/fault/test_io.c. */
#include "io/file.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char directory[] = "file-test-XXXXXX";

static const char *in_directory(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    assert_true(snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name) > 0);
    return path[turn];
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static size_t entries(void)
{
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    size_t count = 0;
    while (readdir(stream))
        count++;
    closedir(stream);
    return count - 2; /* . and .. */
}

static void write_file(const char *path, const char *text)
{
    beit__sink_t sink;
    check_ok(beit__sink_open(&sink, path, NULL));
    check_ok(beit__sink_append(&sink, text, strlen(text)));
    check_ok(beit__sink_commit(&sink));
    beit__sink_close(&sink);
}

static void check_file(const char *path, const char *text)
{
    beit__source_t source;
    char found[64] = "";
    check_ok(beit__source_open(&source, path, NULL));
    assert_int_equal(source.bytes, strlen(text));
    check_ok(beit__source_read(&source, 0, found, strlen(text)));
    beit__source_close(&source);
    assert_string_equal(found, text);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = in_directory("a");
    write_file(path, "first");
    check_file(path, "first");
    write_file(path, "second time");
    check_file(path, "second time");
    beit__source_t source;
    char part[4] = "";
    check_ok(beit__source_open(&source, path, NULL));
    check_ok(beit__source_read(&source, 7, part, 3));
    assert_string_equal(part, "tim");
    check_ok(beit__source_read(&source, 11, part, 0));
    beit__source_close(&source);
    assert_int_equal(unlink(path), 0);
}

static void nothing_shows_before_commit(void **state)
{
    (void)state;
    const char *path = in_directory("b");
    write_file(path, "old");
    beit__sink_t sink;
    check_ok(beit__sink_open(&sink, path, NULL));
    check_ok(beit__sink_append(&sink, "new", 3));
    assert_int_equal(entries(), 2);
    check_file(path, "old");
    beit__sink_close(&sink); /* given up */
    assert_int_equal(entries(), 1);
    check_file(path, "old");
    assert_int_equal(unlink(path), 0);
}

static void two_sinks_do_not_meet(void **state)
{
    (void)state;
    const char *path = in_directory("c");
    beit__sink_t a, b;
    check_ok(beit__sink_open(&a, path, NULL));
    check_ok(beit__sink_open(&b, path, NULL));
    check_ok(beit__sink_append(&a, "a", 1));
    check_ok(beit__sink_append(&b, "b", 1));
    check_ok(beit__sink_commit(&b));
    beit__sink_close(&b);
    check_file(path, "b");
    check_ok(beit__sink_commit(&a));
    beit__sink_close(&a);
    check_file(path, "a");
    assert_int_equal(entries(), 1);
    assert_int_equal(unlink(path), 0);
}

static void a_link_is_replaced_not_followed(void **state)
{
    (void)state;
    const char *target = in_directory("target"), *path = in_directory("link");
    write_file(target, "kept");
    assert_int_equal(symlink("target", path), 0);
    check_file(path, "kept"); /* reading follows */
    write_file(path, "mine");
    check_file(target, "kept");
    check_file(path, "mine");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(target), 0);
}

static void names_may_be_long_or_bare(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', sizeof name - 1); /* the longest that file systems take */
    name[sizeof name - 1] = '\0';
    const char *path = in_directory(name);
    write_file(path, "long");
    check_file(path, "long");
    assert_int_equal(unlink(path), 0);
    write_file("file-test-bare", "bare"); /* in the working directory */
    check_file("file-test-bare", "bare");
    assert_int_equal(unlink("file-test-bare"), 0);
}

static void unusable_sources_are_refused(void **state)
{
    (void)state;
    beit__source_t source;
    check_status(beit__source_open(&source, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit__source_open(&source, in_directory("absent"), NULL), BEIT_E_IO);
    check_error_has("absent: cannot open");
    check_status(beit__source_open(&source, directory, NULL), BEIT_E_IO);
    check_error_has("is a directory");
    const char *pipe_path = in_directory("pipe");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    check_status(beit__source_open(&source, pipe_path, NULL), BEIT_E_IO); /* and does not hang */
    check_error_has("device or pipe");
    assert_int_equal(unlink(pipe_path), 0);
}

static void unusable_destinations_are_refused(void **state)
{
    (void)state;
    beit__sink_t sink;
    check_status(beit__sink_open(&sink, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit__sink_open(&sink, "", NULL), BEIT_E_ARGUMENT);
    check_status(beit__sink_open(&sink, in_directory("no/such"), NULL), BEIT_E_IO);
    check_error_has("cannot open its directory");
    char endless[BEIT__PATH_MAX + 1];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    check_status(beit__sink_open(&sink, endless, NULL), BEIT_E_ARGUMENT);

    const char *path = in_directory("is-directory");
    assert_int_equal(mkdir(path, 0700), 0);
    check_ok(beit__sink_open(&sink, path, NULL));
    check_status(beit__sink_commit(&sink), BEIT_E_IO);
    check_error_has("cannot put in place");
    beit__sink_close(&sink);
    assert_int_equal(entries(), 1);
    assert_int_equal(rmdir(path), 0);
}

/* A host that gives back whatever status the test wants. */
static beit_status_t host_status;

static beit_status_t host_size(void *user, uint64_t *bytes)
{
    (void)user;
    *bytes = 4;
    return host_status;
}

static beit_status_t host_read(void *user, uint64_t offset, void *dst, size_t n)
{
    memcpy(dst, (const char *)user + offset, n);
    return host_status;
}

static beit_status_t host_append(void *user, const void *src, size_t n)
{
    (void)user, (void)src, (void)n;
    return host_status;
}

static beit_status_t host_commit(void *user)
{
    (void)user;
    return host_status;
}

static void host_storage_is_called_and_believed(void **state)
{
    (void)state;
    beit_io_t io = {sizeof io, "abcd", host_size, host_read, host_append, host_commit};
    beit__source_t source;
    beit__sink_t sink;
    char text[3] = "";
    host_status = BEIT_OK;
    check_ok(beit__source_open(&source, NULL, &io));
    assert_int_equal(source.bytes, 4);
    check_ok(beit__source_read(&source, 1, text, 2));
    assert_string_equal(text, "bc");
    host_status = BEIT_E_CANCELLED; /* a status of ours is passed on */
    check_status(beit__source_read(&source, 1, text, 2), BEIT_E_CANCELLED);
    check_error_has("host storage: the host's read_at failed");
    beit__source_close(&source);
    check_status(beit__source_open(&source, "name", &io), BEIT_E_CANCELLED);
    check_error_has("name: the host's size failed");
    check_ok(beit__sink_open(&sink, NULL, &io));
    host_status = (beit_status_t)7; /* what is none becomes BEIT_E_IO */
    check_status(beit__sink_append(&sink, "x", 1), BEIT_E_IO);
    check_status(beit__sink_commit(&sink), BEIT_E_IO);
    beit__sink_close(&sink);
}

static void incomplete_host_storage_is_refused(void **state)
{
    (void)state;
    beit__source_t source;
    beit__sink_t sink;
    beit_io_t io = {sizeof io, NULL, NULL, host_read, host_append, NULL};
    check_status(beit__source_open(&source, NULL, &io), BEIT_E_ARGUMENT);
    check_error_has("size is NULL");
    check_status(beit__sink_open(&sink, NULL, &io), BEIT_E_ARGUMENT);
    check_error_has("commit is NULL");
    io.struct_size = 8;
    check_status(beit__source_open(&source, NULL, &io), BEIT_E_ABI);
    check_status(beit__sink_open(&sink, NULL, &io), BEIT_E_ABI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(nothing_shows_before_commit),
        cmocka_unit_test(two_sinks_do_not_meet),
        cmocka_unit_test(a_link_is_replaced_not_followed),
        cmocka_unit_test(names_may_be_long_or_bare),
        cmocka_unit_test(unusable_sources_are_refused),
        cmocka_unit_test(unusable_destinations_are_refused),
        cmocka_unit_test(host_storage_is_called_and_believed),
        cmocka_unit_test(incomplete_host_storage_is_refused),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
