/* context.c: what is checked, who owns what, and what happens when a part cannot be had. */
#include "check.h"

#include <beit/backend.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/executor.h"
#include "failing_alloc.h"

static beit_context_config_t reference_config(void)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = beit_backend_builtin("reference");
    config.threads = 2;
    return config;
}

static void defaults_are_as_documented(void **state)
{
    (void)state;
    beit_context_config_t config;
    memset(&config, 0xEE, sizeof config);
    beit_context_config_init(&config, sizeof config);
    const beit_context_config_t wanted = {.struct_size = sizeof config, .log_level = BEIT_LOG_WARN};
    assert_memory_equal(&config, &wanted, sizeof config);
}

static void default_context_works(void **state)
{
    (void)state;
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, NULL));
    assert_non_null(ctx);
    assert_non_null(strstr(beit_context_describe(ctx), " backend"));
    assert_non_null(strstr(beit_context_describe(ctx), "own pool of "));
    beit_context_unref(ctx);
    check_status(beit_context_create(NULL, NULL), BEIT_E_ARGUMENT);
}

static void description_names_what_is_used(void **state)
{
    (void)state;
    beit_context_config_t config = reference_config();
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &config));
    const char *text = beit_context_describe(ctx);
    assert_ptr_equal(strstr(text, "reference backend"), text);
    assert_non_null(strstr(text, "own pool of 2"));
    assert_null(strchr(text, '\n'));
    beit_context_unref(ctx);
    assert_string_equal(beit_context_describe(NULL), "");
}

/* ---- what is refused ---- */

static void *some_alloc(void *user, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    return NULL;
}

static unsigned no_workers(void *user)
{
    (void)user;
    return 0;
}

static unsigned two_workers(void *user)
{
    (void)user;
    return 2;
}

static beit_status_t some_loop(void *user, size_t n, beit_task_fn fn, void *arg)
{
    (void)user;
    for (size_t i = 0; i < n; i++)
        fn(arg, i, 0);
    return BEIT_OK;
}

static const beit_allocator_t half_allocator = {sizeof half_allocator, NULL, some_alloc, NULL};
static const beit_allocator_t unsized_allocator = {0, NULL, NULL, NULL};
static const beit_executor_t half_executor = {sizeof half_executor, NULL, two_workers, NULL};
static const beit_executor_t idle_executor = {sizeof idle_executor, NULL, no_workers, some_loop};
static const beit_executor_t unsized_executor = {0, NULL, two_workers, some_loop};

static void half_an_allocator(beit_context_config_t *config)
{
    config->allocator = &half_allocator;
}
static void an_unsized_allocator(beit_context_config_t *config)
{
    config->allocator = &unsized_allocator;
}
static void half_an_executor(beit_context_config_t *config)
{
    config->executor = &half_executor;
}
static void an_idle_executor(beit_context_config_t *config)
{
    config->executor = &idle_executor;
}
static void an_unsized_executor(beit_context_config_t *config)
{
    config->executor = &unsized_executor;
}
static void negative_threads(beit_context_config_t *config)
{
    config->threads = -1;
}
static void absurd_threads(beit_context_config_t *config)
{
    config->threads = INT32_MAX;
}
static void unknown_level(beit_context_config_t *config)
{
    config->log_level = BEIT_LOG_TRACE + 1;
}

static const struct {
    void (*spoil)(beit_context_config_t *config);
    beit_status_t status;
    const char *message;
} faults[] = {
    {half_an_allocator, BEIT_E_ARGUMENT, "allocator: free is NULL"},
    {an_unsized_allocator, BEIT_E_ABI, "allocator: struct_size is 0"},
    {half_an_executor, BEIT_E_ARGUMENT, "executor: parallel_for is NULL"},
    {an_idle_executor, BEIT_E_ARGUMENT, "workers() is 0"},
    {an_unsized_executor, BEIT_E_ABI, "executor: struct_size is 0"},
    {negative_threads, BEIT_E_ARGUMENT, "threads is -1"},
    {absurd_threads, BEIT_E_ARGUMENT, "threads is 2147483647"},
    {unknown_level, BEIT_E_ARGUMENT, "log_level is 6"},
};

static void unfit_configs_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        beit_context_config_t config = reference_config();
        faults[i].spoil(&config);
        beit_context_t *ctx = (beit_context_t *)&config;
        check_status(beit_context_create(&ctx, &config), faults[i].status);
        check_error_has(faults[i].message);
        assert_null(ctx);
    }
}

/* ---- ownership ---- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    failing_alloc_t counts = {0};
    beit_context_t *ctx = NULL;
    size_t failures = 0;
    for (counts.fail_at = 1;; counts.fail_at++, failures++) {
        counts.requests = 0;
        const beit_status_t status = failing_context(&ctx, &counts, "reference", 2);
        if (status == BEIT_OK)
            break;
        assert_int_equal(status, BEIT_E_NOMEM);
        assert_null(ctx);
        assert_int_equal(counts.blocks, 0);
    }
    assert_true(failures >= 2); /* at least the context itself and its pool */
    beit_context_unref(ctx);
    assert_int_equal(counts.blocks, 0);
    assert_int_equal(counts.bytes, 0);
    assert_int_equal(counts.mismatches, 0);
}

static void references_are_counted(void **state)
{
    (void)state;
    failing_alloc_t counts = {0};
    beit_context_t *ctx, *same;
    check_ok(failing_context(&ctx, &counts, "reference", 1));
    assert_ptr_equal(beit_context_ref(ctx), ctx);
    check_ok(beit__context_acquire(&same, ctx));
    assert_ptr_equal(same, ctx);
    beit_context_unref(ctx);
    beit_context_unref(ctx);
    assert_true(counts.blocks > 0);
    beit_context_unref(ctx);
    assert_int_equal(counts.blocks, 0);

    beit_context_unref(NULL);
    assert_null(beit_context_ref(NULL));
    check_ok(beit__context_acquire(&same, NULL)); /* a private one */
    beit_context_unref(same);
}

static void memory_reports_what_is_held(void **state)
{
    (void)state;
    beit_context_config_t config = reference_config();
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &config));
    size_t before, now, peak; /* a backend may hold a little already */
    beit_context_memory(ctx, &before, &peak);
    assert_true(before < 10000 && peak == before);
    void *block = beit__alloc(ctx, 1000);
    beit_context_memory(ctx, &now, &peak);
    assert_int_equal(now, before + 1000);
    assert_int_equal(peak, now);
    beit__free(ctx, block, 1000);
    beit_context_memory(ctx, &now, NULL);
    assert_int_equal(now, before);
    beit_context_memory(ctx, NULL, &peak);
    assert_int_equal(peak, before + 1000);
    beit_context_unref(ctx);
    beit_context_memory(NULL, &now, &peak);
    assert_int_equal(peak, 0);
}

static void host_executor_is_copied_and_used(void **state)
{
    (void)state;
    beit_executor_t executor = {sizeof executor, NULL, two_workers, some_loop};
    beit_context_config_t config = reference_config();
    config.executor = &executor;
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &config));
    memset(&executor, 0, sizeof executor);
    assert_null(ctx->pool);
    assert_int_equal(beit__workers(&ctx->executor), 2);
    assert_non_null(strstr(beit_context_describe(ctx), "host executor of 2"));
    beit_context_unref(ctx);
}

/* ---- threads that cannot be started (the linker wraps the symbol) ---- */

static bool refuse_threads;

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    return refuse_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

static void keep_warning(void *user, beit_log_level_t level, const char *line)
{
    assert_int_equal(level, BEIT_LOG_WARN);
    snprintf(user, 512, "%s", line);
}

static void missing_threads_are_warned_of(void **state)
{
    (void)state;
    char line[512] = "";
    beit_context_config_t config = reference_config();
    config.threads = 3;
    config.log = keep_warning;
    config.log_user = line;
    refuse_threads = true;
    beit_context_t *ctx;
    const beit_status_t status = beit_context_create(&ctx, &config);
    refuse_threads = false;
    check_ok(status);
    assert_non_null(strstr(line, "1 of 3 threads"));
    assert_non_null(strstr(beit_context_describe(ctx), "own pool of 1"));
    beit_context_unref(ctx);
}

static void keep_line(void *user, beit_log_level_t level, const char *line)
{
    assert_int_equal(level, BEIT_LOG_INFO);
    snprintf(user, 512, "%s", line);
}

static void creation_is_logged(void **state)
{
    (void)state;
    char line[512] = "";
    beit_context_config_t config = reference_config();
    config.log = keep_line;
    config.log_user = line;
    config.log_level = BEIT_LOG_INFO;
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &config));
    assert_string_equal(line, beit_context_describe(ctx));
    beit_context_unref(ctx);
}

/* ---- version ---- */

static void versions_agree_with_the_header(void **state)
{
    (void)state;
    char number[32];
    assert_int_equal(beit_version(),
                     BEIT_VERSION_MAJOR << 16 | BEIT_VERSION_MINOR << 8 | BEIT_VERSION_PATCH);
    assert_int_equal(beit_abi_version(), BEIT_ABI);
    snprintf(number, sizeof number, "libbeit %d.%d.%d,", BEIT_VERSION_MAJOR, BEIT_VERSION_MINOR,
             BEIT_VERSION_PATCH);
    assert_ptr_equal(strstr(beit_build_info(), number), beit_build_info());
    assert_non_null(strstr(beit_build_info(), "kernels: c"));
    assert_int_equal(beit_backend_builtin("cblas") != NULL,
                     strstr(beit_build_info(), "cblas") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_as_documented),
        cmocka_unit_test(default_context_works),
        cmocka_unit_test(description_names_what_is_used),
        cmocka_unit_test(unfit_configs_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(references_are_counted),
        cmocka_unit_test(memory_reports_what_is_held),
        cmocka_unit_test(host_executor_is_copied_and_used),
        cmocka_unit_test(missing_threads_are_warned_of),
        cmocka_unit_test(creation_is_logged),
        cmocka_unit_test(versions_agree_with_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
