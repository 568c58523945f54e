/**
 * @file image.h
 * The two views of one crop (unilm `beit/datasets.py`, `transforms.py`), made from decoded RGB:
 * colour jitter, horizontal flip, one random resized crop, then a patch view (bicubic) and a
 * token view (Lanczos). Pixel arithmetic equals Pillow's bit for bit.
 */
#ifndef BEIT_IMAGE_H
#define BEIT_IMAGE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is done to the token view's pixels after division by 255. @since 0.1 */
typedef enum beit_token_scaling {
    BEIT_TOKENS_SYMMETRIC = 1, /**< (x - 0.5) / 0.5: DiscreteVAE */
    BEIT_TOKENS_LOGIT = 2,     /**< 0.8 x + 0.1: OpenAI's dVAE */
    BEIT_TOKENS_UNIT = 3       /**< x, in [0, 1] */
} beit_token_scaling_t;

/** Resampling filter, antialiased as in Pillow. @since 0.1 */
typedef enum beit_filter {
    BEIT_FILTER_BILINEAR = 1,
    BEIT_FILTER_BICUBIC = 2, /**< a = -0.5 */
    BEIT_FILTER_LANCZOS = 3  /**< three lobes */
} beit_filter_t;

/** How views are made. @since 0.1 */
typedef struct beit_views_config {
    size_t struct_size;
    int32_t pixels_height, pixels_width;  /**< patch view, default 224 x 224 */
    int32_t tokens_height, tokens_width;  /**< token view, default 112 x 112 */
    int32_t tokens_scaling;               /**< ::beit_token_scaling_t, default SYMMETRIC */
    int32_t pixels_filter, tokens_filter; /**< ::beit_filter_t, default BICUBIC, LANCZOS */
    int32_t reserved;
    float min_scale, max_scale;             /**< crop area / image area, default 0.08, 1 */
    float min_ratio, max_ratio;             /**< crop width / height, default 3/4, 4/3 */
    float flip;                             /**< probability, default 0.5 */
    float brightness, contrast, saturation; /**< half-width of the factor's range around 1,
                                                 default 0.4 each, 0 = off */
    float mean[3], std[3];                  /**< of the patch view, default 0.5 each */
    float reserved2[2];
} beit_views_config_t;

/** Write the defaults; size is `sizeof *cfg`. @since 0.1 */
BEIT_API void beit_views_config_init(beit_views_config_t *cfg, size_t size);

/** One drawn augmentation, so that it can be inspected, stored or prescribed. @since 0.1 */
typedef struct beit_view_draw {
    size_t struct_size;
    int32_t left, top, width, height;       /**< crop box in the flipped picture */
    int32_t flip;                           /**< 1 = mirrored left-right before the crop */
    int32_t jitter_order[3];                /**< permutation of 0 brightness, 1 contrast,
                                                 2 saturation; applied from first to last */
    float brightness, contrast, saturation; /**< factors; exactly 1 = left out */
    float reserved;
} beit_view_draw_t;

/** Draw an augmentation for a picture of height x width; a function of its arguments alone.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_ABI @since 0.1 */
BEIT_API beit_status_t beit_views_draw(const beit_views_config_t *cfg, uint64_t seed,
                                       uint64_t epoch, uint64_t sample_id, int32_t height,
                                       int32_t width, beit_view_draw_t *draw);

/**
 * Make the views that `draw` prescribes. Either output may be NULL. Scratch memory comes from
 * ctx (NULL = C library). Reentrant: loader threads may share ctx and cfg.
 * @param rgb          (H, W, 3) u8, packed
 * @param pixels       (3, pixels_height, pixels_width) f32, (v/255 - mean) / std
 * @param token_pixels (3, tokens_height, tokens_width) f32, scaled as tokens_scaling says
 * @return ::BEIT_E_ARGUMENT, ::BEIT_E_SHAPE, ::BEIT_E_ABI, ::BEIT_E_NOMEM @since 0.1
 */
BEIT_API beit_status_t beit_views_apply(beit_context_t *ctx, const beit_views_config_t *cfg,
                                        const beit_view_draw_t *draw, const beit_tensor_t *rgb,
                                        const beit_tensor_t *pixels,
                                        const beit_tensor_t *token_pixels);

/** beit_views_draw() and beit_views_apply() in one. @since 0.1 */
BEIT_API beit_status_t beit_views_make(beit_context_t *ctx, const beit_views_config_t *cfg,
                                       uint64_t seed, uint64_t epoch, uint64_t sample_id,
                                       const beit_tensor_t *rgb, const beit_tensor_t *pixels,
                                       const beit_tensor_t *token_pixels);

/** Resize the box (left, top, width, height; NULL = all) of src (H, W, 3) u8 into dst
 *  (h, w, 3) u8, as Pillow's `crop(box).resize(size)`: pixels outside the box have no influence.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_SHAPE, ::BEIT_E_NOMEM @since 0.1 */
BEIT_API beit_status_t beit_image_resize(beit_context_t *ctx, const beit_tensor_t *src,
                                         const int32_t *box, beit_filter_t filter,
                                         const beit_tensor_t *dst);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_IMAGE_H */
