/* Python's `random.Random`: the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998) with the
 * seeding `init_by_array` and CPython's derived draws (`Lib/random.py`). Masks drawn upstream can
 * be drawn again with it; training itself uses Philox. */
#include "masker/pyrandom.h"

#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

enum { MT_WORDS = 624, MT_SHIFT = 397 };

struct beit_pyrandom {
    beit_context_t *ctx;
    uint32_t words[MT_WORDS];
    int32_t next; /* index of the next unread word, MT_WORDS = none */
    int32_t reserved;
};

static void seed_by_number(uint32_t *words, uint32_t seed)
{
    words[0] = seed;
    for (uint32_t i = 1; i < MT_WORDS; i++)
        words[i] = 1812433253u * (words[i - 1] ^ (words[i - 1] >> 30)) + i;
}

/* Word 0 has no predecessor: when the walk wraps, it takes the last word's value. */
static uint32_t wrap(uint32_t *words, uint32_t i)
{
    if (i < MT_WORDS)
        return i;
    words[0] = words[MT_WORDS - 1];
    return 1;
}

static void seed_by_array(uint32_t *words, const uint32_t *key, uint32_t length)
{
    seed_by_number(words, 19650218u);
    uint32_t i = 1, j = 0;
    for (uint32_t k = MT_WORDS > length ? MT_WORDS : length; k > 0; k--) {
        const uint32_t mixed = (words[i - 1] ^ (words[i - 1] >> 30)) * 1664525u;
        words[i] = (words[i] ^ mixed) + key[j] + j;
        i = wrap(words, i + 1);
        j = j + 1 < length ? j + 1 : 0;
    }
    for (uint32_t k = MT_WORDS - 1; k > 0; k--) {
        const uint32_t mixed = (words[i - 1] ^ (words[i - 1] >> 30)) * 1566083941u;
        words[i] = (words[i] ^ mixed) - i;
        i = wrap(words, i + 1);
    }
    words[0] = 0x80000000u;
}

static void renew(uint32_t *words)
{
    for (uint32_t i = 0; i < MT_WORDS; i++) {
        const uint32_t y = (words[i] & 0x80000000u) | (words[(i + 1) % MT_WORDS] & 0x7fffffffu);
        words[i] = words[(i + MT_SHIFT) % MT_WORDS] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

beit_status_t beit_pyrandom_create(beit_pyrandom_t **out, beit_context_t *ctx, uint64_t seed)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "pyrandom: out is NULL");
    *out = NULL;
    beit_pyrandom_t *rng = beit__calloc(ctx, 1, sizeof *rng);
    if (!rng)
        return BEIT_E_NOMEM;
    rng->ctx = ctx ? beit_context_ref(ctx) : NULL;
    rng->next = MT_WORDS;
    const uint32_t limbs[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    seed_by_array(rng->words, limbs, limbs[1] ? 2 : 1);
    *out = rng;
    return BEIT_OK;
}

void beit_pyrandom_destroy(beit_pyrandom_t *rng)
{
    if (!rng)
        return;
    beit_context_t *ctx = rng->ctx;
    beit__free(ctx, rng, sizeof *rng);
    beit_context_unref(ctx);
}

uint32_t beit_pyrandom_next32(beit_pyrandom_t *rng)
{
    if (rng->next == MT_WORDS) {
        renew(rng->words);
        rng->next = 0;
    }
    uint32_t y = rng->words[rng->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double beit_pyrandom_random(beit_pyrandom_t *rng)
{
    const uint32_t high = beit_pyrandom_next32(rng) >> 5, low = beit_pyrandom_next32(rng) >> 6;
    return (high * 0x1p26 + low) * 0x1p-53;
}

double beit_pyrandom_uniform(beit_pyrandom_t *rng, double a, double b)
{
    return a + (b - a) * beit_pyrandom_random(rng);
}

/* CPython's getrandbits(k): whole words from the low end, the last one shortened. */
static uint64_t draw_bits(beit_pyrandom_t *rng, int bits)
{
    if (bits <= 32)
        return beit_pyrandom_next32(rng) >> (32 - bits);
    const uint64_t low = beit_pyrandom_next32(rng);
    return low | (uint64_t)(beit_pyrandom_next32(rng) >> (64 - bits)) << 32;
}

/* As _randbelow(last + 1): as many bits as that number has, again while it is not below it. */
static uint64_t draw_upto(beit_pyrandom_t *rng, uint64_t last)
{
    uint64_t value;
    if (last == UINT64_MAX) { /* 65 bits; the top one lies in a third word */
        do
            value = draw_bits(rng, 64);
        while (beit_pyrandom_next32(rng) >> 31);
        return value;
    }
    const int bits = 64 - __builtin_clzll(last + 1);
    do
        value = draw_bits(rng, bits);
    while (value > last);
    return value;
}

int64_t beit_pyrandom_randint(beit_pyrandom_t *rng, int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + draw_upto(rng, (uint64_t)b - (uint64_t)a));
}

static double source_unit(void *state)
{
    return beit_pyrandom_random(state);
}

static uint32_t source_below(void *state, uint32_t limit)
{
    return (uint32_t)draw_upto(state, limit - 1);
}

beit__draw_source_t beit__pyrandom_source(beit_pyrandom_t *rng)
{
    return (beit__draw_source_t){.state = rng, .unit = source_unit, .below = source_below};
}
