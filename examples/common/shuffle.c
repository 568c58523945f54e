/* A Feistel network is a permutation of the numbers of 2b bits whatever its round function;
 * walking along its cycle until a number below n comes makes one of [0, n). */
#include "common/shuffle.h"

enum { ROUNDS = 8 };

/* The finaliser of splitmix64. */
uint64_t shuffle_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t permute(uint64_t key, uint64_t x, unsigned half_bits)
{
    const uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    uint64_t left = x >> half_bits, right = x & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        const uint64_t next = left ^ (shuffle_mix(shuffle_mix(key, round), right) & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

uint64_t shuffle_at(uint64_t seed, uint64_t epoch, uint64_t k, uint64_t n)
{
    unsigned half_bits = 1;
    while (half_bits < 31 && (n - 1) >> (2 * half_bits) != 0)
        half_bits++;
    const uint64_t key = shuffle_mix(seed, epoch);
    do
        k = permute(key, k, half_bits);
    while (k >= n);
    return k;
}
