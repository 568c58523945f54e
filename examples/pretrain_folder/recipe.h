/* From settings to values: what "auto" stands for, and the library's configurations. */
#ifndef PRETRAIN_RECIPE_H
#define PRETRAIN_RECIPE_H

#include <beit/beit.h>

#include "outcome.h"
#include "settings.h"

/* Resolve every auto. tokenizer: the configuration of --tokenizer's file, or NULL when one is
 * trained; pictures: how many are trained on; threads: those of the context. */
outcome_t recipe_resolve(settings_t *settings, const beit_dvae_config_t *tokenizer, size_t pictures,
                         unsigned threads);

/* Patches along a side of the picture. */
int32_t recipe_grid(const settings_t *settings);

/* All below take resolved settings. */
void recipe_model(const settings_t *settings, beit_model_config_t *cfg);
void recipe_tokenizer(const settings_t *settings, beit_dvae_config_t *cfg);
void recipe_masker(const settings_t *settings, beit_masker_config_t *cfg);
void recipe_views(const settings_t *settings, const beit_dvae_config_t *tokenizer,
                  beit_views_config_t *cfg);
void recipe_model_trainer(const settings_t *settings, beit_trainer_config_t *cfg);
void recipe_tokenizer_trainer(const settings_t *settings, beit_trainer_config_t *cfg);

#endif
