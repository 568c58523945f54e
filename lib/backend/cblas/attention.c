/* Attention, one head of one image at a time: scores, probabilities and products never leave the
 * second-level cache, queries, keys and values are read where they stand in qkv. The backward
 * pass recomputes the probabilities. The gradient at the bias is summed over images by tasks that
 * own a head and walk through a fixed group of images, group sums being added afterwards. */
#include <string.h>

#include "backend/cblas/product.h"
#include "backend/cblas/random.h"
#include "core/status.h"

/* Rows of scores that stay in the first-level cache between their two products. */
#define SCORE_ROWS 32u
/* Image groups of the backward pass with a bias gradient: heads x groups tasks. */
#define GROUPS 2u

/* Row strides that are no power of two, so that rows do not meet in one cache set. */
static size_t score_stride(size_t tokens)
{
    return beit__round_up(tokens, BEIT__LINE_FLOATS) + BEIT__LINE_FLOATS;
}

static size_t keep_floats(size_t tokens)
{
    return beit__line_floats(beit__keep_floats(tokens));
}

typedef struct head {
    const float *q, *k, *v; /* (T,d) with row stride ld */
    size_t ld;
} head_t;

static head_t head_of(const float *qkv, size_t tokens, size_t width, size_t heads, size_t ld,
                      size_t image, size_t head)
{
    const float *q = qkv + image * tokens * ld + head * width;
    return (head_t){q, q + heads * width, q + 2 * heads * width, ld};
}

typedef struct forward {
    const beit__cblas_t *self;
    const beit_attention_forward_args_t *a;
    size_t tokens, width, heads, rows, stride;
    size_t scratch; /* floats per worker */
} forward_t;

static forward_t forward_plan(const beit__cblas_t *self, const beit_attention_forward_args_t *a)
{
    forward_t f = {self, a, (size_t)a->tokens, (size_t)a->width, (size_t)a->heads, 0, 0, 0};
    f.rows = beit__min(f.tokens, self->own_gemm ? SCORE_ROWS : f.tokens);
    f.stride = score_stride(f.tokens);
    f.scratch = beit__rhs_floats(self, f.width, f.tokens) +
                beit__rhs_floats(self, f.tokens, f.width) + f.rows * f.stride +
                keep_floats(f.tokens);
    return f;
}

size_t beit__cblas_attention_forward_space(const beit__cblas_t *self,
                                           const beit_attention_forward_args_t *a)
{
    return forward_plan(self, a).scratch * self->workers * sizeof(float);
}

/* Dropout on rows of probabilities that belong to query rows row.. of an image. */
static void drop(const forward_t *f, size_t image, size_t row, size_t rows, float *scores,
                 float *space)
{
    for (size_t i = 0; i < rows; i++, scores += f->stride) {
        const float *factor = beit__keep_row(f->self, &f->a->random, image, row + i, f->tokens,
                                             f->a->drop_rate, space);
        f->self->k.multiply(f->tokens, scores, factor, scores);
    }
}

static void forward_task(void *arg, size_t index, unsigned worker)
{
    const forward_t *f = arg;
    const beit_attention_forward_args_t *a = f->a;
    const beit__cblas_t *self = f->self;
    const size_t image = index / f->heads, head = index % f->heads, T = f->tokens;
    const head_t h = head_of(a->qkv, T, f->width, f->heads, (size_t)a->ldqkv, image, head);
    float *space = (float *)a->op.workspace + worker * f->scratch;
    const beit__rhs_t keys = beit__rhs(self, f->width, T, space);
    space += beit__rhs_floats(self, f->width, T);
    const beit__rhs_t values = beit__rhs(self, T, f->width, space);
    space += beit__rhs_floats(self, T, f->width);
    float *keep = space, *scores = space + keep_floats(T);
    beit__rhs_pack_all(self, &keys, h.k, h.ld, true);
    beit__rhs_pack_all(self, &values, h.v, h.ld, false);
    const size_t ldo = f->heads * f->width;
    float *o = a->o + image * T * ldo + head * f->width;

    for (size_t first = 0; first < T; first += f->rows) {
        const size_t rows = beit__min(f->rows, T - first);
        const beit__lhs_view_t q = {h.q + first * h.ld, h.ld, BEIT__LHS_ROWS};
        beit__product(self, rows, q, &keys,
                      (beit__result_t){.c = scores, .ldc = f->stride, .alpha = 1.0f});
        const size_t row = head * T + first;
        self->k.softmax(rows, T, a->scale, scores, f->stride, a->bias ? a->bias + row * T : NULL, T,
                        scores, f->stride, a->lse ? a->lse + image * f->heads * T + row : NULL);
        if (a->drop_rate > 0.0f)
            drop(f, image, row, rows, scores, keep);
        const beit__lhs_view_t p = {scores, f->stride, BEIT__LHS_ROWS};
        beit__product(self, rows, p, &values,
                      (beit__result_t){.c = o + first * ldo, .ldc = ldo, .alpha = 1.0f});
    }
}

beit_status_t beit__cblas_attention_forward(void *instance, const beit_attention_forward_args_t *a)
{
    forward_t f = forward_plan(instance, a);
    return beit__cblas_products(f.self, (size_t)a->batch * f.heads, forward_task, &f);
}

typedef struct backward {
    const beit__cblas_t *self;
    const beit_attention_backward_args_t *a;
    size_t tokens, width, heads, images, stride;
    size_t scratch;       /* floats per worker */
    size_t groups, group; /* images per task */
    float *dbias;         /* (groups - 1, h, T, T): sums of the groups after the first */
} backward_t;

static size_t dbias_floats(const backward_t *b)
{
    return beit__line_floats(b->heads * b->tokens * b->tokens);
}

/* Scratch of a worker: transposed keys and values; queries, keys and output gradients as right
 * operands; scores and their gradients; a row of dropout factors. */
static backward_t backward_plan(const beit__cblas_t *self, const beit_attention_backward_args_t *a)
{
    backward_t b = {.self = self,
                    .a = a,
                    .tokens = (size_t)a->tokens,
                    .width = (size_t)a->width,
                    .heads = (size_t)a->heads,
                    .images = (size_t)a->batch,
                    .stride = score_stride((size_t)a->tokens)};
    b.groups = a->dbias ? beit__min(b.images, GROUPS) : b.images;
    b.group = b.images ? beit__pieces(b.images, b.groups) : 1;
    b.groups = beit__pieces(b.images, b.group);
    b.scratch = 2 * beit__rhs_floats(self, b.width, b.tokens) +
                3 * beit__rhs_floats(self, b.tokens, b.width) + 2 * b.tokens * b.stride +
                keep_floats(b.tokens);
    b.dbias = (float *)a->op.workspace + b.scratch * self->workers;
    return b;
}

size_t beit__cblas_attention_backward_space(const beit__cblas_t *self,
                                            const beit_attention_backward_args_t *a)
{
    const backward_t b = backward_plan(self, a);
    return (b.scratch * self->workers + (GROUPS - 1) * dbias_floats(&b)) * sizeof(float);
}

typedef struct operands {
    beit__rhs_t keys_t, values_t, queries, keys, douts;
    float *scores, *dscores, *keep;
} operands_t;

static operands_t operands_at(const backward_t *b, float *space)
{
    const beit__cblas_t *self = b->self;
    operands_t op;
    beit__rhs_t *transposed[] = {&op.keys_t, &op.values_t};
    beit__rhs_t *plain[] = {&op.queries, &op.keys, &op.douts};
    for (size_t i = 0; i < 2; i++) {
        *transposed[i] = beit__rhs(self, b->width, b->tokens, space);
        space += beit__rhs_floats(self, b->width, b->tokens);
    }
    for (size_t i = 0; i < 3; i++) {
        *plain[i] = beit__rhs(self, b->tokens, b->width, space);
        space += beit__rhs_floats(self, b->tokens, b->width);
    }
    op.scores = space;
    op.dscores = op.scores + b->tokens * b->stride;
    op.keep = op.dscores + b->tokens * b->stride;
    return op;
}

static void backward_image(const backward_t *b, size_t image, size_t head, float *dbias,
                           const operands_t *op)
{
    const beit__cblas_t *self = b->self;
    const beit_attention_backward_args_t *a = b->a;
    const size_t T = b->tokens, d = b->width, ldo = b->heads * d, stride = b->stride;
    const head_t h = head_of(a->qkv, T, d, b->heads, (size_t)a->ldqkv, image, head);
    const size_t at = image * T * ldo + head * d;
    const float *o = a->o + at, *dout = a->dout + at;
    beit__rhs_pack_all(self, &op->keys_t, h.k, h.ld, true);
    beit__rhs_pack_all(self, &op->values_t, h.v, h.ld, true);
    beit__rhs_pack_all(self, &op->queries, h.q, h.ld, false);
    beit__rhs_pack_all(self, &op->keys, h.k, h.ld, false);
    beit__rhs_pack_all(self, &op->douts, dout, ldo, false);

    const beit__lhs_view_t q = {h.q, h.ld, BEIT__LHS_ROWS};
    const beit__lhs_view_t d_o = {dout, ldo, BEIT__LHS_ROWS};
    beit__product(self, T, q, &op->keys_t,
                  (beit__result_t){.c = op->scores, .ldc = stride, .alpha = 1.0f});
    beit__product(self, T, d_o, &op->values_t,
                  (beit__result_t){.c = op->dscores, .ldc = stride, .alpha = 1.0f});
    for (size_t i = 0; i < T; i++) {
        const size_t row = head * T + i;
        const float *keep = NULL;
        if (a->drop_rate > 0.0f)
            keep = beit__keep_row(self, &a->random, image, row, T, a->drop_rate, op->keep);
        self->k.attention_backward(
            T, a->scale, a->bias ? a->bias + row * T : NULL, a->lse[image * b->heads * T + row],
            self->k.dot(d, o + i * ldo, dout + i * ldo), keep, op->scores + i * stride,
            op->dscores + i * stride, dbias ? dbias + row * T : NULL);
    }
    const size_t ld = (size_t)a->ldqkv;
    float *dq = a->dqkv + image * T * ld + head * d, *dk = dq + ldo, *dv = dk + ldo;
    const beit__lhs_view_t p_t = {op->scores, stride, BEIT__LHS_COLUMNS};
    const beit__lhs_view_t ds = {op->dscores, stride, BEIT__LHS_ROWS};
    const beit__lhs_view_t ds_t = {op->dscores, stride, BEIT__LHS_COLUMNS};
    beit__product(self, T, p_t, &op->douts, (beit__result_t){.c = dv, .ldc = ld, .alpha = 1.0f});
    beit__product(self, T, ds, &op->keys, (beit__result_t){.c = dq, .ldc = ld, .alpha = a->scale});
    beit__product(self, T, ds_t, &op->queries,
                  (beit__result_t){.c = dk, .ldc = ld, .alpha = a->scale});
}

static void backward_task(void *arg, size_t index, unsigned worker)
{
    const backward_t *b = arg;
    const size_t group = index / b->heads, head = index % b->heads, T = b->tokens;
    const operands_t op = operands_at(b, (float *)b->a->op.workspace + worker * b->scratch);
    float *dbias = b->a->dbias;
    if (dbias && group > 0) {
        dbias = b->dbias + (group - 1) * dbias_floats(b);
        memset(dbias + head * T * T, 0, T * T * sizeof *dbias);
    }
    const beit__span_t images = beit__span(b->images, b->group, group);
    for (size_t i = images.first; i < images.end; i++)
        backward_image(b, i, head, dbias, &op);
}

static void dbias_task(void *arg, size_t head, unsigned worker)
{
    (void)worker;
    const backward_t *b = arg;
    const size_t square = b->tokens * b->tokens;
    for (size_t group = 1; group < b->groups; group++)
        b->self->k.axpy(square, 1.0f, b->dbias + (group - 1) * dbias_floats(b) + head * square,
                        b->a->dbias + head * square);
}

beit_status_t beit__cblas_attention_backward(void *instance,
                                             const beit_attention_backward_args_t *a)
{
    backward_t b = backward_plan(instance, a);
    BEIT__TRY(beit__cblas_products(b.self, b.groups * b.heads, backward_task, &b));
    if (!a->dbias || b.groups < 2)
        return BEIT_OK;
    return beit__cblas_tasks(b.self, b.heads, dbias_task, &b);
}
