/* Stage tables: appending to them, and walking along them and back. */
#include "dvae/network.h"

#include <assert.h>

#include "core/alloc.h"
#include "core/status.h"

beit_status_t beit__network_create(beit__network_t *net, beit_context_t *ctx, int64_t in,
                                   size_t stages)
{
    *net = (beit__network_t){.ctx = ctx, .capacity = stages, .in = in};
    net->stages = beit__calloc(ctx, stages, sizeof *net->stages);
    return net->stages ? BEIT_OK : BEIT_E_NOMEM;
}

void beit__network_free(beit__network_t *net)
{
    if (net->stages)
        beit__free(net->ctx, net->stages, net->capacity * sizeof *net->stages);
    *net = (beit__network_t){0};
}

int64_t beit__network_width(const beit__network_t *net)
{
    return net->count == 0 ? net->in : net->stages[net->count - 1].out;
}

static beit__stage_t *append(beit__network_t *net, beit__stage_kind_t kind, int64_t out)
{
    assert(net->count < net->capacity);
    beit__stage_t *stage = &net->stages[net->count++];
    stage->kind = kind;
    stage->out = out;
    return stage;
}

beit_status_t beit__network_conv(beit__network_t *net, beit__param_list_t *list,
                                 beit__conv_style_t style, beit__conv_layer_t conv,
                                 const char *name)
{
    beit__stage_t *stage = append(net, BEIT__STAGE_CONV, conv.out);
    stage->conv = conv;
    return beit__conv_layer_add(&stage->conv, list, style, name);
}

beit_status_t beit__network_resblock(beit__network_t *net, beit__param_list_t *list,
                                     const char *name)
{
    const int64_t width = beit__network_width(net);
    beit__stage_t *stage = append(net, BEIT__STAGE_RESBLOCK, width);
    return beit__resblock_add(&stage->resblock, list, width, name);
}

beit_status_t beit__network_bottleneck(beit__network_t *net, beit__param_list_t *list, int64_t out,
                                       const int64_t kernels[4], float gain, const char *name)
{
    const int64_t in = beit__network_width(net);
    beit__stage_t *stage = append(net, BEIT__STAGE_BOTTLENECK, out);
    return beit__bottleneck_add(&stage->bottleneck, list, in, out, kernels, gain, name);
}

void beit__network_resample(beit__network_t *net, beit__stage_kind_t kind)
{
    append(net, kind, beit__network_width(net));
}

static int64_t map_rows(beit__map_size_t size)
{
    return size.batch * size.height * size.width;
}

static beit__map_size_t stage_output(const beit__stage_t *stage, beit__map_size_t in)
{
    switch (stage->kind) {
    case BEIT__STAGE_CONV:
        return beit__conv_layer_output(&stage->conv, in);
    case BEIT__STAGE_HALVE:
        return (beit__map_size_t){in.batch, in.height / 2, in.width / 2};
    case BEIT__STAGE_DOUBLE:
        return (beit__map_size_t){in.batch, in.height * 2, in.width * 2};
    default:
        return in;
    }
}

/* Channels of the two maps that a stage needs inside; 0 = none. */
static int64_t stage_hidden(const beit__stage_t *stage)
{
    switch (stage->kind) {
    case BEIT__STAGE_RESBLOCK:
        return stage->out;
    case BEIT__STAGE_BOTTLENECK:
        return stage->bottleneck.conv[0].out;
    default:
        return 0;
    }
}

static bool stage_in_place(const beit__stage_t *stage)
{
    return stage->kind == BEIT__STAGE_RESBLOCK ||
           (stage->kind == BEIT__STAGE_BOTTLENECK && !stage->bottleneck.has_identity);
}

int64_t beit__network_largest(const beit__network_t *net, beit__map_size_t size)
{
    int64_t largest = map_rows(size) * net->in;
    for (size_t i = 0; i < net->count; i++) {
        size = stage_output(&net->stages[i], size);
        const int64_t floats = map_rows(size) * net->stages[i].out;
        if (floats > largest)
            largest = floats;
    }
    return largest;
}

static beit_status_t stage_forward(beit__run_t *run, const beit__stage_t *stage,
                                   const beit_params_t *weights, beit__map_size_t size, int64_t in,
                                   const float *x, float *const hidden[2], float *y)
{
    switch (stage->kind) {
    case BEIT__STAGE_CONV:
        return beit__conv_layer_forward(run, &stage->conv, weights, size, x, y, 1.0f, 0.0f);
    case BEIT__STAGE_RESBLOCK:
        return beit__resblock_forward(run, &stage->resblock, weights, size, x, hidden, y);
    case BEIT__STAGE_BOTTLENECK:
        return beit__bottleneck_forward(run, &stage->bottleneck, weights, size, x, hidden, y);
    default:
        return beit__resample(run,
                              &(beit_resample_args_t){.batch = size.batch,
                                                      .height = size.height,
                                                      .width = size.width,
                                                      .channels = in,
                                                      .x = x,
                                                      .y = y,
                                                      .up = stage->kind == BEIT__STAGE_DOUBLE});
    }
}

beit_status_t beit__network_walk(beit__pass_t *pass, const beit__network_t *net,
                                 const beit_params_t *weights, beit__map_size_t *size,
                                 beit__slot_t *slot)
{
    int64_t in = net->in;
    for (size_t i = 0; i < net->count; i++) {
        const beit__stage_t *stage = &net->stages[i];
        const beit__map_size_t next = stage_output(stage, *size);
        const beit__slot_t to = stage_in_place(stage) ? *slot : beit__slot_other(*slot);
        const int64_t rows = map_rows(*size), inner = stage_hidden(stage);
        float *const hidden[2] = {beit__pass_slot(pass, BEIT__SLOT_HIDDEN_0, rows, inner),
                                  beit__pass_slot(pass, BEIT__SLOT_HIDDEN_1, rows, inner)};
        BEIT__TRY(stage_forward(pass->run, stage, weights, *size, in,
                                beit__pass_slot(pass, *slot, rows, in), hidden,
                                beit__pass_slot(pass, to, map_rows(next), stage->out)));
        *size = next;
        *slot = to;
        in = stage->out;
    }
    return BEIT_OK;
}

beit_status_t beit__network_head(beit__pass_t *pass, const beit__network_t *net,
                                 const beit_params_t *weights, int64_t rows, const float *x,
                                 float *y)
{
    /* To a 1x1 convolution any set of positions is a map of one line. */
    return beit__conv_layer_forward(pass->run, &net->head, weights, (beit__map_size_t){1, 1, rows},
                                    x, y, 1.0f, 0.0f);
}

beit_status_t beit__network_forward(beit__pass_t *pass, beit__network_t *net,
                                    const beit_params_t *weights, beit__map_size_t size,
                                    const float *x, float *y)
{
    int64_t in = net->in;
    for (size_t i = 0; i < net->count; i++) {
        beit__stage_t *stage = &net->stages[i];
        const beit__map_size_t next = stage_output(stage, size);
        const int64_t inner = stage_hidden(stage);
        for (int j = 0; j < 2; j++)
            stage->hidden[j] = inner == 0 ? NULL : beit__pass_keep(pass, map_rows(size), inner);
        stage->output = beit__pass_keep(pass, map_rows(next), stage->out);
        stage->size = size;
        BEIT__TRY(
            stage_forward(pass->run, stage, weights, size, in, x, stage->hidden, stage->output));
        x = stage->output;
        size = next;
        in = stage->out;
    }
    return beit__network_head(pass, net, weights, map_rows(size), x, y);
}

/* From the gradient at a stage's output, in *slot, to that at its input, in *slot again. */
static beit_status_t stage_backward(beit__pass_t *pass, const beit__stage_t *stage,
                                    const beit_params_t *weights, beit_params_t *gradients,
                                    const float *x, int64_t in, bool wanted, beit__slot_t *slot)
{
    const int64_t rows = map_rows(stage->size);
    if (stage->kind == BEIT__STAGE_RESBLOCK) {
        float *dy = beit__pass_slot(pass, *slot, rows, stage->out);
        float *scratch = beit__pass_slot(pass, BEIT__SLOT_HIDDEN_0, rows, stage->out);
        return beit__resblock_backward(pass->run, &stage->resblock, weights, gradients, stage->size,
                                       x, stage->hidden, dy, scratch);
    }
    assert(stage->kind == BEIT__STAGE_CONV); /* the others are of networks that do not train */
    const int64_t output_rows = map_rows(stage_output(stage, stage->size));
    float *dy = beit__pass_slot(pass, *slot, output_rows, stage->out);
    if (stage->conv.relu_output)
        BEIT__TRY(
            beit__conv_layer_rectify(pass->run, &stage->conv, stage->size, stage->output, dy, dy));
    *slot = beit__slot_other(*slot);
    float *dx = wanted ? beit__pass_slot(pass, *slot, rows, in) : NULL;
    return beit__conv_layer_backward(pass->run, &stage->conv, weights, gradients, stage->size, x,
                                     dy, dx, 0.0f);
}

beit_status_t beit__network_backward(beit__pass_t *pass, beit__network_t *net,
                                     const beit_params_t *weights, beit_params_t *gradients,
                                     const float *x, const float *dy, bool wanted, float **dx)
{
    const beit__stage_t *last = &net->stages[net->count - 1];
    const int64_t rows = map_rows(stage_output(last, last->size));
    beit__slot_t slot = BEIT__SLOT_A;
    float *at = beit__pass_slot(pass, slot, rows, last->out);
    BEIT__TRY(beit__conv_layer_backward(pass->run, &net->head, weights, gradients,
                                        (beit__map_size_t){1, 1, rows}, last->output, dy, at,
                                        0.0f));
    for (size_t i = net->count; i-- > 0;) {
        const bool first = i == 0;
        const float *input = first ? x : net->stages[i - 1].output;
        const int64_t in = first ? net->in : net->stages[i - 1].out;
        BEIT__TRY(stage_backward(pass, &net->stages[i], weights, gradients, input, in,
                                 wanted || !first, &slot));
    }
    if (wanted)
        *dx = pass->slots[slot];
    return BEIT_OK;
}
