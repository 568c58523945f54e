/* The transformer's layers, pairs of forward and backward over backend operations. A layer is a
 * description (extents, parameter indices); maps are passed to each call; what calls share is in
 * the pass. Tensor memory is the backend's: nothing here touches it.
 *
 * Letters: B batch, N patches, T = N + 1 tokens, D width, H heads, A = H * head width, F MLP
 * width, R rows of a map that are worked on. Gradients of parameters are added to. */
#ifndef BEIT_NN_TRANSFORMER_H
#define BEIT_NN_TRANSFORMER_H

#include "backend/backend.h"
#include "nn/param.h"

#define BEIT__NO_PARAM SIZE_MAX /* index of a parameter that a configuration does without */

/* One run through the network. */
typedef struct beit__pass {
    beit__run_t *run;
    const beit_params_t *weights;
    const beit_params_t *gradients; /* NULL in a pass without backward */
    int64_t batch, tokens;          /* B, T */
    const uint64_t *sample_ids;     /* host (B): keys of dropout */
    uint64_t dropout_key;
    float drop_rate, attn_drop_rate; /* of this pass, 0 = none */
} beit__pass_t;

/* The rows of a (B,T,...) map that a call works on. */
typedef struct beit__row_set {
    int64_t count;        /* R */
    const int32_t *index; /* host (R), increasing; NULL = all B*T */
} beit__row_set_t;

/* Stochastic depth of one branch: factor per sample, or per row of a row set. */
typedef struct beit__keep {
    const float *scale; /* host: 0 or 1/(1-rate); NULL = 1 everywhere */
    int64_t rows_per_scale;
} beit__keep_t;

/* Transient maps, shared by the blocks. */
typedef struct beit__scratch {
    float *norm;     /* (B,T,D) output of a LayerNorm */
    float *branch;   /* (B,T,D) output of a branch; backward: gradients there */
    float *hidden;   /* (B,T,F) GELU output; backward: gradient before GELU */
    float *heads;    /* (B,T,A) attention output or its gradient; may overlap `hidden` */
    float *dqkv;     /* (B,T,3A) may overlap `hidden` */
    float *product;  /* (D, max(A,F)) weight gradient before LayerScale */
    float *column;   /* (D) */
    float *qkv_bias; /* (3A) query bias, zeros, value bias */
    float *spread;   /* (B,T,D) dropout of a row set; NULL without dropout */
    float *bias;     /* (H,T,T) relative position bias of the block at hand; NULL = none */
    float *dbias;    /* (H,T,T) its gradient; NULL in a pass without backward */
} beit__scratch_t;

/* The parameter, or NULL when the configuration has none. */
static inline float *beit__param_or_null(const beit_params_t *params, size_t index)
{
    return index == BEIT__NO_PARAM ? NULL : beit__params_at(params, index);
}

/* ---- linear.c: y = x W^T + b ---- */

typedef struct beit__linear {
    int64_t in, out;
    size_t weight, bias; /* bias may be BEIT__NO_PARAM */
} beit__linear_t;

/* Register "<prefix><name>.weight" (out,in) and, if wanted, "<prefix><name>.bias" (out), zero. */
beit_status_t beit__linear_add(beit__linear_t *layer, beit__param_list_t *list, const char *prefix,
                               const char *name, beit__param_t init, bool bias);
/* The bias is the layer's parameter, or the one given here. */
beit_status_t beit__linear_forward(const beit__pass_t *pass, const beit__linear_t *layer,
                                   int64_t rows, const float *x, /* (R,in) */
                                   const float *bias,            /* (out) or NULL */
                                   float *y);                    /* (R,out) */
/* y = gelu(z), z = x W^T + b. */
beit_status_t beit__linear_gelu_forward(const beit__pass_t *pass, const beit__linear_t *layer,
                                        int64_t rows, const float *x, /* (R,in) */
                                        float *z,                     /* (R,out) or NULL */
                                        float *y);                    /* (R,out) */
/* dx = dy W, times gelu'(z) when x was gelu(z). */
beit_status_t beit__linear_backward_input(const beit__pass_t *pass, const beit__linear_t *layer,
                                          int64_t rows, const float *dy, /* (R,out) */
                                          const float *z,                /* (R,in) or NULL */
                                          float *dx);                    /* (R,in) */
/* dW += dy^T x, db += column sums of dy. */
beit_status_t beit__linear_backward_weight(const beit__pass_t *pass, const beit__linear_t *layer,
                                           int64_t rows, const float *x, /* (R,in) */
                                           const float *dy);             /* (R,out) */

/* ---- layernorm.c ---- */

typedef struct beit__norm {
    int64_t width;
    float eps;
    size_t weight, bias;
} beit__norm_t;

/* What the backward pass needs besides x. */
typedef struct beit__norm_stats {
    float *mean, *rstd; /* (R) */
} beit__norm_stats_t;

/* Register "<prefix><name>.weight", 1, and "<prefix><name>.bias", 0. */
beit_status_t beit__norm_add(beit__norm_t *layer, beit__param_list_t *list, const char *prefix,
                             const char *name);
beit_status_t beit__norm_forward(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                 const float *x,           /* (R,D) */
                                 beit__norm_stats_t stats, /* written */
                                 float *y);                /* (R,D) */
/* The output once more from kept statistics. */
beit_status_t beit__norm_repeat(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                const float *x, beit__norm_stats_t stats, float *y);
/* dx += gradient. */
beit_status_t beit__norm_backward(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                  const float *x, beit__norm_stats_t stats,
                                  const float *dy, /* (R,D) */
                                  float *dx);      /* (R,D) */

/* ---- pool.c: the mean over a sample's rows ---- */

typedef struct beit__mean_pool {
    int64_t rows, width; /* of a sample */
} beit__mean_pool_t;

beit_status_t beit__mean_pool_forward(const beit__pass_t *pass, const beit__mean_pool_t *layer,
                                      const float *x, /* (B,rows,D) */
                                      float *factors, /* (rows) scratch */
                                      float *y);      /* (B,D) */
beit_status_t beit__mean_pool_backward(const beit__pass_t *pass, const beit__mean_pool_t *layer,
                                       const float *dy, /* (B,D) */
                                       float *factors,  /* (rows) scratch */
                                       float *dx);      /* (B,rows,D) */

/* ---- rows.c: maps of row sets ---- */

/* part = the rows of the set. */
beit_status_t beit__rows_gather(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                const float *whole, /* (B,T,cols) */
                                float *part);       /* (R,cols) */
/* Those rows of whole = part, all others = 0. */
beit_status_t beit__rows_scatter(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                 const float *part, /* (R,cols) */
                                 float *whole);     /* (B,T,cols) */
/* Dropout in place on the rows of a set: whether an element is kept depends on its place in the
 * whole map only. The same call on a gradient is the backward pass. */
beit_status_t beit__rows_dropout(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                 uint32_t place, float *part, /* (R,cols) */
                                 float *spread);              /* (B,T,cols), for a proper set */

/* ---- droppath.c: stochastic depth, host side ---- */

/* Rate of a block: from 0 in the first to `last` in the last, in float32. */
float beit__droppath_rate(float last, int64_t block, int64_t depth);
/* Factor per sample: 1/(1-rate) with probability 1 - rate, else 0. branch: 0 attention, 1 MLP. */
void beit__droppath_draw(float *scale, /* host (B) */
                         int64_t batch, float rate, uint64_t key, const uint64_t *sample_ids,
                         int64_t block, int branch);

/* ---- residual.c: the end of a branch, y = add + s gamma dropout(W x + b) ---- */

typedef struct beit__residual {
    beit__linear_t linear;
    size_t gamma;   /* LayerScale, may be BEIT__NO_PARAM */
    uint32_t place; /* of the dropout */
} beit__residual_t;

beit_status_t beit__residual_forward(const beit__pass_t *pass, const beit__residual_t *layer,
                                     beit__row_set_t rows, beit__keep_t keep,
                                     const float *x,   /* (R,in) */
                                     const float *add, /* (R,D), may be y */
                                     float *y,         /* (R,D) */
                                     const beit__scratch_t *scratch);
/* dx = gradient at x, times gelu'(z) when x was gelu(z). dy passes to `add` as it is. */
beit_status_t beit__residual_backward(const beit__pass_t *pass, const beit__residual_t *layer,
                                      beit__row_set_t rows, beit__keep_t keep,
                                      const float *x,  /* (R,in) */
                                      const float *dy, /* (R,D) */
                                      const float *z,  /* (R,in) or NULL */
                                      float *dx,       /* (R,in), may be x */
                                      const beit__scratch_t *scratch);

/* ---- relpos.c: relative position bias (H,T,T) from tables ---- */

typedef struct beit__position_bias {
    int64_t rows, cols, heads; /* of the patch grid */
    size_t shared;             /* table of all blocks, may be BEIT__NO_PARAM */
    bool own;                  /* each block has a table of its own, perhaps besides */
} beit__position_bias_t;

/* Register "<prefix>relative_position_bias_table", zero. */
beit_status_t beit__position_bias_add(const beit__position_bias_t *layer, beit__param_list_t *list,
                                      size_t *table, const char *prefix);
/* Before the blocks of either pass. */
beit_status_t beit__position_bias_begin(const beit__pass_t *pass,
                                        const beit__position_bias_t *layer,
                                        const beit__scratch_t *scratch);
/* Before a block's attention in either pass: make scratch->bias. own: the block's table. */
beit_status_t beit__position_bias_forward(const beit__pass_t *pass,
                                          const beit__position_bias_t *layer, size_t own,
                                          const beit__scratch_t *scratch);
/* After a block's attention, which added to scratch->dbias. */
beit_status_t beit__position_bias_backward(const beit__pass_t *pass,
                                           const beit__position_bias_t *layer, size_t own,
                                           const beit__scratch_t *scratch);
/* After the blocks of the backward pass. */
beit_status_t beit__position_bias_end(const beit__pass_t *pass, const beit__position_bias_t *layer,
                                      const beit__scratch_t *scratch);

/* ---- attention.c: q, k, v of a normalised map and multi-head attention over them ---- */

typedef struct beit__self_attention {
    int64_t heads, width; /* A = heads * width */
    float scale;
    beit__linear_t qkv;    /* D to 3A */
    size_t q_bias, v_bias; /* keys have none; both may be BEIT__NO_PARAM */
    size_t table;          /* own relative table, may be BEIT__NO_PARAM */
    uint32_t place;        /* of the dropout of probabilities */
} beit__self_attention_t;

/* What is kept of it. */
typedef struct beit__attention_maps {
    float *qkv; /* (B,T,3A) */
    float *o;   /* (B,T,A) */
    float *lse; /* (B,H,T), NULL without a later backward pass */
} beit__attention_maps_t;

/* Register q_bias, v_bias, the own table and qkv.weight. */
beit_status_t beit__self_attention_add(beit__self_attention_t *layer, beit__param_list_t *list,
                                       const char *prefix, beit__param_t init, bool bias,
                                       const beit__position_bias_t *positions);
beit_status_t
beit__self_attention_forward(const beit__pass_t *pass, const beit__self_attention_t *layer,
                             const beit__position_bias_t *positions, const float *x, /* (B,T,D) */
                             const beit__attention_maps_t *maps, const beit__scratch_t *scratch);
/* Reads scratch->heads, the gradient of o; uses scratch->dqkv. */
beit_status_t beit__self_attention_backward(const beit__pass_t *pass,
                                            const beit__self_attention_t *layer,
                                            const beit__position_bias_t *positions, const float *x,
                                            const beit__attention_maps_t *maps,
                                            float *dx, /* (B,T,D), not x */
                                            const beit__scratch_t *scratch);

/* ---- mlp.c: fc1, GELU, fc2 with its residual connection ---- */

typedef struct beit__mlp {
    beit__linear_t fc1;
    beit__residual_t fc2;
} beit__mlp_t;

beit_status_t beit__mlp_add(beit__mlp_t *layer, beit__param_list_t *list, const char *prefix,
                            beit__param_t fc1, beit__param_t fc2);
beit_status_t beit__mlp_forward(const beit__pass_t *pass, const beit__mlp_t *layer,
                                beit__row_set_t rows, beit__keep_t keep, const float *x, /* (R,D) */
                                float *z,         /* (R,F) before GELU, NULL = not kept */
                                const float *add, /* (R,D), may be y */
                                float *y,         /* (R,D) */
                                const beit__scratch_t *scratch);
beit_status_t beit__mlp_backward(const beit__pass_t *pass, const beit__mlp_t *layer,
                                 beit__row_set_t rows, beit__keep_t keep, const float *x,
                                 const float *z, const float *dy,
                                 float *dx, /* (R,D), may be scratch->branch, not x */
                                 const beit__scratch_t *scratch);

/* Places of dropout: so many per block, then the embedding's (doc/reference/rng.md). */
#define BEIT__DROPOUT_SITES 4u

/* ---- block.c: x2 = x + proj(attention(norm1(x))), y = x2 + mlp(norm2(x2)) ---- */

typedef struct beit__block {
    beit__norm_t norm1, norm2;
    beit__self_attention_t attention;
    beit__residual_t proj;
    beit__mlp_t mlp;
} beit__block_t;

/* What is kept of a block: 10 T D floats an image and the statistics. A block of which only some
 * rows are wanted (the last one in training) works on those rows from proj on. */
typedef struct beit__block_maps {
    float *x; /* (B,T,D) */
    beit__norm_stats_t stats1;
    beit__attention_maps_t attention;
    float *x2; /* (R,D); may be x when all rows are wanted and no backward pass follows */
    beit__norm_stats_t stats2;
    float *z; /* (R,F) before GELU; NULL without a later backward pass */
} beit__block_maps_t;

/* Extents and initial values of a block. */
typedef struct beit__block_shape {
    int64_t dim, heads, head_width, mlp_dim;
    float attention_scale, norm_eps;
    float layer_scale;  /* <= 0: none */
    beit__param_t init; /* of matrices; those that write to the residual stream start smaller */
    bool qkv_bias;
} beit__block_shape_t;

/* Register block number `index`, "blocks.<index>.". */
beit_status_t beit__block_add(beit__block_t *block, beit__param_list_t *list,
                              const beit__block_shape_t *shape, int32_t index,
                              const beit__position_bias_t *positions);
beit_status_t beit__block_forward(const beit__pass_t *pass, const beit__block_t *block,
                                  const beit__position_bias_t *positions, beit__row_set_t rows,
                                  const beit__keep_t keep[2], /* attention, MLP */
                                  const beit__block_maps_t *maps,
                                  float *y, /* (R,D), may be maps->x2 as above */
                                  const beit__scratch_t *scratch);
beit_status_t beit__block_backward(const beit__pass_t *pass, const beit__block_t *block,
                                   const beit__position_bias_t *positions, beit__row_set_t rows,
                                   const beit__keep_t keep[2], const beit__block_maps_t *maps,
                                   float *dy, /* (R,D), overwritten */
                                   float *dx, /* (B,T,D); dy itself when all rows are wanted */
                                   const beit__scratch_t *scratch);

/* ---- patch_embed.c: pixels to vectors ---- */

typedef struct beit__patch_embed {
    int64_t channels, height, width, patch;
    beit__linear_t proj; /* C P P to D */
} beit__patch_embed_t;

beit_status_t beit__patch_embed_add(beit__patch_embed_t *layer, beit__param_list_t *list,
                                    beit__param_t weight, beit__param_t bias);
beit_status_t beit__patch_embed_forward(const beit__pass_t *pass, const beit__patch_embed_t *layer,
                                        const float *pixels, /* (B,C,height,width) */
                                        float *patches,      /* (B,N,C P P), kept */
                                        float *y);           /* (B,N,D) */
beit_status_t beit__patch_embed_backward(const beit__pass_t *pass, const beit__patch_embed_t *layer,
                                         const float *patches, const float *dy); /* (B,N,D) */

/* ---- embedding.c: class token, mask token, absolute positions, dropout ---- */

typedef struct beit__embedding {
    int64_t dim, patches;
    size_t cls_token;
    size_t mask_token, pos_embed; /* either may be BEIT__NO_PARAM */
    uint32_t place;               /* of the dropout */
} beit__embedding_t;

beit_status_t beit__embedding_add(beit__embedding_t *layer, beit__param_list_t *list,
                                  beit__param_t init, bool masks, bool positions);
beit_status_t beit__embedding_forward(const beit__pass_t *pass, const beit__embedding_t *layer,
                                      const float *x,      /* (B,N,D) */
                                      const uint8_t *mask, /* host (B,N); NULL = none */
                                      float *y);           /* (B,T,D) */
beit_status_t beit__embedding_backward(const beit__pass_t *pass, const beit__embedding_t *layer,
                                       const uint8_t *mask, float *dy, /* (B,T,D), overwritten */
                                       float *dx);                     /* (B,N,D) */

#endif
