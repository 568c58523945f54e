/* Checking a level of kernels against C: arrays that start anywhere and stand between guards, and
 * outputs in pairs, one for each side. */
#ifndef TESTS_KERNELS_LEVELS_H
#define TESTS_KERNELS_LEVELS_H

#include "check.h"

#include "kernels/kernels.h"

/* The two tables, while a test runs: plain C, and the level under test. */
extern beit__kernels_t in_c, under_test;

/* The same contents twice. */
typedef struct pair {
    float *c, *level;
    size_t n;
} pair_t;

uint32_t draw(void);
size_t draw_below(size_t n);               /* [0, n) */
size_t draw_size(void);                    /* lengths around the vectors' ones, 0 among them */
float draw_float(float scale);             /* (-scale, scale) */
float *draw_floats(size_t n, float scale); /* guarded, at no particular alignment */
pair_t draw_pair(size_t n, float scale);

/* Each pair's level side is within absolute + relative |c| of the C side; 0, 0 asks for equal
 * values. NaN equals NaN. */
void check_pair_at(pair_t pair, float absolute, float relative, const char *file, int line);
#define check_pair(pair, absolute, relative)                                                       \
    check_pair_at((pair), (absolute), (relative), __FILE__, __LINE__)

/* Start a round: forget all arrays, whose guards must be whole. `round` seeds the numbers. */
void begin_round(uint32_t round);
#define ROUNDS 200u

/* Run the tests once per level that this machine has beyond C; 77 (skipped) when it has none. */
int run_levels(const char *family, const struct CMUnitTest *tests, size_t count);

#endif
