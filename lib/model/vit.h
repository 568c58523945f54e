/* The vision transformer: its layers, registered in upstream's order, and one walk through them in
 * each direction. The tail, that is the last block's output, has rows for the tokens that the head
 * needs: all patches, the masked ones, or only the class token. */
#ifndef BEIT_MODEL_VIT_H
#define BEIT_MODEL_VIT_H

#include <beit/model.h>

#include "nn/transformer.h"

typedef struct beit__vit {
    beit__param_list_t list;
    int64_t patches, tokens, dim, depth; /* N, T, D, blocks */
    bool classifies;
    bool averages; /* a classifier that sees the mean of the patches */
    beit__embedding_t embedding;
    beit__patch_embed_t patch_embed;
    beit__position_bias_t positions;
    beit__block_t *blocks;  /* (depth) */
    beit__mean_pool_t pool; /* where `averages` */
    beit__norm_t norm;
    beit__linear_t head; /* D to V or K */
} beit__vit_t;

/* Build from a checked and resolved configuration. */
beit_status_t beit__vit_create(beit__vit_t *vit, beit_context_t *ctx,
                               const beit_model_config_t *cfg);
void beit__vit_destroy(beit__vit_t *vit);

/* Maps from the forward pass. */
typedef struct beit__maps {
    float *patches;             /* (B,N,C P P) */
    beit__block_maps_t *blocks; /* (depth) */
    float *tail;                /* (R,D) output of the last block */
    float *pooled;              /* (B,D) its mean, where the model averages */
    beit__norm_stats_t norm_stats;
} beit__maps_t;

/* Maps that live shorter than a pass; those of different stages overlap. */
typedef struct beit__transients {
    float *stream;          /* (B,T,D) backward: gradient of the residual stream */
    float *tail;            /* (R,D) backward: gradient of maps.tail */
    float *pixels;          /* (B,C,H,W) first stage */
    float *projected;       /* (B,N,D) first stage */
    beit__scratch_t blocks; /* middle stage */
    float *normed;          /* (R,D) last stage; R of the head from here on */
    float *dnormed;         /* (R,D) last stage of a pass with backward */
    float *dpooled;         /* (B,D) likewise, where the model averages */
    float *factors;         /* (N) last stage, where the model averages */
    float *logits;          /* (R,V) last stage, then their gradient */
} beit__transients_t;

/* What was drawn and chosen for a pass, host memory. */
typedef struct beit__choices {
    int64_t batch;
    uint64_t *sample_ids;    /* (B) */
    uint8_t *mask;           /* (B,N) of 0 and 1 */
    bool masked;             /* the mask applies */
    beit__row_set_t rows;    /* of the last block */
    int32_t *row_index;      /* (B N) storage for rows.index */
    beit__keep_t (*keep)[2]; /* (depth) */
    float *factors;          /* storage for keep: (depth, 2, B), then (2, B N) for the last block */
    uint64_t dropout_key;
    bool training; /* dropout and stochastic depth act */
} beit__choices_t;

/* The first `blocks` blocks, from transients->pixels on. The result is in the next block's x, or
 * in maps->tail after the last block. */
beit_status_t beit__vit_forward(const beit__vit_t *vit, const beit__pass_t *pass,
                                const beit__choices_t *choices, const beit__maps_t *maps,
                                const beit__transients_t *transients, int64_t blocks);
/* From the gradient of maps->tail, in transients->tail, to that of every parameter. */
beit_status_t beit__vit_backward(const beit__vit_t *vit, const beit__pass_t *pass,
                                 const beit__choices_t *choices, const beit__maps_t *maps,
                                 const beit__transients_t *transients);

/* ---- head.c: pooling, the final norm and the prediction ---- */

/* Rows of logits of `batch` images whose tail has `tail_rows`. */
int64_t beit__head_rows(const beit__vit_t *vit, int64_t batch, int64_t tail_rows);
beit_status_t beit__head_forward(const beit__vit_t *vit, const beit__pass_t *pass,
                                 int64_t tail_rows, const beit__maps_t *maps,
                                 const beit__transients_t *transients);
/* Summed cross-entropy of transients->logits and number of hits, added to; with `backward` the
 * logits become its gradient times grad_scale. */
typedef struct beit__head_loss {
    int64_t rows;
    const int32_t *labels; /* host (R) */
    float smoothing, grad_scale;
    bool backward;
} beit__head_loss_t;
beit_status_t beit__head_loss(const beit__vit_t *vit, const beit__pass_t *pass,
                              const beit__head_loss_t *objective,
                              const beit__transients_t *transients, double *loss, int64_t *correct);
beit_status_t beit__head_backward(const beit__vit_t *vit, const beit__pass_t *pass,
                                  int64_t tail_rows, const beit__maps_t *maps,
                                  const beit__transients_t *transients);

#endif
