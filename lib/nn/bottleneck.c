/* The DALL-E dVAE's block (specification, section 4.1). Gain and sum ride on the last convolution:
 * y = gain * (conv + bias) + y. Every ReLU that precedes a convolution is applied by the one that
 * writes its input, except the first, whose unrectified input the identity path needs. */
#include "nn/bottleneck.h"

#include <assert.h>
#include <stdio.h>

#include "core/status.h"

beit_status_t beit__bottleneck_add(beit__bottleneck_t *block, beit__param_list_t *list, int64_t in,
                                   int64_t out, const int64_t kernels[4], float gain,
                                   const char *name)
{
    const int64_t hidden = out / 4;
    const int64_t widths[5] = {in, hidden, hidden, hidden, out};
    char full[BEIT__NAME_MAX];
    for (int i = 0; i < 4; i++) {
        block->conv[i] = (beit__conv_layer_t){.in = widths[i],
                                              .out = widths[i + 1],
                                              .kernel = kernels[i],
                                              .stride = 1,
                                              .pad = (kernels[i] - 1) / 2,
                                              .relu_input = i == 0,
                                              .relu_output = i < 3};
        snprintf(full, sizeof full, "%s.res_path.conv_%d", name, i + 1);
        BEIT__TRY(beit__conv_layer_add(&block->conv[i], list, BEIT__CONV_DALLE, full));
    }
    block->gain = gain;
    block->has_identity = in != out;
    if (!block->has_identity)
        return BEIT_OK;
    block->identity = (beit__conv_layer_t){.in = in, .out = out, .kernel = 1, .stride = 1};
    snprintf(full, sizeof full, "%s.id_path", name);
    return beit__conv_layer_add(&block->identity, list, BEIT__CONV_DALLE, full);
}

beit_status_t beit__bottleneck_forward(beit__run_t *run, const beit__bottleneck_t *block,
                                       const beit_params_t *weights, beit__map_size_t size,
                                       const float *x, float *const hidden[2], float *y)
{
    const beit__conv_layer_t *conv = block->conv;
    BEIT__TRY(beit__conv_layer_forward(run, &conv[0], weights, size, x, hidden[0], 1.0f, 0.0f));
    BEIT__TRY(
        beit__conv_layer_forward(run, &conv[1], weights, size, hidden[0], hidden[1], 1.0f, 0.0f));
    BEIT__TRY(
        beit__conv_layer_forward(run, &conv[2], weights, size, hidden[1], hidden[0], 1.0f, 0.0f));
    if (block->has_identity) {
        BEIT__TRY(beit__conv_layer_forward(run, &block->identity, weights, size, x, y, 1.0f, 0.0f));
    } else {
        assert(y == x);
    }
    return beit__conv_layer_forward(run, &conv[3], weights, size, hidden[0], y, block->gain, 1.0f);
}
