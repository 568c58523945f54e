/* The reference backend: the definition of every operation of beit/backend.h, as plain loops with
 * double accumulators on the calling thread. An operation keeps no state and ignores `self`, so
 * that backend.c may lend it to any backend whose memory is the host's. Scratch is the caller's
 * workspace: nothing here allocates. */
#ifndef BEIT_BACKEND_REFERENCE_REFERENCE_H
#define BEIT_BACKEND_REFERENCE_REFERENCE_H

#include "backend/backend.h"

extern const beit_backend_ops_t beit__reference_ops;

#define BEIT__DECLARE_REFERENCE(name, args, ID)                                                    \
    beit_status_t beit__reference_##name(void *self, const beit_##args##_args_t *a);
BEIT__OPS(BEIT__DECLARE_REFERENCE)
#undef BEIT__DECLARE_REFERENCE

/* Scratch bytes of the operations that need any; `args` is the operation's own struct. */
size_t beit__reference_gemm_workspace(const beit_op_t *args);
size_t beit__reference_column_sum_workspace(const beit_op_t *args);
size_t beit__reference_layernorm_backward_workspace(const beit_op_t *args);
size_t beit__reference_embed_backward_workspace(const beit_op_t *args);
size_t beit__reference_relpos_backward_workspace(const beit_op_t *args);
size_t beit__reference_attention_forward_workspace(const beit_op_t *args);
size_t beit__reference_attention_backward_workspace(const beit_op_t *args);
size_t beit__reference_conv_forward_workspace(const beit_op_t *args);
size_t beit__reference_conv_transpose_workspace(const beit_op_t *args);
size_t beit__reference_conv_weight_gradient_workspace(const beit_op_t *args);
size_t beit__reference_gumbel_forward_workspace(const beit_op_t *args);
size_t beit__reference_gumbel_backward_workspace(const beit_op_t *args);
size_t beit__reference_code_prior_workspace(const beit_op_t *args);

#endif
