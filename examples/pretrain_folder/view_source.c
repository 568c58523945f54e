/* Slot layout: all patch views, then all token views. Token views of which a piece is wanted are
 * made in memory of the loader's thread and cut. */
#include "view_source.h"

#include <stdlib.h>
#include <string.h>

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

/* Cut the piece of view `number` from a whole token view. */
static void cut(const view_source_t *source, uint64_t number, const float *view, float *piece)
{
    const size_t whole = (size_t)source->views.tokens_height, side = (size_t)source->piece;
    const uint64_t draw = shuffle_mix(source->seed ^ PIECE_STREAM, number);
    const size_t left = (uint32_t)draw % (whole - side + 1);
    const size_t top = (uint32_t)(draw >> 32) % (whole - side + 1);
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t y = 0; y < side; y++)
            memcpy(piece + (c * side + y) * side, view + (c * whole + top + y) * whole + left,
                   side * sizeof(float));
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

/* View `number` of all: its place in the slot is given by the two pointers. */
static bool make_view(const view_source_t *source, uint64_t number, float *pixels, float *tokens,
                      float *whole, char reason[LOADER_REASON])
{
    picture_t picture;
    if (!borrow(source, number, &picture, reason))
        return false;
    const beit_views_config_t *views = &source->views;
    const int64_t rgb_shape[] = {picture.image.height, picture.image.width, CHANNELS};
    const int64_t pixel_shape[] = {CHANNELS, views->pixels_height, views->pixels_width};
    const int64_t token_shape[] = {CHANNELS, views->tokens_height, views->tokens_width};
    const beit_tensor_t rgb = beit_tensor_make(picture.image.rgb, BEIT_U8, 3, rgb_shape);
    const beit_tensor_t patch_view = beit_tensor_make(pixels, BEIT_F32, 3, pixel_shape);
    const beit_tensor_t token_view =
        beit_tensor_make(whole ? whole : tokens, BEIT_F32, 3, token_shape);
    const beit_status_t status =
        beit_views_make(NULL, views, source->seed, number / source->subset->count, number, &rgb,
                        source->pixels ? &patch_view : NULL, &token_view);
    picture_return(&picture);
    if (status != BEIT_OK) {
        snprintf(reason, LOADER_REASON, "%s", beit_last_error());
        return false;
    }
    if (whole)
        cut(source, number, whole, tokens);
    return true;
}

bool view_source_make(void *user, uint64_t index, void *slot, char reason[LOADER_REASON])
{
    const view_source_t *source = user;
    const size_t side = (size_t)source->views.tokens_height;
    float *pixels = slot, *tokens = pixels + source->batch * pixel_floats(source);
    float *whole = source->piece ? malloc(CHANNELS * side * side * sizeof *whole) : NULL;
    bool done = whole || !source->piece;
    if (!done)
        snprintf(reason, LOADER_REASON, "no memory for a view");
    for (size_t i = 0; done && i < source->batch; i++)
        done = make_view(source, index * source->batch + i, pixels + i * pixel_floats(source),
                         tokens + i * token_floats(source), whole, reason);
    free(whole);
    return done;
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
