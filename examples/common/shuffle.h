/* A random order of n things that needs no memory and no state: place k of an epoch is a function
 * of (seed, epoch, k), so any thread can ask for any place, and a continued run needs nothing
 * saved.
 */
#ifndef EXAMPLES_SHUFFLE_H
#define EXAMPLES_SHUFFLE_H

#include <stdint.h>

/* Which of [0, n) comes at place k < n: for fixed seed and epoch a permutation of k. n >= 1. */
uint64_t shuffle_at(uint64_t seed, uint64_t epoch, uint64_t k, uint64_t n);

/* A well-mixed 64-bit number of two others, for draws like the one above. */
uint64_t shuffle_mix(uint64_t a, uint64_t b);

#endif
