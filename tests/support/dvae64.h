/* Tokenizers in double precision, after sections 3 and 4 of the specification and apart from the
 * library: networks are put together from upstream's tensor names alone. DiscreteVAE has its
 * training objective, OpenAI's dVAE encoding and decoding. */
#ifndef TESTS_DVAE64_H
#define TESTS_DVAE64_H

#include <beit/dvae.h>

typedef struct dvae64 dvae64_t;

typedef struct dvae64_batch {
    int64_t B, H, W;
    const double *pixels; /* (B,C,H,W) */
    const double *noise;  /* (B*h*w, V) Gumbel noise */
    double tau, recon_scale, kl_scale, balance_scale, sharpness_scale;
} dvae64_batch_t;

typedef struct dvae64_terms {
    double recon_sum, kl_sum, balance, sharpness;
} dvae64_terms_t;

/* Copies the weights. */
dvae64_t *dvae64_create(const beit_params_t *params, const beit_dvae_config_t *cfg);
void dvae64_destroy(dvae64_t *d);

/* Values of tensor `index`, in the order of the parameter set; may be changed. */
double *dvae64_tensor(dvae64_t *d, size_t index, size_t *count);

/* Hold constant, from now on, what the hard estimators do not differentiate: the code chosen at
 * each position, and the stopped values, at the present weights. */
void dvae64_anchor(dvae64_t *d, const dvae64_batch_t *batch);

/* The weighted sum of the terms. In the hard modes the function whose derivative at the anchor is
 * the estimator: value + (soft - soft at the anchor). */
double dvae64_objective(dvae64_t *d, const dvae64_batch_t *batch, dvae64_terms_t *terms);

/* Logits (B*h*w, V), and decoded pixels (B*H*W, C) from one code per position; OpenAI's in [0,1].
 */
void dvae64_logits(const dvae64_t *d, int64_t B, int64_t H, int64_t W, const double *pixels,
                   double *logits);
void dvae64_decode(const dvae64_t *d, int64_t B, int64_t h, int64_t w, const int32_t *codes,
                   double *pixels);

#endif
