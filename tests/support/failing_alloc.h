/* An allocator for tests: counts what is outstanding, and refuses the n-th request. */
#ifndef TESTS_FAILING_ALLOC_H
#define TESTS_FAILING_ALLOC_H

#include <beit/base.h>
#include <stdbool.h>

typedef struct failing_alloc {
    size_t fail_at;      /* which request is refused, from 1; 0 = none */
    bool fail_all_after; /* also every later one */
    size_t requests;     /* so far, refused ones included */
    size_t refused;
    size_t blocks, bytes; /* outstanding */
    size_t mismatches;    /* blocks freed with another size or alignment than they were asked for */
} failing_alloc_t;

/* An allocator on top of `state`, which must outlive it. Calls may not overlap. */
beit_allocator_t failing_alloc(failing_alloc_t *state);

/* A context on top of it: `backend` as in beit_backend_builtin() or NULL, `threads` workers. */
beit_status_t failing_context(beit_context_t **out, failing_alloc_t *state, const char *backend,
                              int32_t threads);

#endif
