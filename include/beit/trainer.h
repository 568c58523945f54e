/**
 * @file trainer.h
 * Training steps for both networks: masked image modeling and the DiscreteVAE. The host owns the
 * loop and the pictures; the trainer owns gradients, moments, schedules and metrics.
 */
#ifndef BEIT_TRAINER_H
#define BEIT_TRAINER_H

#include "base.h"
#include "dvae.h"
#include "masker.h"
#include "model.h"
#include "params.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A trainer. Thread-safety: one thread at a time, but beit_trainer_request_stop() from any.
 *  @since 0.1 */
typedef struct beit_trainer beit_trainer_t;

/** Optimizer. @since 0.1 */
typedef enum beit_optimizer {
    BEIT_ADAMW = 1, /**< decoupled weight decay */
    BEIT_ADAM = 2   /**< weight decay added to the gradient */
} beit_optimizer_t;

/** Shape of the learning rate's curve after warm-up. @since 0.1 */
typedef enum beit_lr_schedule {
    BEIT_LR_COSINE = 1, /**< from lr to min_lr, never quite reaching it (as upstream) */
    BEIT_LR_CONSTANT = 2,
    BEIT_LR_DECAY = 3 /**< multiplied by lr_decay every decay_interval steps, first for step 1
                           (DALLE-pytorch `train_vae.py`) */
} beit_lr_schedule_t;

/** Course of the Gumbel temperature. @since 0.1 */
typedef enum beit_temperature_schedule {
    BEIT_TEMPERATURE_CONSTANT = 1,
    BEIT_TEMPERATURE_EXPONENTIAL = 2, /**< from temperature to temperature_end over the first
                                           temperature_steps steps, then constant */
    BEIT_TEMPERATURE_UPSTREAM = 3,    /**< every decay_interval steps multiplied by
                                           exp(-rate*step), floor temperature_end: compounds, as
                                           executed by `train_vae.py` */
    BEIT_TEMPERATURE_ANNEAL = 4       /**< max(temperature*exp(-rate*step), temperature_end): as
                                           upstream meant it */
} beit_temperature_schedule_t;

/** Outcome of a step. Figures are means over the whole step. @since 0.1 */
typedef struct beit_step_report {
    size_t struct_size;
    uint64_t step;           /**< steps applied so far, this one included */
    uint64_t samples;        /**< pictures in this step */
    uint64_t masked;         /**< masked patches in this step (masked modeling) */
    double loss;             /**< what was minimised */
    double accuracy;         /**< share of masked patches whose arg-max is the label */
    double grad_norm;        /**< global L2 norm before clipping */
    double lr;               /**< learning rate of this step (groups with scale 1) */
    double weight_decay;     /**< of the decayed tensors */
    double seconds;          /**< wall time spent inside the library for this step */
    double recon_loss;       /**< dVAE: reconstruction term */
    double kl;               /**< dVAE: KL term before its weight */
    double balance;          /**< dVAE: ln V - H(mean choice), nats */
    double sharpness;        /**< dVAE: mean entropy of a choice, nats */
    double perplexity;       /**< dVAE: exp(entropy) of this step's arg-max codes */
    double temperature;      /**< dVAE: of this step */
    double tokenize_seconds; /**< part of seconds spent in the tokenizer */
} beit_step_report_t;

/** Called on the calling thread after each applied step; non-zero = stop: the call returns
 *  ::BEIT_E_CANCELLED and the step counts. */
typedef int (*beit_progress_fn)(void *user, const beit_step_report_t *report);

/** Configuration of a trainer. Defaults follow the published base recipe. @since 0.1 */
typedef struct beit_trainer_config {
    size_t struct_size;
    uint64_t seed;              /**< of masks, drop path, dropout, Gumbel noise; default 0 */
    uint64_t total_steps;       /**< length of the schedules, default 500000, >= 1 */
    uint64_t warmup_steps;      /**< default 10000, <= total_steps */
    uint64_t temperature_steps; /**< for EXPONENTIAL; 0 = total_steps (default) */
    uint64_t decay_interval;    /**< for LR_DECAY and TEMPERATURE_UPSTREAM, default 100 */
    beit_progress_fn progress;  /**< NULL = none (default) */
    void *progress_user;
    int32_t micro_batch;          /**< pictures per pass, the memory knob; default 8 */
    int32_t optimizer;            /**< ::beit_optimizer_t, default ADAMW */
    int32_t lr_schedule;          /**< ::beit_lr_schedule_t, default COSINE */
    int32_t temperature_schedule; /**< ::beit_temperature_schedule_t, default CONSTANT */
    float lr, min_lr, warmup_lr;  /**< 1.5e-3, 1e-5, 0 (where warm-up starts, as upstream) */
    float lr_decay;               /**< 0.98 */
    float clip_norm;              /**< global norm, 0 = off; default 3 */
    float beta1, beta2, eps;      /**< 0.9, 0.999, 1e-8 */
    float weight_decay;           /**< 0.05 */
    float weight_decay_end;       /**< 0.05; cosine from one to the other, no warm-up */
    float temperature;            /**< dVAE: start, default 0.9 */
    float temperature_end;        /**< dVAE: end or floor, default 0.9 */
    float temperature_rate;       /**< dVAE: for UPSTREAM and ANNEAL, default 1e-6 */
    float kl_weight;              /**< dVAE: default 0 */
    float balance_weight;         /**< dVAE: of ln V - H(mean choice), against collapse;
                                       default 0, the published objective */
    float sharpness_weight;       /**< dVAE: of the mean entropy of a choice; default 0 */
} beit_trainer_config_t;

/** One batch, host memory, borrowed during the call. @since 0.1 */
typedef struct beit_batch {
    size_t struct_size;
    uint64_t epoch;             /**< key of the masks */
    const uint64_t *sample_ids; /**< B keys for every random draw; NULL = running numbers:
                                     samples seen so far + index */
    beit_tensor_t pixels;       /**< (B,C,H,W) f32, the patch view (masked modeling) */
    beit_tensor_t token_pixels; /**< (B,C,S,S) f32, the token view, or what a dVAE trains on */
    beit_tensor_t tokens;       /**< (B,N) i32; data NULL = ask the tokenizer */
    beit_tensor_t mask;         /**< (B,N) u8; data NULL = ask the masker */
} beit_batch_t;

/** Write the defaults; size is `sizeof *cfg`. @since 0.1 */
BEIT_API void beit_trainer_config_init(beit_trainer_config_t *cfg, size_t size);

/** An empty batch; size is `sizeof *batch`. @since 0.1 */
BEIT_API void beit_batch_init(beit_batch_t *batch, size_t size);

/**
 * A trainer for masked image modeling. It holds model, dvae and masker: destroying one of them
 * earlier merely drops the host's hold. They may belong to different contexts, as masks and tokens
 * pass through host memory; the trainer works in the model's.
 * @param dvae   may be NULL when every batch brings tokens
 * @param masker may be NULL when every batch brings masks
 * @param cfg    NULL = defaults
 * @return ::BEIT_E_ARGUMENT, ::BEIT_E_MISMATCH (grids or vocabularies of the three disagree),
 *         ::BEIT_E_ABI, ::BEIT_E_NOMEM @since 0.1
 */
BEIT_API beit_status_t beit_trainer_create_mim(beit_trainer_t **out, beit_model_t *model,
                                               beit_dvae_t *dvae, const beit_masker_t *masker,
                                               const beit_trainer_config_t *cfg);

/** A trainer for a DiscreteVAE; the published recipe is ADAM, lr 1e-3, LR_DECAY, no warm-up, no
 *  clipping. Memory is planned for pictures of the configured size; the first batch of larger ones
 *  plans anew.
 *  @return as above; ::BEIT_E_UNSUPPORTED for OpenAI's dVAE @since 0.1 */
BEIT_API beit_status_t beit_trainer_create_dvae(beit_trainer_t **out, beit_dvae_t *dvae,
                                                const beit_trainer_config_t *cfg);

/** Destroy; NULL allowed. @since 0.1 */
BEIT_API void beit_trainer_destroy(beit_trainer_t *trainer);

/** Read back the configuration; set cfg->struct_size first. @since 0.1 */
BEIT_API beit_status_t beit_trainer_config(const beit_trainer_t *trainer,
                                           beit_trainer_config_t *cfg);

/**
 * Add a batch to the gradients, in micro-batches. Several calls before beit_trainer_apply() give
 * exactly the gradient of their union, also when mask counts differ: the buffers hold sums over
 * masked patches, and apply divides by their number. dVAE: sums over pictures; two terms are
 * special. The balance term is taken per micro-batch, as no micro-batch knows the mean choice of
 * all. ::BEIT_KL_UPSTREAM_SUM grows with the whole batch and therefore needs it in one call.
 * @return ::BEIT_E_ARGUMENT (no masked patch at all), ::BEIT_E_SHAPE, ::BEIT_E_UNSUPPORTED (a
 * second call with ::BEIT_KL_UPSTREAM_SUM), ::BEIT_E_NUMERIC (a loss is not finite: what was
 *         accumulated is discarded), ::BEIT_E_CANCELLED @since 0.1
 */
BEIT_API beit_status_t beit_trainer_accumulate(beit_trainer_t *trainer, const beit_batch_t *batch);

/** Norm, clip, update, reset. On ::BEIT_E_NUMERIC (gradient not finite; the first such tensor is
 *  named) weights, moments and step stay, the gradients are discarded.
 *  @param report may be NULL
 *  @return ::BEIT_E_STATE without accumulate, ::BEIT_E_NUMERIC, ::BEIT_E_CANCELLED @since 0.1 */
BEIT_API beit_status_t beit_trainer_apply(beit_trainer_t *trainer, beit_step_report_t *report);

/** beit_trainer_accumulate() and beit_trainer_apply() in one. Allocates nothing. @since 0.1 */
BEIT_API beit_status_t beit_trainer_step(beit_trainer_t *trainer, const beit_batch_t *batch,
                                         beit_step_report_t *report);

/** Loss and accuracy of a batch without dropout, stochastic depth, noise or gradients; the mask
 *  and tokens as in a step. dVAE: reconstruction by arg-max. @since 0.1 */
BEIT_API beit_status_t beit_trainer_evaluate(beit_trainer_t *trainer, const beit_batch_t *batch,
                                             beit_step_report_t *report);

/** Give every tensor whose name matches the glob (`*` and `?`) a rate scale and a decay flag
 *  (1 decay, 0 none, -1 leave). Later calls win. Part of saved state.
 *  @return ::BEIT_E_ARGUMENT when nothing matches @since 0.1 */
BEIT_API beit_status_t beit_trainer_set_group(beit_trainer_t *trainer, const char *pattern,
                                              float lr_scale, int decay);

/** Ask the running call to stop after the micro-batch at hand: it returns ::BEIT_E_CANCELLED and
 *  what was accumulated is discarded; the next call works again. After the last micro-batch the
 *  step is finished first; a request that nobody has met stops the next call at its beginning.
 *  Callable from any thread and from a signal handler. @since 0.1 */
BEIT_API void beit_trainer_request_stop(beit_trainer_t *trainer);

/** Steps applied so far. @since 0.1 */
BEIT_API uint64_t beit_trainer_steps(const beit_trainer_t *trainer);

/** Gradient sums between accumulate and apply. @since 0.1 */
BEIT_API beit_params_t *beit_trainer_gradients(beit_trainer_t *trainer);

/** First moments (`exp_avg`) and second moments (`exp_avg_sq`). @since 0.1 */
BEIT_API beit_params_t *beit_trainer_moments(beit_trainer_t *trainer, int second);

/** Bytes held for training: weights, gradients, moments, activations, tokenizer. @since 0.1 */
typedef struct beit_memory_report {
    size_t struct_size;
    uint64_t weights, gradients, moments;
    uint64_t activations; /**< with the backend's workspace */
    uint64_t tokenizer;   /**< weights and maps; 0 for a dVAE's trainer */
    uint64_t total;
} beit_memory_report_t;

/** What the trainer holds. @since 0.1 */
BEIT_API beit_status_t beit_trainer_memory(const beit_trainer_t *trainer,
                                           beit_memory_report_t *report);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_TRAINER_H */
