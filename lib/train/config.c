/* A trainer's configuration: defaults, ranges, and whether the networks it is to join fit. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/abi.h"
#include "core/status.h"
#include "train/private.h"

#define LARGEST_MICRO_BATCH 65536

void beit__trainer_config_defaults(beit_trainer_config_t *config)
{
    *config = (beit_trainer_config_t){
        .struct_size = sizeof *config,
        .total_steps = 500000,
        .warmup_steps = 10000,
        .decay_interval = 100,
        .micro_batch = 8,
        .optimizer = BEIT_ADAMW,
        .lr_schedule = BEIT_LR_COSINE,
        .temperature_schedule = BEIT_TEMPERATURE_CONSTANT,
        .lr = 1.5e-3f,
        .min_lr = 1e-5f,
        .lr_decay = 0.98f,
        .clip_norm = 3,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .eps = 1e-8f,
        .weight_decay = 0.05f,
        .weight_decay_end = 0.05f,
        .temperature = 0.9f,
        .temperature_end = 0.9f,
        .temperature_rate = 1e-6f,
    };
}

void beit_trainer_config_init(beit_trainer_config_t *cfg, size_t size)
{
    beit_trainer_config_t ours;
    beit__trainer_config_defaults(&ours);
    beit__abi_init(cfg, size, &ours, sizeof ours);
}

void beit_batch_init(beit_batch_t *batch, size_t size)
{
    const beit_batch_t ours = {.struct_size = sizeof ours};
    beit__abi_init(batch, size, &ours, sizeof ours);
}

/* What a real number may be: at least `least` (or more than it), and less than `bound`. */
typedef struct range {
    const char *name;
    size_t offset;
    float least, bound;
    bool open;
} range_t;

#define RANGE(name, least, bound, open)                                                            \
    {                                                                                              \
#name, offsetof(beit_trainer_config_t, name), least, bound, open                           \
    }

static const range_t ranges[] = {
    RANGE(lr, 0, INFINITY, false),
    RANGE(min_lr, 0, INFINITY, false),
    RANGE(warmup_lr, 0, INFINITY, false),
    RANGE(lr_decay, 0, INFINITY, true),
    RANGE(clip_norm, 0, INFINITY, false),
    RANGE(beta1, 0, 1, false),
    RANGE(beta2, 0, 1, false),
    RANGE(eps, 0, INFINITY, true),
    RANGE(weight_decay, 0, INFINITY, false),
    RANGE(weight_decay_end, 0, INFINITY, false),
    RANGE(temperature, 0, INFINITY, true),
    RANGE(temperature_end, 0, INFINITY, true),
    RANGE(temperature_rate, 0, INFINITY, false),
    RANGE(kl_weight, 0, INFINITY, false),
    RANGE(balance_weight, 0, INFINITY, false),
    RANGE(sharpness_weight, -INFINITY, INFINITY, true),
};

static beit_status_t check_ranges(const beit_trainer_config_t *config)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range_t *range = &ranges[i];
        float value;
        memcpy(&value, (const unsigned char *)config + range->offset, sizeof value);
        const bool above = range->open ? value > range->least : value >= range->least;
        if (!above || !(value < range->bound))
            return beit__fail(BEIT_E_ARGUMENT, "%s is %g, expected %s %g and less than %g",
                              range->name, (double)value, range->open ? "more than" : "at least",
                              (double)range->least, (double)range->bound);
    }
    return BEIT_OK;
}

static beit_status_t check_choice(const char *name, int32_t value, int32_t most)
{
    if (value < 1 || value > most)
        return beit__fail(BEIT_E_ARGUMENT, "%s is %d, expected 1 to %d", name, value, most);
    return BEIT_OK;
}

beit_status_t beit__trainer_config_check(const beit_trainer_config_t *config)
{
    if (config->total_steps < 1)
        return beit__fail(BEIT_E_ARGUMENT, "total_steps is 0, expected at least 1");
    if (config->warmup_steps > config->total_steps)
        return beit__fail(
            BEIT_E_ARGUMENT, "warmup_steps is %llu, expected at most total_steps, %llu",
            (unsigned long long)config->warmup_steps, (unsigned long long)config->total_steps);
    if (config->decay_interval < 1)
        return beit__fail(BEIT_E_ARGUMENT, "decay_interval is 0, expected at least 1");
    BEIT__TRY(check_choice("micro_batch", config->micro_batch, LARGEST_MICRO_BATCH));
    BEIT__TRY(check_choice("optimizer", config->optimizer, BEIT_ADAM));
    BEIT__TRY(check_choice("lr_schedule", config->lr_schedule, BEIT_LR_DECAY));
    BEIT__TRY(check_choice("temperature_schedule", config->temperature_schedule,
                           BEIT_TEMPERATURE_ANNEAL));
    return check_ranges(config);
}

/* The grid of tokens that the tokenizer makes of a view of its nominal size. */
static beit_status_t tokenizer_agrees(const beit_model_config_t *model,
                                      const beit_dvae_config_t *dvae)
{
    const int32_t rows = model->image_height / model->patch_size;
    const int32_t cols = model->image_width / model->patch_size;
    if (dvae->parts == BEIT_DVAE_DECODER_ONLY)
        return beit__fail(BEIT_E_MISMATCH, "the tokenizer holds no encoder, only a decoder");
    if (dvae->vocab_size != model->vocab_size)
        return beit__fail(BEIT_E_MISMATCH, "the tokenizer has %d codes, the model predicts %d",
                          dvae->vocab_size, model->vocab_size);
    if (dvae->image_height >> dvae->num_layers != rows ||
        dvae->image_width >> dvae->num_layers != cols)
        return beit__fail(BEIT_E_MISMATCH,
                          "the tokenizer makes %d x %d tokens (%d x %d pixels, %d stages of stride "
                          "2), the model has %d x %d patches (%d x %d pixels, patches of %d)",
                          dvae->image_height >> dvae->num_layers,
                          dvae->image_width >> dvae->num_layers, dvae->image_height,
                          dvae->image_width, dvae->num_layers, rows, cols, model->image_height,
                          model->image_width, model->patch_size);
    return BEIT_OK;
}

static beit_status_t masker_agrees(const beit_model_config_t *model,
                                   const beit_masker_config_t *masker)
{
    const int32_t rows = model->image_height / model->patch_size;
    const int32_t cols = model->image_width / model->patch_size;
    if (masker->rows != rows || masker->cols != cols)
        return beit__fail(BEIT_E_MISMATCH,
                          "the masker's grid is %d x %d, the model has %d x %d patches (%d x %d "
                          "pixels, patches of %d)",
                          masker->rows, masker->cols, rows, cols, model->image_height,
                          model->image_width, model->patch_size);
    return BEIT_OK;
}

beit_status_t beit__trainer_agree(const beit_model_t *model, const beit_dvae_t *dvae,
                                  const beit_masker_t *masker)
{
    const beit_model_config_t *config = beit__model_config(model);
    if (config->num_classes > 0)
        return beit__fail(
            BEIT_E_MISMATCH,
            "the model is a classifier of %d classes, masked modeling needs one whose "
            "num_classes is 0",
            config->num_classes);
    if (dvae)
        BEIT__TRY(tokenizer_agrees(config, beit__dvae_config(dvae)));
    if (masker)
        BEIT__TRY(masker_agrees(config, beit__masker_config(masker)));
    return BEIT_OK;
}
