/* Blockwise masking (arXiv 2106.08254, algorithm 1; unilm `beit/masking_generator.py`): rectangles
 * of random area and aspect are laid over the grid, overlaps allowed, until enough cells are
 * masked. The order of draws is part of the algorithm: area, aspect, then, only for a block that
 * is smaller than the grid on both sides, top and left. */
#include "masker/blockwise.h"

#include <assert.h>
#include <math.h>

typedef struct block {
    int32_t top, left, height, width;
} block_t;

static int32_t unmasked_cells(const beit__blockwise_t *shape, const block_t *block,
                              const uint8_t *mask)
{
    int32_t count = 0;
    for (int32_t y = block->top; y < block->top + block->height; y++)
        for (int32_t x = block->left; x < block->left + block->width; x++)
            count += !mask[y * shape->cols + x];
    return count;
}

static void mask_cells(const beit__blockwise_t *shape, const block_t *block, uint8_t *mask)
{
    for (int32_t y = block->top; y < block->top + block->height; y++)
        for (int32_t x = block->left; x < block->left + block->width; x++)
            mask[y * shape->cols + x] = 1;
}

/* One attempt: the number of cells that it masked, 0 when it failed. The bounds of the area may
 * cross near the end, when less room is left than min_block; the draw then lies between them all
 * the same. A side may round to 0: the placement is drawn, and nothing is masked. */
static int32_t try_block(const beit__blockwise_t *shape, int32_t room,
                         const beit__draw_source_t *source, uint8_t *mask)
{
    const double area = beit__source_uniform(source, shape->min_block, room);
    const double aspect =
        exp(beit__source_uniform(source, shape->log_min_aspect, shape->log_max_aspect));
    block_t block = {.height = (int32_t)rint(sqrt(area * aspect)),
                     .width = (int32_t)rint(sqrt(area / aspect))};
    if (block.height >= shape->rows || block.width >= shape->cols)
        return 0;
    block.top = beit__source_below(source, shape->rows - block.height + 1);
    block.left = beit__source_below(source, shape->cols - block.width + 1);
    const int32_t fresh = unmasked_cells(shape, &block, mask);
    if (fresh == 0 || fresh > room)
        return 0;
    mask_cells(shape, &block, mask);
    return fresh;
}

static int32_t place_block(const beit__blockwise_t *shape, int32_t room,
                           const beit__draw_source_t *source, uint8_t *mask)
{
    for (int32_t attempt = 0; attempt < shape->attempts; attempt++) {
        const int32_t added = try_block(shape, room, source, mask);
        if (added > 0)
            return added;
    }
    return 0;
}

int32_t beit__blockwise_mask(const beit__blockwise_t *shape, const beit__draw_source_t *source,
                             uint8_t *mask) /* (rows,cols) */
{
    int32_t count = 0;
    while (count < shape->target) {
        const int32_t left = shape->target - count;
        const int32_t added =
            place_block(shape, left < shape->max_block ? left : shape->max_block, source, mask);
        if (added == 0)
            break;
        count += added;
    }
    assert(count <= shape->target);
    return count;
}
