/* A tiny model and a batch of noise, for examples whose subject is something else. */
#ifndef EXAMPLES_NOISE_MODEL_H
#define EXAMPLES_NOISE_MODEL_H

#include <beit/beit.h>

enum {
    NOISE_BATCH = 3,
    NOISE_SIDE = 32,
    NOISE_GRID = 4,
    NOISE_PATCHES = NOISE_GRID * NOISE_GRID,
    NOISE_VOCAB = 24
};

/* Create a model of 32/2/2 for pictures of 32 x 32. */
beit_status_t noise_model_create(beit_model_t **model, beit_context_t *ctx);

/* A batch with pixels, tokens and masks, in static memory. */
void noise_batch(beit_batch_t *batch);

/* Train a fresh model for `steps` steps and give the loss of the last one. */
beit_status_t noise_train(beit_context_t *ctx, int steps, double *loss);

#endif
