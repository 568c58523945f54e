/* Batches of views, as a loader makes them. A view is a function of (seed, its running number), and
 * so is the piece that is cut from it: any batch can be made at any time, by any thread. */
#ifndef PRETRAIN_VIEW_SOURCE_H
#define PRETRAIN_VIEW_SOURCE_H

#include <beit/image.h>

#include "collection.h"
#include "common/loader.h"

typedef struct view_source {
    picture_store_t *store;
    const subset_t *subset;
    beit_views_config_t views;
    uint64_t seed;
    bool shuffled; /* anew in each epoch; else in order */
    bool pixels;   /* make the patch view */
    int32_t piece; /* side of a random piece of the token view; 0 = all of it */
    size_t batch;
} view_source_t;

/* Side of the pieces, or of the whole token view. */
int32_t view_source_token_side(const view_source_t *source);

size_t view_source_slot_bytes(const view_source_t *source);

/* A loader_make_fn; user is a view_source_t. */
bool view_source_make(void *user, uint64_t index, void *slot, char reason[LOADER_REASON]);

/* The views of the first `count` pictures in a slot: (count,3,H,W) and (count,3,S,S). */
beit_tensor_t view_source_pixels(const view_source_t *source, void *slot, size_t count);
beit_tensor_t view_source_tokens(const view_source_t *source, void *slot, size_t count);

/* Slots that a loader has: as many as a moderate amount of memory allows. */
size_t view_source_slots(const view_source_t *source);

/* A loader for batches [first, end). */
loader_t *view_source_load(const view_source_t *source, uint64_t first, uint64_t end,
                           unsigned threads);

#endif
