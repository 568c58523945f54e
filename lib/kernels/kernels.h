/* Pure functions over pointers and sizes: they allocate nothing, cannot fail and keep no state.
 * beit__kernels_init() fills every slot with plain C, then lets each instruction set level that
 * this CPU has overwrite what it does better. Pointers need no alignment unless said; a count of
 * zero is allowed everywhere. Levels agree within a few units in the last place, and each level
 * gives the same bits wherever in a buffer a row stands. */
#ifndef BEIT_KERNELS_KERNELS_H
#define BEIT_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cpu.h"

/* How the left operand of a product lies in memory. */
typedef enum beit__lhs {
    BEIT__LHS_ROWS,    /* element (i,p) at a[i * lda + p] */
    BEIT__LHS_COLUMNS, /* element (i,p) at a[p * lda + i] */
    BEIT__LHS_PACKED   /* panels as beit__pack_lhs() makes them; lda is not used */
} beit__lhs_t;

/* C = alpha A B + beta C with A (m,k), B (k,n), n <= nr, then + bias per column where there is one,
 * then ReLU on request. beta = 0 never reads C. Each element is one chain of multiply-adds in the
 * order of k: cutting m differently changes no bit. */
typedef struct beit__strip {
    size_t m, n, k;
    const float *a;
    size_t lda;
    const float *b; /* rows of nr elements, readable beyond n */
    size_t ldb;
    float *c;
    size_t ldc;
    float alpha, beta;
    const float *bias; /* (n) or NULL */
    beit__lhs_t lhs;
    bool relu;
} beit__strip_t;

/* Scalars of one Adam step. */
typedef struct beit__adam_step {
    float grad_scale;
    float decay;        /* coupled: added to the gradient times p; else p shrinks by this share */
    float beta1, beta2; /* and 1 - beta, rounded once */
    float rest1, rest2;
    float rate;     /* lr / correction1 */
    float inv_root; /* 1 / sqrt(correction2) */
    float eps;
    bool coupled;
} beit__adam_step_t;

/* Winograd's tile sides and points. */
enum { BEIT__TILE = 4, BEIT__PATCH = 6, BEIT__POINTS = 36, BEIT__TAPS = 9 };

/* Bounds of mr and nr over all levels. */
#define BEIT__MAX_MR 16u
#define BEIT__MAX_NR 64u

/* Number of 32-bit words in one Philox block. */
#define BEIT__BLOCK_WORDS 4u

typedef struct beit__kernels {
    beit__isa_t isa;

    /* Products (gemm.c). mr: largest panel height, nr: width of right-hand panels. */
    size_t mr, nr;
    void (*strip)(const beit__strip_t *s);
    /* dst[p * ldd + i] = rows[i][p], zero for rows m..ldd-1; optionally through ReLU. */
    void (*pack_rows)(size_t m, size_t k, const float *const *rows, bool relu, float *dst,
                      size_t ldd);
    /* dst[p * ldd + j] = src[p * lds + j], zero for columns n..ldd-1; optionally through ReLU. */
    void (*pack_columns)(size_t k, size_t n, const float *src, size_t lds, bool relu, float *dst,
                         size_t ldd);

    /* One row through bias and activation, indexed by beit_epilogue_t; aux, bias may be NULL. */
    void (*epilogue[4])(size_t n, const float *bias, float *aux, float *c);
    void (*gelu)(size_t n, const float *x, float *y);
    void (*relu)(size_t n, const float *x, float *y);
    void (*relu_backward)(size_t n, const float *x, const float *dy, float *y);

    /* Rows (row.c). add and factor may be NULL. */
    void (*scale_add)(size_t n, const float *x, const float *factor, float scale, const float *add,
                      float *y);                               /* y = add + x * factor * scale */
    void (*axpy)(size_t n, float a, const float *x, float *y); /* y += a x */
    void (*multiply)(size_t n, const float *x, const float *f, float *y); /* y = x f */
    void (*affine)(size_t n, float a, float b, const float *x, float *y); /* y = a x + b */
    void (*add_rows)(size_t rows, size_t n, const float *x, size_t ldx, float *sum); /* sum += */
    void (*maximum)(size_t n, const float *x, float *y); /* y = max(x, y) */
    float (*dot)(size_t n, const float *x, const float *y);
    double (*square_sum)(size_t n, const float *x); /* in double */
    double (*recon)(size_t n, bool smooth, float grad_scale, const float *x, const float *target,
                    float *dx); /* sum of rho; dx may be NULL */

    /* Layer normalisation (norm.c), one row. */
    void (*layernorm_statistics)(size_t n, const float *x, float eps, float *mean, float *rstd);
    void (*layernorm_apply)(size_t n, const float *x, float mean, float rstd, const float *weight,
                            const float *bias, float *y);
    void (*layernorm_backward)(size_t n, const float *dy, const float *x, float mean, float rstd,
                               const float *weight, float *dx, float *dweight,
                               float *dbias); /* all added to; dx may be NULL */

    /* Rows of probabilities (softmax.c). */
    /* y = softmax(scale x + add) and the log-sum-exp of each row; add, lse may be NULL. */
    void (*softmax)(size_t rows, size_t n, float scale, const float *x, size_t ldx,
                    const float *add, size_t ldadd, float *y, size_t ldy, float *lse);
    void (*attention_backward)(size_t n, float scale, const float *bias, float lse, float delta,
                               const float *keep, float *s, float *dp,
                               float *dbias); /* see softmax.c */
    double (*cross_entropy)(size_t n, float *z, size_t label, float grad_scale, float smoothing,
                            bool backward, bool *correct);
    size_t (*argmax)(size_t n, const float *x); /* of the first maximum */
    void (*softmax_backward)(size_t n, float scale, const float *y, const float *dy,
                             float *dx); /* dx += scale y (dy - <y,dy>) */
    void (*log)(size_t n, const float *x, float *y);

    /* Random numbers (random.c): numbers first .. first + n - 1 of a sample, first % 4 == 0. */
    void (*keep)(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first, float rate,
                 float *factor); /* 1 / (1 - rate) where kept, else 0 */
    void (*gumbel)(size_t n, uint64_t key, uint64_t sample, uint32_t place, size_t first,
                   float *noise); /* -ln(-ln u) */

    /* Winograd's minimal filtering F(4x4,3x3) (winograd.c), n channels side by side. A point of the
     * transformed plane is xi = 6 row + column; its values stand `stride` floats from the next
     * one's. */
    void (*winograd_weights)(size_t rows, size_t n, const float *taps, size_t ldt, bool flip,
                             float *u, size_t ldu, size_t stride); /* taps (rows,9,ldt) */
    void (*winograd_input)(size_t n, const float *const pixels[BEIT__POINTS], bool relu, float *v,
                           size_t stride);
    void (*winograd_output)(size_t n, const float *m, size_t stride, const float *bias, float beta,
                            bool relu, float *const pixels[BEIT__TILE * BEIT__TILE]);
    /* The adjoints of output and weights, for the weight gradient. */
    void (*winograd_spread)(size_t n, const float *const pixels[BEIT__TILE * BEIT__TILE], float *v,
                            size_t stride);
    void (*winograd_gather)(size_t n, const float *du, size_t stride, float alpha,
                            float *dweight); /* dweight (n,9) += */

    void (*adam)(size_t n, const beit__adam_step_t *step, const float *grad, float *param,
                 float *exp_avg, float *exp_avg_sq);
} beit__kernels_t;

/* Fill the table up to this level; levels that the build lacks are passed over, and k->isa says
 * which one was reached. */
void beit__kernels_init(beit__kernels_t *k, beit__isa_t isa);

/* Panels of a packed left operand: as few as mr allows and as equal in height as they can be. */
static inline size_t beit__panel_count(size_t m, size_t mr)
{
    return (m + mr - 1) / mr;
}
static inline size_t beit__panel_height(size_t m, size_t panels, size_t i)
{
    return m / panels + (i < m % panels);
}

#endif
