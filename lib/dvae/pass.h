/* One pass over a tokenizer's networks, and the memory it lives in. A pass is a function that is
 * called twice: first it is planned (the run asks for workspace, maps are counted and come back as
 * NULL), then it runs. What it needs can therefore never disagree with what was reserved, and
 * nothing is allocated for a pass that is no larger than an earlier one. */
#ifndef BEIT_DVAE_PASS_H
#define BEIT_DVAE_PASS_H

#include "backend/backend.h"
#include "core/arena.h"
#include "nn/conv_layer.h"

/* Maps that are overwritten as a pass walks along a network: the current one and the next in turn,
 * and what a block needs inside. */
typedef enum beit__slot {
    BEIT__SLOT_A,
    BEIT__SLOT_B,
    BEIT__SLOT_HIDDEN_0,
    BEIT__SLOT_HIDDEN_1,
    BEIT__SLOTS
} beit__slot_t;

static inline beit__slot_t beit__slot_other(beit__slot_t slot)
{
    return slot == BEIT__SLOT_A ? BEIT__SLOT_B : BEIT__SLOT_A;
}

typedef struct beit__pass {
    beit__run_t *run;
    size_t slot_floats[BEIT__SLOTS]; /* planning: largest so far */
    float *slots[BEIT__SLOTS];
    beit__arena_t maps; /* backend memory that stays to the end of the pass */
    beit__arena_t host; /* host memory, alike */
} beit__pass_t;

/* Room for `rows` x `cols` floats: in a slot, whose contents are lost, or kept. */
float *beit__pass_slot(beit__pass_t *pass, beit__slot_t slot, int64_t rows, int64_t cols);
float *beit__pass_keep(beit__pass_t *pass, int64_t rows, int64_t cols);
int32_t *beit__pass_indices(beit__pass_t *pass, int64_t count); /* host */

/* Transfers, which planning leaves out. */
beit_status_t beit__pass_upload(beit__pass_t *pass, float *dst, const float *src, int64_t floats);
beit_status_t beit__pass_download(beit__pass_t *pass, float *dst, const float *src, int64_t floats);

/* A place within a map, also while that is only planned. */
static inline float *beit__pass_at(float *map, int64_t floats)
{
    return !map ? NULL : map + floats;
}

/* Memory of a handle's passes. Grows, never shrinks. */
typedef struct beit__pass_memory {
    beit__run_t run; /* ctx set by the owner; holds the workspace */
    void *maps;      /* backend memory */
    size_t maps_bytes;
    void *host;
    size_t host_bytes;
} beit__pass_memory_t;

typedef beit_status_t (*beit__pass_fn)(beit__pass_t *pass, void *job);

/* Plan, and grow the memory where the plan asks for more. */
beit_status_t beit__pass_reserve(beit__pass_memory_t *memory, beit__pass_fn fn, void *job);
/* The same, then run. */
beit_status_t beit__pass_perform(beit__pass_memory_t *memory, beit__pass_fn fn, void *job);
void beit__pass_release(beit__pass_memory_t *memory);

#endif
