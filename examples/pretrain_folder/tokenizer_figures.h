/* Is a tokenizer healthy? How many codes it uses and how evenly, and how well pictures come back
 * from their tokens alone. */
#ifndef PRETRAIN_TOKENIZER_FIGURES_H
#define PRETRAIN_TOKENIZER_FIGURES_H

#include "eval_set.h"

typedef struct tokenizer_figures {
    beit_token_usage_t usage;
    double hard_error;   /* squared error of decode(tokens), as a share of the pixels' variance */
    uint64_t *histogram; /* one counter a code; from malloc */
} tokenizer_figures_t;

/* Measure on a set, whose tokens are filled in. The caller frees histogram, also after a failure.
 * Without a decoder hard_error is NAN. */
outcome_t tokenizer_measure(eval_set_t *set, beit_dvae_t *dvae, tokenizer_figures_t *figures);

/* Put the figures into a row of the log. */
void tokenizer_figures_log(const tokenizer_figures_t *figures, int32_t vocab, json_t *row);

#endif
