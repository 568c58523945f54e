/**
 * @file backend.h
 * For those who write a compute backend. An extension header: stable within a minor series, with
 * an ABI number of its own.
 *
 * A backend is a static table of functions, passed in beit_context_config_t::backend. Every
 * operation takes one argument struct, read-only. A NULL operation falls back to the reference
 * backend's when ::BEIT_BACKEND_HOST_MEMORY is set; otherwise creating the context fails and
 * names it. Calls into one opened instance never overlap.
 *
 * Unless marked "host", pointers are backend memory (inside what alloc gave, aligned as floats
 * are), f32, packed row-major; maps are NHWC, weights stand in upstream's order. In-place operation
 * is allowed only where said; otherwise outputs overlap nothing. Sums must not depend on the number
 * of workers. A struct ends where the caller's struct_size says: fields beyond it read as zero.
 *
 * Extents that count rows, samples, images or elements may be 0: then nothing is written, except
 * host results (0, or unchanged where they are added to). Pointers are not NULL unless said.
 * Memory marked "host" is the caller's again when the operation returns, and holds the results,
 * also where `synchronize` is given.
 */
#ifndef BEIT_BACKEND_H
#define BEIT_BACKEND_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BEIT_BACKEND_ABI 1u

/** Pointers are host memory; alloc, free, upload, download and copy may be NULL. */
#define BEIT_BACKEND_HOST_MEMORY 1u
/** Results do not depend on the number of workers. */
#define BEIT_BACKEND_DETERMINISTIC 2u

/** First member of every argument struct. */
typedef struct beit_op {
    size_t struct_size;     /**< of the whole argument struct */
    void *workspace;        /**< scratch, 64-byte aligned; contents undefined */
    size_t workspace_bytes; /**< at least what workspace() asked for */
} beit_op_t;

/** What a product does with each element v before storing it. */
typedef enum beit_epilogue {
    BEIT_EPILOGUE_NONE = 0,
    BEIT_EPILOGUE_GELU = 1,          /**< aux = v (if not NULL), c = gelu(v), exact erf form */
    BEIT_EPILOGUE_GELU_BACKWARD = 2, /**< c = v * gelu'(aux) */
    BEIT_EPILOGUE_RELU = 3           /**< c = max(v, 0) */
} beit_epilogue_t;

/** C = epilogue(alpha op(A) op(B) + beta C + bias). op(A) is (m,k), op(B) is (k,n), C (m,n);
 *  `bias` is one value per column or NULL. `aux` is laid out like C, its batch items too, and
 *  overlaps nothing. beta = 0 never reads C. stride_a and stride_b may be 0. */
typedef struct beit_gemm_args {
    beit_op_t op;
    int64_t m, n, k;
    int64_t lda, ldb, ldc;                /**< row strides, elements */
    int64_t batch;                        /**< >= 1 */
    int64_t stride_a, stride_b, stride_c; /**< between batch items, elements */
    const float *a, *b, *bias;
    float *c, *aux;
    float alpha, beta;
    int32_t trans_a, trans_b; /**< 1: stored as (k,m) / (n,k) */
    int32_t epilogue;         /**< ::beit_epilogue_t */
    int32_t reserved;
} beit_gemm_args_t;

/** y = (x - mean) * rstd * weight + bias per row, rstd = 1 / sqrt(biased variance + eps). y is made
 *  from the mean and rstd as stored, so that it can be made again. */
typedef struct beit_layernorm_forward_args {
    beit_op_t op;
    int64_t rows, cols;
    const float *x, *weight, *bias;
    float *y;           /**< (rows,cols); NULL: statistics only */
    float *mean, *rstd; /**< (rows); written when `normalize` is 0, read when it is 1 */
    float eps;
    int32_t normalize; /**< 1: statistics are given, only y is made */
} beit_layernorm_forward_args_t;

/** With n = (x - mean) * rstd and g = dy * weight: dx += rstd (g - mean(g) - n mean(g n)), means
 *  over the row; dweight += sum over rows of dy n; dbias += sum over rows of dy. */
typedef struct beit_layernorm_backward_args {
    beit_op_t op;
    int64_t rows, cols;
    const float *dy, *x, *weight, *mean, *rstd;
    float *dx;              /**< added to; NULL = not wanted. May not alias dy */
    float *dweight, *dbias; /**< added to */
} beit_layernorm_backward_args_t;

/** y = gelu(x), exact; y may be x. */
typedef struct beit_gelu_forward_args {
    beit_op_t op;
    int64_t count;
    const float *x;
    float *y;
} beit_gelu_forward_args_t;

/** out[c] += sum over rows of x[r,c]. */
typedef struct beit_column_sum_args {
    beit_op_t op;
    int64_t rows, cols;
    int64_t ldx; /**< row stride of x */
    const float *x;
    float *out;
} beit_column_sum_args_t;

/** y[r,c] = add[r,c] + x[r,c] * col_scale[c] * sample_scale[r / rows_per_sample]; NULL factors are
 *  1, a NULL add is 0. A sample whose scale is 0 contributes exactly nothing, whatever x holds.
 *  y may be x or add. */
typedef struct beit_scale_add_args {
    beit_op_t op;
    int64_t rows, cols, rows_per_sample;
    const float *x, *add, *col_scale;
    const float *sample_scale; /**< host, (rows / rows_per_sample) */
    float *y;
} beit_scale_add_args_t;

/** Gradients of y = gamma * (W z + b) from G = d^T z and t = column sum of d, where d is the
 *  gradient at y: dgamma[n] += <W[n,:], G[n,:]> + b[n] t[n]; dw[n,k] += gamma[n] G[n,k];
 *  dbias[n] += gamma[n] t[n]. */
typedef struct beit_layer_scale_backward_args {
    beit_op_t op;
    int64_t n, k;
    const float *w, *g;            /**< (n,k) */
    const float *bias, *gamma, *t; /**< (n) */
    float *dgamma, *dw, *dbias;    /**< (n), (n,k), (n) */
} beit_layer_scale_backward_args_t;

/** Where random numbers come from: Philox-4x32-10 with this key and the counter
 *  (sample low, sample high, block, place), four numbers a block (doc/reference/rng.md). */
typedef struct beit_op_random {
    uint64_t key;
    const uint64_t *sample_ids; /**< host, one per sample */
    uint32_t place;             /**< tells uses under one key apart */
    uint32_t reserved;
} beit_op_random_t;

/** y = x * keep / (1 - rate), keep iff u >= rate, u = ((r >> 9) + 0.5) 2^-23 of the sample's
 *  32-bit number r of that element (element e is word e % 4 of block e / 4). y may be x. The same
 *  call on a gradient is the backward pass. */
typedef struct beit_dropout_args {
    beit_op_t op;
    beit_op_random_t random;
    int64_t samples, per_sample; /**< elements per sample */
    const float *x;
    float *y;
    float rate; /**< 0 <= rate < 1 */
    int32_t reserved;
} beit_dropout_args_t;

/** y[i,:] = x[index[i],:]; with `scatter`, y[index[i],:] += x[i,:] in the order of i. An index may
 *  occur more than once. */
typedef struct beit_rows_args {
    beit_op_t op;
    int64_t rows, cols; /**< rows = number of indices */
    int64_t ldx, ldy;   /**< row strides */
    const float *x;
    const int32_t *index; /**< host, (rows) */
    float *y;
    int32_t scatter;
    int32_t reserved;
} beit_rows_args_t;

/** Pixels (B,C,H,W) to patches (B * H/P * W/P, C*P*P), flattened in (c, ky, kx) order. */
typedef struct beit_patchify_args {
    beit_op_t op;
    int64_t batch, channels, height, width, patch;
    const float *x;
    float *y;
} beit_patchify_args_t;

/** tokens[b,0] = cls, tokens[b,1+n] = mask[b,n] ? mask_token : patches[b,n]; + pos_embed. */
typedef struct beit_embed_forward_args {
    beit_op_t op;
    int64_t batch, patches, cols;
    const float *x;          /**< (B,N,D) */
    const uint8_t *mask;     /**< host, (B,N) or NULL = none */
    const float *cls_token;  /**< (D) */
    const float *mask_token; /**< (D) */
    const float *pos_embed;  /**< (N+1,D) or NULL */
    float *y;                /**< (B,N+1,D) */
} beit_embed_forward_args_t;

/** Adjoint: dx (B,N,D) = dy where visible, 0 where masked; the other gradients are added to
 *  (dmask_token only where there is a mask). */
typedef struct beit_embed_backward_args {
    beit_op_t op;
    int64_t batch, patches, cols;
    const float *dy;
    const uint8_t *mask; /**< host, or NULL */
    float *dx;
    float *dcls_token, *dmask_token;
    float *dpos_embed; /**< or NULL */
} beit_embed_backward_args_t;

/** Relative positions of a rows x cols grid with class token, T = rows*cols + 1: forward
 *  bias[h,i,j] = table[index(i,j), h] (+ the old bias when `accumulate`); backward
 *  dtable[index(i,j), h] += dbias[h,i,j]. Table ((2 rows-1)(2 cols-1) + 3, heads); the last three
 *  rows are class to patch, patch to class, class to class. */
typedef struct beit_relpos_args {
    beit_op_t op;
    int64_t rows, cols, heads;
    const float *table; /**< forward */
    float *bias;        /**< forward (h,T,T) */
    const float *dbias; /**< backward */
    float *dtable;      /**< backward */
    int32_t accumulate;
    int32_t reserved;
} beit_relpos_args_t;

/** Multi-head attention. qkv rows are (3, heads, width) with row stride ldqkv: query, key, value.
 *  s = scale q k^T + bias; p = softmax(s) over keys; dropout on p; o = p v. */
typedef struct beit_attention_forward_args {
    beit_op_t op;
    int64_t batch, tokens, heads, width, ldqkv;
    const float *qkv;  /**< (B,T,3 heads width) */
    const float *bias; /**< (heads,T,T) or NULL */
    float *o;          /**< (B,T, heads width) */
    float *lse;        /**< (B,heads,T) log-sum-exp of s per query; NULL = not wanted */
    float scale;
    float drop_rate;         /**< 0 = none */
    beit_op_random_t random; /**< element (h*T + i)*T + j of its sample */
} beit_attention_forward_args_t;

/** Backward pass; p is recomputed from qkv, bias and lse. */
typedef struct beit_attention_backward_args {
    beit_op_t op;
    int64_t batch, tokens, heads, width, ldqkv;
    const float *qkv, *bias, *o, *lse, *dout; /**< dout and o (B,T, heads width) */
    float *dqkv;                              /**< written, (B,T,3 heads width), row stride ldqkv;
                                                   what lies between rows stays */
    float *dbias;                             /**< (heads,T,T) added to, or NULL */
    float scale;
    float drop_rate;
    beit_op_random_t random;
} beit_attention_backward_args_t;

/** Rows of logits to summed cross-entropy: loss += sum_r (logsumexp(z_r) - (1-s) z_r[label_r]
 *  - s mean(z_r)), s = smoothing; correct += number of rows whose first arg-max is the label. */
typedef struct beit_cross_entropy_args {
    beit_op_t op;
    int64_t rows, cols;
    float *logits;         /**< overwritten by the gradient times grad_scale when `backward` */
    const int32_t *labels; /**< host, (rows), each in [0, cols) */
    double *loss;          /**< host, added to */
    int64_t *correct;      /**< host, added to */
    float grad_scale, smoothing;
    int32_t backward;
    int32_t reserved;
} beit_cross_entropy_args_t;

/** index[r] = position of the first maximum of row r. */
typedef struct beit_argmax_args {
    beit_op_t op;
    int64_t rows, cols, ldx;
    const float *x;
    int32_t *index; /**< host */
} beit_argmax_args_t;

/** Layout change of maps with y = scale*x + shift; with `unmap_logit`, x is first replaced by
 *  (sigmoid(x) - 0.1) / 0.8 clamped to [0,1]. to_nhwc: (B,C,H,W) -> (B,H,W,C), keep is not read;
 *  else the first `keep` channels of (B,H,W,C) -> (B,keep,H,W). */
typedef struct beit_layout_args {
    beit_op_t op;
    int64_t batch, channels, height, width;
    int64_t keep; /**< <= channels; channels when all */
    const float *x;
    float *y;
    float scale, shift;
    int32_t to_nhwc, unmap_logit;
} beit_layout_args_t;

/** Convolution over the larger map (B,H,W,I), the smaller (B,H',W',O),
 *  H' = floor((H + 2 pad - kernel)/stride) + 1, weight (O,I,kernel,kernel), cross-correlation.
 *  bias NULL = 0; beta = 0 never reads the output. Three operations share this struct:
 *  - conv_forward: small = act(alpha (conv(f(large)) + bias[O]) + beta small)
 *  - conv_transpose (its adjoint, also the input gradient):
 *      large = act(alpha (convT(small) + bias[I]) + beta large)
 *  - conv_weight_gradient: dweight[o,i,ky,kx] += alpha * sum over samples and small pixels (y,x)
 *      of small[y,x,o] * f(large)[y stride + ky - pad, x stride + kx - pad, i]; the gradient of the
 *      layer's other side stands in `small` (conv) or in `large` (transposed conv)
 *  f is ReLU with relu_input (not read by conv_transpose), else identity; act is ReLU with
 *  relu_output. */
typedef struct beit_conv_args {
    beit_op_t op;
    int64_t batch, height, width;
    int64_t in_channels, out_channels, kernel, stride, pad;
    float *large, *small; /**< whichever is input is not written */
    const float *weight, *bias;
    float *dweight;
    float alpha, beta;
    int32_t relu_input, relu_output;
} beit_conv_args_t;

/** y = max(x, 0), or, with dy: y = dy * (x > 0). y may be x or dy. */
typedef struct beit_relu_args {
    beit_op_t op;
    int64_t count;
    const float *x, *dy;
    float *y;
} beit_relu_args_t;

/** (B,H,W,C) to half, (B,floor(H/2),floor(W/2),C), the maximum of each 2x2 square; or to double,
 *  (B,2H,2W,C), each value four times. */
typedef struct beit_resample_args {
    beit_op_t op;
    int64_t batch, height, width, channels;
    const float *x;
    float *y;
    int32_t up; /**< 1 = double, 0 = half */
    int32_t reserved;
} beit_resample_args_t;

/** Relaxed choice of a code per row: y = softmax((logits + g)/tau), g = -ln(-ln u), with u as in
 *  dropout, of element position*V + v of the sample; noise overrides g.
 *  mode (beit_dvae_sampling_t): 1 soft: y; 2, 3: choice[r] = first arg-max of the y that is stored;
 *  y stays the soft value that the gradient needs. Backward adds to dlogits, with J(p) = diag(p) -
 *  p p^T: modes 1 and 2: J(y) dy / tau; 3 (ReinMax): 2 J(p1) dy - J(p0) dy / 2, where p0 =
 *  softmax(logits) and p1 = max((onehot(choice) + softmax(logits/tau)) / 2, 1e-20), scaled to sum
 *  1. Mode 3 reads logits and choice, and not y. */
typedef struct beit_gumbel_args {
    beit_op_t op;
    beit_op_random_t random;
    int64_t samples, positions, vocab; /**< rows = samples * positions */
    const float *logits;               /**< (rows,V) */
    const float *noise;                /**< (rows,V) or NULL */
    float *y;                          /**< (rows,V): forward written, backward read */
    int32_t *choice;                   /**< host (rows), modes 2 and 3: forward written */
    const float *dy;                   /**< backward: (rows,V), gradient at the (hard) sample */
    float *dlogits;                    /**< backward: (rows,V), added to */
    float tau;
    int32_t mode;
} beit_gumbel_args_t;

/** Terms on q = softmax(logits), each weighted, their sum's gradient added to dlogits:
 *  kl: sum over rows of KL(q||u), u = 1/V (direction 1), or KL(u||q) (2), times kl_weight; with
 *      `kl_epsilon` e, direction 1 is sum (q + e)(ln(q + e) - ln u), as layout U executes it;
 *  balance: ln V - H(mean over rows of q); sharpness: mean over rows of H(q). Values are
 *  unweighted, and all are written whatever the weights. */
typedef struct beit_code_prior_args {
    beit_op_t op;
    int64_t rows, vocab;
    const float *logits;
    float *dlogits;                   /**< NULL = values only */
    double *kl, *balance, *sharpness; /**< host, written */
    float kl_weight, kl_epsilon, balance_weight, sharpness_weight;
    int32_t kl_direction;
    int32_t reserved;
} beit_code_prior_args_t;

/** loss += sum of rho(x - target); dx = grad_scale * rho'. kind (beit_recon_loss_t): 1 square,
 *  rho(d) = d^2; 2 smooth-L1, rho(d) = d^2 / 2 where |d| < 1, else |d| - 1/2. dx may be x. */
typedef struct beit_recon_args {
    beit_op_t op;
    int64_t count;
    const float *x, *target;
    float *dx;    /**< NULL = value only */
    double *loss; /**< host, added to */
    float grad_scale;
    int32_t kind;
} beit_recon_args_t;

/** x = value. */
typedef struct beit_fill_args {
    beit_op_t op;
    int64_t count;
    float *x;
    float value;
    int32_t reserved;
} beit_fill_args_t;

/** result = sum of x^2, in double; not finite when any element is not. */
typedef struct beit_square_sum_args {
    beit_op_t op;
    int64_t count;
    const float *x;
    double *result; /**< host, written */
} beit_square_sum_args_t;

/** One Adam step on `count` elements, in this order: g' = grad_scale g; coupled: g' += wd p, else
 *  p -= lr wd p; m = beta1 m + (1-beta1) g'; v = beta2 v + (1-beta2) g'^2;
 *  p -= lr/correction1 * m / (sqrt(v)/sqrt(correction2) + eps), correction_i = 1 - beta_i^t with
 *  the beta that stands here, a rounded 0.999: otherwise the two do not cancel at t = 1. */
typedef struct beit_adam_args {
    beit_op_t op;
    int64_t count;
    float *param, *exp_avg, *exp_avg_sq;
    const float *grad;
    double correction1, correction2;
    float grad_scale, lr, weight_decay, beta1, beta2, eps;
    int32_t coupled;
    int32_t reserved;
} beit_adam_args_t;

/** Names of the operations, for workspace(). Appended, never renumbered. */
typedef enum beit_op_id {
    BEIT_OP_GEMM = 0,
    BEIT_OP_LAYERNORM_FORWARD,
    BEIT_OP_LAYERNORM_BACKWARD,
    BEIT_OP_GELU_FORWARD,
    BEIT_OP_COLUMN_SUM,
    BEIT_OP_SCALE_ADD,
    BEIT_OP_LAYER_SCALE_BACKWARD,
    BEIT_OP_DROPOUT,
    BEIT_OP_ROWS,
    BEIT_OP_PATCHIFY,
    BEIT_OP_EMBED_FORWARD,
    BEIT_OP_EMBED_BACKWARD,
    BEIT_OP_RELPOS_FORWARD,
    BEIT_OP_RELPOS_BACKWARD,
    BEIT_OP_ATTENTION_FORWARD,
    BEIT_OP_ATTENTION_BACKWARD,
    BEIT_OP_CROSS_ENTROPY,
    BEIT_OP_ARGMAX,
    BEIT_OP_LAYOUT,
    BEIT_OP_CONV_FORWARD,
    BEIT_OP_CONV_TRANSPOSE,
    BEIT_OP_CONV_WEIGHT_GRADIENT,
    BEIT_OP_RELU,
    BEIT_OP_RESAMPLE,
    BEIT_OP_GUMBEL_FORWARD,
    BEIT_OP_GUMBEL_BACKWARD,
    BEIT_OP_CODE_PRIOR,
    BEIT_OP_RECON,
    BEIT_OP_FILL,
    BEIT_OP_SQUARE_SUM,
    BEIT_OP_ADAM,
    BEIT_OP_COUNT
} beit_op_id_t;

/** What the library lends to a backend instance; valid until close. */
typedef struct beit_backend_host {
    size_t struct_size;
    const beit_allocator_t *allocator;
    const beit_executor_t *executor; /**< the host's pool or the library's */
    void (*log)(void *token, beit_log_level_t level, const char *line);
    void *log_token;
    void (*set_error)(const char *message); /**< becomes beit_last_error() */
} beit_backend_host_t;

/** The table. Static storage, append-only. */
struct beit_backend_ops {
    size_t struct_size;
    uint32_t abi;   /**< ::BEIT_BACKEND_ABI */
    uint32_t flags; /**< BEIT_BACKEND_* */
    const char *name;

    /** Open an instance. options: what the context was given, or NULL. Unknown keys are refused
     *  by name. NULL = no instance and no options; close may then be NULL too. */
    beit_status_t (*open)(void **self, const beit_backend_host_t *host, const char *options);
    void (*close)(void *self);
    /** One line about what this instance uses; NULL allowed. Borrowed until close. */
    const char *(*describe)(void *self);

    beit_status_t (*alloc)(void *self, size_t bytes, void **ptr); /**< 64-byte aligned */
    void (*free)(void *self, void *ptr, size_t bytes);
    beit_status_t (*upload)(void *self, void *dst, const void *src, size_t bytes);
    beit_status_t (*download)(void *self, void *dst, const void *src, size_t bytes);
    beit_status_t (*copy)(void *self, void *dst, const void *src, size_t bytes);
    /** Wait for everything that was started; called before download and free. NULL: every call is
     *  finished on return. */
    beit_status_t (*synchronize)(void *self);

    /** Scratch bytes that an operation needs for these arguments. Called at planning time, with
     *  extents at least as large as later and pointers that may not be read. An operation whose
     *  extents are smaller must not need more. NULL = no operation needs any. */
    size_t (*workspace)(void *self, beit_op_id_t op, const beit_op_t *args);

    beit_status_t (*gemm)(void *self, const beit_gemm_args_t *args);
    beit_status_t (*layernorm_forward)(void *self, const beit_layernorm_forward_args_t *args);
    beit_status_t (*layernorm_backward)(void *self, const beit_layernorm_backward_args_t *args);
    beit_status_t (*gelu_forward)(void *self, const beit_gelu_forward_args_t *args);
    beit_status_t (*column_sum)(void *self, const beit_column_sum_args_t *args);
    beit_status_t (*scale_add)(void *self, const beit_scale_add_args_t *args);
    beit_status_t (*layer_scale_backward)(void *self, const beit_layer_scale_backward_args_t *args);
    beit_status_t (*dropout)(void *self, const beit_dropout_args_t *args);
    beit_status_t (*rows)(void *self, const beit_rows_args_t *args);
    beit_status_t (*patchify)(void *self, const beit_patchify_args_t *args);
    beit_status_t (*embed_forward)(void *self, const beit_embed_forward_args_t *args);
    beit_status_t (*embed_backward)(void *self, const beit_embed_backward_args_t *args);
    beit_status_t (*relpos_forward)(void *self, const beit_relpos_args_t *args);
    beit_status_t (*relpos_backward)(void *self, const beit_relpos_args_t *args);
    beit_status_t (*attention_forward)(void *self, const beit_attention_forward_args_t *args);
    beit_status_t (*attention_backward)(void *self, const beit_attention_backward_args_t *args);
    beit_status_t (*cross_entropy)(void *self, const beit_cross_entropy_args_t *args);
    beit_status_t (*argmax)(void *self, const beit_argmax_args_t *args);
    beit_status_t (*layout)(void *self, const beit_layout_args_t *args);
    beit_status_t (*conv_forward)(void *self, const beit_conv_args_t *args);
    beit_status_t (*conv_transpose)(void *self, const beit_conv_args_t *args);
    beit_status_t (*conv_weight_gradient)(void *self, const beit_conv_args_t *args);
    beit_status_t (*relu)(void *self, const beit_relu_args_t *args);
    beit_status_t (*resample)(void *self, const beit_resample_args_t *args);
    beit_status_t (*gumbel_forward)(void *self, const beit_gumbel_args_t *args);
    beit_status_t (*gumbel_backward)(void *self, const beit_gumbel_args_t *args);
    beit_status_t (*code_prior)(void *self, const beit_code_prior_args_t *args);
    beit_status_t (*recon)(void *self, const beit_recon_args_t *args);
    beit_status_t (*fill)(void *self, const beit_fill_args_t *args);
    beit_status_t (*square_sum)(void *self, const beit_square_sum_args_t *args);
    beit_status_t (*adam)(void *self, const beit_adam_args_t *args);
};

/** A built-in table, "reference" or "cblas"; NULL when this build has no such backend. */
BEIT_API const beit_backend_ops_t *beit_backend_builtin(const char *name);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_BACKEND_H */
