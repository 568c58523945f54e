/* Parallel loops: the library's own pthread pool, or the host's executor. Tasks are fixed by
 * shape and claimed dynamically, so results do not depend on the number of workers as long as
 * each task writes its own output. */
#ifndef BEIT_CORE_EXECUTOR_H
#define BEIT_CORE_EXECUTOR_H

#include <beit/base.h>

typedef struct beit__pool beit__pool_t;

/* Pool of `threads` workers, the calling thread being one of them; 0 = CPUs this process may use
 * (affinity mask and cgroup quota). Threads that cannot be created are done without. A second
 * caller that finds the pool busy runs its loop by itself. */
beit_status_t beit__pool_create(beit__pool_t **out, const beit_allocator_t *allocator,
                                int32_t threads);
void beit__pool_destroy(beit__pool_t *pool);

/* An executor that runs on the pool. */
beit_executor_t beit__pool_executor(beit__pool_t *pool);

/* fn(arg, i, worker) for i in [0, n). A loop of one task runs on the caller. */
beit_status_t beit__parallel_for(const beit_executor_t *executor, size_t n, beit_task_fn fn,
                                 void *arg);
unsigned beit__workers(const beit_executor_t *executor);

#endif
