/**
 * @file model.h
 * The vision transformer (arXiv 2106.08254; unilm `beit/modeling_pretrain.py` and
 * `beit/modeling_finetune.py`): patch embedding, class and mask token, absolute and relative
 * positions, pre-norm blocks with LayerScale and stochastic depth, and a head that predicts visual
 * tokens of masked patches (masked modeling) or the class of an image (classifier).
 *
 * Letters: B batch, C channels, N patches, T = N + 1 tokens (class token first), D width, V
 * vocabulary, M masked patches of the batch, K classes.
 */
#ifndef BEIT_MODEL_H
#define BEIT_MODEL_H

#include "base.h"
#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A model. Thread-safety: one thread at a time. @since 0.1 */
typedef struct beit_model beit_model_t;

/** What a classifier's head sees. @since 0.1 */
typedef enum beit_pooling {
    BEIT_POOL_MEAN = 1, /**< mean of the patch tokens of the last block, then fc_norm */
    BEIT_POOL_CLASS = 2 /**< the class token of the last block, after norm */
} beit_pooling_t;

/** Configuration of a model. Defaults are the published base model in masked modeling.
 *
 *  num_classes makes it a classifier: no mask token, `head` in place of `lm_head`, vocab_size not
 *  used, initial weights as unilm's fine-tuning has them. The published classifiers have one
 *  relative table per block: shared_rel_pos 0, rel_pos 1. @since 0.1 */
typedef struct beit_model_config {
    size_t struct_size;
    uint64_t init_seed;                /**< of the initial weights, default 0 */
    int32_t image_height, image_width; /**< default 224 x 224, multiples of patch_size */
    int32_t patch_size, channels;      /**< 16, 3 */
    int32_t vocab_size, embed_dim;     /**< 8192, 768 */
    int32_t depth, heads;              /**< 12, 12 */
    int32_t mlp_dim;                   /**< 0 = 4 * embed_dim (default) */
    int32_t attn_head_dim;             /**< 0 = embed_dim / heads (default) */
    int32_t shared_rel_pos, rel_pos;   /**< one relative table for all blocks (default 1), one per
                                            block (default 0); both may be on */
    int32_t abs_pos, qkv_bias;         /**< absolute positions (default 0); bias of q and v, keys
                                            never have one (default 1) */
    float layer_scale;                 /**< initial gamma, default 0.1; <= 0 = no gamma */
    float drop_path;                   /**< stochastic depth of the last block, growing linearly
                                            from 0; default 0.1 */
    float norm_eps, init_std;          /**< 1e-6, 0.02 */
    float drop_rate, attn_drop_rate;   /**< dropout, default 0 */
    float qk_scale;                    /**< 0 = (head width)^-1/2 (default) */
    float head_init_scale;             /**< factor on a classifier's initial head; 0 = 0.001
                                            (default) */
    int32_t num_classes;               /**< K; 0 = masked modeling (default) */
    int32_t pooling; /**< ::beit_pooling_t, classifiers only; 0 = mean (default) */
} beit_model_config_t;

/** Write the defaults; size is `sizeof *cfg`. @since 0.1 */
BEIT_API void beit_model_config_init(beit_model_config_t *cfg, size_t size);

/** Set the fields that a named size decides, leaving the others: "nano" (128/4/4), "tiny"
 *  (192/12/3), "small" (384/12/6), "base" (768/12/12), "large" (1024/24/16, gamma 1e-5).
 *  @return ::BEIT_E_ARGUMENT for an unknown name, listing the known ones @since 0.1 */
BEIT_API beit_status_t beit_model_config_preset(beit_model_config_t *cfg, const char *name);

/** Create a model with initial weights (truncated normal at one standard deviation; proj and fc2
 *  of block l divided by sqrt(2 l)); cfg NULL = defaults. A classifier's are normal, its patch
 *  embedding's uniform within (C P P)^-1/2, P the patch's side.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_ABI, ::BEIT_E_NOMEM, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_model_create(beit_model_t **out, beit_context_t *ctx,
                                         const beit_model_config_t *cfg);

/** Destroy; NULL allowed. A trainer that uses it keeps it alive. @since 0.1 */
BEIT_API void beit_model_destroy(beit_model_t *model);

/** Read back the configuration, with 0-defaults resolved; set cfg->struct_size first. @since 0.1 */
BEIT_API beit_status_t beit_model_config(const beit_model_t *model, beit_model_config_t *cfg);

/** The weights, with upstream's names. @since 0.1 */
BEIT_API beit_params_t *beit_model_params(beit_model_t *model);

/** Plan memory for up to `batch` images now, so that later calls with as many or fewer allocate
 *  nothing. training = 0 plans for encode, predict and classify, 1 also for forward and backward,
 *  gradients included. Calls plan for themselves when needed.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_NOMEM (the old plan stays) @since 0.1 */
BEIT_API beit_status_t beit_model_reserve(beit_model_t *model, int64_t batch, int training);

/** `block` for the residual stream after the final norm; with mean pooling, where the norm comes
 *  after the mean, the last block's output as it is. */
#define BEIT_FEATURES_NORMED (-1)

/** Features without dropout or stochastic depth.
 *  @param pixels   (B,C,H,W) f32
 *  @param mask     (B,N) u8, 1 = replaced by the mask token; NULL = none (always so in a
 *                  classifier, which has no mask token)
 *  @param block    0..depth-1: the residual stream after that block; ::BEIT_FEATURES_NORMED
 *  @param features (B,T,D) f32
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_SHAPE, ::BEIT_E_NOMEM, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_model_encode(beit_model_t *model, const beit_tensor_t *pixels,
                                         const beit_tensor_t *mask, int32_t block,
                                         const beit_tensor_t *features);

/** Logits of every patch, (B,N,V) f32, without dropout or stochastic depth.
 *  @return also ::BEIT_E_STATE for a classifier @since 0.1 */
BEIT_API beit_status_t beit_model_predict(beit_model_t *model, const beit_tensor_t *pixels,
                                          const beit_tensor_t *mask, const beit_tensor_t *logits);

/** Logits of a classifier, (B,K) f32, without dropout or stochastic depth.
 *  @return also ::BEIT_E_STATE for a model without classes @since 0.1 */
BEIT_API beit_status_t beit_model_classify(beit_model_t *model, const beit_tensor_t *pixels,
                                           const beit_tensor_t *logits);

/** What is random in a training forward pass. @since 0.1 */
typedef struct beit_forward_options {
    size_t struct_size;
    uint64_t seed;              /**< of dropout and stochastic depth */
    uint64_t step;              /**< likewise */
    const uint64_t *sample_ids; /**< B keys, borrowed during the call; NULL = 0..B-1 */
    int32_t training;           /**< 1 = dropout and stochastic depth act; default 0 */
    int32_t reserved;
} beit_forward_options_t;

/** Write the defaults; size is `sizeof *options`. @since 0.1 */
BEIT_API void beit_forward_options_init(beit_forward_options_t *options, size_t size);

/** Forward pass for hosts with their own loss: keeps what beit_model_backward() reads.
 *  @param pixels  (B,C,H,W) f32
 *  @param mask    (B,N) u8 with M >= 1 ones; NULL for a classifier
 *  @param options NULL = defaults
 *  @param logits  (M,V) f32: the masked patches, sample by sample, in row-major patch order; (B,K)
 *                 for a classifier
 *  @return ::BEIT_E_ARGUMENT (an empty mask), ::BEIT_E_SHAPE, ::BEIT_E_NOMEM, ::BEIT_E_BACKEND
 *  @since 0.1 */
BEIT_API beit_status_t beit_model_forward(beit_model_t *model, const beit_tensor_t *pixels,
                                          const beit_tensor_t *mask,
                                          const beit_forward_options_t *options,
                                          const beit_tensor_t *logits);

/** Cross-entropy of logits that the last beit_model_forward() gave, mean over their rows, and its
 *  gradient, for hosts whose loss is that one. With smoothing s the target is (1 - s) for the label
 *  plus s spread evenly over all columns.
 *  @param logits      (M,V) or (B,K) f32
 *  @param labels      i32, one per row
 *  @param smoothing   0 to less than 1
 *  @param loss        written
 *  @param correct     rows whose first maximum is the label, written; NULL = not wanted
 *  @param logits_grad as logits, for beit_model_backward(); may be logits; NULL = not wanted
 *  @return ::BEIT_E_ARGUMENT (a label out of range), ::BEIT_E_STATE without a forward pass before,
 *          ::BEIT_E_SHAPE, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_model_loss(beit_model_t *model, const beit_tensor_t *logits,
                                       const beit_tensor_t *labels, float smoothing, double *loss,
                                       int64_t *correct, const beit_tensor_t *logits_grad);

/** Backward pass of the last beit_model_forward(): adds d(loss)/d(parameter) to the gradients.
 *  @param logits_grad (M,V) or (B,K) f32, d(loss)/d(logits)
 *  @return ::BEIT_E_STATE without a forward pass before, ::BEIT_E_SHAPE, ::BEIT_E_BACKEND
 *  @since 0.1 */
BEIT_API beit_status_t beit_model_backward(beit_model_t *model, const beit_tensor_t *logits_grad);

/** The gradients, same names and order as the weights; NULL before memory for training was
 *  planned. @since 0.1 */
BEIT_API beit_params_t *beit_model_gradients(beit_model_t *model);

/** Set all gradients to zero. @return ::BEIT_E_STATE when there are none @since 0.1 */
BEIT_API beit_status_t beit_model_zero_gradients(beit_model_t *model);

/** How relative tables are brought to another grid. @since 0.1 */
typedef enum beit_table_resize {
    BEIT_TABLE_GEOMETRIC = 1, /**< cubic spline over geometrically spaced offsets, as unilm */
    BEIT_TABLE_LINEAR = 2     /**< linear over the same offsets, as timm */
} beit_table_resize_t;

/** What became of a tensor. @since 0.1 */
typedef enum beit_adapt_fate {
    BEIT_ADAPT_TAKEN = 1,    /**< copied */
    BEIT_ADAPT_CHANGED = 2,  /**< resized, or made of a shared table, or both */
    BEIT_ADAPT_MISSING = 3,  /**< not in the source: keeps its value */
    BEIT_ADAPT_LEFT_OVER = 4 /**< in the source only */
} beit_adapt_fate_t;

/** Told of one tensor. `fate` is a ::beit_adapt_fate_t; `how` says what a changed tensor was made
 *  of and is empty for the others. Both texts are valid during the call. @since 0.1 */
typedef void (*beit_adapt_fn)(void *user, int fate, const char *name, const char *how);

/** Choices of beit_model_adapt(). @since 0.1 */
typedef struct beit_adapt_options {
    size_t struct_size;
    beit_adapt_fn each; /**< told of every tensor once all is done: first dst's in order, then
                             what is left over; NULL = nobody */
    void *user;
    int32_t table_resize; /**< ::beit_table_resize_t; 0 = geometric (default) */
    int32_t reserved;
} beit_adapt_options_t;

/** Write the defaults; size is `sizeof *options`. @since 0.1 */
BEIT_API void beit_adapt_options_init(beit_adapt_options_t *options, size_t size);

/** Numbers of tensors. @since 0.1 */
typedef struct beit_adapt_report {
    size_t struct_size;
    uint64_t taken, changed, missing, left_over;
} beit_adapt_report_t;

/** Take over the weights of another model, which may have another head, another image size, and
 *  other kinds of position tables: a pre-trained model into a classifier, a model of 224 pixels
 *  into one of 384. Tensors go by name. Relative and absolute tables are resized where the grids of
 *  patches differ. A table of a block's own is, where the source has none, the source's shared one
 *  (their sum where the source has both and dst has no shared one). A head of another number of
 *  outputs is not taken. What is missing keeps dst's value, so that a fresh head stays one.
 *  On failure dst is as before.
 *  @param options NULL = defaults
 *  @param report  counts; set report->struct_size first; NULL = not wanted
 *  @return ::BEIT_E_MISMATCH names the first tensor whose shape cannot be reconciled (another
 *          width, other heads, another patch size), ::BEIT_E_ARGUMENT, ::BEIT_E_ABI,
 *          ::BEIT_E_NOMEM, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_model_adapt(beit_model_t *dst, const beit_model_t *src,
                                        const beit_adapt_options_t *options,
                                        beit_adapt_report_t *report);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_MODEL_H */
