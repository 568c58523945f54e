/* Counter-based random numbers, Philox-4x32-10 (Salmon et al. 2011), with named streams. There is
 * no state: every number is a function of (seed, stream, step, sample, place, block). The
 * normative description is doc/reference/rng.md. */
#ifndef BEIT_CORE_PHILOX_H
#define BEIT_CORE_PHILOX_H

#include <stdint.h>

typedef enum beit__stream {
    BEIT__STREAM_INIT = 1,
    BEIT__STREAM_MASK = 2,
    BEIT__STREAM_CROP = 3,
    BEIT__STREAM_FLIP = 4,
    BEIT__STREAM_JITTER = 5,
    BEIT__STREAM_SHUFFLE = 6,
    BEIT__STREAM_DROP_PATH = 7,
    BEIT__STREAM_DROPOUT = 8,
    BEIT__STREAM_GUMBEL = 9
} beit__stream_t;

/* The bijection itself: ten rounds over counter[4] with key[2]. */
void beit__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Key of one stream at one step or epoch: the first 64 bits of Philox(counter = (step low, step
 * high, stream, 0), key = seed). */
uint64_t beit__stream_key(uint64_t seed, beit__stream_t stream, uint64_t step);

/* Block `block` of a sample under a stream key: counter (sample low, sample high, block, place). */
void beit__stream_block(uint64_t key, uint64_t sample, uint32_t place, uint32_t block,
                        uint32_t out[4]);

/* A reader that walks the blocks of one sample in order. */
typedef struct beit__draws {
    uint64_t key, sample;
    uint32_t place, block;
    uint32_t words[4];
    uint32_t left; /* unread words */
} beit__draws_t;

beit__draws_t beit__draws(uint64_t seed, beit__stream_t stream, uint64_t step, uint64_t sample,
                          uint32_t place);
uint32_t beit__draw32(beit__draws_t *draws);
double beit__draw_unit(beit__draws_t *draws); /* [0,1), 53 bits from two words */
double beit__draw_uniform(beit__draws_t *draws, double a, double b); /* a + (b-a) u */
uint32_t beit__draw_below(beit__draws_t *draws, uint32_t n); /* [0,n), unbiased by redrawing */
double beit__draw_normal(beit__draws_t *draws);              /* inverse cdf of one unit draw */

/* ((x >> 9) + 0.5) 2^-23: 23 bits, so that it is exact and lies strictly inside (0,1). */
static inline float beit__unit_float(uint32_t x)
{
    return ((float)(x >> 9) + 0.5f) * 0x1p-23f;
}

/* Inverse of the error function on (-1,1), double precision. */
double beit__erfinv(double y);

#endif
