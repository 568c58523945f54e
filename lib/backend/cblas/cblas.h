/* Inside of the CBLAS backend: host memory, tasks fixed by shape and spread over the executor,
 * kernels picked at run time. Where own kernels exist for this CPU they also do the matrix
 * products; elsewhere CBLAS does. */
#ifndef BEIT_BACKEND_CBLAS_CBLAS_H
#define BEIT_BACKEND_CBLAS_CBLAS_H

#include <beit/backend.h>
#include <stdbool.h>

#include "kernels/kernels.h"

typedef struct beit__cblas {
    beit_backend_host_t host;
    beit__kernels_t k;
    size_t workers;
    int blas_threads; /* as the BLAS reports, 1 when it says nothing */
    bool own_gemm;    /* products by our kernels instead of CBLAS */
    char text[160];   /* describe() */
} beit__cblas_t;

/* The table; "cblas". */
extern const beit_backend_ops_t beit__cblas_ops;

/* fn(arg, i, worker) for i in [0, n). Tasks that multiply matrices say so: they stay on the
 * calling thread when CBLAS does the products with threads of its own. */
beit_status_t beit__cblas_tasks(const beit__cblas_t *self, size_t n, beit_task_fn fn, void *arg);
beit_status_t beit__cblas_products(const beit__cblas_t *self, size_t n, beit_task_fn fn, void *arg);

/* Part i of [0, n) cut into pieces of `grain`. */
typedef struct beit__span {
    size_t first, end;
} beit__span_t;
static inline beit__span_t beit__span(size_t n, size_t grain, size_t i)
{
    const size_t first = i * grain;
    return (beit__span_t){first, n - first < grain ? n : first + grain};
}
static inline size_t beit__pieces(size_t n, size_t grain)
{
    return (n + grain - 1) / grain;
}
static inline size_t beit__round_up(size_t n, size_t multiple)
{
    return beit__pieces(n, multiple) * multiple;
}
static inline size_t beit__min(size_t a, size_t b)
{
    return a < b ? a : b;
}
static inline size_t beit__max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Rows of `cols` elements that make a task worth waking a thread for. */
#define BEIT__TASK_FLOATS 32768u
static inline size_t beit__row_grain(size_t cols)
{
    return beit__max(1, BEIT__TASK_FLOATS / beit__max(1, cols));
}

/* Workspace is cut into 64-byte aligned pieces of floats. */
#define BEIT__LINE_FLOATS 16u
static inline size_t beit__line_floats(size_t floats)
{
    return beit__round_up(floats, BEIT__LINE_FLOATS);
}

#define BEIT__CBLAS_OP(name, args)                                                                 \
    beit_status_t beit__cblas_##name(void *self, const beit_##args##_args_t *a)
BEIT__CBLAS_OP(gemm, gemm);
BEIT__CBLAS_OP(layernorm_forward, layernorm_forward);
BEIT__CBLAS_OP(layernorm_backward, layernorm_backward);
BEIT__CBLAS_OP(gelu_forward, gelu_forward);
BEIT__CBLAS_OP(column_sum, column_sum);
BEIT__CBLAS_OP(scale_add, scale_add);
BEIT__CBLAS_OP(layer_scale_backward, layer_scale_backward);
BEIT__CBLAS_OP(dropout, dropout);
BEIT__CBLAS_OP(rows, rows);
BEIT__CBLAS_OP(patchify, patchify);
BEIT__CBLAS_OP(embed_forward, embed_forward);
BEIT__CBLAS_OP(embed_backward, embed_backward);
BEIT__CBLAS_OP(relpos_forward, relpos);
BEIT__CBLAS_OP(relpos_backward, relpos);
BEIT__CBLAS_OP(attention_forward, attention_forward);
BEIT__CBLAS_OP(attention_backward, attention_backward);
BEIT__CBLAS_OP(cross_entropy, cross_entropy);
BEIT__CBLAS_OP(argmax, argmax);
BEIT__CBLAS_OP(layout, layout);
BEIT__CBLAS_OP(conv_forward, conv);
BEIT__CBLAS_OP(conv_transpose, conv);
BEIT__CBLAS_OP(conv_weight_gradient, conv);
BEIT__CBLAS_OP(relu, relu);
BEIT__CBLAS_OP(resample, resample);
BEIT__CBLAS_OP(gumbel_forward, gumbel);
BEIT__CBLAS_OP(gumbel_backward, gumbel);
BEIT__CBLAS_OP(code_prior, code_prior);
BEIT__CBLAS_OP(recon, recon);
BEIT__CBLAS_OP(fill, fill);
BEIT__CBLAS_OP(square_sum, square_sum);
BEIT__CBLAS_OP(adam, adam);
#undef BEIT__CBLAS_OP

/* Scratch in bytes of the operations that need any; never falls when an extent grows. */
#define BEIT__CBLAS_SPACE(name, args)                                                              \
    size_t beit__cblas_##name##_space(const beit__cblas_t *self, const beit_##args##_args_t *a)
BEIT__CBLAS_SPACE(gemm, gemm);
BEIT__CBLAS_SPACE(layernorm_backward, layernorm_backward);
BEIT__CBLAS_SPACE(column_sum, column_sum);
BEIT__CBLAS_SPACE(dropout, dropout);
BEIT__CBLAS_SPACE(attention_forward, attention_forward);
BEIT__CBLAS_SPACE(attention_backward, attention_backward);
BEIT__CBLAS_SPACE(cross_entropy, cross_entropy);
BEIT__CBLAS_SPACE(conv_forward, conv);
BEIT__CBLAS_SPACE(conv_transpose, conv);
BEIT__CBLAS_SPACE(conv_weight_gradient, conv);
BEIT__CBLAS_SPACE(gumbel_forward, gumbel);
BEIT__CBLAS_SPACE(gumbel_backward, gumbel);
BEIT__CBLAS_SPACE(code_prior, code_prior);
BEIT__CBLAS_SPACE(recon, recon);
BEIT__CBLAS_SPACE(square_sum, square_sum);
#undef BEIT__CBLAS_SPACE

#endif
