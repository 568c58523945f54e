/* The shapes of a few tensors decide every size; how many of a kind there are decides depth. The
 * names are those of unilm's and DALLE-pytorch's DiscreteVAE and of OpenAI's dall_e package. What
 * is inferred here is confirmed afterwards: loading compares every name and every shape. */
#include "io/infer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"

#define NAME_SIZE       64
#define TOKENS_PER_SIDE 14 /* of the published token view */
#define MOST_STAGES     16

/* A four-dimensional tensor of that name, or NULL. */
static const beit__entry_t *find(const beit__archive_t *archive, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const beit__entry_t *find(const beit__archive_t *archive, const char *format, ...)
{
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    const beit__entry_t *tensor =
        length > 0 && (size_t)length < sizeof name ? beit__archive_find(archive, name) : NULL;
    return tensor && tensor->ndim == 4 ? tensor : NULL;
}

/* Extents beyond int32 become -1, which no configuration accepts. */
static int32_t extent(const beit__entry_t *tensor, int d)
{
    return tensor->shape[d] <= INT32_MAX ? (int32_t)tensor->shape[d] : -1;
}

static void set_view(beit_dvae_config_t *config)
{
    config->image_height = config->image_width = TOKENS_PER_SIDE << config->num_layers;
}

static beit_status_t unknown(const beit__archive_t *archive)
{
    return beit__fail(BEIT_E_MISMATCH,
                      "%s: no libbeit.config in the metadata, and the names are neither those of a "
                      "DiscreteVAE nor of OpenAI's dVAE",
                      archive->name);
}

/* ---- DiscreteVAE ---- */

static beit_status_t infer_discrete(const beit__archive_t *archive, beit_dvae_config_t *config)
{
    const beit__entry_t *codebook = beit__archive_find(archive, "codebook.weight");
    const beit__entry_t *entry = find(archive, "encoder.0.0.weight");
    if (!codebook || codebook->ndim != 2 || !entry)
        return unknown(archive);
    const bool after_every_stage =
        find(archive, "encoder.1.net.0.weight") && !find(archive, "decoder.0.weight");
    const int step = after_every_stage ? 2 : 1; /* modules per stage */
    int stages = 0, blocks = 0;
    while (stages < MOST_STAGES && find(archive, "encoder.%d.0.weight", stages * step))
        stages++;
    while (!after_every_stage && find(archive, "encoder.%d.net.0.weight", stages + blocks))
        blocks++;
    config->arch = BEIT_DVAE_DISCRETE;
    config->layout = after_every_stage ? BEIT_DVAE_LAYOUT_U : BEIT_DVAE_LAYOUT_L;
    config->vocab_size = extent(codebook, 0);
    config->codebook_dim = extent(codebook, 1);
    config->hidden_dim = extent(entry, 0);
    config->channels = extent(entry, 1);
    config->num_layers = stages;
    config->num_resnet_blocks = blocks;
    set_view(config);
    return BEIT_OK;
}

/* DALLE-pytorch keeps the constructor's arguments beside the weights. Those that decide shapes were
 * told from the shapes; unilm reads files of the other layout and ignores them, too. */
static beit_status_t apply_settings(const beit__archive_t *archive, beit_dvae_config_t *config)
{
    double value;
    const int32_t side = 1 << config->num_layers;
    if (beit__archive_setting(archive, "image_size", &value)) {
        if (!(value >= side && value <= INT16_MAX) || (int32_t)value % side != 0)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: image_size is %g in its hparams, expected a multiple of %d",
                              archive->name, value, side);
        config->image_height = config->image_width = (int32_t)value;
    }
    if (beit__archive_setting(archive, "smooth_l1_loss", &value) && value > 0)
        config->recon_loss = BEIT_RECON_SMOOTH_L1;
    if (beit__archive_setting(archive, "straight_through", &value) && value > 0)
        config->sampling = BEIT_SAMPLING_STRAIGHT_THROUGH;
    if (beit__archive_setting(archive, "normalization", &value) && isnan(value))
        config->input_norm = BEIT_DVAE_NORM_NONE;
    return BEIT_OK;
}

/* ---- OpenAI's dVAE ---- */

static int count_blocks(const beit__archive_t *archive, const char *prefix)
{
    int blocks = 0;
    while (find(archive, "%sblocks.group_1.block_%d.res_path.conv_1.w", prefix, blocks + 1))
        blocks++;
    return blocks;
}

static beit_status_t infer_half(const beit__archive_t *archive, const char *prefix,
                                beit_dvae_config_t *config)
{
    const beit__entry_t *input = find(archive, "%sblocks.input.w", prefix);
    const beit__entry_t *output = find(archive, "%sblocks.output.conv.w", prefix);
    if (!input || !output)
        return unknown(archive);
    config->blocks_per_group = count_blocks(archive, prefix);
    if (strcmp(prefix, "encoder.") == 0) {
        config->hidden_dim = extent(input, 0);
        config->channels = extent(input, 1);
        config->vocab_size = extent(output, 0);
    } else {
        config->decoder_init = extent(input, 0);
        config->vocab_size = extent(input, 1);
        config->channels = extent(output, 0) / 2; /* location and scale per channel */
        config->hidden_dim = extent(output, 1);
    }
    return BEIT_OK;
}

static beit_status_t infer_dalle(const beit__archive_t *archive, beit_dvae_config_t *config)
{
    const bool encoder = find(archive, "encoder.blocks.input.w") != NULL;
    const bool decoder = find(archive, "decoder.blocks.input.w") != NULL;
    config->arch = BEIT_DVAE_DALLE;
    if (decoder)
        BEIT__TRY(infer_half(archive, "decoder.", config));
    if (encoder)
        BEIT__TRY(infer_half(archive, "encoder.", config));
    config->parts = encoder && decoder ? BEIT_DVAE_BOTH
                    : encoder          ? BEIT_DVAE_ENCODER_ONLY
                                       : BEIT_DVAE_DECODER_ONLY;
    set_view(config);
    return BEIT_OK;
}

beit_status_t beit__infer_dvae(const beit__archive_t *archive, beit_dvae_config_t *config)
{
    beit_dvae_config_init(config, sizeof *config);
    if (find(archive, "encoder.blocks.input.w") || find(archive, "decoder.blocks.input.w"))
        return infer_dalle(archive, config);
    BEIT__TRY(infer_discrete(archive, config));
    return apply_settings(archive, config);
}

/* ---- plausibility ---- */

/* The narrowest type that is read takes two bytes. */
static beit_status_t check_size(const beit__archive_t *archive, double floats)
{
    const double bytes = (double)beit__archive_bytes(archive);
    if (2 * floats > bytes)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: its configuration asks for at least %.0f weights, it has only %.0f "
                          "bytes",
                          archive->name, floats, bytes);
    return BEIT_OK;
}

beit_status_t beit__plausible_model(const beit__archive_t *archive,
                                    const beit_model_config_t *config)
{
    const double width = config->embed_dim, depth = config->depth;
    const double patch = config->patch_size < 1 ? 1 : config->patch_size;
    const double rows = config->image_height / patch, cols = config->image_width / patch;
    const double table = (2 * rows - 1) * (2 * cols - 1) * config->heads;
    const double tables = (config->shared_rel_pos ? 1 : 0) + (config->rel_pos ? depth : 0);
    const double mlp = config->mlp_dim > 0 ? config->mlp_dim : 4 * width;
    const double attention = 4 * width * (double)config->heads * config->attn_head_dim;
    const double outputs = config->num_classes > 0 ? config->num_classes : config->vocab_size;
    return check_size(archive, width * config->channels * patch * patch + width * outputs +
                                   depth * (2 * width * mlp + attention) + tables * table +
                                   (config->abs_pos ? rows * cols * width : 0));
}

beit_status_t beit__plausible_dvae(const beit__archive_t *archive, const beit_dvae_config_t *config)
{
    const double width = config->hidden_dim, vocab = config->vocab_size;
    const bool encodes = config->parts != BEIT_DVAE_DECODER_ONLY;
    if (config->arch == BEIT_DVAE_DALLE) {
        /* Each block of the widest group, 8 hidden wide, has at least its 1x1 convolution. */
        const double wide = 8 * width;
        const double ends = encodes ? width * config->channels + vocab * wide
                                    : vocab * (double)config->decoder_init;
        return check_size(archive, config->blocks_per_group * wide * wide / 4 + ends);
    }
    const double stages = (config->num_layers - 1) * 16 * width * width;
    const double blocks =
        config->layout == BEIT_DVAE_LAYOUT_L ? config->num_resnet_blocks * 18 * width * width : 0;
    const double codes = vocab * (width + config->codebook_dim);
    return check_size(archive, stages + blocks + codes);
}
