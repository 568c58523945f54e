/* A sorted list of all occurrences; counting is two binary searches. */
#include "counts.h"

#include <stdlib.h>

static uint64_t key_of(uint32_t context, uint32_t token)
{
    return (uint64_t)context << 32 | token;
}

bool counts_add(counts_t *counts, uint32_t context, uint32_t token)
{
    if (counts->count == counts->room) {
        const size_t room = counts->room ? 2 * counts->room : 4096;
        uint64_t *pairs = realloc(counts->pairs, room * sizeof *pairs);
        if (!pairs)
            return false;
        counts->pairs = pairs;
        counts->room = room;
    }
    counts->pairs[counts->count++] = key_of(context, token);
    return true;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void counts_sort(counts_t *counts)
{
    if (counts->count > 1)
        qsort(counts->pairs, counts->count, sizeof *counts->pairs, ascending);
}

/* Number of pairs below `key`. */
static size_t below(const counts_t *counts, uint64_t key)
{
    size_t low = 0, high = counts->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (counts->pairs[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t counts_of_pair(const counts_t *counts, uint32_t context, uint32_t token)
{
    const uint64_t key = key_of(context, token);
    return below(counts, key + 1) - below(counts, key);
}

size_t counts_of_context(const counts_t *counts, uint32_t context)
{
    return below(counts, key_of(context + 1, 0)) - below(counts, key_of(context, 0));
}

void counts_free(counts_t *counts)
{
    free(counts->pairs);
    *counts = (counts_t){0};
}
