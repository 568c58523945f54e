/* Storage fails at call i, for i = 1, 2, ... until a save or load succeeds undisturbed: a failed
 * save leaves the old file and nothing else, a failed load leaves the destination, and neither
 * leaks a descriptor. The linker redirects the library's system calls to those below. The same for
 * the host's storage, for a process that dies at call i, and for a kernel that really refuses. */
#include "check.h"

#include <beit/backend.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* ---- system calls ---- */

typedef enum mode {
    MODE_PASS,
    MODE_FAIL,    /* call `at` fails with EIO */
    MODE_DIE,     /* the process ends at call `at` */
    MODE_SHORT,   /* transfers are a few bytes long */
    MODE_SIGNALS, /* every second call is interrupted first */
    MODE_END      /* reading meets the end of the file at call `at` */
} fault_mode_t;

enum { SHORT = 7, DEAD = 77, MOST_CALLS = 4096 };

static struct {
    fault_mode_t mode;
    int at, calls;
    char names[MOST_CALLS]; /* one letter per call: what came in which order */
} fault;

/* True when this call is to fail; errno is set. */
static bool fails(char name, bool may_be_interrupted)
{
    const int call = ++fault.calls;
    if (call < MOST_CALLS)
        fault.names[call - 1] = name;
    if (fault.mode == MODE_DIE && call == fault.at)
        _exit(DEAD);
    errno = fault.mode == MODE_SIGNALS ? EINTR : EIO;
    return (fault.mode == MODE_FAIL && call == fault.at) ||
           (fault.mode == MODE_SIGNALS && may_be_interrupted && call % 2);
}

static size_t length(size_t n)
{
    return fault.mode == MODE_SHORT && n > SHORT ? SHORT : n;
}

#define WRAP(type, name, parameters)                                                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters

/* Third argument of a variadic function: given or not, it is passed alike. */
WRAP(int, open64, (const char *path, int flags, mode_t mode))
{
    return fails('o', false) ? -1 : __real_open64(path, flags, mode);
}

WRAP(ssize_t, pread64, (int fd, void *dst, size_t n, off64_t offset))
{
    if (fails('r', true))
        return -1;
    if (fault.mode == MODE_END && fault.calls == fault.at)
        return 0;
    return __real_pread64(fd, dst, length(n), offset);
}

WRAP(ssize_t, write, (int fd, const void *src, size_t n))
{
    return fails('w', true) ? -1 : __real_write(fd, src, length(n));
}

WRAP(int, fstat64, (int fd, struct stat64 *info))
{
    return fails('i', false) ? -1 : __real_fstat64(fd, info);
}

WRAP(int, fsync, (int fd))
{
    return fails('s', true) ? -1 : __real_fsync(fd);
}

WRAP(int, rename, (const char *from, const char *to))
{
    return fails('n', false) ? -1 : __real_rename(from, to);
}

/* The descriptor is gone also when close reports an error. */
WRAP(int, close, (int fd))
{
    const bool failing = fails('c', false);
    const int result = __real_close(fd);
    return failing ? -1 : result;
}

static void set_fault(fault_mode_t mode, int at)
{
    fault.mode = mode;
    fault.at = at;
    fault.calls = 0;
    memset(fault.names, 0, sizeof fault.names);
}

/* ---- what is looked at afterwards ---- */

static char directory[] = "io-test-XXXXXX";
static char path[64];

static int entries_of(const char *name)
{
    DIR *stream = opendir(name);
    assert_non_null(stream);
    int count = 0;
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static int descriptors(void)
{
    return entries_of("/proc/self/fd");
}

typedef struct content {
    unsigned char *bytes;
    size_t size;
} content_t;

static content_t read_file(void)
{
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    content_t content = {malloc(1 << 20), 0};
    assert_non_null(content.bytes);
    content.size = fread(content.bytes, 1, 1 << 20, stream);
    fclose(stream);
    assert_true(content.size > 0);
    return content;
}

static bool file_is(const content_t *wanted)
{
    content_t found = read_file();
    const bool same =
        found.size == wanted->size && memcmp(found.bytes, wanted->bytes, found.size) == 0;
    free(found.bytes);
    return same;
}

/* ---- what is saved and loaded ---- */

static fixture_t f;

static beit_status_t save_params(const char *file, const beit_io_t *io)
{
    return beit_params_save(beit_model_params(f.model), file, io);
}

static beit_status_t save_model(const char *file, const beit_io_t *io)
{
    return beit_model_save(f.model, file, io);
}

static beit_status_t save_dvae(const char *file, const beit_io_t *io)
{
    return beit_dvae_save(f.dvae, file, io);
}

static beit_status_t save_trainer(const char *file, const beit_io_t *io)
{
    return beit_trainer_save(f.mim, file, io);
}

static beit_status_t load_params(const char *file, const beit_io_t *io)
{
    return beit_params_load(beit_model_params(f.model), file, io, 0);
}

static beit_status_t load_model(const char *file, const beit_io_t *io)
{
    beit_model_t *model;
    const beit_status_t status = beit_model_load(&model, f.ctx, file, io);
    assert_true((model != NULL) == (status == BEIT_OK));
    beit_model_destroy(model);
    return status;
}

static beit_status_t load_dvae(const char *file, const beit_io_t *io)
{
    beit_dvae_t *dvae;
    const beit_status_t status = beit_dvae_load(&dvae, f.ctx, file, io);
    assert_true((dvae != NULL) == (status == BEIT_OK));
    beit_dvae_destroy(dvae);
    return status;
}

static beit_status_t resume_trainer(const char *file, const beit_io_t *io)
{
    return beit_trainer_resume(f.mim, file, io);
}

typedef struct pair {
    beit_status_t (*save)(const char *file, const beit_io_t *io);
    beit_status_t (*load)(const char *file, const beit_io_t *io);
    beit_trainer_t **trained; /* a step of it changes what is saved */
} pair_t;

static const pair_t pairs[] = {{save_params, load_params, &f.mim},
                               {save_model, load_model, &f.mim},
                               {save_dvae, load_dvae, &f.dvae_trainer},
                               {save_trainer, resume_trainer, &f.mim}};
#define PAIRS (sizeof pairs / sizeof *pairs)

static void one_step(const pair_t *pair)
{
    const beit_batch_t batch = fixture_batch(1);
    check_ok(beit_trainer_step(*pair->trained, &batch, NULL));
}

/* FNV-1a over weights, moments and counters. */
static uint64_t state_of_handles(void)
{
    const beit_params_t *sets[] = {beit_model_params(f.model), beit_dvae_params(f.dvae),
                                   beit_trainer_moments(f.mim, 0), beit_trainer_moments(f.mim, 1)};
    uint64_t hash = beit_trainer_steps(f.mim);
    for (size_t s = 0; s < 4; s++)
        for (size_t i = 0; i < beit_params_count(sets[s]); i++) {
            beit_param_info_t info = {.struct_size = sizeof info};
            check_ok(beit_params_info(sets[s], i, &info));
            const unsigned char *byte = info.value.data;
            const int64_t bytes = info.value.shape[0] * info.value.stride[0] * 4;
            for (int64_t b = 0; b < bytes; b++)
                hash = (hash ^ byte[b]) * 1099511628211u;
        }
    return hash;
}

static int set_up(void **state)
{
    (void)state;
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = beit_backend_builtin("reference");
    cfg.threads = 1; /* processes are forked below */
    beit_context_t *ctx;
    if (!mkdtemp(directory) || beit_context_create(&ctx, &cfg) != BEIT_OK)
        return -1;
    (void)snprintf(path, sizeof path, "%s/file", directory);
    const beit_status_t status = fixture_create(&f, ctx);
    beit_context_unref(ctx);
    if (status != BEIT_OK)
        return -1;
    one_step(&pairs[0]); /* past the first step of a warm-up, whose rate is 0 */
    one_step(&pairs[2]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_destroy(&f);
    (void)unlink(path);
    return rmdir(directory);
}

/* ---- saving ---- */

/* Save the present state as the old file, change the state, and say what the new file will be. */
static void prepare(const pair_t *pair, content_t *old, content_t *new)
{
    set_fault(MODE_PASS, 0);
    check_ok(pair->save(path, NULL));
    *old = read_file();
    one_step(pair);
    check_ok(pair->save(path, NULL));
    *new = read_file();
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(old->bytes, 1, old->size, stream), old->size);
    assert_int_equal(fclose(stream), 0);
}

static void forget(content_t *old, content_t *new)
{
    free(old->bytes);
    free(new->bytes);
}

/* What makes a file durable: its data are synced before it takes the name, and the name after. */
static void saves_sync_in_order(void **state)
{
    (void)state;
    set_fault(MODE_PASS, 0);
    check_ok(save_model(path, NULL));
    const char *writes = fault.names + 2;
    assert_memory_equal(fault.names, "ooww", 4); /* directory, temporary, header, ... */
    assert_string_equal(writes + strspn(writes, "w"), "scnsc");
}

/* The last two calls of a save come after the rename: the directory's sync, and its close, which
 * is not worth a failure. */
static void failed_saves_keep_the_old_file(void **state)
{
    (void)state;
    for (size_t p = 0; p < PAIRS; p++) {
        content_t old, new;
        prepare(&pairs[p], &old, &new);
        const int before = descriptors();
        int at = 0, news = 0;
        beit_status_t status;
        do {
            set_fault(MODE_FAIL, ++at);
            status = pairs[p].save(path, NULL);
            const bool met = fault.calls >= at;
            set_fault(MODE_PASS, 0);
            assert_true(status == BEIT_OK || status == BEIT_E_IO);
            assert_int_equal(descriptors(), before);
            assert_int_equal(entries_of(directory), 3); /* . .. file */
            if (status == BEIT_E_IO && file_is(&new)) {
                check_error_has("in place");
                news++;
            } else if (status == BEIT_E_IO) {
                assert_true(file_is(&old));
            } else {
                assert_true(file_is(&new));
                if (met) /* the directory's close */
                    status = BEIT_E_IO;
            }
        } while (status != BEIT_OK);
        assert_true(at > 8); /* open twice, writes, sync, close, rename, sync, close */
        assert_int_equal(news, 1);
        forget(&old, &new);
    }
}

static void saves_survive_short_writes_and_signals(void **state)
{
    (void)state;
    for (size_t p = 0; p < PAIRS; p++) {
        content_t old, new;
        prepare(&pairs[p], &old, &new);
        set_fault(MODE_SHORT, 0);
        check_ok(pairs[p].save(path, NULL));
        set_fault(MODE_PASS, 0);
        assert_true(file_is(&new));
        set_fault(MODE_SIGNALS, 0);
        check_ok(pairs[p].save(path, NULL));
        set_fault(MODE_PASS, 0);
        assert_true(file_is(&new));
        forget(&old, &new);
    }
}

static void remove_temporaries(void)
{
    DIR *stream = opendir(directory);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        char name[512];
        (void)snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        if (strstr(entry->d_name, ".tmp"))
            assert_int_equal(unlink(name), 0);
    }
    closedir(stream);
}

/* A process that dies leaves the old file or the new one, and at most a temporary beside it. */
static void crashes_leave_old_or_new(void **state)
{
    (void)state;
    content_t old, new;
    prepare(&pairs[3], &old, &new);
    bool finished = false, was_new = false;
    for (int at = 1; !finished; at++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            set_fault(MODE_DIE, at);
            _exit(pairs[3].save(path, NULL) == BEIT_OK ? 0 : 1);
        }
        int end;
        assert_true(waitpid(child, &end, 0) == child && WIFEXITED(end));
        finished = WEXITSTATUS(end) == 0;
        assert_true(finished || WEXITSTATUS(end) == DEAD);
        const bool is_new = file_is(&new);
        assert_true(is_new || (!was_new && file_is(&old)));
        was_new = is_new;
        remove_temporaries();
    }
    assert_true(was_new);
    forget(&old, &new);
}

/* ---- loading ---- */

static void failed_loads_change_nothing(void **state)
{
    (void)state;
    static const fault_mode_t modes[] = {MODE_FAIL, MODE_END};
    for (size_t p = 0; p < PAIRS; p++)
        for (size_t m = 0; m < 2; m++) {
            check_ok(pairs[p].save(path, NULL));
            one_step(&pairs[p]);
            const int before = descriptors();
            uint64_t unchanged = state_of_handles();
            int at = 0, failures = 0;
            bool met = true;
            while (met) {
                set_fault(modes[m], ++at);
                const beit_status_t status = pairs[p].load(path, NULL);
                met = fault.calls >= at;
                set_fault(MODE_PASS, 0);
                assert_int_equal(descriptors(), before);
                assert_true(status == BEIT_OK || status == BEIT_E_IO);
                if (status == BEIT_OK) { /* a call not worth a failure: closing what was read */
                    one_step(&pairs[p]);
                    unchanged = state_of_handles();
                    continue;
                }
                assert_true(state_of_handles() == unchanged);
                failures++;
            }
            assert_true(failures > 4);
        }
}

static void loads_survive_short_reads_and_signals(void **state)
{
    (void)state;
    for (size_t p = 0; p < PAIRS; p++) {
        check_ok(pairs[p].save(path, NULL));
        const uint64_t saved = state_of_handles();
        static const fault_mode_t modes[] = {MODE_SHORT, MODE_SIGNALS};
        for (size_t m = 0; m < 2; m++) {
            set_fault(modes[m], 0);
            check_ok(pairs[p].load(path, NULL));
            set_fault(MODE_PASS, 0);
            assert_true(state_of_handles() == saved);
        }
    }
}

/* ---- the host's storage ---- */

static struct {
    unsigned char bytes[1 << 20];
    size_t size;
    int calls, fail_at, commits;
} host;

static beit_status_t host_call(void)
{
    return ++host.calls == host.fail_at ? BEIT_E_IO : BEIT_OK;
}

static beit_status_t host_size(void *user, uint64_t *bytes)
{
    (void)user;
    *bytes = host.size;
    return host_call();
}

static beit_status_t host_read(void *user, uint64_t offset, void *dst, size_t n)
{
    (void)user;
    assert_true(offset + n <= host.size);
    memcpy(dst, host.bytes + offset, n);
    return host_call();
}

static beit_status_t host_append(void *user, const void *src, size_t n)
{
    (void)user;
    assert_true(host.size + n <= sizeof host.bytes);
    memcpy(host.bytes + host.size, src, n);
    host.size += n;
    return host_call();
}

static beit_status_t host_commit(void *user)
{
    (void)user;
    host.commits++;
    return host_call();
}

static const beit_io_t io = {sizeof io, NULL, host_size, host_read, host_append, host_commit};

static void host_reset(int fail_at)
{
    host.calls = 0;
    host.fail_at = fail_at;
}

static void failing_hosts_are_told_and_obeyed(void **state)
{
    (void)state;
    for (size_t p = 0; p < PAIRS; p++) {
        beit_status_t status;
        int at = 0;
        do {
            host.size = 0;
            host.commits = 0;
            host_reset(++at);
            status = pairs[p].save(NULL, &io);
            assert_true(status == BEIT_OK || status == BEIT_E_IO);
            assert_true(status == BEIT_OK || host.calls == at); /* nothing after a failure */
        } while (status != BEIT_OK);
        assert_true(at > 4);
        assert_int_equal(host.commits, 1);
        one_step(&pairs[p]);
        const uint64_t unchanged = state_of_handles();
        at = 0;
        do {
            host_reset(++at);
            status = pairs[p].load(NULL, &io);
            assert_true(status == BEIT_OK || status == BEIT_E_IO);
            assert_true(status == BEIT_OK || state_of_handles() == unchanged);
        } while (status != BEIT_OK);
        assert_true(at > 4);
    }
}

/* ---- a kernel that refuses ---- */

/* Run in a child, so that privileges and limits may be given up; 0 = as expected. */
static int in_child(int (*fn)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fn());
    int end;
    assert_true(waitpid(child, &end, 0) == child && WIFEXITED(end));
    return WEXITSTATUS(end);
}

static int save_without_rights(void)
{
    const uid_t nobody = 65534;
    if (geteuid() == 0 && (setgid(nobody) != 0 || setuid(nobody) != 0))
        return 2;
    return pairs[3].save(path, NULL) == BEIT_E_IO ? 0 : 1;
}

static void read_only_directories_are_reported(void **state)
{
    (void)state;
    content_t old, new;
    prepare(&pairs[3], &old, &new);
    assert_int_equal(chmod(directory, 0555), 0);
    assert_int_equal(in_child(save_without_rights), 0);
    assert_int_equal(chmod(directory, 0755), 0);
    assert_true(file_is(&old));
    assert_int_equal(entries_of(directory), 3);
    forget(&old, &new);
}

/* The limit lies within the data: a write is cut short, the next one fails. */
static int save_on_a_full_disk(void)
{
    const struct rlimit limit = {10000, 10000};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    if (pairs[3].save(path, NULL) != BEIT_E_IO)
        return 1;
    return strstr(beit_last_error(), "cannot write") ? 0 : 3;
}

static void full_disks_keep_the_old_file(void **state)
{
    (void)state;
    content_t old, new;
    prepare(&pairs[3], &old, &new);
    assert_true(new.size > 20000);
    assert_int_equal(in_child(save_on_a_full_disk), 0);
    assert_true(file_is(&old));
    assert_int_equal(entries_of(directory), 3);
    forget(&old, &new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saves_sync_in_order),
        cmocka_unit_test(failed_saves_keep_the_old_file),
        cmocka_unit_test(saves_survive_short_writes_and_signals),
        cmocka_unit_test(crashes_leave_old_or_new),
        cmocka_unit_test(failed_loads_change_nothing),
        cmocka_unit_test(loads_survive_short_reads_and_signals),
        cmocka_unit_test(failing_hosts_are_told_and_obeyed),
        cmocka_unit_test(read_only_directories_are_reported),
        cmocka_unit_test(full_disks_keep_the_old_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
