/* A tokenizer's network as a table of stages and a 1x1 convolution as head. All four networks (the
 * encoder and decoder of either family) are such tables: discrete.c and dalle.c fill them, and
 * nothing else knows how they differ. */
#ifndef BEIT_DVAE_NETWORK_H
#define BEIT_DVAE_NETWORK_H

#include "dvae/pass.h"
#include "nn/bottleneck.h"
#include "nn/conv_layer.h"
#include "nn/resblock.h"

typedef enum beit__stage_kind {
    BEIT__STAGE_CONV,
    BEIT__STAGE_RESBLOCK,
    BEIT__STAGE_BOTTLENECK,
    BEIT__STAGE_HALVE, /* 2x2 maximum */
    BEIT__STAGE_DOUBLE /* nearest */
} beit__stage_kind_t;

typedef struct beit__stage {
    beit__stage_kind_t kind;
    int64_t out; /* channels */
    union {
        beit__conv_layer_t conv;
        beit__resblock_t resblock;
        beit__bottleneck_t bottleneck;
    };
    /* What the last training pass kept for its way back; the input is the stage before's output. */
    beit__map_size_t size; /* of the input */
    float *hidden[2], *output;
} beit__stage_t;

typedef struct beit__network {
    beit_context_t *ctx;
    beit__stage_t *stages;
    size_t count, capacity;
    int64_t in; /* channels */
    beit__conv_layer_t head;
} beit__network_t;

/* An empty table with room for `stages`; freeing a zeroed network is allowed. */
beit_status_t beit__network_create(beit__network_t *net, beit_context_t *ctx, int64_t in,
                                   size_t stages);
void beit__network_free(beit__network_t *net);

/* Append a stage. Names are those of the parameters, without their last part. */
beit_status_t beit__network_conv(beit__network_t *net, beit__param_list_t *list,
                                 beit__conv_style_t style, beit__conv_layer_t conv,
                                 const char *name);
beit_status_t beit__network_resblock(beit__network_t *net, beit__param_list_t *list,
                                     const char *name);
beit_status_t beit__network_bottleneck(beit__network_t *net, beit__param_list_t *list, int64_t out,
                                       const int64_t kernels[4], float gain, const char *name);
void beit__network_resample(beit__network_t *net, beit__stage_kind_t kind);

/* Channels at the end of the table so far. */
int64_t beit__network_width(const beit__network_t *net);

/* Floats of the largest map on the way of one map of this size. */
int64_t beit__network_largest(const beit__network_t *net, beit__map_size_t size);

/* Walk the stages. On entry the map stands in *slot; on return *slot and *size tell where it is
 * and how large. */
beit_status_t beit__network_walk(beit__pass_t *pass, const beit__network_t *net,
                                 const beit_params_t *weights, beit__map_size_t *size,
                                 beit__slot_t *slot);

/* The head on `rows` positions of the last map; y (rows, head.out). */
beit_status_t beit__network_head(beit__pass_t *pass, const beit__network_t *net,
                                 const beit_params_t *weights, int64_t rows, const float *x,
                                 float *y);

/* The same for training: stages and head, keeping what the way back needs. */
beit_status_t beit__network_forward(beit__pass_t *pass, beit__network_t *net,
                                    const beit_params_t *weights, beit__map_size_t size,
                                    const float *x, /* (size, in), kept by the caller */
                                    float *y);      /* (output, head.out) */

/* Gradients of the network's parameters from dy, added to `gradients`. With `wanted`, *dx is the
 * gradient at x, in a slot. Consumes what forward kept. */
beit_status_t beit__network_backward(beit__pass_t *pass, beit__network_t *net,
                                     const beit_params_t *weights, beit_params_t *gradients,
                                     const float *x, const float *dy, bool wanted, float **dx);

#endif
