/* Memory of a model's passes. Two storages: `kept`, which holds what a backward pass reads, and
 * `shared`, where all blocks use the same maps, for passes that none follows. A pass in shared
 * storage leaves kept storage alone. */
#ifndef BEIT_MODEL_PLAN_H
#define BEIT_MODEL_PLAN_H

#include "model/vit.h"

typedef enum beit__storage { BEIT__KEPT, BEIT__SHARED, BEIT__STORAGES } beit__storage_t;

/* A pass's maps and choices. */
typedef struct beit__storage_plan {
    int64_t batch; /* planned for; 0 = not at all */
    beit__maps_t maps;
    beit__choices_t choices;
} beit__storage_plan_t;

/* Blocks of memory: choices on the host; maps and what lives shorter with the backend. */
typedef enum beit__region {
    BEIT__KEPT_HOST,
    BEIT__SHARED_HOST,
    BEIT__KEPT_MAPS,
    BEIT__SCRATCH, /* transients, and the maps of shared storage */
    BEIT__REGIONS
} beit__region_t;

typedef struct beit__memory {
    void *data;
    size_t bytes;
} beit__memory_t;

typedef struct beit__plan {
    beit__storage_plan_t storage[BEIT__STORAGES];
    beit__transients_t transients;
    beit__memory_t memory[BEIT__REGIONS];
} beit__plan_t;

/* Memory for `batch` images in a storage; kept storage comes with gradients. Keeps what is there
 * if that is enough, and on failure. Growing kept storage forgets the pending forward pass. */
beit_status_t beit__model_plan(beit_model_t *model, int64_t batch, beit__storage_t storage);
void beit__model_plan_release(beit_model_t *model);
uint64_t beit__model_plan_bytes(const beit_model_t *model); /* workspace included */

#endif
