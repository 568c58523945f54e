/* What an archive without our metadata is, told from its names, which are ours by now, and its
 * shapes; and whether a configuration is plausible for an archive. */
#ifndef BEIT_IO_INFER_H
#define BEIT_IO_INFER_H

#include <beit/dvae.h>
#include <beit/model.h>

#include "io/archive.h"

/* A tokenizer's configuration (spec: both DiscreteVAE layouts; OpenAI's encoder, decoder, or both).
 * The view is taken to have 14 x 14 tokens where nothing tells. BEIT_E_MISMATCH when the file is
 * none of these. */
beit_status_t beit__infer_dvae(const beit__archive_t *archive, beit_dvae_config_t *config);

/* A masked-modeling model's configuration, from the shapes and from the config.json beside the
 * file. BEIT_E_MISMATCH when it is another model, or names what cannot be told. */
beit_status_t beit__infer_model(const beit__archive_t *archive, beit_model_config_t *config);

/* BEIT_E_FORMAT when a configuration asks for clearly more weights than the file holds: checked
 * before anything of that size is allocated. */
beit_status_t beit__plausible_model(const beit__archive_t *archive,
                                    const beit_model_config_t *config);
beit_status_t beit__plausible_dvae(const beit__archive_t *archive,
                                   const beit_dvae_config_t *config);

#endif
