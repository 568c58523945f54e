/* The vision transformer as one straight list of layers. The walk forward leaves in `maps` what the
 * walk backward reads; where no backward walk follows, the maps of all blocks may be the same ones.
 */
#include "model/vit.h"

#include <math.h>

#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"

static void describe(beit__vit_t *vit, const beit_model_config_t *cfg)
{
    const int64_t rows = cfg->image_height / cfg->patch_size;
    const int64_t cols = cfg->image_width / cfg->patch_size;
    vit->patches = rows * cols;
    vit->tokens = vit->patches + 1;
    vit->dim = cfg->embed_dim;
    vit->depth = cfg->depth;
    vit->classifies = cfg->num_classes > 0;
    vit->averages = vit->classifies && cfg->pooling == BEIT_POOL_MEAN;
    vit->pool = (beit__mean_pool_t){.rows = vit->patches, .width = cfg->embed_dim};
    vit->embedding = (beit__embedding_t){.dim = cfg->embed_dim,
                                         .patches = vit->patches,
                                         .place = BEIT__DROPOUT_SITES * (uint32_t)cfg->depth};
    vit->patch_embed = (beit__patch_embed_t){.channels = cfg->channels,
                                             .height = cfg->image_height,
                                             .width = cfg->image_width,
                                             .patch = cfg->patch_size,
                                             .proj = {.out = cfg->embed_dim}};
    vit->positions = (beit__position_bias_t){.rows = rows,
                                             .cols = cols,
                                             .heads = cfg->heads,
                                             .shared = BEIT__NO_PARAM,
                                             .own = cfg->rel_pos != 0};
    vit->norm = (beit__norm_t){.width = cfg->embed_dim, .eps = cfg->norm_eps};
    vit->head = (beit__linear_t){.in = cfg->embed_dim,
                                 .out = vit->classifies ? cfg->num_classes : cfg->vocab_size};
}

/* Pre-training cuts its normal distribution at one standard deviation; fine-tuning says 2 and means
 * standard deviations, but the cut is absolute and never met. */
#define FINE_TUNING_CUT 2.0f

static beit__param_t normal_init(const beit_model_config_t *cfg)
{
    return (beit__param_t){.init = BEIT__INIT_TRUNCATED,
                           .a = cfg->init_std,
                           .b = cfg->num_classes > 0 ? FINE_TUNING_CUT : cfg->init_std,
                           .c = 1.0f};
}

/* Fine-tuning leaves the convolution as PyTorch makes it: uniform, the bias too. */
static beit_status_t add_patch_embed(beit__vit_t *vit, const beit_model_config_t *cfg)
{
    const double inputs = (double)cfg->channels * cfg->patch_size * cfg->patch_size;
    const beit__param_t zero = {.init = BEIT__INIT_ZERO};
    const beit__param_t uniform = {.init = BEIT__INIT_UNIFORM, .a = (float)(1 / sqrt(inputs))};
    return vit->classifies
               ? beit__patch_embed_add(&vit->patch_embed, &vit->list, uniform, uniform)
               : beit__patch_embed_add(&vit->patch_embed, &vit->list, normal_init(cfg), zero);
}

static beit_status_t add_head(beit__vit_t *vit, const beit_model_config_t *cfg)
{
    beit__param_t init = normal_init(cfg);
    BEIT__TRY(beit__norm_add(&vit->norm, &vit->list, "", vit->averages ? "fc_norm" : "norm"));
    if (!vit->classifies)
        return beit__linear_add(&vit->head, &vit->list, "", "lm_head", init, true);
    init.c = cfg->head_init_scale;
    return beit__linear_add(&vit->head, &vit->list, "", "head", init, true);
}

/* In the order of upstream's named_parameters(). */
static beit_status_t add_layers(beit__vit_t *vit, const beit_model_config_t *cfg)
{
    beit__param_list_t *list = &vit->list;
    beit__position_bias_t *positions = &vit->positions;
    const beit__block_shape_t shape = {.dim = cfg->embed_dim,
                                       .heads = cfg->heads,
                                       .head_width = cfg->attn_head_dim,
                                       .mlp_dim = cfg->mlp_dim,
                                       .attention_scale = cfg->qk_scale,
                                       .norm_eps = cfg->norm_eps,
                                       .init = normal_init(cfg),
                                       .layer_scale = cfg->layer_scale,
                                       .qkv_bias = cfg->qkv_bias != 0};
    BEIT__TRY(beit__embedding_add(&vit->embedding, list, normal_init(cfg), !vit->classifies,
                                  cfg->abs_pos != 0));
    BEIT__TRY(add_patch_embed(vit, cfg));
    if (cfg->shared_rel_pos)
        BEIT__TRY(beit__position_bias_add(positions, list, &positions->shared, "rel_pos_bias."));
    for (int32_t i = 0; i < cfg->depth; i++)
        BEIT__TRY(beit__block_add(&vit->blocks[i], list, &shape, i, positions));
    BEIT__TRY(add_head(vit, cfg));
    return beit__param_seal(list);
}

beit_status_t beit__vit_create(beit__vit_t *vit, beit_context_t *ctx,
                               const beit_model_config_t *cfg)
{
    *vit = (beit__vit_t){.list = {.ctx = ctx}};
    describe(vit, cfg);
    vit->blocks = beit__calloc(ctx, (size_t)cfg->depth, sizeof *vit->blocks);
    const beit_status_t status = vit->blocks ? add_layers(vit, cfg) : BEIT_E_NOMEM;
    if (status != BEIT_OK)
        beit__vit_destroy(vit);
    return status;
}

void beit__vit_destroy(beit__vit_t *vit)
{
    beit__free(vit->list.ctx, vit->blocks, (size_t)vit->depth * sizeof *vit->blocks);
    vit->blocks = NULL;
    beit__param_list_free(&vit->list);
}

/* ---- the walks ---- */

/* All blocks but the last work on all rows. */
static beit__row_set_t rows_of(const beit__vit_t *vit, const beit__pass_t *pass,
                               const beit__choices_t *choices, int64_t block)
{
    if (block == vit->depth - 1)
        return choices->rows;
    return (beit__row_set_t){.count = pass->batch * pass->tokens};
}

beit_status_t beit__vit_forward(const beit__vit_t *vit, const beit__pass_t *pass,
                                const beit__choices_t *choices, const beit__maps_t *maps,
                                const beit__transients_t *transients, int64_t blocks)
{
    const uint8_t *mask = choices->masked ? choices->mask : NULL;
    BEIT__TRY(beit__patch_embed_forward(pass, &vit->patch_embed, transients->pixels, maps->patches,
                                        transients->projected));
    BEIT__TRY(beit__embedding_forward(pass, &vit->embedding, transients->projected, mask,
                                      maps->blocks[0].x));
    BEIT__TRY(beit__position_bias_begin(pass, &vit->positions, &transients->blocks));
    for (int64_t i = 0; i < blocks; i++) {
        float *y = i == vit->depth - 1 ? maps->tail : maps->blocks[i + 1].x;
        BEIT__TRY(beit__block_forward(pass, &vit->blocks[i], &vit->positions,
                                      rows_of(vit, pass, choices, i), choices->keep[i],
                                      &maps->blocks[i], y, &transients->blocks));
    }
    return BEIT_OK;
}

beit_status_t beit__vit_backward(const beit__vit_t *vit, const beit__pass_t *pass,
                                 const beit__choices_t *choices, const beit__maps_t *maps,
                                 const beit__transients_t *transients)
{
    const uint8_t *mask = choices->masked ? choices->mask : NULL;
    float *dy = transients->tail, *dx = transients->stream;
    BEIT__TRY(beit__position_bias_begin(pass, &vit->positions, &transients->blocks));
    for (int64_t i = vit->depth - 1; i >= 0; i--) {
        BEIT__TRY(beit__block_backward(pass, &vit->blocks[i], &vit->positions,
                                       rows_of(vit, pass, choices, i), choices->keep[i],
                                       &maps->blocks[i], dy, dx, &transients->blocks));
        dy = dx;
    }
    BEIT__TRY(beit__position_bias_end(pass, &vit->positions, &transients->blocks));
    BEIT__TRY(beit__embedding_backward(pass, &vit->embedding, mask, dx, transients->projected));
    return beit__patch_embed_backward(pass, &vit->patch_embed, maps->patches,
                                      transients->projected);
}
