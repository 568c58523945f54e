/* The shapes of a few tensors decide every size; how many of a kind there are decides depth. The
 * names are those of unilm's and DALLE-pytorch's DiscreteVAE and of OpenAI's dall_e package. What
 * is inferred here is confirmed afterwards: loading compares every name and every shape. */
#include "io/infer.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/status.h"

#define NAME_SIZE       64
#define TOKENS_PER_SIDE 14 /* of the published token view */
#define MOST_STAGES     16

/* A four-dimensional tensor of that name, or NULL. */
static const beit__stored_t *find(const beit__safetensors_t *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const beit__stored_t *find(const beit__safetensors_t *file, const char *format, ...)
{
    char name[NAME_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    const beit__stored_t *tensor =
        length > 0 && (size_t)length < sizeof name ? beit__safetensors_find(file, name) : NULL;
    return tensor && tensor->ndim == 4 ? tensor : NULL;
}

/* Extents beyond int32 become -1, which no configuration accepts. */
static int32_t extent(const beit__stored_t *tensor, int d)
{
    return tensor->shape[d] <= INT32_MAX ? (int32_t)tensor->shape[d] : -1;
}

static void set_view(beit_dvae_config_t *config)
{
    config->image_height = config->image_width = TOKENS_PER_SIDE << config->num_layers;
}

static beit_status_t unknown(const beit__safetensors_t *file)
{
    return beit__fail(BEIT_E_MISMATCH,
                      "%s: no libbeit.config in the metadata, and the names are neither those of a "
                      "DiscreteVAE nor of OpenAI's dVAE",
                      file->source->name);
}

/* ---- DiscreteVAE ---- */

static beit_status_t infer_discrete(const beit__safetensors_t *file, beit_dvae_config_t *config)
{
    const beit__stored_t *codebook = beit__safetensors_find(file, "codebook.weight");
    const beit__stored_t *entry = find(file, "encoder.0.0.weight");
    if (!codebook || codebook->ndim != 2 || !entry)
        return unknown(file);
    const bool after_every_stage =
        find(file, "encoder.1.net.0.weight") && !find(file, "decoder.0.weight");
    const int step = after_every_stage ? 2 : 1; /* modules per stage */
    int stages = 0, blocks = 0;
    while (stages < MOST_STAGES && find(file, "encoder.%d.0.weight", stages * step))
        stages++;
    while (!after_every_stage && find(file, "encoder.%d.net.0.weight", stages + blocks))
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

/* ---- OpenAI's dVAE ---- */

/* The encoder begins with a 7x7 convolution on pixels, the decoder with a 1x1 one on codes. */
static bool is_encoder(const beit__stored_t *input)
{
    return input->shape[2] > 1;
}

static int count_blocks(const beit__safetensors_t *file, const char *prefix)
{
    int blocks = 0;
    while (find(file, "%sblocks.group_1.block_%d.res_path.conv_1.w", prefix, blocks + 1))
        blocks++;
    return blocks;
}

static beit_status_t infer_half(const beit__safetensors_t *file, const char *prefix,
                                beit_dvae_config_t *config)
{
    const beit__stored_t *input = find(file, "%sblocks.input.w", prefix);
    const beit__stored_t *output = find(file, "%sblocks.output.conv.w", prefix);
    if (!input || !output)
        return unknown(file);
    config->blocks_per_group = count_blocks(file, prefix);
    if (is_encoder(input)) {
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

static beit_status_t infer_dalle(const beit__safetensors_t *file, beit_dvae_config_t *config,
                                 const char **drop)
{
    const beit__stored_t *bare = find(file, "blocks.input.w");
    const bool encoder = bare ? is_encoder(bare) : find(file, "encoder.blocks.input.w") != NULL;
    const bool decoder = bare ? !encoder : find(file, "decoder.blocks.input.w") != NULL;
    config->arch = BEIT_DVAE_DALLE;
    if (bare) {
        *drop = encoder ? "encoder." : "decoder.";
        BEIT__TRY(infer_half(file, "", config));
    } else {
        if (decoder)
            BEIT__TRY(infer_half(file, "decoder.", config));
        if (encoder)
            BEIT__TRY(infer_half(file, "encoder.", config));
    }
    config->parts = encoder && decoder ? BEIT_DVAE_BOTH
                    : encoder          ? BEIT_DVAE_ENCODER_ONLY
                                       : BEIT_DVAE_DECODER_ONLY;
    set_view(config);
    return BEIT_OK;
}

beit_status_t beit__infer_dvae(const beit__safetensors_t *file, beit_dvae_config_t *config,
                               const char **drop)
{
    beit_dvae_config_init(config, sizeof *config);
    *drop = "";
    if (find(file, "blocks.input.w") || find(file, "encoder.blocks.input.w") ||
        find(file, "decoder.blocks.input.w"))
        return infer_dalle(file, config, drop);
    return infer_discrete(file, config);
}

/* ---- plausibility ---- */

/* The narrowest type that is read takes two bytes. */
static beit_status_t check_size(const beit__safetensors_t *file, double floats)
{
    const double bytes = (double)(file->source->bytes - file->data);
    if (2 * floats > bytes)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: its configuration asks for at least %.0f weights, its data are only "
                          "%.0f bytes",
                          file->source->name, floats, bytes);
    return BEIT_OK;
}

beit_status_t beit__plausible_model(const beit__safetensors_t *file,
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
    return check_size(file, width * config->channels * patch * patch + width * outputs +
                                depth * (2 * width * mlp + attention) + tables * table +
                                (config->abs_pos ? rows * cols * width : 0));
}

beit_status_t beit__plausible_dvae(const beit__safetensors_t *file,
                                   const beit_dvae_config_t *config)
{
    const double width = config->hidden_dim, vocab = config->vocab_size;
    if (config->arch == BEIT_DVAE_DALLE) {
        /* Each block of the widest group, 8 hidden wide, has at least its 1x1 convolution. */
        const double wide = 8 * width;
        return check_size(file, config->blocks_per_group * wide * wide / 4 +
                                    vocab * (config->parts == BEIT_DVAE_DECODER_ONLY
                                                 ? (double)config->decoder_init
                                                 : wide));
    }
    const double stages = (config->num_layers - 1) * 16 * width * width;
    const double blocks =
        config->layout == BEIT_DVAE_LAYOUT_L ? config->num_resnet_blocks * 18 * width * width : 0;
    return check_size(file, stages + blocks + vocab * width);
}
