/* Blockwise masking as published. */
#ifndef BEIT_MASKER_BLOCKWISE_H
#define BEIT_MASKER_BLOCKWISE_H

#include "masker/draw_source.h"

typedef struct beit__blockwise {
    int32_t rows, cols;           /* patch grid */
    int32_t target;               /* cells to mask, never exceeded */
    int32_t min_block, max_block; /* bounds of the area drawn */
    int32_t attempts;             /* per block */
    double log_min_aspect, log_max_aspect;
} beit__blockwise_t;

/* Mask blocks of an all-zero grid until `target` cells are masked or a block finds no place.
 * Returns the number of masked cells, at most target. */
int32_t beit__blockwise_mask(const beit__blockwise_t *shape, const beit__draw_source_t *source,
                             uint8_t *mask); /* (rows,cols) */

#endif
