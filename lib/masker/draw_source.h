/* Where a mask's random numbers come from. The two sources, counter-based Philox and Python's
 * Mersenne Twister, run the same algorithms, so that conformance with upstream is shown on the
 * very code that training uses. */
#ifndef BEIT_MASKER_DRAW_SOURCE_H
#define BEIT_MASKER_DRAW_SOURCE_H

#include <stdint.h>

typedef struct beit__draw_source {
    void *state;
    double (*unit)(void *state);                    /* [0,1), 53 bits */
    uint32_t (*below)(void *state, uint32_t limit); /* [0,limit), limit >= 1, unbiased */
} beit__draw_source_t;

static inline double beit__source_uniform(const beit__draw_source_t *source, double a, double b)
{
    return a + (b - a) * source->unit(source->state);
}

static inline int32_t beit__source_below(const beit__draw_source_t *source, int32_t limit)
{
    return (int32_t)source->below(source->state, (uint32_t)limit);
}

#endif
