/* Configuration of a model: defaults, named sizes, the check of every field, and the figures that
 * zeros stand for. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/abi.h"
#include "core/status.h"
#include "model/handle.h"

#define OLDEST_CONFIG offsetof(beit_model_config_t, num_classes)
#define HEAD_SCALE    0.001f /* of unilm's fine-tuning */
#define MOST_WIDTH    65536
#define MOST_PATCHES  65535

static const beit_model_config_t defaults = {
    .struct_size = sizeof defaults,
    .image_height = 224,
    .image_width = 224,
    .patch_size = 16,
    .channels = 3,
    .vocab_size = 8192,
    .embed_dim = 768,
    .depth = 12,
    .heads = 12,
    .shared_rel_pos = 1,
    .qkv_bias = 1,
    .layer_scale = 0.1f,
    .drop_path = 0.1f,
    .norm_eps = 1e-6f,
    .init_std = 0.02f,
};

void beit_model_config_init(beit_model_config_t *cfg, size_t size)
{
    beit__abi_init(cfg, size, &defaults, sizeof defaults);
}

beit_status_t beit__model_config_read(beit_model_config_t *ours, const beit_model_config_t *theirs)
{
    *ours = defaults;
    if (!theirs)
        return BEIT_OK;
    return beit__abi_in(ours, sizeof *ours, OLDEST_CONFIG, theirs, "model config");
}

beit_status_t beit_model_config(const beit_model_t *model, beit_model_config_t *cfg)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    return beit__abi_out(cfg, &model->cfg, sizeof model->cfg, OLDEST_CONFIG, "model config");
}

/* ---- named sizes ---- */

typedef struct preset {
    const char *name;
    int32_t embed_dim, depth, heads;
    float layer_scale;
} preset_t;

static const preset_t presets[] = {{"nano", 128, 4, 4, 0.1f},
                                   {"tiny", 192, 12, 3, 0.1f},
                                   {"small", 384, 12, 6, 0.1f},
                                   {"base", 768, 12, 12, 0.1f},
                                   {"large", 1024, 24, 16, 1e-5f}};

beit_status_t beit_model_config_preset(beit_model_config_t *cfg, const char *name)
{
    beit_model_config_t ours;
    BEIT__TRY(beit__abi_in(&ours, sizeof ours, OLDEST_CONFIG, cfg, "model config"));
    for (size_t i = 0; name && i < sizeof presets / sizeof *presets; i++) {
        const preset_t *preset = &presets[i];
        if (strcmp(preset->name, name) != 0)
            continue;
        ours.embed_dim = preset->embed_dim;
        ours.depth = preset->depth;
        ours.heads = preset->heads;
        ours.layer_scale = preset->layer_scale;
        ours.mlp_dim = ours.attn_head_dim = 0;
        return beit__abi_out(cfg, &ours, sizeof ours, OLDEST_CONFIG, "model config");
    }
    return beit__fail(BEIT_E_ARGUMENT,
                      "there is no model size \"%s\", expected nano, tiny, small, base or large",
                      name ? name : "(NULL)");
}

/* ---- checks ---- */

typedef struct int_field {
    const char *name;
    size_t offset;
    int32_t least, most;
} int_field_t;

/* The limits keep every product of extents within 63 bits, see plan.c. */
#define INT_FIELD(name, least, most)                                                               \
    {                                                                                              \
#name, offsetof(beit_model_config_t, name), least, most                                    \
    }
static const int_field_t int_fields[] = {
    INT_FIELD(image_height, 1, 65536),  INT_FIELD(image_width, 1, 65536),
    INT_FIELD(patch_size, 1, 1024),     INT_FIELD(channels, 1, 256),
    INT_FIELD(vocab_size, 1, 1 << 24),  INT_FIELD(embed_dim, 1, MOST_WIDTH),
    INT_FIELD(depth, 1, 1024),          INT_FIELD(heads, 1, 1024),
    INT_FIELD(mlp_dim, 0, 1 << 20),     INT_FIELD(attn_head_dim, 0, MOST_WIDTH),
    INT_FIELD(shared_rel_pos, 0, 1),    INT_FIELD(rel_pos, 0, 1),
    INT_FIELD(abs_pos, 0, 1),           INT_FIELD(qkv_bias, 0, 1),
    INT_FIELD(num_classes, 0, 1 << 24), INT_FIELD(pooling, 0, BEIT_POOL_CLASS),
};

typedef struct float_field {
    const char *name;
    size_t offset;
    float least, most; /* most is excluded where it is finite */
    bool above;        /* least is excluded as well */
    const char *expected;
} float_field_t;

#define FLOAT_FIELD(name, least, most, above, expected)                                            \
    {                                                                                              \
#name, offsetof(beit_model_config_t, name), least, most, above, expected                   \
    }
static const float_field_t float_fields[] = {
    FLOAT_FIELD(layer_scale, -INFINITY, INFINITY, true, "a finite number"),
    FLOAT_FIELD(drop_path, 0, 1, false, "at least 0 and less than 1"),
    FLOAT_FIELD(norm_eps, 0, INFINITY, true, "a finite number above 0"),
    FLOAT_FIELD(init_std, 0, INFINITY, true, "a finite number above 0"),
    FLOAT_FIELD(drop_rate, 0, 1, false, "at least 0 and less than 1"),
    FLOAT_FIELD(attn_drop_rate, 0, 1, false, "at least 0 and less than 1"),
    FLOAT_FIELD(qk_scale, 0, INFINITY, false, "a finite number, at least 0"),
    FLOAT_FIELD(head_init_scale, 0, INFINITY, false, "a finite number, at least 0"),
};

static beit_status_t check_fields(const beit_model_config_t *cfg)
{
    for (size_t i = 0; i < sizeof int_fields / sizeof *int_fields; i++) {
        const int_field_t *field = &int_fields[i];
        int32_t value;
        memcpy(&value, (const char *)cfg + field->offset, sizeof value);
        if (value < field->least || value > field->most)
            return beit__fail(BEIT_E_ARGUMENT, "model config: %s is %d, expected %d to %d",
                              field->name, value, field->least, field->most);
    }
    for (size_t i = 0; i < sizeof float_fields / sizeof *float_fields; i++) {
        const float_field_t *field = &float_fields[i];
        float value;
        memcpy(&value, (const char *)cfg + field->offset, sizeof value);
        const bool high_enough = field->above ? value > field->least : value >= field->least;
        if (!high_enough || !(value < field->most))
            return beit__fail(BEIT_E_ARGUMENT, "model config: %s is %g, expected %s", field->name,
                              (double)value, field->expected);
    }
    return BEIT_OK;
}

static beit_status_t check_side(const char *name, int32_t side, int32_t patch)
{
    if (side % patch != 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "model config: %s is %d, expected a multiple of patch_size %d", name,
                          side, patch);
    return BEIT_OK;
}

beit_status_t beit__model_config_check(const beit_model_config_t *cfg)
{
    BEIT__TRY(check_fields(cfg));
    BEIT__TRY(check_side("image_height", cfg->image_height, cfg->patch_size));
    BEIT__TRY(check_side("image_width", cfg->image_width, cfg->patch_size));
    const int64_t patches =
        (int64_t)(cfg->image_height / cfg->patch_size) * (cfg->image_width / cfg->patch_size);
    if (patches > MOST_PATCHES)
        return beit__fail(BEIT_E_ARGUMENT,
                          "model config: %lld patches of %d x %d, expected at most %d",
                          (long long)patches, cfg->patch_size, cfg->patch_size, MOST_PATCHES);
    if (cfg->attn_head_dim == 0 && cfg->embed_dim % cfg->heads != 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "model config: embed_dim is %d, expected a multiple of heads %d where "
                          "attn_head_dim is 0",
                          cfg->embed_dim, cfg->heads);
    const int64_t inner = (int64_t)cfg->heads * cfg->attn_head_dim;
    if (inner > MOST_WIDTH)
        return beit__fail(BEIT_E_ARGUMENT,
                          "model config: heads * attn_head_dim is %lld, expected at most %d",
                          (long long)inner, MOST_WIDTH);
    return BEIT_OK;
}

void beit__model_config_resolve(beit_model_config_t *cfg)
{
    if (cfg->mlp_dim == 0)
        cfg->mlp_dim = 4 * cfg->embed_dim;
    if (cfg->attn_head_dim == 0)
        cfg->attn_head_dim = cfg->embed_dim / cfg->heads;
    if (cfg->qk_scale == 0)
        cfg->qk_scale = (float)(1 / sqrt((double)cfg->attn_head_dim));
    if (cfg->num_classes > 0 && cfg->pooling == 0)
        cfg->pooling = BEIT_POOL_MEAN;
    if (cfg->num_classes > 0 && cfg->head_init_scale == 0)
        cfg->head_init_scale = HEAD_SCALE;
}
