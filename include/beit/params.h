/**
 * @file params.h
 * Named parameter sets: the one door for import, export and inspection. Weights, gradients and
 * optimizer moments are all such sets. Names are those of the original state dicts
 * (`blocks.3.attn.qkv.weight`, `encoder.0.0.bias`).
 */
#ifndef BEIT_PARAMS_H
#define BEIT_PARAMS_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A set of named f32 tensors. Borrowed from the handle that owns it and valid as long as that.
 *  Thread-safety: as its owner. @since 0.1 */
typedef struct beit_params beit_params_t;

/** Weight decay does not apply: one-dimensional, a bias, `cls_token` or `pos_embed`. */
#define BEIT_PARAM_NO_DECAY 1u
/** Not trained. */
#define BEIT_PARAM_FROZEN 2u

/** Description of one tensor of a set. @since 0.1 */
typedef struct beit_param_info {
    size_t struct_size;
    const char *name;    /**< borrowed from the set */
    beit_tensor_t value; /**< the live tensor; data NULL when it is not host memory. Writing
                              through it between calls is allowed. */
    uint32_t flags;      /**< BEIT_PARAM_* */
    uint32_t reserved;
} beit_param_info_t;

/** Number of tensors. @since 0.1 */
BEIT_API size_t beit_params_count(const beit_params_t *params);

/** Number of elements over all tensors. @since 0.1 */
BEIT_API uint64_t beit_params_elements(const beit_params_t *params);

/** Describe tensor `index`, in registration order; set info->struct_size first.
 *  @return ::BEIT_E_ARGUMENT for an index out of range, ::BEIT_E_ABI @since 0.1 */
BEIT_API beit_status_t beit_params_info(const beit_params_t *params, size_t index,
                                        beit_param_info_t *info);

/** Index of the tensor called `name`. @return ::BEIT_E_ARGUMENT when there is none @since 0.1 */
BEIT_API beit_status_t beit_params_find(const beit_params_t *params, const char *name,
                                        size_t *index);

/** Copy a tensor out: dst is f32, packed, of the same number of elements.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_SHAPE, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_params_read(const beit_params_t *params, size_t index,
                                        const beit_tensor_t *dst);

/** Copy a tensor in: src is f32, packed, of the same shape.
 *  @return ::BEIT_E_ARGUMENT, ::BEIT_E_SHAPE, ::BEIT_E_BACKEND @since 0.1 */
BEIT_API beit_status_t beit_params_write(beit_params_t *params, size_t index,
                                         const beit_tensor_t *src);

#ifdef __cplusplus
}
#endif
#endif /* BEIT_PARAMS_H */
