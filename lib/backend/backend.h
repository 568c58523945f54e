/* An opened backend, and how the layers above call it. Above this line nobody touches tensor
 * memory: everything goes through these calls, so that a backend may keep it on a device. */
#ifndef BEIT_BACKEND_BACKEND_H
#define BEIT_BACKEND_BACKEND_H

#include <beit/backend.h>
#include <stdbool.h>

typedef struct beit__backend beit__backend_t;

/* Open the backend that the context's configuration asks for; reference ops fill NULL slots of a
 * host-memory backend. Needs ctx->allocator, executor and log to be set. */
beit_status_t beit__backend_open(beit__backend_t **out, beit_context_t *ctx,
                                 const beit_backend_ops_t *ops, const char *options);
void beit__backend_close(beit__backend_t *backend);
const char *beit__backend_name(const beit__backend_t *backend);
const char *beit__backend_describe(const beit__backend_t *backend); /* "" when it has nothing */
bool beit__backend_on_host(const beit__backend_t *backend);         /* pointers are host memory */

/* Backend memory, zeroed, 64-byte aligned, counted in the context. */
beit_status_t beit__backend_alloc(beit_context_t *ctx, size_t bytes, void **ptr);
void beit__backend_free(beit_context_t *ctx, void *ptr, size_t bytes);
beit_status_t beit__upload(beit_context_t *ctx, void *dst, const void *src, size_t bytes);
beit_status_t beit__download(beit_context_t *ctx, void *dst, const void *src, size_t bytes);
beit_status_t beit__copy(beit_context_t *ctx, void *dst, const void *src, size_t bytes);

/* A run: what a handle needs to call operations. In planning mode nothing is computed: each call
 * asks the backend how much workspace it wants, and `workspace_bytes` becomes the maximum. The
 * same forward and backward code therefore plans and runs. */
typedef struct beit__run {
    beit_context_t *ctx;
    void *workspace;        /* backend memory, NULL before it is planned */
    size_t workspace_bytes; /* planning: maximum so far; running: size of workspace */
    bool planning;
} beit__run_t;

/* One wrapper per operation, all of one form: fills args->op (struct_size, workspace) and calls
 * the operation, or plans. `args` is zero-initialised by the caller apart from its own fields. */
#define BEIT__OPS(X)                                                                               \
    X(gemm, gemm, GEMM)                                                                            \
    X(layernorm_forward, layernorm_forward, LAYERNORM_FORWARD)                                     \
    X(layernorm_backward, layernorm_backward, LAYERNORM_BACKWARD)                                  \
    X(gelu_forward, gelu_forward, GELU_FORWARD)                                                    \
    X(column_sum, column_sum, COLUMN_SUM)                                                          \
    X(scale_add, scale_add, SCALE_ADD)                                                             \
    X(layer_scale_backward, layer_scale_backward, LAYER_SCALE_BACKWARD)                            \
    X(dropout, dropout, DROPOUT)                                                                   \
    X(rows, rows, ROWS)                                                                            \
    X(patchify, patchify, PATCHIFY)                                                                \
    X(embed_forward, embed_forward, EMBED_FORWARD)                                                 \
    X(embed_backward, embed_backward, EMBED_BACKWARD)                                              \
    X(relpos_forward, relpos, RELPOS_FORWARD)                                                      \
    X(relpos_backward, relpos, RELPOS_BACKWARD)                                                    \
    X(attention_forward, attention_forward, ATTENTION_FORWARD)                                     \
    X(attention_backward, attention_backward, ATTENTION_BACKWARD)                                  \
    X(cross_entropy, cross_entropy, CROSS_ENTROPY)                                                 \
    X(argmax, argmax, ARGMAX)                                                                      \
    X(layout, layout, LAYOUT)                                                                      \
    X(conv_forward, conv, CONV_FORWARD)                                                            \
    X(conv_transpose, conv, CONV_TRANSPOSE)                                                        \
    X(conv_weight_gradient, conv, CONV_WEIGHT_GRADIENT)                                            \
    X(relu, relu, RELU)                                                                            \
    X(resample, resample, RESAMPLE)                                                                \
    X(gumbel_forward, gumbel, GUMBEL_FORWARD)                                                      \
    X(gumbel_backward, gumbel, GUMBEL_BACKWARD)                                                    \
    X(code_prior, code_prior, CODE_PRIOR)                                                          \
    X(recon, recon, RECON)                                                                         \
    X(fill, fill, FILL)                                                                            \
    X(square_sum, square_sum, SQUARE_SUM)                                                          \
    X(adam, adam, ADAM)

#define BEIT__DECLARE_OP(name, args, ID)                                                           \
    beit_status_t beit__##name(beit__run_t *run, beit_##args##_args_t *a);
BEIT__OPS(BEIT__DECLARE_OP)
#undef BEIT__DECLARE_OP

/* Allocate run->workspace after planning; leaves planning mode. Keeps a workspace that is large
 * enough. */
beit_status_t beit__run_commit(beit__run_t *run, size_t planned_bytes);
void beit__run_release(beit__run_t *run);

#endif
