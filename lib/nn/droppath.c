/* Stochastic depth: which samples skip which branches. The draws are few (two per sample and
 * block) and made on the host; the factors travel as arguments of scale_add. */
#include "core/philox.h"
#include "nn/transformer.h"

float beit__droppath_rate(float last, int64_t block, int64_t depth)
{
    return depth > 1 ? last * (float)block / (float)(depth - 1) : 0.0f;
}

/* floor((1 - rate) + u) is 1 or 0; comparing keeps it so where the sum rounds to 2. */
void beit__droppath_draw(float *scale, int64_t batch, float rate, uint64_t key,
                         const uint64_t *sample_ids, int64_t block, int branch)
{
    const float kept = 1.0f - rate;
    for (int64_t b = 0; b < batch; b++) {
        uint32_t words[4];
        beit__stream_block(key, sample_ids[b], (uint32_t)(2 * block + branch), 0, words);
        scale[b] = kept + beit__unit_float(words[0]) >= 1.0f ? 1.0f / kept : 0.0f;
    }
}
