/* How often a token occurred in a context: sparse, because most pairs never occur. */
#ifndef PRETRAIN_COUNTS_H
#define PRETRAIN_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct counts {
    uint64_t *pairs; /* context << 32 | token */
    size_t count, room;
} counts_t;

/* Note one occurrence; false when memory is short. */
bool counts_add(counts_t *counts, uint32_t context, uint32_t token);

/* To be called once between adding and asking. */
void counts_sort(counts_t *counts);

size_t counts_of_pair(const counts_t *counts, uint32_t context, uint32_t token);
size_t counts_of_context(const counts_t *counts, uint32_t context);

void counts_free(counts_t *counts);

#endif
