/* Resolved settings as the library's configurations. Fields that are not named here keep the
 * library's defaults. */
#include "recipe.h"

#define TEMPERATURE_SHARE 0.8 /* of the tokenizer's steps: where its temperature has arrived */
#define MIN_LR_SHARE      0.03

void recipe_model(const settings_t *s, beit_model_config_t *cfg)
{
    beit_model_config_init(cfg, sizeof *cfg);
    cfg->init_seed = (uint64_t)s->seed;
    cfg->image_height = cfg->image_width = (int32_t)s->image_size;
    cfg->patch_size = (int32_t)s->patch_size;
    cfg->vocab_size = (int32_t)s->vocab;
    cfg->embed_dim = (int32_t)s->embed_dim;
    cfg->depth = (int32_t)s->depth;
    cfg->heads = (int32_t)s->heads;
    cfg->mlp_dim = (int32_t)s->mlp_dim;
    cfg->shared_rel_pos = s->relative == RELATIVE_SHARED || s->relative == RELATIVE_BOTH;
    cfg->rel_pos = s->relative == RELATIVE_OWN || s->relative == RELATIVE_BOTH;
    cfg->abs_pos = s->absolute == SWITCH_ON;
    cfg->layer_scale = (float)s->layer_scale;
    cfg->drop_path = (float)s->drop_path;
}

void recipe_tokenizer(const settings_t *s, beit_dvae_config_t *cfg)
{
    beit_dvae_config_init(cfg, sizeof *cfg);
    cfg->init_seed = (uint64_t)s->seed;
    cfg->layout = s->tokenizer_layout == LAYOUT_U ? BEIT_DVAE_LAYOUT_U : BEIT_DVAE_LAYOUT_L;
    cfg->num_resnet_blocks = s->tokenizer_layout == LAYOUT_L ? (int32_t)s->tokenizer_blocks : 0;
    cfg->num_layers = (int32_t)s->tokenizer_stages;
    cfg->image_height = cfg->image_width = recipe_grid(s) << s->tokenizer_stages;
    cfg->vocab_size = (int32_t)s->vocab;
    cfg->hidden_dim = (int32_t)s->tokenizer_hidden;
    cfg->codebook_dim = (int32_t)s->codebook_dim;
}

void recipe_masker(const settings_t *s, beit_masker_config_t *cfg)
{
    beit_masker_config_init(cfg, sizeof *cfg);
    cfg->kind = s->mask_kind == MASK_BLOCK ? BEIT_MASK_BLOCK : BEIT_MASK_RANDOM;
    cfg->rows = cfg->cols = recipe_grid(s);
    cfg->target = (int32_t)s->mask_patches;
    cfg->min_block = (int32_t)s->mask_min_block;
}

/* Layout L normalises inside, layout U wants it done, OpenAI's dVAE has a way of its own. */
static beit_token_scaling_t scaling_for(const beit_dvae_config_t *tokenizer)
{
    if (tokenizer->arch == BEIT_DVAE_DALLE)
        return BEIT_TOKENS_LOGIT;
    const int32_t norm = tokenizer->input_norm;
    const bool inside =
        norm == BEIT_DVAE_NORM_SYMMETRIC || (norm == 0 && tokenizer->layout == BEIT_DVAE_LAYOUT_L);
    return inside ? BEIT_TOKENS_UNIT : BEIT_TOKENS_SYMMETRIC;
}

void recipe_views(const settings_t *s, const beit_dvae_config_t *tokenizer,
                  beit_views_config_t *cfg)
{
    beit_views_config_init(cfg, sizeof *cfg);
    cfg->pixels_height = cfg->pixels_width = (int32_t)s->image_size;
    cfg->tokens_height = cfg->tokens_width = recipe_grid(s) << s->tokenizer_stages;
    cfg->tokens_scaling = scaling_for(tokenizer);
    cfg->min_scale = (float)s->min_scale;
    cfg->flip = (float)s->flip;
    cfg->brightness = cfg->contrast = cfg->saturation = (float)s->jitter;
}

void recipe_model_trainer(const settings_t *s, beit_trainer_config_t *cfg)
{
    beit_trainer_config_init(cfg, sizeof *cfg);
    cfg->seed = (uint64_t)s->seed;
    cfg->total_steps = (uint64_t)s->steps;
    cfg->warmup_steps = (uint64_t)s->warmup_steps;
    cfg->micro_batch = (int32_t)s->micro_batch;
    cfg->lr = (float)s->lr;
    cfg->min_lr = (float)s->min_lr;
    cfg->weight_decay = cfg->weight_decay_end = (float)s->weight_decay;
    cfg->clip_norm = (float)s->clip;
}

void recipe_tokenizer_trainer(const settings_t *s, beit_trainer_config_t *cfg)
{
    beit_trainer_config_init(cfg, sizeof *cfg);
    const bool published = s->recipe == RECIPE_PUBLISHED;
    cfg->seed = (uint64_t)s->seed;
    cfg->total_steps = (uint64_t)s->tokenizer_steps;
    cfg->warmup_steps = (uint64_t)s->tokenizer_warmup;
    cfg->micro_batch = (int32_t)s->tokenizer_batch;
    cfg->optimizer = BEIT_ADAM;
    cfg->weight_decay = cfg->weight_decay_end = 0;
    cfg->clip_norm = (float)s->tokenizer_clip;
    cfg->lr = (float)s->tokenizer_lr;
    cfg->min_lr = (float)(MIN_LR_SHARE * s->tokenizer_lr);
    cfg->lr_schedule = published ? BEIT_LR_DECAY : BEIT_LR_COSINE;
    cfg->temperature = (float)s->temperature;
    cfg->temperature_end = (float)s->temperature_end;
    cfg->temperature_schedule =
        published ? BEIT_TEMPERATURE_UPSTREAM : BEIT_TEMPERATURE_EXPONENTIAL;
    cfg->temperature_steps = (uint64_t)(TEMPERATURE_SHARE * (double)s->tokenizer_steps) + 1;
    cfg->kl_weight = (float)s->kl;
    cfg->balance_weight = (float)s->balance;
    cfg->sharpness_weight = (float)s->sharpness;
}
