/* Convolution layers on the three convolution operations of a backend, which all speak of a larger
 * map (I channels), a smaller one (O channels) and a weight (O,I,k,k). A plain layer reads the
 * larger map, a transposed one the smaller; hence forward of one kind is the input gradient of the
 * other. */
#include "nn/conv_layer.h"

#include <assert.h>
#include <math.h>

#include "core/status.h"

beit_status_t beit__conv_layer_add(beit__conv_layer_t *layer, beit__param_list_t *list,
                                   beit__conv_style_t style, const char *name)
{
    /* PyTorch counts fan_in along the weight's second axis, also when that axis is the output. */
    const int64_t second = layer->transposed ? layer->out : layer->in;
    const float spread = (float)(1.0 / sqrt((double)(second * layer->kernel * layer->kernel)));
    const int64_t shape[4] = {layer->transposed ? layer->in : layer->out, second, layer->kernel,
                              layer->kernel};
    const bool torch = style == BEIT__CONV_TORCH;
    const beit__param_t weight = {.init = torch ? BEIT__INIT_UNIFORM : BEIT__INIT_NORMAL,
                                  .a = spread};
    const beit__param_t bias = {.init = torch ? BEIT__INIT_UNIFORM : BEIT__INIT_ZERO, .a = spread};
    BEIT__TRY(beit__param_add(list, &layer->weight, weight, 4, shape, "%s.%s", name,
                              torch ? "weight" : "w"));
    return beit__param_add(list, &layer->bias, bias, 1, &layer->out, "%s.%s", name,
                           torch ? "bias" : "b");
}

beit__map_size_t beit__conv_layer_output(const beit__conv_layer_t *layer, beit__map_size_t in)
{
    beit__map_size_t out = in;
    if (layer->transposed) {
        out.height = (in.height - 1) * layer->stride - 2 * layer->pad + layer->kernel;
        out.width = (in.width - 1) * layer->stride - 2 * layer->pad + layer->kernel;
    } else {
        out.height = (in.height + 2 * layer->pad - layer->kernel) / layer->stride + 1;
        out.width = (in.width + 2 * layer->pad - layer->kernel) / layer->stride + 1;
    }
    return out;
}

/* The geometry, common to all operations of a layer. Maps and flags are the caller's. */
static beit_conv_args_t conv_args(const beit__conv_layer_t *layer, const beit_params_t *weights,
                                  beit__map_size_t in)
{
    const beit__map_size_t larger = layer->transposed ? beit__conv_layer_output(layer, in) : in;
    return (beit_conv_args_t){.batch = larger.batch,
                              .height = larger.height,
                              .width = larger.width,
                              .in_channels = layer->transposed ? layer->out : layer->in,
                              .out_channels = layer->transposed ? layer->in : layer->out,
                              .kernel = layer->kernel,
                              .stride = layer->stride,
                              .pad = layer->pad,
                              .weight = beit__params_at(weights, layer->weight),
                              .alpha = 1.0f};
}

beit_status_t beit__conv_layer_forward(beit__run_t *run, const beit__conv_layer_t *layer,
                                       const beit_params_t *weights, beit__map_size_t in,
                                       const float *x, float *y, float alpha, float beta)
{
    beit_conv_args_t args = conv_args(layer, weights, in);
    args.bias = beit__params_at(weights, layer->bias);
    args.alpha = alpha;
    args.beta = beta;
    args.relu_output = layer->relu_output;
    if (layer->transposed) {
        assert(!layer->relu_input);
        args.small = (float *)x;
        args.large = y;
        return beit__conv_transpose(run, &args);
    }
    args.relu_input = layer->relu_input;
    args.large = (float *)x;
    args.small = y;
    return beit__conv_forward(run, &args);
}

static int64_t output_rows(const beit__conv_layer_t *layer, beit__map_size_t in)
{
    const beit__map_size_t out = beit__conv_layer_output(layer, in);
    return out.batch * out.height * out.width;
}

beit_status_t beit__conv_layer_rectify(beit__run_t *run, const beit__conv_layer_t *layer,
                                       beit__map_size_t in, const float *y, const float *dy,
                                       float *dz)
{
    assert(layer->relu_output);
    return beit__relu(run,
                      &(beit_relu_args_t){
                          .count = output_rows(layer, in) * layer->out, .x = y, .dy = dy, .y = dz});
}

beit_status_t beit__conv_layer_backward(beit__run_t *run, const beit__conv_layer_t *layer,
                                        const beit_params_t *weights, beit_params_t *gradients,
                                        beit__map_size_t in, const float *x, const float *dz,
                                        float *dx, float beta)
{
    assert(!layer->relu_input);
    BEIT__TRY(beit__column_sum(
        run, &(beit_column_sum_args_t){.rows = output_rows(layer, in),
                                       .cols = layer->out,
                                       .ldx = layer->out,
                                       .x = dz,
                                       .out = beit__params_at(gradients, layer->bias)}));

    beit_conv_args_t args = conv_args(layer, weights, in);
    args.dweight = beit__params_at(gradients, layer->weight);
    args.large = (float *)(layer->transposed ? dz : x);
    args.small = (float *)(layer->transposed ? x : dz);
    BEIT__TRY(beit__conv_weight_gradient(run, &args));
    if (!dx && !run->planning) /* while planning every map is NULL */
        return BEIT_OK;

    args = conv_args(layer, weights, in);
    args.beta = beta;
    if (layer->transposed) {
        args.large = (float *)dz;
        args.small = dx;
        return beit__conv_forward(run, &args);
    }
    args.small = (float *)dz;
    args.large = dx;
    return beit__conv_transpose(run, &args);
}
