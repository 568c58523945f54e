/* A training step allocates nothing: neither through the context nor, past it, from the C library.
 * The first step may not either: memory is planned at creation. */
#include "check.h"

#include <beit/backend.h>

#include "failing_alloc.h"
#include "fixture.h"

/* The linker redirects the library's calls to these (static objects only: a BLAS has its own). */
static size_t c_library_requests;

#define WRAP(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        c_library_requests++;                                                                      \
        return __real_##name arguments;                                                            \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, (void *ptr, size_t size), (ptr, size))

static void count_steps(const char *backend)
{
    if (!beit_backend_builtin(backend))
        skip();
    failing_alloc_t memory = {0};
    beit_context_t *ctx;
    fixture_t f;
    check_ok(failing_context(&ctx, &memory, backend, 2));
    check_ok(fixture_create(&f, ctx));
    beit_context_unref(ctx);

    for (unsigned step = 0; step < 3; step++) {
        const beit_batch_t batch = fixture_batch(step);
        beit_step_report_t report = {.struct_size = sizeof report};
        memory.requests = c_library_requests = 0;
        check_ok(beit_trainer_step(f.mim, &batch, &report));
        check_ok(beit_trainer_step(f.dvae_trainer, &batch, &report));
        assert_int_equal(memory.requests, 0);
        assert_int_equal(c_library_requests, 0);
        assert_int_equal(report.step, step + 1);
    }
    fixture_destroy(&f);
    assert_int_equal(memory.blocks, 0);
}

static void reference_backend(void **state)
{
    (void)state;
    count_steps("reference");
}

static void cblas_backend(void **state)
{
    (void)state;
    count_steps("cblas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_backend),
        cmocka_unit_test(cblas_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
