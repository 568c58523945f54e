/* The one place that includes xxHash, inlined: there is no run-time dependency. */
#include "io/checksum.h"

#include <inttypes.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(beit__checksum_t) >= sizeof(XXH3_state_t), "state must fit");
_Static_assert(_Alignof(beit__checksum_t) >= _Alignof(XXH3_state_t), "state must be aligned");

void beit__checksum_begin(beit__checksum_t *checksum)
{
    XXH3_state_t *state = (XXH3_state_t *)(void *)checksum->state;
    XXH3_INITSTATE(state);
    (void)XXH3_64bits_reset(state);
}

void beit__checksum_add(beit__checksum_t *checksum, const void *src, size_t n)
{
    (void)XXH3_64bits_update((XXH3_state_t *)(void *)checksum->state, src, n);
}

void beit__checksum_text(const beit__checksum_t *checksum, char text[BEIT__CHECKSUM_TEXT])
{
    const XXH3_state_t *state = (const XXH3_state_t *)(const void *)checksum->state;
    (void)snprintf(text, BEIT__CHECKSUM_TEXT, "%016" PRIx64, XXH3_64bits_digest(state));
}
