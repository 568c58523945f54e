/* What a file of weights without our metadata is, told from names and shapes; and whether a
 * configuration is plausible for a file. */
#ifndef BEIT_IO_INFER_H
#define BEIT_IO_INFER_H

#include <beit/dvae.h>
#include <beit/model.h>

#include "io/safetensors.h"

/* A tokenizer's configuration (spec: both DiscreteVAE layouts; OpenAI's encoder, decoder, or both
 * under the prefixes `encoder.` and `decoder.`). *drop is what the tokenizer's names must lose to
 * be those of the file: "", "encoder." or "decoder.". The view is taken to have 14 x 14 tokens,
 * as nothing in the weights tells. BEIT_E_MISMATCH when the file is none of these. */
beit_status_t beit__infer_dvae(const beit__safetensors_t *file, beit_dvae_config_t *config,
                               const char **drop);

/* BEIT_E_FORMAT when a configuration asks for clearly more weights than the file holds: checked
 * before anything of that size is allocated. */
beit_status_t beit__plausible_model(const beit__safetensors_t *file,
                                    const beit_model_config_t *config);
beit_status_t beit__plausible_dvae(const beit__safetensors_t *file,
                                   const beit_dvae_config_t *config);

#endif
