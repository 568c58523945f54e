/* beit_image_resize(): the resampler by itself, for hosts that prepare pictures in advance. */
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"
#include "core/tensor.h"
#include "data/resample.h"
#include "data/rgb.h"

static beit_status_t check_box(const int32_t *box, int32_t height, int32_t width)
{
    if (box[0] >= 0 && box[1] >= 0 && box[2] >= 1 && box[3] >= 1 && box[0] <= width - box[2] &&
        box[1] <= height - box[3])
        return BEIT_OK;
    return beit__fail(BEIT_E_ARGUMENT,
                      "resize: the box %d x %d at row %d, column %d is not within the picture of "
                      "%d x %d",
                      box[3], box[2], box[1], box[0], height, width);
}

beit_status_t beit_image_resize(beit_context_t *ctx, const beit_tensor_t *src, const int32_t *box,
                                beit_filter_t filter, const beit_tensor_t *dst)
{
    int32_t from[2], to[2];
    BEIT__TRY(beit__rgb_check(src, "src", from));
    BEIT__TRY(beit__rgb_check(dst, "dst", to));
    if (filter < BEIT_FILTER_BILINEAR || filter > BEIT_FILTER_LANCZOS)
        return beit__fail(BEIT_E_ARGUMENT, "resize: filter is %d, allowed are %d to %d",
                          (int)filter, BEIT_FILTER_BILINEAR, BEIT_FILTER_LANCZOS);
    const int32_t all[4] = {0, 0, from[1], from[0]}; /* left, top, width, height */
    if (!box)
        box = all;
    BEIT__TRY(check_box(box, from[0], from[1]));
    const int32_t in[2] = {box[3], box[2]};

    beit__resample_t plan;
    beit__arena_t arena = {0};
    beit__resample_plan(&plan, &arena, filter, in, to);
    if (arena.overflow)
        return beit__fail(BEIT_E_NOMEM, "resize: the picture exceeds the address space");
    const size_t bytes = arena.peak;
    arena = (beit__arena_t){.base = beit__alloc(ctx, bytes), .size = bytes};
    if (!arena.base)
        return BEIT_E_NOMEM;
    beit__resample_plan(&plan, &arena, filter, in, to);
    for (int32_t y = 0; y < in[0]; y++)
        beit__resample_push(&plan, y, beit__rgb_at(src, box[1] + y, box[0]));
    for (int32_t y = 0; y < to[0]; y++)
        beit__resample_pull(&plan, y, beit__rgb_at(dst, y, 0));
    beit__free(ctx, arena.base, bytes);
    return BEIT_OK;
}
