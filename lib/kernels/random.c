/* Random rows straight from the counter-based generator. */
#include <math.h>

#include "core/philox.h"
#include "kernels/levels.h"

static void keep_c(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first,
                   float rate, float *factor)
{
    const float kept = 1.0f / (1.0f - rate);
    uint32_t words[BEIT__BLOCK_WORDS];
    for (size_t i = 0; i < n; i++) {
        if (i % BEIT__BLOCK_WORDS == 0)
            beit__stream_block(key, sample, place, (uint32_t)((first + i) / BEIT__BLOCK_WORDS),
                               words);
        factor[i] = beit__unit_float(words[i % BEIT__BLOCK_WORDS]) >= rate ? kept : 0.0f;
    }
}

static void gumbel_c(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first,
                     float *noise)
{
    uint32_t words[BEIT__BLOCK_WORDS];
    for (size_t i = 0; i < n; i++) {
        if (i % BEIT__BLOCK_WORDS == 0)
            beit__stream_block(key, sample, place, (uint32_t)((first + i) / BEIT__BLOCK_WORDS),
                               words);
        noise[i] = -logf(-logf(beit__unit_float(words[i % BEIT__BLOCK_WORDS])));
    }
}

void beit__fill_random_c(beit__kernels_t *k)
{
    k->keep = keep_c;
    k->gumbel = gumbel_c;
}
