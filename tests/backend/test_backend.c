/* backend.c, memory.c, run.c, trace.c: which tables are accepted, who stands in for whom, planning
 * and running, memory, messages, and that calls never overlap. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "backend/backend.h"
#include "core/alloc.h"
#include "core/context.h"
#include "failing_alloc.h"
#include "toy_device.h"

static const beit_backend_ops_t *reference(void)
{
    return beit_backend_builtin("reference");
}

static beit_status_t create(beit_context_t **ctx, const beit_backend_ops_t *ops,
                            const char *options)
{
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = ops;
    cfg.backend_options = options;
    cfg.threads = 1;
    return beit_context_create(ctx, &cfg);
}

static beit_context_t *context_on(const beit_backend_ops_t *ops)
{
    beit_context_t *ctx;
    check_ok(create(&ctx, ops, NULL));
    return ctx;
}

/* ---- tables ---- */

static void builtins_have_names(void **state)
{
    (void)state;
    assert_null(beit_backend_builtin(NULL));
    assert_null(beit_backend_builtin(""));
    assert_null(beit_backend_builtin("referenc"));
    assert_string_equal(reference()->name, "reference");
    const beit_backend_ops_t *cblas = beit_backend_builtin("cblas");
    beit_context_t *ctx = context_on(NULL);
    assert_string_equal(beit__backend_name(ctx->backend), cblas ? "cblas" : "reference");
    beit_context_unref(ctx);
}

static void check_refused(const beit_backend_ops_t *ops, const char *options, beit_status_t status,
                          const char *part)
{
    beit_context_t *ctx = (beit_context_t *)1;
    check_status(create(&ctx, ops, options), status);
    check_error_has(part);
    assert_null(ctx);
}

static void unsound_tables_are_refused(void **state)
{
    (void)state;
    beit_backend_ops_t ops = *reference();
    ops.struct_size = offsetof(beit_backend_ops_t, gemm) - 1;
    check_refused(&ops, NULL, BEIT_E_ABI, "struct_size");
    ops = *reference(), ops.abi = BEIT_BACKEND_ABI + 1;
    check_refused(&ops, NULL, BEIT_E_ABI, "abi is 2, expected 1");
    ops = *reference(), ops.name = NULL;
    check_refused(&ops, NULL, BEIT_E_ARGUMENT, "name is NULL");
    ops = *reference(), ops.name = "";
    check_refused(&ops, NULL, BEIT_E_ARGUMENT, "name is empty");
    ops = *reference(), ops.flags |= 0x40;
    check_refused(&ops, NULL, BEIT_E_ARGUMENT, "flags are 0x43");
    ops = *reference(), ops.alloc = toy_device_ops.alloc;
    check_refused(&ops, NULL, BEIT_E_ARGUMENT, "free is NULL");
    ops = *reference(), ops.free = toy_device_ops.free;
    check_refused(&ops, NULL, BEIT_E_ARGUMENT, "alloc is NULL");
}

static void a_device_must_be_complete(void **state)
{
    (void)state;
    beit_backend_ops_t ops = toy_device_ops;
    ops.code_prior = NULL;
    check_refused(&ops, NULL, BEIT_E_UNSUPPORTED, "code_prior is NULL");
    ops = toy_device_ops, ops.download = NULL;
    check_refused(&ops, NULL, BEIT_E_UNSUPPORTED, "download is NULL");
    ops = toy_device_ops, ops.alloc = NULL, ops.free = NULL;
    check_refused(&ops, NULL, BEIT_E_UNSUPPORTED, "alloc is NULL");
    /* a table that ends early lacks what follows */
    ops = toy_device_ops, ops.struct_size = offsetof(beit_backend_ops_t, adam);
    check_refused(&ops, NULL, BEIT_E_UNSUPPORTED, "adam is NULL");
}

static void options_reach_the_backend(void **state)
{
    (void)state;
    beit_context_t *ctx;
    check_ok(create(&ctx, reference(), "isa=avx2,blas_threads=1"));
    beit_context_unref(ctx);
    check_ok(create(&ctx, reference(), ""));
    beit_context_unref(ctx);
    check_refused(reference(), "isa=c,speed=11", BEIT_E_ARGUMENT, "\"speed\"");
    check_refused(&toy_device_ops, "x", BEIT_E_ARGUMENT, "knows no options");
    beit_backend_ops_t ops = *reference();
    ops.open = NULL;
    check_refused(&ops, "isa=c", BEIT_E_ARGUMENT, "takes no options");
}

/* A table of a newer library, longer than ours. */
typedef struct newer_table {
    beit_backend_ops_t ops;
    void *unknown[2];
} newer_table_t;

static void longer_tables_are_read_as_far_as_known(void **state)
{
    (void)state;
    newer_table_t newer = {.ops = *reference()};
    newer.ops.struct_size = sizeof newer;
    newer.ops.name = "newer";
    beit_context_t *ctx = context_on(&newer.ops);
    assert_string_equal(beit__backend_name(ctx->backend), "newer");
    beit_context_unref(ctx);
    newer.unknown[1] = &newer;
    check_refused(&newer.ops, NULL, BEIT_E_ABI, "newer libbeit");
}

/* ---- a third party's partial table ---- */

static struct partial {
    int opened, closed, gelus, syncs;
    const beit_backend_host_t *host;
    beit_status_t open_status, gelu_status;
    beit_op_t last;      /* what gelu was given */
    const char *message; /* said through set_error before failing, or NULL */
} partial;

static beit_status_t partial_open(void **self, const beit_backend_host_t *host, const char *options)
{
    (void)options;
    partial.host = host;
    if (partial.open_status != BEIT_OK) {
        if (partial.message)
            host->set_error(partial.message);
        return partial.open_status;
    }
    partial.opened++;
    *self = &partial;
    return BEIT_OK;
}

static void partial_close(void *self)
{
    assert_ptr_equal(self, &partial);
    partial.closed++;
}

static const char *partial_describe(void *self)
{
    assert_ptr_equal(self, &partial);
    return "half a backend";
}

static beit_status_t partial_synchronize(void *self)
{
    assert_ptr_equal(self, &partial);
    partial.syncs++;
    return BEIT_OK;
}

static beit_status_t partial_gelu(void *self, const beit_gelu_forward_args_t *a)
{
    assert_ptr_equal(self, &partial);
    partial.gelus++;
    partial.last = a->op;
    if (partial.gelu_status != BEIT_OK && partial.message)
        partial.host->set_error(partial.message);
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = 7; /* so that one sees who ran */
    return partial.gelu_status;
}

static beit_status_t unread_fill(void *self, const beit_fill_args_t *a)
{
    (void)self, (void)a;
    return BEIT_E_UNSUPPORTED;
}

/* As compiled against a first release that had no operations behind gelu_forward. */
static const beit_backend_ops_t partial_ops = {
    .struct_size = offsetof(beit_backend_ops_t, column_sum),
    .abi = BEIT_BACKEND_ABI,
    .flags = BEIT_BACKEND_HOST_MEMORY,
    .name = "partial",
    .open = partial_open,
    .close = partial_close,
    .describe = partial_describe,
    .synchronize = partial_synchronize,
    .gelu_forward = partial_gelu,
    .fill = unread_fill, /* beyond struct_size */
};

static beit_context_t *partial_context(void)
{
    partial = (struct partial){0};
    return context_on(&partial_ops);
}

static beit_status_t gelu_of(beit_context_t *ctx, float *y)
{
    const float x = 0;
    beit_gelu_forward_args_t a = {.count = 1, .x = &x, .y = y};
    beit__run_t run = {.ctx = ctx};
    return beit__gelu_forward(&run, &a);
}

static void missing_operations_come_from_the_reference(void **state)
{
    (void)state;
    beit_context_t *ctx = partial_context();
    assert_non_null(strstr(beit_context_describe(ctx), "half a backend"));
    assert_true(beit__backend_on_host(ctx->backend));
    assert_true(partial.host->executor->workers(partial.host->executor->user) >= 1);
    float y = 0;
    check_ok(gelu_of(ctx, &y));
    check_near((double)y, 7, 0);
    assert_int_equal(partial.gelus, 1);
    assert_int_equal(partial.syncs, 0);

    assert_int_equal(partial.last.struct_size, sizeof(beit_gelu_forward_args_t));
    assert_null(partial.last.workspace);
    assert_int_equal(partial.last.workspace_bytes, 0);

    /* lent, with the reference's workspace, after what runs has finished */
    float sum = 1;
    const float x[2] = {2, 3};
    beit_column_sum_args_t a = {.rows = 2, .cols = 1, .ldx = 1, .x = x, .out = &sum};
    beit__run_t run = {.ctx = ctx, .planning = true};
    check_ok(beit__column_sum(&run, &a));
    assert_int_equal(run.workspace_bytes, sizeof(double));
    check_ok(beit__run_commit(&run, run.workspace_bytes));
    check_ok(beit__column_sum(&run, &a));
    check_near((double)sum, 6, 0);
    assert_int_equal(partial.syncs, 1);
    beit_gelu_forward_args_t g = {.count = 1, .x = x, .y = &y};
    check_ok(beit__gelu_forward(&run, &g));
    assert_ptr_equal(partial.last.workspace, run.workspace);
    assert_int_equal(partial.last.workspace_bytes, sizeof(double));
    beit__run_release(&run);

    /* the host reads and writes after what runs has finished, too */
    partial.syncs = 0;
    check_ok(beit__download(ctx, &sum, x, sizeof sum));
    assert_true(partial.syncs > 0);
    partial.syncs = 0;
    check_ok(beit__upload(ctx, &sum, x, sizeof sum));
    assert_true(partial.syncs > 0);

    /* the field behind the table's end is not read */
    float filled = 0;
    beit_fill_args_t f = {.count = 1, .x = &filled, .value = 4};
    check_ok(beit__fill(&run, &f));
    check_near((double)filled, 4, 0);
    beit_context_unref(ctx);
    assert_int_equal(partial.opened, 1);
    assert_int_equal(partial.closed, 1);
}

static void failures_carry_a_line(void **state)
{
    (void)state;
    beit_context_t *ctx = partial_context();
    float y;
    partial.gelu_status = BEIT_E_BACKEND;
    check_status(gelu_of(ctx, &y), BEIT_E_BACKEND);
    check_error_has("backend partial: gelu_forward failed");
    partial.message = "the fan has stopped";
    check_status(gelu_of(ctx, &y), BEIT_E_BACKEND);
    assert_string_equal(beit_last_error(), "the fan has stopped");
    partial.message = NULL, partial.gelu_status = (beit_status_t)3;
    check_status(gelu_of(ctx, &y), BEIT_E_BACKEND);
    check_error_has("returned 3, which is no status");
    beit_context_unref(ctx);

    partial = (struct partial){.open_status = BEIT_E_UNSUPPORTED};
    check_refused(&partial_ops, NULL, BEIT_E_UNSUPPORTED, "backend partial: open failed");
    partial.message = "no such card";
    check_refused(&partial_ops, NULL, BEIT_E_UNSUPPORTED, "no such card");
    assert_int_equal(partial.closed, 0);
}

static void a_backend_without_open_or_close(void **state)
{
    (void)state;
    beit_backend_ops_t ops = {.struct_size = offsetof(beit_backend_ops_t, gemm),
                              .abi = BEIT_BACKEND_ABI,
                              .flags = BEIT_BACKEND_HOST_MEMORY,
                              .name = "empty"};
    beit_context_t *ctx = context_on(&ops);
    float y = 1;
    check_ok(gelu_of(ctx, &y));
    check_near((double)y, 0, 0);
    beit_context_unref(ctx);
}

/* ---- planning and running ---- */

static void planning_computes_nothing_and_keeps_the_maximum(void **state)
{
    (void)state;
    beit_context_t *ctx = context_on(reference());
    const float x[2] = {1, 2};
    float out[2] = {5, 5};
    beit_column_sum_args_t wide = {.rows = 1, .cols = 2, .ldx = 2, .x = x, .out = out};
    beit_column_sum_args_t narrow = {.rows = 1, .cols = 1, .ldx = 1, .x = x, .out = out};
    beit__run_t run = {.ctx = ctx, .planning = true};
    check_ok(beit__column_sum(&run, &wide));
    check_ok(beit__column_sum(&run, &narrow));
    assert_int_equal(run.workspace_bytes, 2 * sizeof(double));
    check_near((double)out[0], 5, 0);

    size_t before, after;
    beit_context_memory(ctx, &before, NULL);
    check_ok(beit__run_commit(&run, run.workspace_bytes));
    assert_false(run.planning);
    assert_non_null(run.workspace);
    check_ok(beit__column_sum(&run, &wide));
    check_near((double)out[0], 6, 0);
    check_near((double)out[1], 7, 0);

    /* a smaller plan keeps the block, a larger one replaces it */
    void *block = run.workspace;
    check_ok(beit__run_commit(&run, 8));
    assert_ptr_equal(run.workspace, block);
    assert_int_equal(run.workspace_bytes, 2 * sizeof(double));
    check_ok(beit__run_commit(&run, 4096));
    assert_int_equal(run.workspace_bytes, 4096);
    beit__run_release(&run);
    assert_null(run.workspace);
    beit_context_memory(ctx, &after, NULL);
    assert_int_equal(after, before);
    beit_context_unref(ctx);
}

static void too_small_a_workspace_is_our_error(void **state)
{
    (void)state;
    beit_context_t *ctx = context_on(reference());
    const float x[2] = {1, 2};
    float out[2] = {5, 5};
    beit_column_sum_args_t a = {.rows = 1, .cols = 2, .ldx = 2, .x = x, .out = out};
    beit__run_t run = {.ctx = ctx};
    check_ok(beit__run_commit(&run, 8));
    check_status(beit__column_sum(&run, &a), BEIT_E_STATE);
    check_error_has("column_sum needs 16 bytes of workspace, planned were 8");
    check_near((double)out[0], 5, 0);
    beit__run_release(&run);
    beit_context_unref(ctx);
}

/* ---- memory ---- */

static void check_memory(const beit_backend_ops_t *ops)
{
    enum { BYTES = 1000 };
    beit_context_t *ctx = context_on(ops);
    size_t before, now;
    beit_context_memory(ctx, &before, NULL);
    unsigned char host[BYTES], *a, *b;
    check_ok(beit__backend_alloc(ctx, BYTES, (void **)&a));
    check_ok(beit__backend_alloc(ctx, BYTES, (void **)&b));
    assert_int_equal((uintptr_t)a % 64, 0);
    beit_context_memory(ctx, &now, NULL);
    assert_true(now >= before + 2 * BYTES);

    memset(host, 1, BYTES);
    check_ok(beit__download(ctx, host, a, BYTES));
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(host[i], 0);
    for (int i = 0; i < BYTES; i++)
        host[i] = (unsigned char)i;
    check_ok(beit__upload(ctx, a, host, BYTES));
    check_ok(beit__copy(ctx, b, a, BYTES));
    memset(host, 0, BYTES);
    check_ok(beit__download(ctx, host, b, BYTES));
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(host[i], (unsigned char)i);
    check_ok(beit__upload(ctx, NULL, NULL, 0));

    beit__backend_free(ctx, a, BYTES);
    beit__backend_free(ctx, b, BYTES);
    beit__backend_free(ctx, NULL, BYTES);
    beit_context_memory(ctx, &now, NULL);
    assert_int_equal(now, before);
    beit_context_unref(ctx);
}

static void memory_is_zeroed_aligned_and_counted(void **state)
{
    (void)state;
    check_memory(reference());
    check_memory(&toy_device_ops);
    assert_int_equal(toy_device_counts.live_bytes, 0);
    assert_int_equal(toy_device_counts.open, 0);
}

static int waits;

static beit_status_t waiting_synchronize(void *self)
{
    (void)self;
    waits++;
    return BEIT_OK;
}

static void download_and_free_wait_for_what_runs(void **state)
{
    (void)state;
    beit_backend_ops_t ops = toy_device_ops;
    ops.synchronize = waiting_synchronize;
    beit_context_t *ctx = context_on(&ops);
    void *ptr;
    float x;
    check_ok(beit__backend_alloc(ctx, sizeof x, &ptr));
    waits = 0;
    check_ok(beit__download(ctx, &x, ptr, sizeof x));
    assert_int_equal(waits, 1);
    beit__backend_free(ctx, ptr, sizeof x);
    assert_int_equal(waits, 2);
    beit_context_unref(ctx);
}

static beit_status_t failing_fill(void *self, const beit_fill_args_t *a)
{
    (void)self, (void)a;
    return BEIT_E_BACKEND;
}

static beit_status_t failing_device_alloc(void *self, size_t bytes, void **ptr)
{
    (void)self, (void)bytes, (void)ptr;
    return BEIT_E_NOMEM;
}

static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    void *ptr = &ptr;
    beit_backend_ops_t ops = toy_device_ops;
    ops.fill = failing_fill;
    beit_context_t *ctx = context_on(&ops);
    check_status(beit__backend_alloc(ctx, 100, &ptr), BEIT_E_BACKEND);
    assert_null(ptr);
    assert_int_equal(toy_device_counts.live_bytes, 0);
    beit_context_unref(ctx);

    ops = toy_device_ops, ops.alloc = failing_device_alloc;
    ctx = context_on(&ops);
    ptr = &ptr;
    check_status(beit__backend_alloc(ctx, 100, &ptr), BEIT_E_NOMEM);
    assert_null(ptr);
    check_status(beit__backend_alloc(ctx, SIZE_MAX, &ptr), BEIT_E_NOMEM);
    beit__run_t run = {.ctx = ctx, .planning = true};
    check_status(beit__run_commit(&run, 100), BEIT_E_NOMEM);
    assert_null(run.workspace);
    assert_true(run.planning);
    beit_context_unref(ctx);
}

static void a_grown_workspace_that_fails_keeps_the_old(void **state)
{
    (void)state;
    failing_alloc_t heap = {0};
    beit_context_t *ctx;
    check_ok(failing_context(&ctx, &heap, "reference", 1));
    beit__run_t run = {.ctx = ctx};
    check_ok(beit__run_commit(&run, 64));
    void *old = run.workspace;
    heap.fail_at = heap.requests + 1;
    check_status(beit__run_commit(&run, 128), BEIT_E_NOMEM);
    assert_ptr_equal(run.workspace, old);
    assert_int_equal(run.workspace_bytes, 64);
    beit__run_release(&run);
    beit_context_unref(ctx);
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(heap.mismatches, 0);
}

/* ---- trace ---- */

typedef struct heard {
    int lines;
    char last[512];
} heard_t;

static void hear(void *user, beit_log_level_t level, const char *line)
{
    heard_t *heard = user;
    if (level != BEIT_LOG_TRACE)
        return;
    heard->lines++;
    strncpy(heard->last, line, sizeof heard->last - 1);
}

static void each_operation_is_traced_on_request(void **state)
{
    (void)state;
    for (int32_t level = BEIT_LOG_DEBUG; level <= BEIT_LOG_TRACE; level++) {
        heard_t heard = {0};
        beit_context_config_t cfg;
        beit_context_config_init(&cfg, sizeof cfg);
        cfg.backend = reference(), cfg.threads = 1;
        cfg.log = hear, cfg.log_user = &heard, cfg.log_level = level;
        beit_context_t *ctx;
        check_ok(beit_context_create(&ctx, &cfg));
        const float a[6] = {1, 2, 3, 4, 5, 6};
        float c[4];
        beit_gemm_args_t g = {.m = 2, .n = 1, .k = 3, .lda = 3, .ldb = 1, .ldc = 1, .batch = 1};
        g.a = a, g.b = a, g.c = c, g.alpha = 1;
        beit__run_t run = {.ctx = ctx, .planning = true};
        check_ok(beit__gemm(&run, &g));
        check_ok(beit__run_commit(&run, run.workspace_bytes));
        assert_int_equal(heard.lines, 0); /* a plan is not an operation */
        check_ok(beit__gemm(&run, &g));
        assert_int_equal(heard.lines, level == BEIT_LOG_TRACE);
        if (level == BEIT_LOG_TRACE) {
            assert_non_null(strstr(heard.last, "gemm m=2 n=1 k=3 batch=1: reference, "));
            assert_non_null(strstr(heard.last, " us"));
        }
        beit__run_release(&run);
        beit_context_unref(ctx);
    }
}

/* ---- one call at a time ---- */

enum { THREADS = 4, CALLS = 200 };
static atomic_int inside, overlaps;

static beit_status_t lonely_fill(void *self, const beit_fill_args_t *a)
{
    (void)self, (void)a;
    if (atomic_fetch_add(&inside, 1) > 0)
        atomic_fetch_add(&overlaps, 1);
    sched_yield(); /* let another thread in, if it can */
    atomic_fetch_sub(&inside, 1);
    return BEIT_OK;
}

static pthread_barrier_t start;

static void *call_often(void *arg)
{
    pthread_barrier_wait(&start);
    beit_fill_args_t a = {.count = 0};
    beit__run_t run = {.ctx = arg};
    for (int i = 0; i < CALLS; i++)
        if (beit__fill(&run, &a) != BEIT_OK)
            atomic_fetch_add(&overlaps, 1);
    return NULL;
}

static void calls_of_different_threads_do_not_overlap(void **state)
{
    (void)state;
    beit_backend_ops_t ops = *reference();
    ops.fill = lonely_fill;
    beit_context_t *ctx = context_on(&ops);
    pthread_t threads[THREADS];
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, ctx), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&start);
    assert_int_equal(atomic_load(&overlaps), 0);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtins_have_names),
        cmocka_unit_test(unsound_tables_are_refused),
        cmocka_unit_test(a_device_must_be_complete),
        cmocka_unit_test(options_reach_the_backend),
        cmocka_unit_test(longer_tables_are_read_as_far_as_known),
        cmocka_unit_test(missing_operations_come_from_the_reference),
        cmocka_unit_test(failures_carry_a_line),
        cmocka_unit_test(a_backend_without_open_or_close),
        cmocka_unit_test(planning_computes_nothing_and_keeps_the_maximum),
        cmocka_unit_test(too_small_a_workspace_is_our_error),
        cmocka_unit_test(memory_is_zeroed_aligned_and_counted),
        cmocka_unit_test(download_and_free_wait_for_what_runs),
        cmocka_unit_test(failed_allocations_leave_nothing),
        cmocka_unit_test(a_grown_workspace_that_fails_keeps_the_old),
        cmocka_unit_test(each_operation_is_traced_on_request),
        cmocka_unit_test(calls_of_different_threads_do_not_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
