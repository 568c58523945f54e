/* Conformance of a backend: every operation is run on it and on the reference, over shapes drawn
 * at random, and everything that it could get wrong is looked at: results, bytes around and
 * between results, inputs, workspace, dependence on the number of workers.
 *
 * A case fills an argument struct between conform_begin() and conform_end(): extents by
 * conform_extent(), each pointer by one of the array functions. */
#ifndef TESTS_BACKEND_CONFORM_H
#define TESTS_BACKEND_CONFORM_H

#include <beit/backend.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits on sum (found - wanted)^2 / sum wanted^2. A product of single-precision sums of a few
 * thousand terms has relative errors near 1e-6 at most, so 1e-11 is ten times their square; fast
 * convolution (Winograd F(4,3)) is allowed five times that error. One wrong element among 10^5
 * gives 1e-5. */
#define CONFORM_EXACT    0.0
#define CONFORM_ROUNDING 1e-12
#define CONFORM_SUMS     1e-11
#define CONFORM_CONV     2.5e-10

typedef enum conform_role {
    CONFORM_IN,   /* must not change */
    CONFORM_OUT,  /* NaN before */
    CONFORM_INOUT /* added to: random before */
} conform_role_t;

typedef struct conform conform_t;

/* Opens three instances, with executors of 1, 3 and 8 workers that run tasks in different orders.
 * NULL, and a line on stderr, when that fails. */
conform_t *conform_open(const beit_backend_ops_t *ops, const char *options);
void conform_close(conform_t *c);

/* All cases of all operations that the table has, or of one. Prints failures to stderr when
 * `verbose`; returns their number. */
int conform_run_all(conform_t *c, bool verbose);
int conform_run_op(conform_t *c, beit_op_id_t op, bool verbose);
void conform_print_summary(const conform_t *c);

/* ---- for cases ---- */

uint32_t conform_draw(conform_t *c, uint32_t below);
bool conform_chance(conform_t *c, uint32_t one_in);
int64_t conform_extent(conform_t *c, int64_t max); /* 1, odd, round and near-round values */
int64_t conform_count(conform_t *c, int64_t max);  /* the same, sometimes 0 */
int conform_turn(const conform_t *c); /* cases of this operation so far: for fixed shapes */

void conform_begin(conform_t *c, void *args, size_t size);

/* Backend memory. `field` is the address of the pointer in the struct, which is set to host
 * memory for the case to look at or change. Values are uniform in (-scale, scale). */
float *conform_floats(conform_t *c, const void *field, int64_t count, conform_role_t role,
                      double scale);
/* The field is the same memory as another one that was given before. */
void conform_alias(conform_t *c, const void *field, const void *other);

/* Host memory, for inputs zeroed and to be filled by the case; results are compared by the limit
 * (doubles) or exactly (integers). */
void *conform_host(conform_t *c, const void *field, int64_t count, size_t size,
                   conform_role_t role);
double *conform_host_double(conform_t *c, const void *field, conform_role_t role);
void conform_sample_ids(conform_t *c, beit_op_random_t *random, int64_t samples);

/* An integer result that another backend may decide otherwise near a tie: it must be the first
 * maximum of the row of `values` (rows, cols) that the backend itself wrote. */
void conform_argmax_of(conform_t *c, const void *index_field, const void *values_field,
                       int64_t cols);

/* Runs and compares; the text says what the case was. */
void conform_end(conform_t *c, double limit, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- cases by operation; `times` of them are run ---- */

typedef struct conform_cases {
    beit_op_id_t op;
    int times;
    void (*run)(conform_t *c);
} conform_cases_t;

/* Tables that end with times 0. */
extern const conform_cases_t conform_dense_cases[], conform_token_cases[], conform_map_cases[],
    conform_code_cases[];

#endif
