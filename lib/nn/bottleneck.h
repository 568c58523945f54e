/* The DALL-E dVAE's block: y = id(x) + gain * res(x), pre-activation, a quarter as wide inside.
 * Inference only: these networks are used as published. */
#ifndef BEIT_NN_BOTTLENECK_H
#define BEIT_NN_BOTTLENECK_H

#include "nn/conv_layer.h"

typedef struct beit__bottleneck {
    beit__conv_layer_t conv[4];
    beit__conv_layer_t identity; /* 1x1, where the width changes */
    bool has_identity;
    float gain;
} beit__bottleneck_t;

/* Register "<name>.res_path.conv_{1..4}.{w,b}" and, where in differs from out,
 * "<name>.id_path.{w,b}". `kernels` are those of the four convolutions. */
beit_status_t beit__bottleneck_add(beit__bottleneck_t *block, beit__param_list_t *list, int64_t in,
                                   int64_t out, const int64_t kernels[4], float gain,
                                   const char *name);

/* In place (y is x) where there is no identity path, and only there. */
beit_status_t beit__bottleneck_forward(beit__run_t *run, const beit__bottleneck_t *block,
                                       const beit_params_t *weights, beit__map_size_t size,
                                       const float *x,         /* (size, in) */
                                       float *const hidden[2], /* (size, out/4) each */
                                       float *y);              /* (size, out) */

#endif
