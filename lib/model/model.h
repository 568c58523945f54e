/* What the trainer sees of a model. */
#ifndef BEIT_MODEL_MODEL_H
#define BEIT_MODEL_MODEL_H

#include <beit/model.h>

#include "backend/backend.h"
#include "nn/param.h"

/* Handles are reference counted inside, so that a trainer can hold them. */
beit_model_t *beit__model_ref(beit_model_t *model); /* beit_model_destroy() drops one */
beit_context_t *beit__model_context(beit_model_t *model);
const beit_model_config_t *beit__model_config(const beit_model_t *model);
beit__run_t *beit__model_run(beit_model_t *model);

/* One masked-modeling micro-batch for the trainer: forward, summed cross-entropy over the masked
 * rows, and, with `backward`, gradients of that *sum* added to the model's gradients.
 * pixels (B,C,H,W) host, mask (B,N) host, labels (M) host in batch order. loss and correct are
 * added to. */
typedef struct beit__mim_batch {
    const float *pixels;
    const uint8_t *mask;
    const int32_t *labels;
    const uint64_t *sample_ids;
    int64_t batch, masked;
    uint64_t seed, step;
    bool training; /* dropout and stochastic depth act */
    bool backward;
} beit__mim_batch_t;
beit_status_t beit__model_mim(beit_model_t *model, const beit__mim_batch_t *batch, double *loss,
                              int64_t *correct);

/* Bytes held: weights, gradients, activations with workspace. */
void beit__model_memory(const beit_model_t *model, uint64_t *weights, uint64_t *gradients,
                        uint64_t *activations);

#endif
