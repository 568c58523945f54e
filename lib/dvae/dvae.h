/* What the trainer sees of a tokenizer. */
#ifndef BEIT_DVAE_DVAE_H
#define BEIT_DVAE_DVAE_H

#include <beit/dvae.h>

#include "backend/backend.h"
#include "nn/param.h"

beit_dvae_t *beit__dvae_ref(beit_dvae_t *dvae); /* beit_dvae_destroy() drops one */
beit_context_t *beit__dvae_context(beit_dvae_t *dvae);
const beit_dvae_config_t *beit__dvae_config(const beit_dvae_t *dvae);
beit__run_t *beit__dvae_run(beit_dvae_t *dvae);

/* Plan memory (activations, gradients) for training on (batch, C, height, width). */
beit_status_t beit__dvae_reserve_training(beit_dvae_t *dvae, int64_t batch, int64_t height,
                                          int64_t width);
/* Plan memory for beit_dvae_tokenize() on (batch, C, height, width). */
beit_status_t beit__dvae_reserve_tokenize(beit_dvae_t *dvae, int64_t batch, int64_t height,
                                          int64_t width);
beit_params_t *beit__dvae_gradients(beit_dvae_t *dvae); /* NULL before planning */

/* One micro-batch. The gradient added is that of
 *   recon_scale * sum of rho + kl_scale * (sum over rows of KL) + balance_scale * balance
 *   + sharpness_scale * sharpness,
 * the caller having folded its reductions into the scales. Outputs are added to. */
typedef struct beit__dvae_batch {
    const float *pixels; /* (B,C,H,W) host */
    const uint64_t *sample_ids;
    const float *noise; /* host (B*h*w, V) Gumbel noise instead of drawing it; NULL = draw */
    int64_t batch, height, width;
    uint64_t seed, step;
    float tau;
    float recon_scale, kl_scale, balance_scale, sharpness_scale;
    bool backward; /* false: hard tokens, values only */
} beit__dvae_batch_t;
typedef struct beit__dvae_terms {
    double recon_sum, kl_sum;  /* unscaled sums */
    double balance, sharpness; /* of this micro-batch */
    int32_t *tokens;           /* host (B*h*w) or NULL: arg-max of the logits */
} beit__dvae_terms_t;
beit_status_t beit__dvae_train(beit_dvae_t *dvae, const beit__dvae_batch_t *batch,
                               beit__dvae_terms_t *terms);

void beit__dvae_memory(const beit_dvae_t *dvae, uint64_t *weights, uint64_t *gradients,
                       uint64_t *activations);

#endif
