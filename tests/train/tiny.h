/* What the training tests share: the specification's tiny model and batch (sections 19.4, 19.5), a
 * tiny tokenizer, contexts by backend and workers, and comparison of weights bit by bit. */
#ifndef TESTS_TRAIN_TINY_H
#define TESTS_TRAIN_TINY_H

#include <beit/backend.h>
#include <beit/beit.h>

#include "check.h"

enum {
    TINY_BATCH = 2,
    TINY_SIDE = 32,
    TINY_GRID = 4,
    TINY_PATCHES = TINY_GRID * TINY_GRID,
    TINY_VOCAB = 11,
    TINY_TOKEN_SIDE = 16, /* of the token view: 4 x 4 tokens, two stages */
};

/* A context with `threads` workers of the library's pool. */
beit_context_t *tiny_context(const char *backend, int32_t threads);

/* A context whose loops run on `workers` workers of a host executor that hands out tasks in
 * reverse order on the calling thread. */
beit_context_t *tiny_host_context(const char *backend, unsigned workers);

/* The model of section 19.5, every tensor filled by the rule of section 19.4. */
beit_model_t *tiny_model(beit_context_t *ctx);
beit_model_config_t tiny_model_config(void);
void tiny_fill(beit_params_t *params);

/* A DiscreteVAE with TINY_VOCAB codes whose grid is that of the model, initial weights. */
beit_dvae_t *tiny_dvae(beit_context_t *ctx);
beit_dvae_config_t tiny_dvae_config(void);

/* Block masks of at most 7 of the 16 patches. */
beit_masker_t *tiny_masker(beit_context_t *ctx);

/* A short run: constant rate 1e-2, no warm-up, no clipping. */
beit_trainer_config_t tiny_trainer_config(void);

/* The batch of section 19.5 with its mask and labels; static memory. */
beit_batch_t tiny_batch(void);

/* `count` smooth pictures for both views, a function of `seed`; no mask, no tokens. Static memory:
 * one at a time, at most TINY_MOST. */
enum { TINY_MOST = 8 };
beit_batch_t tiny_pictures(int64_t count, unsigned seed);

/* The part of a batch that begins with picture `first`. */
beit_batch_t tiny_part(const beit_batch_t *batch, int64_t first, int64_t count);

/* All values of a set, in registration order; free(). */
float *tiny_values(const beit_params_t *params, size_t *count);

/* Same bits in both sets. */
void tiny_check_same_at(const beit_params_t *a, const beit_params_t *b, const char *file, int line);
#define tiny_check_same(a, b) tiny_check_same_at((a), (b), __FILE__, __LINE__)

/* Largest difference between two sets, relative to the largest value of the first. */
double tiny_difference(const beit_params_t *a, const beit_params_t *b);

/* First value of a named tensor. */
float tiny_value(const beit_params_t *params, const char *name);

#endif
