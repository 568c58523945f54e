/* The model's insides, shared by the files of this folder. Letters as in nn/transformer.h, and
 * C channels, P patch side, V vocabulary, K classes. */
#ifndef BEIT_MODEL_HANDLE_H
#define BEIT_MODEL_HANDLE_H

#include <stdatomic.h>

#include "model/model.h"
#include "model/plan.h"
#include "model/vit.h"

struct beit_model {
    atomic_size_t references;
    beit_context_t *ctx;
    beit_model_config_t cfg; /* zeros resolved */
    beit__vit_t vit;
    beit_params_t weights;
    beit_params_t gradients; /* data NULL until training was planned */
    beit__run_t run;
    beit__plan_t plan;
    int64_t pending; /* rows of the forward pass that a backward pass may follow; 0 = none */
};

/* config.c: take over a caller's configuration (NULL = defaults), check it, and put figures in
 * place of its zeros. */
beit_status_t beit__model_config_read(beit_model_config_t *ours, const beit_model_config_t *theirs);
beit_status_t beit__model_config_check(const beit_model_config_t *cfg);
void beit__model_config_resolve(beit_model_config_t *cfg);

/* ---- pass.c ---- */

/* One pass's input: host memory, validated. */
typedef struct beit__model_input {
    int64_t batch;
    const float *pixels;        /* (B,C,H,W) */
    const uint8_t *mask;        /* (B,N); NULL = nothing is masked */
    const uint64_t *sample_ids; /* (B); NULL = 0..B-1 */
    uint64_t seed, step;
    bool training; /* dropout and stochastic depth act; kept storage only */
} beit__model_input_t;

/* Which rows the last block works out. */
typedef enum beit__wanted {
    BEIT__ALL_TOKENS,
    BEIT__ALL_PATCHES,
    BEIT__MASKED,
    BEIT__CLASS_TOKENS
} beit__wanted_t;

/* The rows that a classifier's head needs. */
beit__wanted_t beit__model_pooled(const beit_model_t *model);

/* BEIT_E_STATE unless the model is a classifier, or is none. */
beit_status_t beit__model_expect(const beit_model_t *model, bool classifier);

/* Check the tensors that every entry point takes; `mask` may be NULL. */
beit_status_t beit__model_input_check(const beit_model_t *model, const beit_tensor_t *pixels,
                                      const beit_tensor_t *mask, beit__model_input_t *input);
int64_t beit__model_count_masked(const beit_model_t *model, const beit__model_input_t *input);

/* What layers need to know of a pass with the choices made in a storage. */
beit__pass_t beit__model_pass(const beit_model_t *model, beit__run_t *run,
                              const beit__choices_t *choices, bool backward);

/* Plan memory if needed, take over the input, run the first `blocks` blocks. */
beit_status_t beit__model_trunk(beit_model_t *model, const beit__model_input_t *input,
                                beit__storage_t storage, beit__wanted_t wanted, int64_t blocks);
/* All blocks, then logits of the wanted rows into plan.transients.logits. */
beit_status_t beit__model_logits(beit_model_t *model, const beit__model_input_t *input,
                                 beit__storage_t storage, beit__wanted_t wanted);
/* After logits in kept storage: from d(loss)/d(logits), in plan.transients.logits, to gradients. */
beit_status_t beit__model_gradient(beit_model_t *model);

#endif
