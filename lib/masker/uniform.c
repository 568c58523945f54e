/* Uniform choice of cells by selection sampling (Knuth, The Art of Computer Programming, volume
 * 2, algorithm 3.4.2 S): one pass in grid order, no memory, one draw per candidate, so the number
 * of draws, too, is defined by the mask alone. */
#include "masker/uniform.h"

#include <assert.h>

void beit__uniform_fill(int32_t cells, int32_t count, int32_t target,
                        const beit__draw_source_t *source, uint8_t *mask) /* (cells) */
{
    assert(0 <= target && target <= cells);
    const uint8_t from = count > target; /* the value of the cells that may change */
    int32_t wanted = from ? count - target : target - count;
    int32_t candidates = from ? count : cells - count;
    for (int32_t i = 0; wanted > 0; i++) {
        assert(i < cells);
        if (mask[i] != from)
            continue;
        if (beit__source_below(source, candidates) < wanted) {
            mask[i] = !from;
            wanted--;
        }
        candidates--;
    }
}
