/* A transformer's configuration. Shapes decide almost everything; what they leave open (the epsilon
 * of the norms, heads and picture without position tables) is taken from the config.json that
 * Hugging Face's libraries put beside a file, or else asked for. What is inferred here is confirmed
 * afterwards: loading compares every name and every shape. */
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/status.h"
#include "io/infer.h"

#define HUGGING_FACE_EPS 1e-12f /* of its configuration class */
#define SPECIAL_ROWS     3      /* of a relative table: those of the class token */
#define MOST_BLOCKS      1024
#define MODEL_TYPE       "beit"

/* ---- tensors ---- */

static const beit__entry_t *find(const beit__archive_t *archive, const char *name, int32_t ndim)
{
    const beit__entry_t *entry = beit__archive_find(archive, name);
    return entry && entry->ndim == ndim ? entry : NULL;
}

/* One that every model has. */
static beit_status_t need(const beit__archive_t *archive, const char *name, int32_t ndim,
                          const beit__entry_t **entry)
{
    *entry = beit__archive_find(archive, name);
    if (!*entry)
        return beit__fail(BEIT_E_MISMATCH, "%s: there is no tensor '%s'", archive->name, name);
    BEIT__TRY(beit__archive_check_real(archive, *entry));
    if ((*entry)->ndim != ndim)
        return beit__fail(BEIT_E_MISMATCH, "%s: '%s' has %d dimensions, expected %d", archive->name,
                          (*entry)->stored, (*entry)->ndim, ndim);
    return BEIT_OK;
}

/* Extents beyond int32 become -1, which no configuration accepts. */
static int32_t extent(const beit__entry_t *entry, int d)
{
    return entry->shape[d] <= INT32_MAX ? (int32_t)entry->shape[d] : -1;
}

static const beit__entry_t *relative_table(const beit__archive_t *archive)
{
    const beit__entry_t *shared = find(archive, "rel_pos_bias.relative_position_bias_table", 2);
    return shared ? shared : find(archive, "blocks.0.attn.relative_position_bias_table", 2);
}

/* ---- config.json ---- */

typedef struct real_key {
    const char *key;
    size_t offset;
} real_key_t;

static const real_key_t real_keys[] = {
    {"layer_norm_eps", offsetof(beit_model_config_t, norm_eps)},
    {"drop_path_rate", offsetof(beit_model_config_t, drop_path)},
    {"hidden_dropout_prob", offsetof(beit_model_config_t, drop_rate)},
    {"attention_probs_dropout_prob", offsetof(beit_model_config_t, attn_drop_rate)},
    {"layer_scale_init_value", offsetof(beit_model_config_t, layer_scale)},
    {"initializer_range", offsetof(beit_model_config_t, init_std)},
};

static int32_t natural(const json_t *value)
{
    const json_int_t number = json_integer_value(value);
    return number > 0 && number <= INT32_MAX ? (int32_t)number : 0;
}

/* What the shapes do not tell, or 0. */
typedef struct told {
    int32_t heads, height, width;
} told_t;

static beit_status_t apply_config(const beit__archive_t *archive, const json_t *json,
                                  beit_model_config_t *config, told_t *told)
{
    const char *act = json_string_value(json_object_get(json, "hidden_act"));
    if (act && strcmp(act, "gelu") != 0)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "%s: hidden_act is '%s' in its config.json, expected 'gelu'",
                          archive->name, act);
    for (size_t i = 0; i < sizeof real_keys / sizeof *real_keys; i++) {
        const json_t *value = json_object_get(json, real_keys[i].key);
        const float number = (float)json_number_value(value);
        if (json_is_number(value))
            memcpy((unsigned char *)config + real_keys[i].offset, &number, sizeof number);
    }
    const json_t *size = json_object_get(json, "image_size");
    told->heads = natural(json_object_get(json, "num_attention_heads"));
    told->height = natural(json_is_array(size) ? json_array_get(size, 0) : size);
    told->width = natural(json_is_array(size) ? json_array_get(size, 1) : size);
    return BEIT_OK;
}

static bool in_hugging_face_names(const beit__archive_t *archive)
{
    const beit__entry_t *norm = find(archive, "blocks.0.norm1.weight", 1);
    return norm && strstr(norm->stored, "layernorm_before");
}

/* Files in Hugging Face's naming that do not tell their epsilon are read as its classes would. */
static beit_status_t read_config(const beit__archive_t *archive, beit_model_config_t *config,
                                 told_t *told)
{
    json_t *json;
    BEIT__TRY(beit__archive_config(archive, &json));
    const json_t *type = json_object_get(json, "model_type");
    const bool ours =
        json &&
        (!type || (json_is_string(type) && strcmp(json_string_value(type), MODEL_TYPE) == 0));
    if (in_hugging_face_names(archive) && !(ours && json_object_get(json, "layer_norm_eps"))) {
        config->norm_eps = HUGGING_FACE_EPS;
        beit__log(archive->ctx, BEIT_LOG_WARN,
                  "%s: no config.json beside it tells layer_norm_eps: it is taken to be %g",
                  archive->name, (double)config->norm_eps);
    }
    const beit_status_t status = ours ? apply_config(archive, json, config, told) : BEIT_OK;
    json_decref(json);
    return status;
}

/* ---- sizes ---- */

static beit_status_t infer_head(const beit__archive_t *archive, beit_model_config_t *config)
{
    const bool predicts = beit__archive_find(archive, "lm_head.weight") != NULL;
    const beit__entry_t *head;
    if (!predicts && !beit__archive_find(archive, "head.weight"))
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: neither a masked-modeling model nor a classifier: there is no "
                          "'lm_head.weight' and no 'head.weight' among its %zu tensors ('%s'...)",
                          archive->name, archive->count,
                          archive->count ? archive->entries[0].stored : "");
    BEIT__TRY(need(archive, predicts ? "lm_head.weight" : "head.weight", 2, &head));
    if (predicts) {
        config->vocab_size = extent(head, 0);
        return BEIT_OK;
    }
    config->num_classes = extent(head, 0);
    config->pooling = find(archive, "fc_norm.weight", 1) ? BEIT_POOL_MEAN : BEIT_POOL_CLASS;
    return BEIT_OK;
}

static beit_status_t infer_sizes(const beit__archive_t *archive, beit_model_config_t *config)
{
    const beit__entry_t *patch, *hidden;
    BEIT__TRY(need(archive, "patch_embed.proj.weight", 4, &patch));
    BEIT__TRY(need(archive, "blocks.0.mlp.fc1.weight", 2, &hidden));
    if (patch->shape[2] != patch->shape[3])
        return beit__fail(
            BEIT_E_UNSUPPORTED, "%s: '%s' has patches of %lld x %lld, expected as high as wide",
            archive->name, patch->stored, (long long)patch->shape[2], (long long)patch->shape[3]);
    config->embed_dim = extent(patch, 0);
    config->channels = extent(patch, 1);
    config->patch_size = extent(patch, 2);
    config->mlp_dim = extent(hidden, 0);
    config->depth = 0;
    for (char name[64]; config->depth < MOST_BLOCKS; config->depth++) {
        (void)snprintf(name, sizeof name, "blocks.%d.norm1.weight", config->depth);
        if (!find(archive, name, 1))
            break;
    }
    config->shared_rel_pos = find(archive, "rel_pos_bias.relative_position_bias_table", 2) != NULL;
    config->rel_pos = find(archive, "blocks.0.attn.relative_position_bias_table", 2) != NULL;
    config->abs_pos = find(archive, "pos_embed", 3) != NULL;
    config->qkv_bias = find(archive, "blocks.0.attn.q_bias", 1) != NULL;
    if (!find(archive, "blocks.0.gamma_1", 1))
        config->layer_scale = 0;
    return BEIT_OK;
}

/* A relative table has a column for each head. */
static beit_status_t infer_heads(const beit__archive_t *archive, const told_t *told,
                                 beit_model_config_t *config)
{
    const beit__entry_t *table = relative_table(archive), *qkv;
    config->heads = table ? extent(table, 1) : told->heads;
    if (config->heads == 0)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: the number of heads cannot be told without relative position "
                          "tables: put \"num_attention_heads\" into a config.json beside it",
                          archive->name);
    BEIT__TRY(need(archive, "blocks.0.attn.qkv.weight", 2, &qkv));
    const int64_t columns = 3 * (int64_t)config->heads;
    if (columns < 0 || qkv->shape[0] % columns != 0 || qkv->shape[0] / columns > INT32_MAX)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: '%s' has %lld rows, expected a multiple of 3 x %d heads",
                          archive->name, qkv->stored, (long long)qkv->shape[0], config->heads);
    config->attn_head_dim = (int32_t)(qkv->shape[0] / columns);
    return BEIT_OK;
}

/* The natural root of a square, or 0. */
static int32_t root_of(int64_t square)
{
    const int32_t root =
        square > 0 && square < INT32_MAX ? (int32_t)lround(sqrt((double)square)) : 0;
    return (int64_t)root * root == square ? root : 0;
}

/* Side of a square grid of patches, from either kind of position table; 0 when it is not square. */
static int32_t infer_side(const beit__archive_t *archive)
{
    const beit__entry_t *table = relative_table(archive), *absolute = find(archive, "pos_embed", 3);
    if (table) {
        const int32_t span = root_of(table->shape[0] - SPECIAL_ROWS); /* 2 side - 1 */
        return span % 2 ? (span + 1) / 2 : 0;
    }
    return absolute ? root_of(absolute->shape[1] - 1) : 0;
}

static beit_status_t infer_picture(const beit__archive_t *archive, const told_t *told,
                                   beit_model_config_t *config)
{
    const int64_t side = (int64_t)infer_side(archive) * config->patch_size;
    if (told->height > 0 && told->width > 0) {
        config->image_height = told->height;
        config->image_width = told->width;
        return BEIT_OK;
    }
    if (side <= 0 || side > INT32_MAX)
        return beit__fail(BEIT_E_MISMATCH,
                          "%s: image_height and image_width cannot be told, as it has no position "
                          "table of a square grid: put \"image_size\": [height, width] into a "
                          "config.json beside it",
                          archive->name);
    config->image_height = config->image_width = (int32_t)side;
    return BEIT_OK;
}

beit_status_t beit__infer_model(const beit__archive_t *archive, beit_model_config_t *config)
{
    told_t told = {0};
    beit_model_config_init(config, sizeof *config);
    BEIT__TRY(infer_head(archive, config));
    BEIT__TRY(read_config(archive, config, &told));
    BEIT__TRY(infer_sizes(archive, config));
    BEIT__TRY(infer_heads(archive, &told, config));
    return infer_picture(archive, &told, config);
}
