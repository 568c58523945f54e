/* DiscreteVAE's residual block: y = x + conv1x1(relu(conv3x3(relu(conv3x3(x))))), all of one
 * width, no ReLU after the sum. */
#ifndef BEIT_NN_RESBLOCK_H
#define BEIT_NN_RESBLOCK_H

#include "nn/conv_layer.h"

typedef struct beit__resblock {
    beit__conv_layer_t conv[3]; /* 3x3 relu, 3x3 relu, 1x1 */
} beit__resblock_t;

/* Register "<name>.net.{0,2,4}.{weight,bias}". */
beit_status_t beit__resblock_add(beit__resblock_t *block, beit__param_list_t *list, int64_t width,
                                 const char *name);

/* y may be x, unless a backward pass follows, which also reads both hidden maps. All maps are
 * (size, width). */
beit_status_t beit__resblock_forward(beit__run_t *run, const beit__resblock_t *block,
                                     const beit_params_t *weights, beit__map_size_t size,
                                     const float *x, float *const hidden[2], float *y);

/* dy becomes the gradient at x. The hidden maps are overwritten by their gradients, which saves
 * two maps; `scratch` is a third of the same size. */
beit_status_t beit__resblock_backward(beit__run_t *run, const beit__resblock_t *block,
                                      const beit_params_t *weights, beit_params_t *gradients,
                                      beit__map_size_t size, const float *x, float *const hidden[2],
                                      float *dy, float *scratch);

#endif
