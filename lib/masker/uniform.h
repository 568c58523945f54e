/* Masking of single cells, uniformly at random. */
#ifndef BEIT_MASKER_UNIFORM_H
#define BEIT_MASKER_UNIFORM_H

#include "masker/draw_source.h"

/* Turn a random mask of `count` ones into one of exactly `target`: cells that are missing are
 * added, cells too many removed, every choice of them equally likely. From an empty mask this is
 * the paper's random masking; after blockwise masking it is BEiT v2's exact count. */
void beit__uniform_fill(int32_t cells, int32_t count, int32_t target,
                        const beit__draw_source_t *source, uint8_t *mask); /* (cells) */

#endif
