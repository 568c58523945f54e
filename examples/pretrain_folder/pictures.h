/* The pictures in DIR/report: what the tokenizer keeps of a picture, what the model makes of hidden
 * patches, and how evenly the tokens are used. */
#ifndef PRETRAIN_PICTURES_H
#define PRETRAIN_PICTURES_H

#include "eval_set.h"

#define PICTURE_RECONSTRUCTIONS "report/reconstructions.png"
#define PICTURE_PREDICTIONS     "report/predictions.png"
#define PICTURE_TOKENS          "report/tokens.png"

/* Pairs original, reconstruction. The set's tokens must be known, here and below. Nothing is drawn
 * when the tokenizer has no decoder. */
outcome_t pictures_reconstructions(const eval_set_t *set, beit_dvae_t *dvae);

/* Rows of picture, hidden patches greyed, predicted tokens decoded, true tokens decoded. */
outcome_t pictures_predictions(const eval_set_t *set, beit_dvae_t *dvae, beit_model_t *model);

/* Shares of the tokens, largest first, with a line where all would be equal. */
outcome_t pictures_tokens(const run_t *run, const uint64_t *histogram);

#endif
