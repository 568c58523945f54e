/* Slot layout: all patch views, then all token views. */
#include "view_source.h"

#include <stdio.h>

#include "common/shuffle.h"

enum { CHANNELS = 3, MOST_AHEAD = 6, FEWEST_AHEAD = 2 };
#define AHEAD_BYTES  ((size_t)256 << 20)
#define PIECE_STREAM 0x7069656365u /* keeps pieces apart from other draws under the same seed */

static size_t pixel_floats(const view_source_t *source)
{
    const size_t side = (size_t)source->views.pixels_height;
    return source->pixels ? CHANNELS * side * side : 0;
}

int32_t view_source_token_side(const view_source_t *source)
{
    return source->piece ? source->piece : source->views.tokens_height;
}

static size_t token_floats(const view_source_t *source)
{
    const size_t side = (size_t)view_source_token_side(source);
    return CHANNELS * side * side;
}

size_t view_source_slot_bytes(const view_source_t *source)
{
    return source->batch * (pixel_floats(source) + token_floats(source)) * sizeof(float);
}

/* How much of a crop box's side a piece covers, at least one pixel. */
static int32_t piece_of(const view_source_t *source, int32_t length)
{
    const int32_t whole = source->views.tokens_height;
    const int32_t part = (int32_t)(((int64_t)length * source->piece + whole / 2) / whole);
    return part < 1 ? 1 : part;
}

/* Narrow a crop box to a random piece of it, at the same scale: a piece of the view, without making
 * all of the view. */
static void narrow(const view_source_t *source, uint64_t number, beit_view_draw_t *draw)
{
    const uint64_t random = shuffle_mix(source->seed ^ PIECE_STREAM, number);
    const int32_t width = piece_of(source, draw->width);
    const int32_t height = piece_of(source, draw->height);
    draw->left += (int32_t)((uint32_t)random % (uint32_t)(draw->width - width + 1));
    draw->top += (int32_t)((uint32_t)(random >> 32) % (uint32_t)(draw->height - height + 1));
    draw->width = width;
    draw->height = height;
}

/* The picture whose turn it is, or, if it turns out to be unreadable, the next readable one. */
static bool borrow(const view_source_t *source, uint64_t number, picture_t *picture,
                   char reason[LOADER_REASON])
{
    const uint64_t count = source->subset->count, epoch = number / count;
    uint64_t place = number % count;
    if (source->shuffled)
        place = shuffle_at(source->seed, epoch, place, count);
    for (uint64_t i = 0; i < count; i++)
        if (picture_store_get(source->store, source->subset->pictures[(place + i) % count],
                              picture))
            return true;
    snprintf(reason, LOADER_REASON, "no picture can be read any more");
    return false;
}

/* View `number` of a picture. */
static beit_status_t render(const view_source_t *source, uint64_t number, const image_t *image,
                            float *pixels, float *tokens)
{
    beit_views_config_t views = source->views;
    beit_view_draw_t draw = {.struct_size = sizeof draw};
    const beit_status_t status =
        beit_views_draw(&views, source->seed, number / source->subset->count, number, image->height,
                        image->width, &draw);
    if (status != BEIT_OK)
        return status;
    if (source->piece) {
        narrow(source, number, &draw);
        views.tokens_height = views.tokens_width = source->piece;
    }
    const int64_t rgb_shape[] = {image->height, image->width, CHANNELS};
    const int64_t pixel_shape[] = {CHANNELS, views.pixels_height, views.pixels_width};
    const int64_t token_shape[] = {CHANNELS, views.tokens_height, views.tokens_width};
    const beit_tensor_t rgb = beit_tensor_make(image->rgb, BEIT_U8, 3, rgb_shape);
    const beit_tensor_t patch_view = beit_tensor_make(pixels, BEIT_F32, 3, pixel_shape);
    const beit_tensor_t token_view = beit_tensor_make(tokens, BEIT_F32, 3, token_shape);
    return beit_views_apply(NULL, &views, &draw, &rgb, source->pixels ? &patch_view : NULL,
                            &token_view);
}

bool view_source_make(void *user, uint64_t index, void *slot, char reason[LOADER_REASON])
{
    const view_source_t *source = user;
    float *pixels = slot, *tokens = pixels + source->batch * pixel_floats(source);
    for (size_t i = 0; i < source->batch; i++) {
        const uint64_t number = index * source->batch + i;
        picture_t picture;
        if (!borrow(source, number, &picture, reason))
            return false;
        const beit_status_t status =
            render(source, number, &picture.image, pixels + i * pixel_floats(source),
                   tokens + i * token_floats(source));
        picture_return(&picture);
        if (status != BEIT_OK) {
            snprintf(reason, LOADER_REASON, "%s", beit_last_error());
            return false;
        }
    }
    return true;
}

beit_tensor_t view_source_pixels(const view_source_t *source, void *slot, size_t count)
{
    const int64_t shape[] = {(int64_t)count, CHANNELS, source->views.pixels_height,
                             source->views.pixels_width};
    return beit_tensor_make(slot, BEIT_F32, 4, shape);
}

beit_tensor_t view_source_tokens(const view_source_t *source, void *slot, size_t count)
{
    const int64_t side = view_source_token_side(source);
    const int64_t shape[] = {(int64_t)count, CHANNELS, side, side};
    return beit_tensor_make((float *)slot + source->batch * pixel_floats(source), BEIT_F32, 4,
                            shape);
}

size_t view_source_slots(const view_source_t *source)
{
    const size_t fit = AHEAD_BYTES / view_source_slot_bytes(source);
    return fit < FEWEST_AHEAD ? FEWEST_AHEAD : fit > MOST_AHEAD ? MOST_AHEAD : fit;
}

loader_t *view_source_load(const view_source_t *source, uint64_t first, uint64_t end,
                           unsigned threads)
{
    const loader_config_t config = {.make = view_source_make,
                                    .user = (void *)source,
                                    .first = first,
                                    .end = end,
                                    .slot_bytes = view_source_slot_bytes(source),
                                    .ahead = view_source_slots(source),
                                    .threads = threads};
    return loader_start(&config);
}
