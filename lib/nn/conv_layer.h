/* Convolutions of the tokenizers over NHWC maps: plain, strided and transposed, with a ReLU on
 * either side. A layer is a description; weights and maps are passed to each call. */
#ifndef BEIT_NN_CONV_LAYER_H
#define BEIT_NN_CONV_LAYER_H

#include "backend/backend.h"
#include "nn/param.h"

/* Extents of a map without its channels. */
typedef struct beit__map_size {
    int64_t batch, height, width;
} beit__map_size_t;

typedef struct beit__conv_layer {
    int64_t in, out; /* channels */
    int64_t kernel, stride, pad;
    bool transposed;     /* enlarges by `stride` instead of reducing */
    bool relu_input;     /* x is rectified on its way in; forward only */
    bool relu_output;    /* y is rectified on its way out */
    size_t weight, bias; /* parameter indices, set by beit__conv_layer_add() */
} beit__conv_layer_t;

/* Whose names and initial values: PyTorch's `weight` and `bias`, both uniform within
 * 1/sqrt(fan_in), or the DALL-E module's `w`, normal with deviation 1/sqrt(fan_in), and `b`, 0. */
typedef enum beit__conv_style { BEIT__CONV_TORCH, BEIT__CONV_DALLE } beit__conv_style_t;

/* Register weight and bias as "<name>.weight", "<name>.bias" (or `.w`, `.b`). The weight is
 * (out,in,k,k), of a transposed layer (in,out,k,k). */
beit_status_t beit__conv_layer_add(beit__conv_layer_t *layer, beit__param_list_t *list,
                                   beit__conv_style_t style, const char *name);

beit__map_size_t beit__conv_layer_output(const beit__conv_layer_t *layer, beit__map_size_t in);

/* y = relu(alpha (conv(relu(x)) + bias) + beta y), each ReLU where the layer says so. With
 * beta = 0, y is not read. */
beit_status_t beit__conv_layer_forward(beit__run_t *run, const beit__conv_layer_t *layer,
                                       const beit_params_t *weights, beit__map_size_t in,
                                       const float *x, /* (in, layer->in) */
                                       float *y,       /* (output, layer->out) */
                                       float alpha, float beta);

/* What passes back through relu_output: dz = dy where y > 0, else 0. dz may be y or dy. */
beit_status_t beit__conv_layer_rectify(beit__run_t *run, const beit__conv_layer_t *layer,
                                       beit__map_size_t in, const float *y, const float *dy,
                                       float *dz);

/* Gradients from dz, that of the output before its ReLU (alpha = 1): those of weight and bias are
 * added to `gradients`; dx = input gradient + beta dx, NULL = not wanted. */
beit_status_t beit__conv_layer_backward(beit__run_t *run, const beit__conv_layer_t *layer,
                                        const beit_params_t *weights, beit_params_t *gradients,
                                        beit__map_size_t in, const float *x, /* (in, layer->in) */
                                        const float *dz, /* (output, layer->out) */
                                        float *dx,       /* (in, layer->in) or NULL */
                                        float beta);

#endif
