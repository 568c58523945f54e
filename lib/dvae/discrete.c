/* DiscreteVAE's encoder and decoder in both published layouts (specification, sections 3.1 and
 * 11.4). A stage's place in the table is its number in upstream's names; only what stands in
 * between differs by layout: a residual block after every stride-2 stage (U), or a few of them at
 * the lowest resolution (L). */
#include <stdio.h>

#include "core/status.h"
#include "dvae/networks.h"

/* The table under construction. */
typedef struct builder {
    beit__network_t *net;
    beit__param_list_t *list;
    const char *part; /* "encoder" or "decoder" */
} builder_t;

/* The name of what comes next, "encoder.3" with an ending. */
static const char *next_name(const builder_t *b, const char *ending, char name[BEIT__NAME_MAX])
{
    snprintf(name, BEIT__NAME_MAX, "%s.%zu%s", b->part, b->net->count, ending);
    return name;
}

static beit_status_t add_scaling(const builder_t *b, int64_t out, bool up)
{
    const beit__conv_layer_t conv = {.in = beit__network_width(b->net),
                                     .out = out,
                                     .kernel = 4,
                                     .stride = 2,
                                     .pad = 1,
                                     .transposed = up,
                                     .relu_output = true};
    char name[BEIT__NAME_MAX];
    return beit__network_conv(b->net, b->list, BEIT__CONV_TORCH, conv, next_name(b, ".0", name));
}

static beit_status_t add_residuals(const builder_t *b, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        char name[BEIT__NAME_MAX];
        BEIT__TRY(beit__network_resblock(b->net, b->list, next_name(b, "", name)));
    }
    return BEIT_OK;
}

/* The stride-2 stages, each with the block that layout U puts after it. */
static beit_status_t add_scalings(const builder_t *b, const beit_dvae_config_t *cfg, bool up)
{
    for (int32_t i = 0; i < cfg->num_layers; i++) {
        BEIT__TRY(add_scaling(b, cfg->hidden_dim, up));
        BEIT__TRY(add_residuals(b, cfg->layout == BEIT_DVAE_LAYOUT_U ? 1 : 0));
    }
    return BEIT_OK;
}

static beit__conv_layer_t pointwise(const builder_t *b, int64_t out)
{
    return (beit__conv_layer_t){
        .in = beit__network_width(b->net), .out = out, .kernel = 1, .stride = 1};
}

static beit_status_t add_head(const builder_t *b, int64_t out)
{
    char name[BEIT__NAME_MAX];
    b->net->head = pointwise(b, out);
    return beit__conv_layer_add(&b->net->head, b->list, BEIT__CONV_TORCH, next_name(b, "", name));
}

static int32_t residuals_below(const beit_dvae_config_t *cfg)
{
    return cfg->layout == BEIT_DVAE_LAYOUT_L ? cfg->num_resnet_blocks : 0;
}

/* Stages of either network: two per layer in layout U, else one per layer and one per block, and
 * the decoder's entry. */
static size_t most_stages(const beit_dvae_config_t *cfg)
{
    return 2 * (size_t)cfg->num_layers + (size_t)residuals_below(cfg) + 1;
}

beit_status_t beit__discrete_encoder(beit__network_t *net, beit__param_list_t *list,
                                     const beit_dvae_config_t *cfg)
{
    const builder_t b = {net, list, "encoder"};
    BEIT__TRY(beit__network_create(net, list->ctx, cfg->channels, most_stages(cfg)));
    BEIT__TRY(add_scalings(&b, cfg, false));
    BEIT__TRY(add_residuals(&b, residuals_below(cfg)));
    return add_head(&b, cfg->vocab_size);
}

beit_status_t beit__discrete_decoder(beit__network_t *net, beit__param_list_t *list,
                                     const beit_dvae_config_t *cfg)
{
    const builder_t b = {net, list, "decoder"};
    BEIT__TRY(beit__network_create(net, list->ctx, cfg->codebook_dim, most_stages(cfg)));
    if (residuals_below(cfg) > 0) {
        char name[BEIT__NAME_MAX];
        BEIT__TRY(beit__network_conv(net, list, BEIT__CONV_TORCH, pointwise(&b, cfg->hidden_dim),
                                     next_name(&b, "", name)));
        BEIT__TRY(add_residuals(&b, residuals_below(cfg)));
    }
    BEIT__TRY(add_scalings(&b, cfg, true));
    return add_head(&b, cfg->channels);
}
