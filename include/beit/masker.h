/**
 * @file masker.h
 * Which patches are hidden: blockwise masking as published (arXiv 2106.08254, algorithm 1;
 * unilm `beit/masking_generator.py`), or uniformly at random (the paper's ablation).
 */
#ifndef BEIT_MASKER_H
#define BEIT_MASKER_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A mask generator. Immutable after creation.
 *  Thread-safety: all const functions may run concurrently on one masker. @since 0.1 */
typedef struct beit_masker beit_masker_t;

/** How cells are chosen. @since 0.1 */
typedef enum beit_mask_kind {
    BEIT_MASK_BLOCK = 1, /**< rectangles, as published */
    BEIT_MASK_RANDOM = 2 /**< exactly `target` cells, uniformly without replacement */
} beit_mask_kind_t;

/** Configuration of a masker. @since 0.1 */
typedef struct beit_masker_config {
    size_t struct_size;
    int32_t kind;        /**< ::beit_mask_kind_t, default ::BEIT_MASK_BLOCK */
    int32_t rows, cols;  /**< patch grid, default 14 x 14 */
    int32_t target;      /**< cells to mask, an upper bound for blocks; default 75 */
    int32_t min_block;   /**< smallest area drawn, default 16 (BEiT's; the class default is 4) */
    int32_t max_block;   /**< largest area, 0 = target (default) */
    int32_t attempts;    /**< tries per block, default 10 */
    int32_t exact_count; /**< 1 = add or remove random cells until exactly `target` are masked (as
                              BEiT v2); default 0, as published: fewer may result */
    float min_aspect;    /**< smallest height/width ratio, default 0.3 */
    float max_aspect;    /**< largest, 0 = 1/min_aspect (default) */
} beit_masker_config_t;

/** Write the defaults; size is `sizeof *cfg`. @since 0.1 */
BEIT_API void beit_masker_config_init(beit_masker_config_t *cfg, size_t size);

/** Create a masker; cfg NULL = defaults.
 *  @return ::BEIT_E_ARGUMENT (which field, its value, the allowed range), ::BEIT_E_ABI,
 *          ::BEIT_E_NOMEM @since 0.1 */
BEIT_API beit_status_t beit_masker_create(beit_masker_t **out, beit_context_t *ctx,
                                          const beit_masker_config_t *cfg);

/** Destroy; NULL allowed. @since 0.1 */
BEIT_API void beit_masker_destroy(beit_masker_t *masker);

/** Read back the configuration, with 0-defaults resolved; set cfg->struct_size first. @since 0.1 */
BEIT_API beit_status_t beit_masker_config(const beit_masker_t *masker, beit_masker_config_t *cfg);

/**
 * Draw one mask. It is a function of (configuration, seed, epoch, sample_id) alone: neither batch
 * composition nor thread matters.
 * @param mask  rows*cols bytes, row-major, 1 = masked
 * @param len   bytes at mask, must equal rows*cols
 * @param n_masked  number of ones; may be less than `target`, never more. May be NULL.
 * @return ::BEIT_E_ARGUMENT @since 0.1
 */
BEIT_API beit_status_t beit_masker_generate(const beit_masker_t *masker, uint64_t seed,
                                            uint64_t epoch, uint64_t sample_id, uint8_t *mask,
                                            size_t len, size_t *n_masked);

/** Python's `random.Random`, bit for bit (MT19937), for conformance with masks drawn upstream.
 *  Thread-safety: one thread at a time. @since 0.1 */
typedef struct beit_pyrandom beit_pyrandom_t;

/** As `random.Random(seed)` for a non-negative integer. @since 0.1 */
BEIT_API beit_status_t beit_pyrandom_create(beit_pyrandom_t **out, beit_context_t *ctx,
                                            uint64_t seed);
/** Destroy; NULL allowed. @since 0.1 */
BEIT_API void beit_pyrandom_destroy(beit_pyrandom_t *rng);
/** As `getrandbits(32)`. @since 0.1 */
BEIT_API uint32_t beit_pyrandom_next32(beit_pyrandom_t *rng);
/** As `random()`, in [0, 1). @since 0.1 */
BEIT_API double beit_pyrandom_random(beit_pyrandom_t *rng);
/** As `uniform(a, b)`. @since 0.1 */
BEIT_API double beit_pyrandom_uniform(beit_pyrandom_t *rng, double a, double b);
/** As `randint(a, b)`, both ends included, a <= b. @since 0.1 */
BEIT_API int64_t beit_pyrandom_randint(beit_pyrandom_t *rng, int64_t a, int64_t b);

/** Draw one block mask with Python's generator, consuming the very draws that upstream consumes.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_UNSUPPORTED for ::BEIT_MASK_RANDOM or exact_count
 *  @since 0.1 */
BEIT_API beit_status_t beit_masker_generate_python(const beit_masker_t *masker,
                                                   beit_pyrandom_t *rng, uint8_t *mask, size_t len,
                                                   size_t *n_masked);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_MASKER_H */
