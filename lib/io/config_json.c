/* One table per struct says all that is to know about its fields; the three functions below walk
 * it. A field that is added to a public struct is added to its table here (a test compares the
 * tables with beit_struct_layouts()). */
#include "io/config_json.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "io/json.h"

typedef enum field_type { FIELD_I32, FIELD_U64, FIELD_F32 } field_type_t;

typedef struct field {
    const char *name;
    size_t offset;
    field_type_t type;
    bool origin; /* where weights came from, not what they are: not compared */
} field_t;

typedef struct config_table {
    const char *name;
    size_t size;
    const field_t *fields;
    size_t count;
} config_table_t;

#define FIELD(s, name, type)                                                                       \
    {                                                                                              \
#name, offsetof(s, name), type, false                                                      \
    }
#define ORIGIN(s, name, type)                                                                      \
    {                                                                                              \
#name, offsetof(s, name), type, true                                                       \
    }

#define I32(name) FIELD(beit_model_config_t, name, FIELD_I32)
#define F32(name) FIELD(beit_model_config_t, name, FIELD_F32)
static const field_t model_fields[] = {
    ORIGIN(beit_model_config_t, init_seed, FIELD_U64),
    I32(image_height),
    I32(image_width),
    I32(patch_size),
    I32(channels),
    I32(vocab_size),
    I32(embed_dim),
    I32(depth),
    I32(heads),
    I32(mlp_dim),
    I32(attn_head_dim),
    I32(shared_rel_pos),
    I32(rel_pos),
    I32(abs_pos),
    I32(qkv_bias),
    F32(layer_scale),
    F32(drop_path),
    F32(norm_eps),
    F32(init_std),
    F32(drop_rate),
    F32(attn_drop_rate),
    F32(qk_scale),
    F32(head_init_scale),
    I32(num_classes),
    I32(pooling),
};
#undef I32
#undef F32

#define I32(name) FIELD(beit_dvae_config_t, name, FIELD_I32)
static const field_t dvae_fields[] = {
    ORIGIN(beit_dvae_config_t, init_seed, FIELD_U64),
    I32(arch),
    I32(layout),
    I32(image_height),
    I32(image_width),
    I32(channels),
    I32(vocab_size),
    I32(codebook_dim),
    I32(hidden_dim),
    I32(num_layers),
    I32(num_resnet_blocks),
    I32(recon_loss),
    I32(sampling),
    I32(kl_reduction),
    I32(kl_direction),
    I32(input_norm),
    I32(blocks_per_group),
    I32(decoder_init),
    I32(parts),
};
#undef I32

#define I32(name) FIELD(beit_masker_config_t, name, FIELD_I32)
#define F32(name) FIELD(beit_masker_config_t, name, FIELD_F32)
static const field_t masker_fields[] = {
    I32(kind),      I32(rows),     I32(cols),        I32(target),     I32(min_block),
    I32(max_block), I32(attempts), I32(exact_count), F32(min_aspect), F32(max_aspect),
};
#undef I32
#undef F32

#define U64(name) FIELD(beit_trainer_config_t, name, FIELD_U64)
#define I32(name) FIELD(beit_trainer_config_t, name, FIELD_I32)
#define F32(name) FIELD(beit_trainer_config_t, name, FIELD_F32)
static const field_t trainer_fields[] = {
    U64(seed),
    U64(total_steps),
    U64(warmup_steps),
    U64(temperature_steps),
    U64(decay_interval),
    I32(micro_batch),
    I32(optimizer),
    I32(lr_schedule),
    I32(temperature_schedule),
    F32(lr),
    F32(min_lr),
    F32(warmup_lr),
    F32(lr_decay),
    F32(clip_norm),
    F32(beta1),
    F32(beta2),
    F32(eps),
    F32(weight_decay),
    F32(weight_decay_end),
    F32(temperature),
    F32(temperature_end),
    F32(temperature_rate),
    F32(kl_weight),
    F32(balance_weight),
    F32(sharpness_weight),
};
#undef U64
#undef I32
#undef F32

#define TABLE(name, type, fields)                                                                  \
    {                                                                                              \
        name, sizeof(type), fields, sizeof(fields) / sizeof *(fields)                              \
    }
static const config_table_t tables[] = {
    [BEIT__CONFIG_MODEL] = TABLE("model", beit_model_config_t, model_fields),
    [BEIT__CONFIG_DVAE] = TABLE("tokenizer", beit_dvae_config_t, dvae_fields),
    [BEIT__CONFIG_MASKER] = TABLE("masker", beit_masker_config_t, masker_fields),
    [BEIT__CONFIG_TRAINER] = TABLE("trainer", beit_trainer_config_t, trainer_fields),
};

typedef union field_value {
    int32_t i32;
    uint64_t u64;
    float f32;
} field_value_t;

static size_t field_bytes(const field_t *field)
{
    return field->type == FIELD_U64 ? sizeof(uint64_t) : sizeof(int32_t);
}

static field_value_t get_field(const field_t *field, const void *config)
{
    field_value_t value = {.u64 = 0};
    memcpy(&value, (const unsigned char *)config + field->offset, field_bytes(field));
    return value;
}

static json_t *field_to_json(const field_t *field, const void *config)
{
    const field_value_t value = get_field(field, config);
    switch (field->type) {
    case FIELD_I32:
        return json_integer(value.i32);
    case FIELD_U64:
        return beit__json_u64(value.u64);
    default:
        return beit__json_float(value.f32);
    }
}

json_t *beit__config_to_json(beit__config_kind_t kind, const void *config)
{
    const config_table_t *table = &tables[kind];
    json_t *object = json_object();
    for (size_t i = 0; object && i < table->count; i++) {
        const field_t *field = &table->fields[i];
        if (json_object_set_new(object, field->name, field_to_json(field, config)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static bool field_from_json(const field_t *field, const json_t *json, void *config)
{
    field_value_t value = {.u64 = 0};
    if (field->type == FIELD_U64) {
        if (beit__json_get_u64(json, &value.u64) != 0)
            return false;
    } else if (field->type == FIELD_I32) {
        if (!json_is_integer(json) || json_integer_value(json) < INT32_MIN ||
            json_integer_value(json) > INT32_MAX)
            return false;
        value.i32 = (int32_t)json_integer_value(json);
    } else {
        if (!json_is_number(json))
            return false;
        value.f32 = (float)json_number_value(json);
        if (!isfinite(value.f32))
            return false;
    }
    memcpy((unsigned char *)config + field->offset, &value, field_bytes(field));
    return true;
}

static const field_t *find_field(const config_table_t *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return &table->fields[i];
    return NULL;
}

beit_status_t beit__config_from_json(beit__config_kind_t kind, void *config, const json_t *json,
                                     const char *where)
{
    const config_table_t *table = &tables[kind];
    if (!json_is_object(json))
        return beit__fail(BEIT_E_FORMAT, "%s: the %s's configuration is not a JSON object", where,
                          table->name);
    memset(config, 0, table->size);
    memcpy(config, &table->size, sizeof table->size); /* struct_size comes first everywhere */
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value)
    {
        const field_t *field = find_field(table, name);
        if (!field && !(json_is_number(value) && json_number_value(value) == 0.0))
            return beit__fail(BEIT_E_UNSUPPORTED,
                              "%s: the %s's setting '%s' is not known to this library; the file "
                              "needs a newer libbeit",
                              where, table->name, name);
        if (field && !field_from_json(field, value, config))
            return beit__fail(BEIT_E_FORMAT, "%s: the %s's setting '%s' has no sensible value",
                              where, table->name, name);
    }
    return BEIT_OK;
}

static void print_field(const field_t *field, const void *config, char *text, size_t size)
{
    const field_value_t value = get_field(field, config);
    if (field->type == FIELD_I32)
        (void)snprintf(text, size, "%" PRId32, value.i32);
    else if (field->type == FIELD_U64)
        (void)snprintf(text, size, "%" PRIu64, value.u64);
    else
        (void)snprintf(text, size, "%.9g", beit__json_shortest(value.f32));
}

beit_status_t beit__config_compare(beit__config_kind_t kind, const void *stored,
                                   const void *present, const char *where)
{
    const config_table_t *table = &tables[kind];
    for (size_t i = 0; i < table->count; i++) {
        const field_t *field = &table->fields[i];
        const size_t at = field->offset;
        if (field->origin || memcmp((const unsigned char *)stored + at,
                                    (const unsigned char *)present + at, field_bytes(field)) == 0)
            continue;
        char theirs[32], ours[32];
        print_field(field, stored, theirs, sizeof theirs);
        print_field(field, present, ours, sizeof ours);
        return beit__fail(BEIT_E_MISMATCH, "%s: the %s's %s is %s in the file, %s here", where,
                          table->name, field->name, theirs, ours);
    }
    return BEIT_OK;
}
