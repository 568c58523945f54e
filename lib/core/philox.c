/* Philox-4x32-10: "Parallel random numbers: as easy as 1, 2, 3", Salmon, Moraes, Dror, Shaw,
 * SC 2011. Ten rounds of two 32x32 multiplications turn a counter and a key into four words, so a
 * number's place in the computation is its only state. */
#include "core/philox.h"

#include <assert.h>
#include <math.h>

#define ROUNDS       10
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0       0x9E3779B9u /* golden ratio */
#define WEYL_1       0xBB67AE85u /* sqrt(3) - 1 */

static uint32_t low(uint64_t x)
{
    return (uint32_t)x;
}

static uint32_t high(uint64_t x)
{
    return (uint32_t)(x >> 32);
}

void beit__philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0;
        const uint64_t p1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = high(p1) ^ c1 ^ k0;
        c1 = low(p1);
        c2 = high(p0) ^ c3 ^ k1;
        c3 = low(p0);
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t beit__stream_key(uint64_t seed, beit__stream_t stream, uint64_t step)
{
    const uint32_t counter[4] = {low(step), high(step), (uint32_t)stream, 0};
    const uint32_t key[2] = {low(seed), high(seed)};
    uint32_t out[4];
    beit__philox(counter, key, out);
    return (uint64_t)out[1] << 32 | out[0];
}

void beit__stream_block(uint64_t key, uint64_t sample, uint32_t place, uint32_t block,
                        uint32_t out[4])
{
    const uint32_t counter[4] = {low(sample), high(sample), block, place};
    const uint32_t words[2] = {low(key), high(key)};
    beit__philox(counter, words, out);
}

beit__draws_t beit__draws(uint64_t seed, beit__stream_t stream, uint64_t step, uint64_t sample,
                          uint32_t place)
{
    return (beit__draws_t){
        .key = beit__stream_key(seed, stream, step), .sample = sample, .place = place};
}

uint32_t beit__draw32(beit__draws_t *draws)
{
    if (!draws->left) {
        beit__stream_block(draws->key, draws->sample, draws->place, draws->block++, draws->words);
        draws->left = 4;
    }
    return draws->words[4 - draws->left--];
}

double beit__draw_unit(beit__draws_t *draws)
{
    const uint32_t upper = beit__draw32(draws) >> 5; /* 27 bits */
    const uint32_t lower = beit__draw32(draws) >> 6; /* 26 bits */
    return (upper * 0x1p26 + lower) * 0x1p-53;
}

double beit__draw_uniform(beit__draws_t *draws, double a, double b)
{
    return a + (b - a) * beit__draw_unit(draws);
}

/* As many leading bits as n has, redrawn until below n. */
uint32_t beit__draw_below(beit__draws_t *draws, uint32_t n)
{
    assert(n > 0);
    const int unused_bits = __builtin_clz(n);
    uint32_t value;
    do
        value = beit__draw32(draws) >> unused_bits;
    while (value >= n);
    return value;
}

double beit__draw_normal(beit__draws_t *draws)
{
    const double unit = beit__draw_unit(draws);
    const double inside = unit > 0 ? unit : 0x1p-54; /* half a step above 0, whose image is -inf */
    return sqrt(2) * beit__erfinv(2 * inside - 1);
}
