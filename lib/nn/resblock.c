/* DiscreteVAE's residual block (specification, section 3.1). The sum costs no pass of its own: the
 * last convolution adds onto y, the first one's input gradient onto dy. */
#include "nn/resblock.h"

#include <stdio.h>

#include "core/status.h"

beit_status_t beit__resblock_add(beit__resblock_t *block, beit__param_list_t *list, int64_t width,
                                 const char *name)
{
    for (int i = 0; i < 3; i++) {
        const bool last = i == 2;
        block->conv[i] = (beit__conv_layer_t){.in = width,
                                              .out = width,
                                              .kernel = last ? 1 : 3,
                                              .stride = 1,
                                              .pad = last ? 0 : 1,
                                              .relu_output = !last};
        char full[BEIT__NAME_MAX];
        snprintf(full, sizeof full, "%s.net.%d", name, 2 * i); /* ReLUs hold the odd numbers */
        BEIT__TRY(beit__conv_layer_add(&block->conv[i], list, BEIT__CONV_TORCH, full));
    }
    return BEIT_OK;
}

beit_status_t beit__resblock_forward(beit__run_t *run, const beit__resblock_t *block,
                                     const beit_params_t *weights, beit__map_size_t size,
                                     const float *x, float *const hidden[2], float *y)
{
    const beit__conv_layer_t *conv = block->conv;
    BEIT__TRY(beit__conv_layer_forward(run, &conv[0], weights, size, x, hidden[0], 1.0f, 0.0f));
    BEIT__TRY(
        beit__conv_layer_forward(run, &conv[1], weights, size, hidden[0], hidden[1], 1.0f, 0.0f));
    if (y != x) {
        const size_t bytes =
            (size_t)(size.batch * size.height * size.width * conv[0].in) * sizeof(float);
        BEIT__TRY(beit__copy(run->ctx, y, x, bytes));
    }
    return beit__conv_layer_forward(run, &conv[2], weights, size, hidden[1], y, 1.0f, 1.0f);
}

beit_status_t beit__resblock_backward(beit__run_t *run, const beit__resblock_t *block,
                                      const beit_params_t *weights, beit_params_t *gradients,
                                      beit__map_size_t size, const float *x, float *const hidden[2],
                                      float *dy, float *scratch)
{
    const beit__conv_layer_t *conv = block->conv;
    BEIT__TRY(beit__conv_layer_backward(run, &conv[2], weights, gradients, size, hidden[1], dy,
                                        scratch, 0.0f));
    BEIT__TRY(beit__conv_layer_rectify(run, &conv[1], size, hidden[1], scratch, hidden[1]));
    BEIT__TRY(beit__conv_layer_backward(run, &conv[1], weights, gradients, size, hidden[0],
                                        hidden[1], scratch, 0.0f));
    BEIT__TRY(beit__conv_layer_rectify(run, &conv[0], size, hidden[0], scratch, hidden[0]));
    return beit__conv_layer_backward(run, &conv[0], weights, gradients, size, x, hidden[0], dy,
                                     1.0f);
}
