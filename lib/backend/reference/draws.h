/* Random numbers of an operation: the element-wise walk over a sample's Philox blocks. */
#ifndef BEIT_BACKEND_REFERENCE_DRAWS_H
#define BEIT_BACKEND_REFERENCE_DRAWS_H

#include "core/philox.h"
#include <beit/backend.h>

typedef struct beit__element_draws {
    uint64_t key, sample;
    uint32_t place;
    int64_t block; /* which one `words` holds, -1 = none */
    uint32_t words[4];
} beit__element_draws_t;

static inline beit__element_draws_t beit__element_draws(const beit_op_random_t *random,
                                                        int64_t sample)
{
    return (beit__element_draws_t){.key = random->key,
                                   .sample = random->sample_ids[sample],
                                   .place = random->place,
                                   .block = -1};
}

/* Uniform in (0,1): word e % 4 of block e / 4. Elements in order cost one block for four. */
static inline float beit__element_unit(beit__element_draws_t *draws, int64_t element)
{
    const int64_t block = element / 4;
    if (block != draws->block) {
        beit__stream_block(draws->key, draws->sample, draws->place, (uint32_t)block, draws->words);
        draws->block = block;
    }
    return beit__unit_float(draws->words[element % 4]);
}

#endif
