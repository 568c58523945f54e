/* OpenAI's DALL-E encoder and decoder (specification, sections 4.1, 4.2 and 11.5): four groups of
 * pre-activation blocks, each twice as wide and half as high as the one before, and the same
 * backwards. Upstream's two files use the same names; the prefixes tell them apart here. */
#include <stdio.h>

#include "core/status.h"
#include "dvae/networks.h"

enum { GROUPS = 4, OUTPUTS_PER_CHANNEL = 2 }; /* mean and scale of a logit-Laplace density */

typedef struct recipe {
    const char *part;
    int64_t kernels[4];         /* of a block */
    beit__stage_kind_t between; /* groups */
    int32_t widths[GROUPS];     /* in units of n_hid */
    int64_t out;                /* channels of the head */
} recipe_t;

static beit_status_t add_groups(beit__network_t *net, beit__param_list_t *list,
                                const beit_dvae_config_t *cfg, const recipe_t *recipe)
{
    const int32_t layers = GROUPS * cfg->blocks_per_group;
    const float gain = 1.0f / (float)(layers * layers);
    for (int group = 0; group < GROUPS; group++) {
        const int64_t width = (int64_t)recipe->widths[group] * cfg->hidden_dim;
        for (int32_t i = 0; i < cfg->blocks_per_group; i++) {
            char name[BEIT__NAME_MAX];
            snprintf(name, sizeof name, "%s.blocks.group_%d.block_%d", recipe->part, group + 1,
                     i + 1);
            BEIT__TRY(beit__network_bottleneck(net, list, width, recipe->kernels, gain, name));
        }
        if (group + 1 < GROUPS)
            beit__network_resample(net, recipe->between);
    }

    char name[BEIT__NAME_MAX];
    snprintf(name, sizeof name, "%s.blocks.output.conv", recipe->part);
    net->head = (beit__conv_layer_t){.in = beit__network_width(net),
                                     .out = recipe->out,
                                     .kernel = 1,
                                     .stride = 1,
                                     .relu_input = true};
    return beit__conv_layer_add(&net->head, list, BEIT__CONV_DALLE, name);
}

/* Blocks, what stands between groups, and the encoder's first convolution. */
static size_t most_stages(const beit_dvae_config_t *cfg)
{
    return GROUPS * ((size_t)cfg->blocks_per_group + 1);
}

beit_status_t beit__dalle_encoder(beit__network_t *net, beit__param_list_t *list,
                                  const beit_dvae_config_t *cfg)
{
    const recipe_t recipe = {.part = "encoder",
                             .kernels = {3, 3, 3, 1},
                             .between = BEIT__STAGE_HALVE,
                             .widths = {1, 2, 4, 8},
                             .out = cfg->vocab_size};
    const beit__conv_layer_t input = {
        .in = cfg->channels, .out = cfg->hidden_dim, .kernel = 7, .stride = 1, .pad = 3};
    BEIT__TRY(beit__network_create(net, list->ctx, cfg->channels, most_stages(cfg)));
    BEIT__TRY(beit__network_conv(net, list, BEIT__CONV_DALLE, input, "encoder.blocks.input"));
    return add_groups(net, list, cfg, &recipe);
}

beit_status_t beit__dalle_decoder(beit__network_t *net, beit__param_list_t *list,
                                  const beit_dvae_config_t *cfg, beit__conv_layer_t *entry)
{
    const recipe_t recipe = {.part = "decoder",
                             .kernels = {1, 3, 3, 3},
                             .between = BEIT__STAGE_DOUBLE,
                             .widths = {8, 4, 2, 1},
                             .out = (int64_t)OUTPUTS_PER_CHANNEL * cfg->channels};
    *entry = (beit__conv_layer_t){
        .in = cfg->vocab_size, .out = cfg->decoder_init, .kernel = 1, .stride = 1};
    BEIT__TRY(beit__conv_layer_add(entry, list, BEIT__CONV_DALLE, "decoder.blocks.input"));
    BEIT__TRY(beit__network_create(net, list->ctx, cfg->decoder_init, most_stages(cfg)));
    return add_groups(net, list, cfg, &recipe);
}
