/* A pre-norm transformer block: x2 = x + branch(attention(norm1(x))), y = x2 + mlp(norm2(x2)).
 * Where only some rows of the output are wanted, everything after attention runs on those rows:
 * keys and values need all tokens, the rest does not. */
#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "core/status.h"
#include "nn/transformer.h"

/* Dropout in a block. */
enum { SITE_PROBABILITIES = 0, SITE_PROJ = 1, SITE_FC2 = 2 };

static void describe(beit__block_t *block, const beit__block_shape_t *shape, uint32_t index)
{
    const int64_t dim = shape->dim, inner = shape->heads * shape->head_width;
    const uint32_t place = BEIT__DROPOUT_SITES * index;
    *block = (beit__block_t){
        .norm1 = {.width = dim, .eps = shape->norm_eps},
        .norm2 = {.width = dim, .eps = shape->norm_eps},
        .attention = {.heads = shape->heads,
                      .width = shape->head_width,
                      .scale = shape->attention_scale,
                      .qkv = {.in = dim, .out = 3 * inner},
                      .place = place + SITE_PROBABILITIES},
        .proj = {.linear = {.in = inner, .out = dim},
                 .gamma = BEIT__NO_PARAM,
                 .place = place + SITE_PROJ},
        .mlp = {.fc1 = {.in = dim, .out = shape->mlp_dim},
                .fc2 = {.linear = {.in = shape->mlp_dim, .out = dim},
                        .gamma = BEIT__NO_PARAM,
                        .place = place + SITE_FC2}},
    };
}

static beit_status_t add_gammas(beit__block_t *block, beit__param_list_t *list,
                                const beit__block_shape_t *shape, const char *prefix)
{
    if (!(shape->layer_scale > 0))
        return BEIT_OK;
    const beit__param_t gamma = {.init = BEIT__INIT_CONSTANT, .a = shape->layer_scale};
    BEIT__TRY(
        beit__param_add(list, &block->proj.gamma, gamma, 1, &shape->dim, "%sgamma_1", prefix));
    return beit__param_add(list, &block->mlp.fc2.gamma, gamma, 1, &shape->dim, "%sgamma_2", prefix);
}

/* In upstream's order. The layers that write to the residual stream start smaller, the deeper the
 * more: divided by sqrt(2 l), l from 1. */
beit_status_t beit__block_add(beit__block_t *block, beit__param_list_t *list,
                              const beit__block_shape_t *shape, int32_t index,
                              const beit__position_bias_t *positions)
{
    char prefix[32], attention[32], mlp[32];
    snprintf(prefix, sizeof prefix, "blocks.%d.", index);
    snprintf(attention, sizeof attention, "blocks.%d.attn.", index);
    snprintf(mlp, sizeof mlp, "blocks.%d.mlp.", index);
    const beit__param_t inner = shape->init;
    beit__param_t outer = inner;
    outer.c = (float)(1 / sqrt(2.0 * (index + 1)));

    describe(block, shape, (uint32_t)index);
    BEIT__TRY(add_gammas(block, list, shape, prefix));
    BEIT__TRY(beit__norm_add(&block->norm1, list, prefix, "norm1"));
    BEIT__TRY(beit__self_attention_add(&block->attention, list, attention, inner, shape->qkv_bias,
                                       positions));
    BEIT__TRY(beit__linear_add(&block->proj.linear, list, attention, "proj", outer, true));
    BEIT__TRY(beit__norm_add(&block->norm2, list, prefix, "norm2"));
    return beit__mlp_add(&block->mlp, list, mlp, inner, outer);
}

beit_status_t beit__block_forward(const beit__pass_t *pass, const beit__block_t *block,
                                  const beit__position_bias_t *positions, beit__row_set_t rows,
                                  const beit__keep_t keep[2], const beit__block_maps_t *maps,
                                  float *y, const beit__scratch_t *scratch)
{
    const beit__residual_t *proj = &block->proj;
    const float *o = maps->attention.o, *add = maps->x;
    BEIT__TRY(beit__norm_forward(pass, &block->norm1, pass->batch * pass->tokens, maps->x,
                                 maps->stats1, scratch->norm));
    BEIT__TRY(beit__self_attention_forward(pass, &block->attention, positions, scratch->norm,
                                           &maps->attention, scratch));
    if (rows.index) {
        BEIT__TRY(beit__rows_gather(pass, rows, proj->linear.in, o, scratch->heads));
        BEIT__TRY(beit__rows_gather(pass, rows, proj->linear.out, maps->x, maps->x2));
        o = scratch->heads;
        add = maps->x2;
    }
    BEIT__TRY(beit__residual_forward(pass, proj, rows, keep[0], o, add, maps->x2, scratch));

    BEIT__TRY(
        beit__norm_forward(pass, &block->norm2, rows.count, maps->x2, maps->stats2, scratch->norm));
    return beit__mlp_forward(pass, &block->mlp, rows, keep[1], scratch->norm, maps->z, maps->x2, y,
                             scratch);
}

/* Gradient of attention's output into scratch->heads, and that of the residual stream into dx. */
static beit_status_t proj_backward(const beit__pass_t *pass, const beit__block_t *block,
                                   beit__row_set_t rows, beit__keep_t keep,
                                   const beit__block_maps_t *maps, const float *dy, float *dx,
                                   const beit__scratch_t *scratch)
{
    const beit__residual_t *proj = &block->proj;
    if (!rows.index) {
        assert(dx == dy);
        return beit__residual_backward(pass, proj, rows, keep, maps->attention.o, dy, NULL,
                                       scratch->heads, scratch);
    }
    float *part = scratch->dqkv; /* free until attention's backward pass */
    BEIT__TRY(beit__rows_gather(pass, rows, proj->linear.in, maps->attention.o, part));
    BEIT__TRY(beit__residual_backward(pass, proj, rows, keep, part, dy, NULL, part, scratch));
    BEIT__TRY(beit__rows_scatter(pass, rows, proj->linear.in, part, scratch->heads));
    return beit__rows_scatter(pass, rows, proj->linear.out, dy, dx);
}

beit_status_t beit__block_backward(const beit__pass_t *pass, const beit__block_t *block,
                                   const beit__position_bias_t *positions, beit__row_set_t rows,
                                   const beit__keep_t keep[2], const beit__block_maps_t *maps,
                                   float *dy, float *dx, const beit__scratch_t *scratch)
{
    float *inner = scratch->branch; /* gradient of a LayerNorm's output */
    BEIT__TRY(
        beit__norm_repeat(pass, &block->norm2, rows.count, maps->x2, maps->stats2, scratch->norm));
    BEIT__TRY(beit__mlp_backward(pass, &block->mlp, rows, keep[1], scratch->norm, maps->z, dy,
                                 inner, scratch));
    BEIT__TRY(
        beit__norm_backward(pass, &block->norm2, rows.count, maps->x2, maps->stats2, inner, dy));

    const int64_t all = pass->batch * pass->tokens;
    BEIT__TRY(proj_backward(pass, block, rows, keep[0], maps, dy, dx, scratch));
    BEIT__TRY(beit__norm_repeat(pass, &block->norm1, all, maps->x, maps->stats1, scratch->norm));
    BEIT__TRY(beit__self_attention_backward(pass, &block->attention, positions, scratch->norm,
                                            &maps->attention, inner, scratch));
    return beit__norm_backward(pass, &block->norm1, all, maps->x, maps->stats1, inner, dx);
}
