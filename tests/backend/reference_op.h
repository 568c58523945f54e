/* For tests of the reference operations: numbers to feed them, a call with exactly the workspace
 * that was asked for, and the comparison of a gradient with four-point differences. */
#ifndef TESTS_BACKEND_REFERENCE_OP_H
#define TESTS_BACKEND_REFERENCE_OP_H

#include "check.h"

#include <beit/backend.h>

#include "ref64.h"

/* Arrays live until release_numbers(), the teardown of every test. */
float *numbers(int64_t count, double scale); /* uniform in (-scale, scale) */
float *zeros(int64_t count);
double *widened(const float *x, int64_t count);
double *room(int64_t count); /* doubles, 0 */
int release_numbers(void **state);

/* Workspace of the size that the reference asks for, and not a byte more. */
void lend_workspace(beit_op_id_t id, beit_op_t *args, size_t struct_size);

/* Run a reference operation on an argument struct. */
#define RUN(name, ID, args)                                                                        \
    do {                                                                                           \
        lend_workspace(BEIT_OP_##ID, &(args).op, sizeof(args));                                    \
        check_ok(beit_backend_builtin("reference")->name(NULL, &(args)));                          \
        free((args).op.workspace);                                                                 \
    } while (0)

double dot(const float *x, const double *y, int64_t count);

/* |found - wanted| <= tolerance (1 + |wanted|) for each element. */
void check_all_near(const char *what, const float *found, const double *wanted, int64_t count,
                    double tolerance);

/* gradient[i] - before[i] must be d f / d x[i]. before NULL = 0. */
void check_gradient(const char *what, ref64_fn f, const void *user, double *x,
                    const float *gradient, const float *before, int64_t count);

/* Single-precision results of double arithmetic, some of them added to values of order 1 and made
 * from statistics that were rounded once: a few times 2^-24. */
#define ROUNDING 1e-6

#define reference_test(f) cmocka_unit_test_teardown(f, release_numbers)

#endif
