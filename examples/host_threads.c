/* A host with threads of its own lends them to the library. The pool here is the simplest that
 * meets the contract: it starts its threads for every loop and lets them draw indices. Trains the
 * same model with one, two and three workers: the losses must agree to the last bit. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/noise_model.h"

enum { MOST_WORKERS = 3, STEPS = 5 };

typedef struct pool {
    unsigned workers;
    atomic_ulong loops; /* how often the library called */
} pool_t;

/* One parallel loop, and what one of its threads needs. */
typedef struct loop {
    beit_task_fn fn;
    void *arg;
    size_t n;
    atomic_size_t next;
} loop_t;

typedef struct worker {
    loop_t *loop;
    unsigned number;
} worker_t;

static void *work(void *argument)
{
    const worker_t *worker = argument;
    loop_t *loop = worker->loop;
    size_t i = atomic_fetch_add(&loop->next, 1);
    for (; i < loop->n; i = atomic_fetch_add(&loop->next, 1))
        loop->fn(loop->arg, i, worker->number);
    return NULL;
}

static unsigned pool_workers(void *user)
{
    return ((pool_t *)user)->workers;
}

/* The calling thread is worker 0. A thread that cannot be started is no failure: others draw its
 * share. */
static beit_status_t pool_parallel_for(void *user, size_t n, beit_task_fn fn, void *arg)
{
    pool_t *pool = user;
    loop_t loop = {.fn = fn, .arg = arg, .n = n};
    worker_t workers[MOST_WORKERS] = {{&loop, 0}};
    pthread_t threads[MOST_WORKERS];
    unsigned started = 1;
    atomic_fetch_add(&pool->loops, 1);
    for (unsigned w = 1; w < pool->workers; w++)
        workers[w] = (worker_t){&loop, w};
    while (started < pool->workers &&
           pthread_create(&threads[started], NULL, work, &workers[started]) == 0)
        started++;
    (void)work(&workers[0]);
    for (unsigned w = 1; w < started; w++)
        (void)pthread_join(threads[w], NULL);
    return BEIT_OK;
}

static beit_status_t train_with(unsigned workers, double *loss)
{
    pool_t pool = {.workers = workers};
    const beit_executor_t executor = {.struct_size = sizeof executor,
                                      .user = &pool,
                                      .workers = pool_workers,
                                      .parallel_for = pool_parallel_for};
    beit_context_config_t cfg;
    beit_context_t *ctx = NULL;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.executor = &executor;
    beit_status_t status = beit_context_create(&ctx, &cfg);
    if (!status)
        status = noise_train(ctx, STEPS, loss);
    if (!status)
        printf("%u worker%s: loss %.17g after %d steps, %lu parallel loops\n", workers,
               workers == 1 ? "" : "s", *loss, STEPS, atomic_load(&pool.loops));
    beit_context_unref(ctx);
    return status;
}

int main(void)
{
    double losses[MOST_WORKERS];
    for (unsigned workers = 1; workers <= MOST_WORKERS; workers++)
        if (train_with(workers, &losses[workers - 1])) {
            fprintf(stderr, "%s\n", beit_last_error());
            return 1;
        }
    return losses[0] != losses[1] || losses[0] != losses[2];
}
