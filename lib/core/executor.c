/* Parallel loops over the library's own pool, or the host's executor.
 *
 * The pool has one loop at a time. It is published through the `gate`, one word that holds the
 * loop's number, whether it is open, and how many workers have joined. The caller opens the gate,
 * claims tasks like everybody else, closes the gate when none are left and then waits only for
 * those who joined: a worker that is slow to wake never holds up a loop that others have finished.
 * Idle workers spin briefly, because the next loop of a training step usually follows within
 * microseconds, and then sleep. */
#define _GNU_SOURCE
#include "core/executor.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/cpu.h"
#include "core/status.h"

#define CACHE_LINE           64
#define SPIN_NANOSECONDS     20000
#define SPINS_PER_CLOCK_READ 32

#define GATE_JOINED 0xffffu /* number of workers inside */
#define GATE_OPEN   0x10000u
#define GATE_LOOP   0x20000u /* one more loop */
#define MAX_WORKERS 0x7fff

typedef struct worker {
    beit__pool_t *pool;
    pthread_t thread;
    unsigned index; /* 1.. ; the caller is 0 */
} worker_t;

struct beit__pool {
    beit_allocator_t allocator;
    size_t bytes; /* of this block, workers included */
    pid_t owner;  /* threads do not survive fork() */
    unsigned workers;
    bool spin; /* false when there are more workers than CPUs */

    pthread_mutex_t lock;
    pthread_cond_t opened, left;
    atomic_uint sleepers;     /* workers that wait for `opened` */
    atomic_bool caller_waits; /* the caller waits for `left` */
    atomic_bool stop;
    atomic_flag busy;

    beit_task_fn fn; /* of the loop; constant while the gate is open or somebody is inside */
    void *arg;
    size_t n;
    fenv_t environment;

    _Alignas(CACHE_LINE) atomic_ullong gate;
    _Alignas(CACHE_LINE) atomic_size_t next; /* first task that nobody has claimed */
    _Alignas(CACHE_LINE) worker_t worker[];
};

static void run_tasks(beit__pool_t *pool, unsigned index)
{
    const size_t n = pool->n;
    for (;;) {
        const size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= n)
            return;
        pool->fn(pool->arg, task, index);
    }
}

static void run_inline(size_t n, beit_task_fn fn, void *arg)
{
    for (size_t i = 0; i < n; i++)
        fn(arg, i, 0);
}

/* ---- waiting: spin for a moment, then sleep ---- */

typedef bool (*condition_fn)(beit__pool_t *pool, unsigned long long seen);

static bool is_opened(beit__pool_t *pool, unsigned long long seen)
{
    const unsigned long long gate = atomic_load(&pool->gate);
    return ((gate & GATE_OPEN) && gate / GATE_LOOP != seen) || atomic_load(&pool->stop);
}

static bool is_empty(beit__pool_t *pool, unsigned long long seen)
{
    (void)seen;
    return (atomic_load(&pool->gate) & GATE_JOINED) == 0;
}

static long long nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static bool spin_until(beit__pool_t *pool, condition_fn condition, unsigned long long seen)
{
    if (!pool->spin)
        return condition(pool, seen);
    const long long deadline = nanoseconds() + SPIN_NANOSECONDS;
    do
        for (int i = 0; i < SPINS_PER_CLOCK_READ; i++) {
            if (condition(pool, seen))
                return true;
            relax();
        }
    while (nanoseconds() < deadline);
    return false;
}

/* The sleeper announces itself before it looks at the gate for the last time, the other side
 * changes the gate before it looks for sleepers: one of the two always sees the other. */
static void wait_opened(beit__pool_t *pool, unsigned long long seen)
{
    if (spin_until(pool, is_opened, seen))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!is_opened(pool, seen))
        pthread_cond_wait(&pool->opened, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_empty(beit__pool_t *pool)
{
    if (spin_until(pool, is_empty, 0))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_waits, true);
    while (!is_empty(pool, 0))
        pthread_cond_wait(&pool->left, &pool->lock);
    atomic_store(&pool->caller_waits, false);
    pthread_mutex_unlock(&pool->lock);
}

static void wake_workers(beit__pool_t *pool, size_t wanted)
{
    const unsigned sleepers = atomic_load(&pool->sleepers);
    if (!sleepers)
        return;
    pthread_mutex_lock(&pool->lock);
    if (wanted >= sleepers)
        pthread_cond_broadcast(&pool->opened);
    else
        for (size_t i = 0; i < wanted; i++)
            pthread_cond_signal(&pool->opened);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- workers ---- */

/* Become one of those inside, unless the loop has been closed meanwhile. */
static bool join_loop(beit__pool_t *pool, unsigned long long *loop)
{
    unsigned long long gate = atomic_load(&pool->gate);
    do {
        *loop = gate / GATE_LOOP;
        if (!(gate & GATE_OPEN))
            return false;
    } while (!atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1));
    return true;
}

static void leave_loop(beit__pool_t *pool)
{
    atomic_fetch_sub(&pool->gate, 1);
    if (!atomic_load(&pool->caller_waits))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    worker_t *self = argument;
    beit__pool_t *pool = self->pool;
    unsigned long long seen = 0;
    for (;;) {
        wait_opened(pool, seen);
        if (atomic_load(&pool->stop))
            return NULL;
        if (!join_loop(pool, &seen))
            continue;
        fesetenv(&pool->environment); /* rounding and denormals as the caller has them */
        run_tasks(pool, self->index);
        leave_loop(pool);
    }
}

/* Workers take no signals: those are for the host's threads. */
static void start_workers(beit__pool_t *pool, unsigned wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pool->workers = 1; pool->workers < wanted; pool->workers++) {
        worker_t *worker = &pool->worker[pool->workers - 1];
        *worker = (worker_t){.pool = pool, .index = pool->workers};
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            break;
        pthread_setname_np(worker->thread, "beit-worker");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- the pool ---- */

beit_status_t beit__pool_create(beit__pool_t **out, const beit_allocator_t *allocator,
                                int32_t threads)
{
    *out = NULL;
    const int32_t cpus = beit__cpu_count();
    const int32_t asked = threads > 0 ? threads : cpus;
    const unsigned wanted = (unsigned)(asked < MAX_WORKERS ? asked : MAX_WORKERS);
    const size_t bytes = sizeof(beit__pool_t) + (wanted - 1) * sizeof(worker_t);
    beit__pool_t *pool = beit__allocator_alloc(allocator, bytes);
    if (!pool)
        return BEIT_E_NOMEM;
    memset(pool, 0, bytes);
    pool->allocator = *allocator;
    pool->bytes = bytes;
    pool->owner = getpid();
    pool->spin = (int32_t)wanted <= cpus;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);
    atomic_flag_clear(&pool->busy);
    start_workers(pool, wanted);
    *out = pool;
    return BEIT_OK;
}

static bool is_orphan(const beit__pool_t *pool)
{
    return pool->owner != getpid();
}

void beit__pool_destroy(beit__pool_t *pool)
{
    if (!pool)
        return;
    if (!is_orphan(pool)) {
        pthread_mutex_lock(&pool->lock);
        atomic_store(&pool->stop, true);
        pthread_cond_broadcast(&pool->opened);
        pthread_mutex_unlock(&pool->lock);
        for (unsigned i = 1; i < pool->workers; i++)
            pthread_join(pool->worker[i - 1].thread, NULL);
        pthread_cond_destroy(&pool->left);
        pthread_cond_destroy(&pool->opened);
        pthread_mutex_destroy(&pool->lock);
    }
    const beit_allocator_t allocator = pool->allocator;
    beit__allocator_free(&allocator, pool, pool->bytes);
}

static beit_status_t pool_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    beit__pool_t *pool = user;
    if (pool->workers == 1 || n < 2 || is_orphan(pool) || atomic_flag_test_and_set(&pool->busy)) {
        run_inline(n, fn, arg);
        return BEIT_OK;
    }
    pool->fn = fn;
    pool->arg = arg;
    pool->n = n;
    fegetenv(&pool->environment);
    atomic_store(&pool->next, 0);
    atomic_fetch_add(&pool->gate, GATE_LOOP + GATE_OPEN);
    wake_workers(pool, n - 1);
    run_tasks(pool, 0);
    atomic_fetch_sub(&pool->gate, GATE_OPEN);
    wait_empty(pool);
    atomic_flag_clear(&pool->busy);
    return BEIT_OK;
}

static unsigned pool_workers(void *user)
{
    const beit__pool_t *pool = user;
    return pool->workers;
}

beit_executor_t beit__pool_executor(beit__pool_t *pool)
{
    return (beit_executor_t){.struct_size = sizeof(beit_executor_t),
                             .user = pool,
                             .workers = pool_workers,
                             .parallel_for = pool_parallel_for};
}

beit_status_t beit__parallel_for(const beit_executor_t *executor, size_t n, beit_task_fn fn,
                                 void *arg)
{
    if (n < 2) {
        run_inline(n, fn, arg);
        return BEIT_OK;
    }
    const beit_status_t status = executor->parallel_for(executor->user, n, fn, arg);
    if (status != BEIT_OK)
        return beit__fail(BEIT_E_BACKEND, "the host's executor failed with status %d (%s)",
                          (int)status, beit_status_string(status));
    return BEIT_OK;
}

unsigned beit__workers(const beit_executor_t *executor)
{
    return executor->workers(executor->user);
}
