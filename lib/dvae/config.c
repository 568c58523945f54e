/* Defaults and validation of a tokenizer's configuration: one table of ranges, then the rules that
 * join fields. */
#include "dvae/config.h"

#include <stdbool.h>

#include "core/abi.h"
#include "core/status.h"

/* Bounds of what is meant seriously; they keep every product of extents far from overflow. */
enum {
    MAX_SIDE = BEIT__DVAE_MAX_SIDE,
    MAX_WIDTH = 1 << 16,
    MAX_VOCAB = 1 << 20,
    MAX_LAYERS = 10,
    MAX_BLOCKS = 256
};

enum { DALLE_LAYERS = 3 };

enum { OLDEST_CONFIG = 88 }; /* sizeof in 0.1 */

static const beit_dvae_config_t defaults = {
    .struct_size = sizeof(beit_dvae_config_t),
    .arch = BEIT_DVAE_DISCRETE,
    .layout = BEIT_DVAE_LAYOUT_U,
    .image_height = 112,
    .image_width = 112,
    .channels = 3,
    .vocab_size = 8192,
    .codebook_dim = 512,
    .hidden_dim = 256,
    .num_layers = DALLE_LAYERS,
    .recon_loss = BEIT_RECON_MSE,
    .sampling = BEIT_SAMPLING_SOFT,
    .kl_reduction = BEIT_KL_UPSTREAM_SUM,
    .kl_direction = BEIT_KL_Q_TO_UNIFORM,
    .blocks_per_group = 2,
    .decoder_init = 128,
};

typedef struct range {
    const char *name;
    size_t offset;
    int32_t least, most;
} range_t;

#define RANGE(field, least, most)                                                                  \
    {                                                                                              \
#field, offsetof(beit_dvae_config_t, field), least, most                                   \
    }

static const range_t ranges[] = {
    RANGE(arch, BEIT_DVAE_DISCRETE, BEIT_DVAE_DALLE),
    RANGE(layout, BEIT_DVAE_LAYOUT_U, BEIT_DVAE_LAYOUT_L),
    RANGE(image_height, 1, MAX_SIDE),
    RANGE(image_width, 1, MAX_SIDE),
    RANGE(channels, 1, MAX_WIDTH),
    RANGE(vocab_size, 2, MAX_VOCAB),
    RANGE(codebook_dim, 1, MAX_WIDTH),
    RANGE(hidden_dim, 1, MAX_WIDTH / 8), /* DALL-E's last group is 8 times as wide */
    RANGE(num_layers, 1, MAX_LAYERS),
    RANGE(num_resnet_blocks, 0, MAX_BLOCKS),
    RANGE(recon_loss, BEIT_RECON_MSE, BEIT_RECON_SMOOTH_L1),
    RANGE(sampling, BEIT_SAMPLING_SOFT, BEIT_SAMPLING_REINMAX),
    RANGE(kl_reduction, BEIT_KL_UPSTREAM_SUM, BEIT_KL_MEAN_PER_IMAGE),
    RANGE(kl_direction, BEIT_KL_Q_TO_UNIFORM, BEIT_KL_UNIFORM_TO_Q),
    RANGE(input_norm, 0, BEIT_DVAE_NORM_SYMMETRIC),
    RANGE(blocks_per_group, 1, MAX_BLOCKS),
    RANGE(decoder_init, 1, MAX_WIDTH),
    RANGE(parts, BEIT_DVAE_BOTH, BEIT_DVAE_DECODER_ONLY),
};

static beit_status_t check_ranges(const beit_dvae_config_t *cfg)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range_t *range = &ranges[i];
        const int32_t value = *(const int32_t *)((const char *)cfg + range->offset);
        if (value < range->least || value > range->most)
            return beit__fail(BEIT_E_ARGUMENT, "dvae config: %s is %d, allowed are %d to %d",
                              range->name, value, range->least, range->most);
    }
    return BEIT_OK;
}

static beit_status_t check_side(const beit_dvae_config_t *cfg, const char *name, int32_t value)
{
    const int64_t stride = beit__dvae_stride(cfg);
    if (value % stride != 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "dvae config: %s is %d, expected a multiple of 2^num_layers = %lld", name,
                          value, (long long)stride);
    return BEIT_OK;
}

static beit_status_t check_discrete(const beit_dvae_config_t *cfg)
{
    if (cfg->sampling == BEIT_SAMPLING_REINMAX && cfg->layout != BEIT_DVAE_LAYOUT_L)
        return beit__fail(BEIT_E_ARGUMENT,
                          "dvae config: sampling is REINMAX, which only layout L has");
    return BEIT_OK;
}

static beit_status_t check_dalle(const beit_dvae_config_t *cfg)
{
    if (cfg->num_layers != DALLE_LAYERS)
        return beit__fail(BEIT_E_ARGUMENT, "dvae config: num_layers is %d, arch DALLE has %d",
                          cfg->num_layers, DALLE_LAYERS);
    if (cfg->hidden_dim % 4 != 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "dvae config: hidden_dim is %d, arch DALLE needs a multiple of 4",
                          cfg->hidden_dim);
    if (cfg->input_norm != BEIT_DVAE_NORM_NONE)
        return beit__fail(BEIT_E_ARGUMENT,
                          "dvae config: input_norm is %d, arch DALLE takes mapped pixels as they "
                          "are: NONE (%d)",
                          cfg->input_norm, BEIT_DVAE_NORM_NONE);
    return BEIT_OK;
}

static int32_t resolve_norm(const beit_dvae_config_t *cfg)
{
    if (cfg->input_norm != 0)
        return cfg->input_norm;
    const bool by_itself = cfg->arch == BEIT_DVAE_DISCRETE && cfg->layout == BEIT_DVAE_LAYOUT_L;
    return by_itself ? BEIT_DVAE_NORM_SYMMETRIC : BEIT_DVAE_NORM_NONE;
}

beit_status_t beit__dvae_config_take(beit_dvae_config_t *ours, const beit_dvae_config_t *theirs)
{
    *ours = defaults;
    if (theirs)
        BEIT__TRY(beit__abi_in(ours, sizeof *ours, OLDEST_CONFIG, theirs, "beit_dvae_config"));
    BEIT__TRY(check_ranges(ours));
    ours->input_norm = resolve_norm(ours);
    BEIT__TRY(check_side(ours, "image_height", ours->image_height));
    BEIT__TRY(check_side(ours, "image_width", ours->image_width));
    return ours->arch == BEIT_DVAE_DALLE ? check_dalle(ours) : check_discrete(ours);
}

beit_status_t beit__dvae_config_give(beit_dvae_config_t *theirs, const beit_dvae_config_t *ours)
{
    return beit__abi_out(theirs, ours, sizeof *ours, OLDEST_CONFIG, "beit_dvae_config");
}

void beit_dvae_config_init(beit_dvae_config_t *cfg, size_t size)
{
    beit__abi_init(cfg, size, &defaults, sizeof defaults);
}
