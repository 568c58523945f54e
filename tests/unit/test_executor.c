/* executor.c: every task once, workers told apart, results that do not depend on their number;
 * busy pools, nesting, fork, threads that cannot be started, and the host's own executor. */
#include "check.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/cpu.h"
#include "core/executor.h"
#include "failing_alloc.h"

/* ---- thread creation that fails on demand (the linker wraps the symbol) ---- */

static int threads_allowed = INT32_MAX;

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    if (threads_allowed-- <= 0)
        return EAGAIN;
    return __real_pthread_create(thread, attributes, start, argument);
}

/* ---- the executors under test ---- */

static beit__pool_t *new_pool(int32_t threads)
{
    beit__pool_t *pool;
    check_ok(beit__pool_create(&pool, &beit__c_library, threads));
    return pool;
}

/* A host that runs tasks backwards, alternating between two workers. */
static unsigned host_workers(void *user)
{
    (void)user;
    return 2;
}

static beit_status_t host_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    ++*(int *)user;
    for (size_t i = n; i-- > 0;)
        fn(arg, i, (unsigned)(i % 2));
    return BEIT_OK;
}

static int host_calls;

static beit_executor_t host_executor(void)
{
    return (beit_executor_t){sizeof(beit_executor_t), &host_calls, host_workers, host_parallel_for};
}

/* Each test body runs with pools of these sizes and with the host's executor. */
static void with_each_executor(void (*body)(const beit_executor_t *executor))
{
    static const int32_t sizes[] = {1, 2, 3, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        beit__pool_t *pool = new_pool(sizes[i]);
        const beit_executor_t executor = beit__pool_executor(pool);
        assert_int_equal(beit__workers(&executor), sizes[i]);
        body(&executor);
        beit__pool_destroy(pool);
    }
    const beit_executor_t host = host_executor();
    body(&host);
}

/* ---- every task once, by one worker at a time ---- */

#define MAX_TASKS   1000
#define MAX_WORKERS 16

typedef struct census {
    atomic_int visits[MAX_TASKS];
    atomic_int inside[MAX_WORKERS];
    atomic_bool shared; /* two tasks at once under one worker number */
    unsigned workers;
} census_t;

static void count_visit(void *arg, size_t index, unsigned worker)
{
    census_t *census = arg;
    if (worker >= census->workers || atomic_fetch_add(&census->inside[worker], 1) != 0)
        atomic_store(&census->shared, true);
    atomic_fetch_add(&census->visits[index], 1);
    atomic_fetch_sub(&census->inside[worker], 1);
}

static void take_census(const beit_executor_t *executor)
{
    static const size_t counts[] = {0, 1, 2, 3, 5, 64, MAX_TASKS};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        static census_t census;
        memset(&census, 0, sizeof census);
        census.workers = beit__workers(executor);
        check_ok(beit__parallel_for(executor, counts[c], count_visit, &census));
        for (size_t i = 0; i < MAX_TASKS; i++)
            assert_int_equal(atomic_load(&census.visits[i]), i < counts[c]);
        assert_false(atomic_load(&census.shared));
    }
}

static void each_task_runs_once(void **state)
{
    (void)state;
    with_each_executor(take_census);
}

/* Many short loops with pauses in between, so that workers are met spinning, falling asleep and
 * asleep. A lost wake-up or a worker in the wrong loop shows as a wrong sum (or the timeout). */
static void add_index(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    atomic_fetch_add((atomic_size_t *)arg, index + 1);
}

static void run_many_loops(const beit_executor_t *executor)
{
    for (int round = 0; round < 3000; round++) {
        atomic_size_t sum = 0;
        const size_t n = (size_t)round % 9;
        check_ok(beit__parallel_for(executor, n, add_index, &sum));
        assert_int_equal(atomic_load(&sum), n * (n + 1) / 2);
        if (round % 100 == 0)
            usleep(200);
    }
}

static void many_short_loops(void **state)
{
    (void)state;
    with_each_executor(run_many_loops);
}

/* The caller's task waits for the worker to come, the worker's outlasts it. */
typedef struct meeting {
    atomic_bool worker_came, worker_finished, caller_gave_up;
} meeting_t;

static void meet(void *arg, size_t index, unsigned worker)
{
    (void)index;
    meeting_t *meeting = arg;
    if (worker == 0) {
        int patience = 10000; /* milliseconds */
        while (!atomic_load(&meeting->worker_came) && patience-- > 0)
            usleep(1000);
        if (patience <= 0)
            atomic_store(&meeting->caller_gave_up, true);
    } else {
        atomic_store(&meeting->worker_came, true);
        usleep(5000);
        atomic_store(&meeting->worker_finished, true);
    }
}

static void sleeping_workers_come_and_are_waited_for(void **state)
{
    (void)state;
    beit__pool_t *pool = new_pool(2);
    const beit_executor_t executor = beit__pool_executor(pool);
    for (int round = 0; round < 5; round++) {
        meeting_t meeting = {0};
        usleep(3000); /* much longer than a worker spins */
        check_ok(beit__parallel_for(&executor, 2, meet, &meeting));
        assert_false(atomic_load(&meeting.caller_gave_up));
        assert_true(atomic_load(&meeting.worker_finished));
    }
    beit__pool_destroy(pool);
}

static void host_sees_only_real_loops(void **state)
{
    (void)state;
    const beit_executor_t host = host_executor();
    atomic_size_t sum = 0;
    host_calls = 0;
    check_ok(beit__parallel_for(&host, 1, add_index, &sum)); /* one task: the caller runs it */
    assert_int_equal(host_calls, 0);
    check_ok(beit__parallel_for(&host, 2, add_index, &sum));
    assert_int_equal(host_calls, 1);
    assert_int_equal(atomic_load(&sum), 1 + 3);
}

static beit_status_t broken_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    (void)user, (void)n, (void)fn, (void)arg;
    return BEIT_E_CANCELLED;
}

static void host_failure_is_passed_on(void **state)
{
    (void)state;
    beit_executor_t host = host_executor();
    host.parallel_for = broken_parallel_for;
    check_status(beit__parallel_for(&host, 2, add_index, NULL), BEIT_E_BACKEND);
    check_error_has("host's executor");
}

/* ---- nesting and concurrent callers ---- */

typedef struct nest {
    const beit_executor_t *executor;
    atomic_size_t sum;
} nest_t;

static void run_inner_loop(void *arg, size_t index, unsigned worker)
{
    (void)index, (void)worker;
    nest_t *nest = arg;
    beit__parallel_for(nest->executor, 10, add_index, &nest->sum);
}

static void nested_loops_run_inline(void **state)
{
    (void)state;
    beit__pool_t *pool = new_pool(3);
    const beit_executor_t executor = beit__pool_executor(pool);
    nest_t nest = {&executor, 0};
    check_ok(beit__parallel_for(&executor, 20, run_inner_loop, &nest));
    assert_int_equal(atomic_load(&nest.sum), 20 * 55);
    beit__pool_destroy(pool);
}

static void *concurrent_caller(void *argument)
{
    const beit_executor_t *executor = argument;
    static const size_t n = 100;
    for (int round = 0; round < 500; round++) {
        atomic_size_t sum = 0;
        if (beit__parallel_for(executor, n, add_index, &sum) != BEIT_OK ||
            atomic_load(&sum) != n * (n + 1) / 2)
            return (void *)"wrong sum";
    }
    return NULL;
}

static void callers_may_overlap(void **state)
{
    (void)state;
    beit__pool_t *pool = new_pool(2);
    beit_executor_t executor = beit__pool_executor(pool);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, concurrent_caller, &executor), 0);
    for (int i = 0; i < 3; i++) {
        void *complaint;
        pthread_join(threads[i], &complaint);
        assert_null(complaint);
    }
    beit__pool_destroy(pool);
}

/* ---- what workers inherit ---- */

static void divide(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    volatile float one = 1, three = 3;
    ((float *)arg)[index] = one / three;
    usleep(100); /* so that every worker gets a turn */
}

static void workers_round_as_the_caller(void **state)
{
    (void)state;
    float quotients[2][64];
    volatile float one = 1, three = 3;
    beit__pool_t *pool = new_pool(4);
    const beit_executor_t executor = beit__pool_executor(pool);
    const float nearest = one / three;
    check_ok(beit__parallel_for(&executor, 64, divide, quotients[0]));
    fesetround(FE_DOWNWARD);
    const float down = one / three;
    const beit_status_t status = beit__parallel_for(&executor, 64, divide, quotients[1]);
    fesetround(FE_TONEAREST);
    check_ok(status);
    beit__pool_destroy(pool);
    assert_true(down < nearest);
    for (int i = 0; i < 64; i++) {
        assert_true(quotients[0][i] == nearest);
        assert_true(quotients[1][i] == down);
    }
}

static void ask_signal_mask(void *arg, size_t index, unsigned worker)
{
    (void)index;
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    ((atomic_int *)arg)[worker] = sigismember(&blocked, SIGINT) ? 2 : 1;
    usleep(200);
}

static void only_workers_block_signals(void **state)
{
    (void)state;
    atomic_int blocked[3] = {0};
    beit__pool_t *pool = new_pool(3);
    const beit_executor_t executor = beit__pool_executor(pool);
    check_ok(beit__parallel_for(&executor, 50, ask_signal_mask, blocked));
    beit__pool_destroy(pool);
    assert_int_equal(blocked[0], 1);
    for (int worker = 1; worker < 3; worker++)
        assert_int_not_equal(blocked[worker], 1); /* 0: never had a turn */
}

/* ---- fork, and threads that are not to be had ---- */

static void children_run_inline(void **state)
{
    (void)state;
    beit__pool_t *pool = new_pool(3);
    const beit_executor_t executor = beit__pool_executor(pool);
    run_many_loops(&executor);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(20); /* hanging is the failure */
        atomic_size_t sum = 0;
        const beit_status_t status = beit__parallel_for(&executor, 100, add_index, &sum);
        beit__pool_destroy(pool);
        _exit(status == BEIT_OK && atomic_load(&sum) == 5050 ? 0 : 1);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    run_many_loops(&executor); /* the parent's pool is unharmed */
    beit__pool_destroy(pool);
}

static void missing_threads_are_done_without(void **state)
{
    (void)state;
    for (int allowed = 0; allowed < 4; allowed++) {
        threads_allowed = allowed;
        beit__pool_t *pool = new_pool(4);
        threads_allowed = INT32_MAX;
        const beit_executor_t executor = beit__pool_executor(pool);
        assert_int_equal(beit__workers(&executor), allowed < 3 ? allowed + 1 : 4);
        take_census(&executor);
        beit__pool_destroy(pool);
    }
}

static void no_memory_no_pool(void **state)
{
    (void)state;
    failing_alloc_t counts = {.fail_at = 1};
    const beit_allocator_t allocator = failing_alloc(&counts);
    beit__pool_t *pool;
    check_status(beit__pool_create(&pool, &allocator, 2), BEIT_E_NOMEM);
    assert_null(pool);
    check_ok(beit__pool_create(&pool, &allocator, 2));
    beit__pool_destroy(pool);
    beit__pool_destroy(NULL);
    assert_int_equal(counts.blocks, 0);
    assert_int_equal(counts.mismatches, 0);
}

static void default_size_is_the_cpus(void **state)
{
    (void)state;
    beit__pool_t *pool = new_pool(0);
    const beit_executor_t executor = beit__pool_executor(pool);
    assert_int_equal(beit__workers(&executor), beit__cpu_count());
    beit__pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_runs_once),
        cmocka_unit_test(many_short_loops),
        cmocka_unit_test(sleeping_workers_come_and_are_waited_for),
        cmocka_unit_test(host_sees_only_real_loops),
        cmocka_unit_test(host_failure_is_passed_on),
        cmocka_unit_test(nested_loops_run_inline),
        cmocka_unit_test(callers_may_overlap),
        cmocka_unit_test(workers_round_as_the_caller),
        cmocka_unit_test(only_workers_block_signals),
        cmocka_unit_test(children_run_inline),
        cmocka_unit_test(missing_threads_are_done_without),
        cmocka_unit_test(no_memory_no_pool),
        cmocka_unit_test(default_size_is_the_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
