/**
 * @file dvae.h
 * Visual tokenizers: the trainable DiscreteVAE (both published layouts) and OpenAI's DALL-E
 * encoder and decoder (inference). Both are fully convolutional: any picture whose sides are
 * multiples of 2^num_layers is accepted, whatever the configured size.
 */
#ifndef BEIT_DVAE_H
#define BEIT_DVAE_H

#include "base.h"
#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A tokenizer. Thread-safety: one thread at a time. @since 0.1 */
typedef struct beit_dvae beit_dvae_t;

/** Network family. @since 0.1 */
typedef enum beit_dvae_arch {
    BEIT_DVAE_DISCRETE = 1, /**< DiscreteVAE, trainable */
    BEIT_DVAE_DALLE = 2     /**< OpenAI's dVAE, inference */
} beit_dvae_arch_t;

/** Where DiscreteVAE's residual blocks stand. @since 0.1 */
typedef enum beit_dvae_layout {
    BEIT_DVAE_LAYOUT_U = 1, /**< one after every stage (unilm `modeling_discrete_vae.py`) */
    BEIT_DVAE_LAYOUT_L = 2  /**< num_resnet_blocks at the lowest resolution (DALLE-pytorch) */
} beit_dvae_layout_t;

/** Reconstruction loss, mean over all elements. @since 0.1 */
typedef enum beit_recon_loss {
    BEIT_RECON_MSE = 1,
    BEIT_RECON_SMOOTH_L1 = 2 /**< beta = 1 */
} beit_recon_loss_t;

/** Gradient estimator of the discrete choice. @since 0.1 */
typedef enum beit_dvae_sampling {
    BEIT_SAMPLING_SOFT = 1,             /**< Gumbel-softmax */
    BEIT_SAMPLING_STRAIGHT_THROUGH = 2, /**< one-hot forward, soft gradient */
    BEIT_SAMPLING_REINMAX = 3           /**< straight-through with ReinMax's gradient (layout L) */
} beit_dvae_sampling_t;

/** What the KL term is summed over. @since 0.1 */
typedef enum beit_kl_reduction {
    BEIT_KL_UPSTREAM_SUM = 1,      /**< sum over batch and positions: what upstream executes */
    BEIT_KL_MEAN_PER_POSITION = 2, /**< divided by batch * positions */
    BEIT_KL_MEAN_PER_IMAGE = 3     /**< divided by batch */
} beit_kl_reduction_t;

/** Direction of the KL term. @since 0.1 */
typedef enum beit_kl_direction {
    BEIT_KL_Q_TO_UNIFORM = 1, /**< KL(q || uniform): what upstream executes */
    BEIT_KL_UNIFORM_TO_Q = 2  /**< KL(uniform || q) */
} beit_kl_direction_t;

/** Normalisation of the pixels inside the network. @since 0.1 */
typedef enum beit_dvae_norm {
    BEIT_DVAE_NORM_NONE = 1,     /**< the caller normalised (layout U, DALL-E) */
    BEIT_DVAE_NORM_SYMMETRIC = 2 /**< (x - 0.5) / 0.5 inside, also on the reconstruction's target
                                      (layout L's default); decoded pixels stay normalised */
} beit_dvae_norm_t;

/** Which halves a tokenizer holds. Without its decoder OpenAI's dVAE takes 215 MB instead of 390.
 *  @since 0.1 */
typedef enum beit_dvae_parts {
    BEIT_DVAE_BOTH = 0,         /**< encoder and decoder (DISCRETE: with the codebook) */
    BEIT_DVAE_ENCODER_ONLY = 1, /**< tokenize and encode only */
    BEIT_DVAE_DECODER_ONLY = 2  /**< decode only */
} beit_dvae_parts_t;

/** Configuration of a tokenizer. @since 0.1 */
typedef struct beit_dvae_config {
    size_t struct_size;
    uint64_t init_seed;        /**< of the initial weights, default 0 */
    int32_t arch;              /**< ::beit_dvae_arch_t, default DISCRETE */
    int32_t layout;            /**< ::beit_dvae_layout_t, default U */
    int32_t image_height;      /**< nominal size of the token view, default 112 */
    int32_t image_width;       /**< default 112 */
    int32_t channels;          /**< default 3 */
    int32_t vocab_size;        /**< default 8192 */
    int32_t codebook_dim;      /**< DISCRETE; default 512 */
    int32_t hidden_dim;        /**< DISCRETE: width, default 256. DALLE: n_hid, default 256 */
    int32_t num_layers;        /**< stride-2 stages, default 3; DALLE: fixed at 3 */
    int32_t num_resnet_blocks; /**< layout L: residual blocks; ignored in layout U. Default 0 */
    int32_t recon_loss;        /**< ::beit_recon_loss_t, default MSE */
    int32_t sampling;          /**< ::beit_dvae_sampling_t, default SOFT */
    int32_t kl_reduction;      /**< ::beit_kl_reduction_t, default UPSTREAM_SUM */
    int32_t kl_direction;      /**< ::beit_kl_direction_t, default Q_TO_UNIFORM */
    int32_t input_norm;        /**< ::beit_dvae_norm_t, 0 = NONE for U and DALLE, SYMMETRIC for L
                                    (default) */
    int32_t blocks_per_group;  /**< DALLE; default 2 */
    int32_t decoder_init;      /**< DALLE: n_init, default 128 */
    int32_t parts;             /**< ::beit_dvae_parts_t, default BOTH; training needs both */
} beit_dvae_config_t;

/** Write the defaults; size is `sizeof *cfg`. @since 0.1 */
BEIT_API void beit_dvae_config_init(beit_dvae_config_t *cfg, size_t size);

/** Create a tokenizer with initial weights; cfg NULL = defaults. DISCRETE: uniform within
 *  1/sqrt(fan_in), codebook N(0,1). DALLE: N(0, 1/sqrt(fan_in)), biases 0.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_ABI, ::BEIT_E_NOMEM, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_dvae_create(beit_dvae_t **out, beit_context_t *ctx,
                                        const beit_dvae_config_t *cfg);

/** Destroy; NULL allowed. A trainer that uses it keeps it alive. @since 0.1 */
BEIT_API void beit_dvae_destroy(beit_dvae_t *dvae);

/** Read back the configuration, with 0-defaults resolved; set cfg->struct_size first. @since 0.1 */
BEIT_API beit_status_t beit_dvae_config(const beit_dvae_t *dvae, beit_dvae_config_t *cfg);

/** The weights, with upstream's names (`encoder.0.0.weight`, `codebook.weight`). OpenAI's encoder
 *  and decoder are two files with the same names upstream: here they carry the prefixes `encoder.`
 *  and `decoder.` (`encoder.blocks.input.w`). @since 0.1 */
BEIT_API beit_params_t *beit_dvae_params(beit_dvae_t *dvae);

/**
 * Pixels to token ids: arg-max of the logits over the vocabulary; ties take the lowest id.
 * Working memory grows when a larger batch than ever before arrives, never otherwise.
 * @param pixels (B, C, H, W) f32, scaled as the tokenizer expects
 * @param mask   (B, h, w) or (B, h*w) u8: only positions with 1 are computed, the others get -1.
 *               NULL = all
 * @param tokens (B, h, w) or (B, h*w) i32, h = H / 2^num_layers
 * @return ::BEIT_E_SHAPE, ::BEIT_E_STATE (there is no encoder), ::BEIT_E_NOMEM, ::BEIT_E_BACKEND
 * @since 0.1
 */
BEIT_API beit_status_t beit_dvae_tokenize(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                                          const beit_tensor_t *mask, const beit_tensor_t *tokens);

/** Pixels (B,C,H,W) f32 to logits (B,V,h,w) f32. @since 0.1 */
BEIT_API beit_status_t beit_dvae_encode(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                                        const beit_tensor_t *logits);

/** Tokens (B,h,w) i32 to pixels (B,C,H,W) f32. DISCRETE: in the network's normalised space, not
 *  clamped. DALLE: in [0, 1]. Also takes (B,n) when n is a square.
 *  @return ::BEIT_E_ARGUMENT for an id outside the vocabulary, ::BEIT_E_SHAPE, ::BEIT_E_STATE
 *          (there is no decoder), ::BEIT_E_NOMEM, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_dvae_decode(beit_dvae_t *dvae, const beit_tensor_t *tokens,
                                        const beit_tensor_t *pixels);

/** Hard reconstruction: tokenize, then decode; shapes as above. @since 0.1 */
BEIT_API beit_status_t beit_dvae_reconstruct(beit_dvae_t *dvae, const beit_tensor_t *pixels,
                                             const beit_tensor_t *out);

/** How healthy a set of tokens is. A collapsed tokenizer uses few codes; watch perplexity, not
 *  `used`. @since 0.1 */
typedef struct beit_token_usage {
    size_t struct_size;
    uint64_t tokens;   /**< counted; negative ids are left out */
    uint64_t used;     /**< codes that occur */
    double entropy;    /**< nats, of the histogram */
    double perplexity; /**< exp(entropy) */
    double top_share;  /**< share of the most frequent code */
} beit_token_usage_t;

/** Measure usage of `n` token ids of a vocabulary. @param histogram vocab_size counters that are
 *  added to, so that several calls accumulate; the figures are of the accumulated histogram.
 *  @return ::BEIT_E_ARGUMENT @since 0.1 */
BEIT_API beit_status_t beit_token_usage(const int32_t *tokens, size_t n, int32_t vocab_size,
                                        uint64_t *histogram, beit_token_usage_t *usage);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_DVAE_H */
