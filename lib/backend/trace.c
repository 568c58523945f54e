/* The log line about an operation: its name, the extents that decide its cost, its time. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "backend/instance.h"
#include "core/context.h"
#include "core/log.h"

#define MAX_EXTENTS 6

/* An int64_t field of an argument struct. */
typedef struct extent {
    const char *name;
    size_t offset;
} extent_t;

#define AT(args, field)                                                                            \
    {                                                                                              \
#field, offsetof(beit_##args##_args_t, field)                                              \
    }

#define CONV_EXTENTS                                                                               \
    {                                                                                              \
        AT(conv, batch), AT(conv, height), AT(conv, in_channels), AT(conv, out_channels),          \
            AT(conv, kernel), AT(conv, stride)                                                     \
    }
#define RELPOS_EXTENTS                                                                             \
    {                                                                                              \
        AT(relpos, rows), AT(relpos, cols), AT(relpos, heads)                                      \
    }
#define GUMBEL_EXTENTS                                                                             \
    {                                                                                              \
        AT(gumbel, samples), AT(gumbel, positions), AT(gumbel, vocab)                              \
    }

/* A row ends at the first NULL name. */
static const extent_t extents[BEIT_OP_COUNT][MAX_EXTENTS] = {
    [BEIT_OP_GEMM] = {AT(gemm, m), AT(gemm, n), AT(gemm, k), AT(gemm, batch)},
    [BEIT_OP_LAYERNORM_FORWARD] = {AT(layernorm_forward, rows), AT(layernorm_forward, cols)},
    [BEIT_OP_LAYERNORM_BACKWARD] = {AT(layernorm_backward, rows), AT(layernorm_backward, cols)},
    [BEIT_OP_GELU_FORWARD] = {AT(gelu_forward, count)},
    [BEIT_OP_COLUMN_SUM] = {AT(column_sum, rows), AT(column_sum, cols)},
    [BEIT_OP_SCALE_ADD] = {AT(scale_add, rows), AT(scale_add, cols)},
    [BEIT_OP_LAYER_SCALE_BACKWARD] = {AT(layer_scale_backward, n), AT(layer_scale_backward, k)},
    [BEIT_OP_DROPOUT] = {AT(dropout, samples), AT(dropout, per_sample)},
    [BEIT_OP_ROWS] = {AT(rows, rows), AT(rows, cols)},
    [BEIT_OP_PATCHIFY] = {AT(patchify, batch), AT(patchify, channels), AT(patchify, height),
                          AT(patchify, width), AT(patchify, patch)},
    [BEIT_OP_EMBED_FORWARD] = {AT(embed_forward, batch), AT(embed_forward, patches),
                               AT(embed_forward, cols)},
    [BEIT_OP_EMBED_BACKWARD] = {AT(embed_backward, batch), AT(embed_backward, patches),
                                AT(embed_backward, cols)},
    [BEIT_OP_RELPOS_FORWARD] = RELPOS_EXTENTS,
    [BEIT_OP_RELPOS_BACKWARD] = RELPOS_EXTENTS,
    [BEIT_OP_ATTENTION_FORWARD] = {AT(attention_forward, batch), AT(attention_forward, tokens),
                                   AT(attention_forward, heads), AT(attention_forward, width)},
    [BEIT_OP_ATTENTION_BACKWARD] = {AT(attention_backward, batch), AT(attention_backward, tokens),
                                    AT(attention_backward, heads), AT(attention_backward, width)},
    [BEIT_OP_CROSS_ENTROPY] = {AT(cross_entropy, rows), AT(cross_entropy, cols)},
    [BEIT_OP_ARGMAX] = {AT(argmax, rows), AT(argmax, cols)},
    [BEIT_OP_LAYOUT] = {AT(layout, batch), AT(layout, channels), AT(layout, height),
                        AT(layout, width)},
    [BEIT_OP_CONV_FORWARD] = CONV_EXTENTS,
    [BEIT_OP_CONV_TRANSPOSE] = CONV_EXTENTS,
    [BEIT_OP_CONV_WEIGHT_GRADIENT] = CONV_EXTENTS,
    [BEIT_OP_RELU] = {AT(relu, count)},
    [BEIT_OP_RESAMPLE] = {AT(resample, batch), AT(resample, height), AT(resample, width),
                          AT(resample, channels)},
    [BEIT_OP_GUMBEL_FORWARD] = GUMBEL_EXTENTS,
    [BEIT_OP_GUMBEL_BACKWARD] = GUMBEL_EXTENTS,
    [BEIT_OP_CODE_PRIOR] = {AT(code_prior, rows), AT(code_prior, vocab)},
    [BEIT_OP_RECON] = {AT(recon, count)},
    [BEIT_OP_FILL] = {AT(fill, count)},
    [BEIT_OP_SQUARE_SUM] = {AT(square_sum, count)},
    [BEIT_OP_ADAM] = {AT(adam, count)},
};

void beit__backend_trace(beit_context_t *ctx, beit_op_id_t id, const char *name,
                         const beit_op_t *args, double microseconds)
{
    char text[192] = "";
    size_t used = 0;
    for (int i = 0; i < MAX_EXTENTS && extents[id][i].name && used < sizeof text; i++) {
        const extent_t *extent = &extents[id][i];
        const int64_t value = *(const int64_t *)((const char *)args + extent->offset);
        const int n =
            snprintf(text + used, sizeof text - used, " %s=%" PRId64, extent->name, value);
        used += n > 0 ? (size_t)n : 0;
    }
    const beit__backend_t *backend = ctx->backend;
    const char *who = backend->from_reference[id] ? "reference" : backend->ops.name;
    beit__log(ctx, BEIT_LOG_TRACE, "%s%s: %s, %.1f us", name, text, who, microseconds);
}
