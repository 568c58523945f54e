/* Cases: convolution in its three directions, layout, sampling. */
#include "conform.h"

static void layout(conform_t *c)
{
    beit_layout_args_t a = {.batch = conform_count(c, 3)};
    conform_begin(c, &a, sizeof a);
    a.channels = conform_extent(c, 33);
    a.height = conform_extent(c, 17);
    a.width = conform_extent(c, 17);
    a.to_nhwc = (int32_t)conform_draw(c, 2);
    a.keep = a.to_nhwc ? a.channels : 1 + conform_draw(c, (uint32_t)a.channels);
    a.unmap_logit = conform_chance(c, 3);
    a.scale = conform_chance(c, 2) ? 1.0f : 0.8f;
    a.shift = conform_chance(c, 2) ? 0.0f : 0.1f;
    const int64_t pixels = a.batch * a.height * a.width;
    conform_floats(c, &a.x, pixels * a.channels, CONFORM_IN, 3);
    conform_floats(c, &a.y, pixels * a.keep, CONFORM_OUT, 1);
    conform_end(c, CONFORM_ROUNDING, "batch=%d %dx%d channels=%d keep=%d to_nhwc=%d unmap=%d",
                (int)a.batch, (int)a.height, (int)a.width, (int)a.channels, (int)a.keep, a.to_nhwc,
                a.unmap_logit);
}

static void resample(conform_t *c)
{
    beit_resample_args_t a = {.batch = conform_count(c, 3)};
    conform_begin(c, &a, sizeof a);
    a.up = (int32_t)conform_draw(c, 2);
    a.height = 1 + conform_extent(c, 17);
    a.width = 1 + conform_extent(c, 17);
    a.channels = conform_extent(c, 65);
    const int64_t pixels = a.batch * a.height * a.width;
    const int64_t half = a.batch * (a.height / 2) * (a.width / 2);
    conform_floats(c, &a.x, pixels * a.channels, CONFORM_IN, 1);
    conform_floats(c, &a.y, (a.up ? 4 * pixels : half) * a.channels, CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "batch=%d %dx%d channels=%d up=%d", (int)a.batch, (int)a.height,
                (int)a.width, (int)a.channels, a.up);
}

/* ---- convolution ---- */

/* (height, width, in, out, kernel, stride, pad): the tokenizers' layers, narrowed. */
static const int64_t tokenizer_layers[][7] = {
    {28, 28, 64, 64, 3, 1, 1},  {14, 14, 128, 32, 3, 1, 1}, {16, 16, 3, 64, 7, 1, 3},
    {14, 14, 64, 100, 1, 1, 0}, {16, 16, 32, 64, 4, 2, 1},  {28, 28, 3, 32, 4, 2, 1},
    {8, 8, 64, 48, 4, 2, 1},    {7, 7, 16, 8, 3, 1, 1},     {28, 14, 32, 3, 1, 1, 0}};
enum { TOKENIZER_LAYERS = sizeof tokenizer_layers / sizeof tokenizer_layers[0] };

/* The kernels that occur: (size, stride, padding). */
static const int64_t kernels[][3] = {{1, 1, 0}, {3, 1, 1}, {4, 2, 1}, {7, 1, 3},
                                     {5, 1, 2}, {3, 2, 1}, {2, 2, 0}};

static beit_conv_args_t conv_extents(conform_t *c)
{
    const int64_t *kernel = kernels[conform_draw(c, sizeof kernels / sizeof *kernels)];
    beit_conv_args_t a = {.batch = conform_count(c, 3), .height = 1 + conform_extent(c, 17)};
    a.width = 1 + conform_extent(c, 17);
    a.in_channels = conform_extent(c, 33), a.out_channels = conform_extent(c, 33);
    a.kernel = kernel[0], a.stride = kernel[1], a.pad = kernel[2];
    if (conform_turn(c) < TOKENIZER_LAYERS) {
        const int64_t *layer = tokenizer_layers[conform_turn(c)];
        a.batch = 1 + conform_turn(c) % 2;
        a.height = layer[0], a.width = layer[1];
        a.in_channels = layer[2], a.out_channels = layer[3];
        a.kernel = layer[4], a.stride = layer[5], a.pad = layer[6];
    }
    a.alpha = conform_chance(c, 2) ? 1.0f : 0.0625f;
    return a;
}

static int64_t large_count(const beit_conv_args_t *a)
{
    return a->batch * a->height * a->width * a->in_channels;
}

static int64_t small_count(const beit_conv_args_t *a)
{
    const int64_t height = (a->height + 2 * a->pad - a->kernel) / a->stride + 1;
    const int64_t width = (a->width + 2 * a->pad - a->kernel) / a->stride + 1;
    return a->batch * height * width * a->out_channels;
}

static void conv_weight(conform_t *c, const beit_conv_args_t *a, const void *field,
                        conform_role_t role)
{
    conform_floats(c, field, a->out_channels * a->in_channels * a->kernel * a->kernel, role, 1);
}

#define DESCRIBE(a)                                                                                \
    "batch=%d %dx%d in=%d out=%d kernel=%d stride=%d pad=%d beta=%g relu=%d%d", (int)(a).batch,    \
        (int)(a).height, (int)(a).width, (int)(a).in_channels, (int)(a).out_channels,              \
        (int)(a).kernel, (int)(a).stride, (int)(a).pad, (double)(a).beta, (a).relu_input,          \
        (a).relu_output

static void conv_layer(conform_t *c, bool transposed)
{
    beit_conv_args_t a = conv_extents(c);
    conform_begin(c, &a, sizeof a);
    a.beta = conform_chance(c, 2) ? 0.0f : 1.0f;
    a.relu_input = !transposed && conform_chance(c, 2);
    a.relu_output = conform_chance(c, 2);
    const conform_role_t output = a.beta == 0.0f ? CONFORM_OUT : CONFORM_INOUT;
    conform_floats(c, &a.large, large_count(&a), transposed ? output : CONFORM_IN, 1);
    conform_floats(c, &a.small, small_count(&a), transposed ? CONFORM_IN : output, 1);
    conv_weight(c, &a, &a.weight, CONFORM_IN);
    if (conform_chance(c, 2))
        conform_floats(c, &a.bias, transposed ? a.in_channels : a.out_channels, CONFORM_IN, 1);
    conform_end(c, CONFORM_CONV, DESCRIBE(a));
}

static void conv_forward(conform_t *c)
{
    conv_layer(c, false);
}

static void conv_transpose(conform_t *c)
{
    conv_layer(c, true);
}

static void conv_weight_gradient(conform_t *c)
{
    beit_conv_args_t a = conv_extents(c);
    conform_begin(c, &a, sizeof a);
    a.relu_input = (int32_t)conform_draw(c, 2);
    conform_floats(c, &a.large, large_count(&a), CONFORM_IN, 1);
    conform_floats(c, &a.small, small_count(&a), CONFORM_IN, 1);
    conv_weight(c, &a, &a.dweight, CONFORM_INOUT);
    conform_end(c, CONFORM_CONV, DESCRIBE(a));
}

const conform_cases_t conform_map_cases[] = {
    {BEIT_OP_LAYOUT, 30, layout},
    {BEIT_OP_RESAMPLE, 20, resample},
    {BEIT_OP_CONV_FORWARD, TOKENIZER_LAYERS + 60, conv_forward},
    {BEIT_OP_CONV_TRANSPOSE, TOKENIZER_LAYERS + 60, conv_transpose},
    {BEIT_OP_CONV_WEIGHT_GRADIENT, TOKENIZER_LAYERS + 60, conv_weight_gradient},
    {.times = 0},
};
