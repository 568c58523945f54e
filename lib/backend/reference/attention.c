/* Multi-head attention, one query row at a time. Dimensions: T tokens, W head width.
 * Gradient, with s the scores, p their softmax and k the dropout factor (0 or 1/(1-rate)):
 * dv_j = sum_i p_ij k_ij dout_i, dp_ij = k_ij <dout_i, v_j>, ds_ij = p_ij (dp_ij - sum_j p_ij
 * dp_ij), dq_i = scale sum_j ds_ij k_j, dk_j = scale sum_i ds_ij q_i, dbias = sum over samples. */
#include "draws.h"
#include "reference.h"
#include "softmax.h"
#include "sums.h"

/* Addresses of one head of one sample. */
typedef struct head {
    const float *q, *k, *v; /* (T,W), row stride ldqkv */
    const float *bias;      /* (T,T) or NULL */
    int64_t tokens, width, ld;
    double scale;
} head_t;

static head_t head_at(const float *qkv, const float *bias, int64_t b, int64_t h, int64_t T,
                      int64_t heads, int64_t W, int64_t ld, float scale)
{
    const float *q = qkv + b * T * ld + h * W;
    return (head_t){.q = q,
                    .k = q + heads * W,
                    .v = q + 2 * heads * W,
                    .bias = bias ? bias + h * T * T : NULL,
                    .tokens = T,
                    .width = W,
                    .ld = ld,
                    .scale = (double)scale};
}

/* s[j] = scale <q_i, k_j> + bias[i,j]. */
static void scores(const head_t *head, int64_t i, double *s)
{
    for (int64_t j = 0; j < head->tokens; j++) {
        s[j] = head->scale * beit__dot(head->q + i * head->ld, head->k + j * head->ld, head->width);
        if (head->bias)
            s[j] += (double)head->bias[i * head->tokens + j];
    }
}

/* Dropout factor of element (h,i,j); `draws` belongs to the sample. */
static double drop_factor(beit__element_draws_t *draws, float rate, int64_t element)
{
    return beit__element_unit(draws, element) >= rate ? 1.0 / (1.0 - (double)rate) : 0.0;
}

/* A row of probabilities, a row of outputs. */
size_t beit__reference_attention_forward_workspace(const beit_op_t *args)
{
    const beit_attention_forward_args_t *a = (const beit_attention_forward_args_t *)args;
    return (size_t)(a->tokens + a->width) * sizeof(double);
}

static void forward_head(const beit_attention_forward_args_t *a, int64_t b, int64_t h)
{
    const int64_t T = a->tokens, W = a->width;
    const head_t head = head_at(a->qkv, a->bias, b, h, T, a->heads, W, a->ldqkv, a->scale);
    double *p = a->op.workspace, *o = p + T; /* (T), (W) */
    beit__element_draws_t draws = {0};
    if (a->drop_rate > 0)
        draws = beit__element_draws(&a->random, b);
    for (int64_t i = 0; i < T; i++) {
        scores(&head, i, p);
        const double lse = beit__softmax(p, p, T);
        if (a->lse)
            a->lse[(b * a->heads + h) * T + i] = (float)lse;
        beit__zero(o, W);
        for (int64_t j = 0; j < T; j++) {
            if (a->drop_rate > 0)
                p[j] *= drop_factor(&draws, a->drop_rate, (h * T + i) * T + j);
            beit__axpy(o, p[j], head.v + j * head.ld, W);
        }
        for (int64_t w = 0; w < W; w++)
            a->o[((b * T + i) * a->heads + h) * W + w] = (float)o[w];
    }
}

beit_status_t beit__reference_attention_forward(void *self, const beit_attention_forward_args_t *a)
{
    (void)self;
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t h = 0; h < a->heads; h++)
            forward_head(a, b, h);
    return BEIT_OK;
}

/* Sums of one head: dk and dv of a sample, dbias of all samples, and rows p, dp, dq. */
typedef struct sums {
    double *dk, *dv; /* (T,W) */
    double *dbias;   /* (T,T) */
    double *p, *dp;  /* (T) */
    double *dq;      /* (W) */
} sums_t;

size_t beit__reference_attention_backward_workspace(const beit_op_t *args)
{
    const beit_attention_backward_args_t *a = (const beit_attention_backward_args_t *)args;
    const int64_t T = a->tokens, W = a->width;
    return (size_t)(2 * T * W + T * T + 2 * T + W) * sizeof(double);
}

static sums_t sums_in(const beit_attention_backward_args_t *a)
{
    const int64_t T = a->tokens, W = a->width;
    sums_t s;
    s.dk = a->op.workspace;
    s.dv = s.dk + T * W;
    s.dbias = s.dv + T * W;
    s.p = s.dbias + T * T;
    s.dp = s.p + T;
    s.dq = s.dp + T;
    return s;
}

/* Query i of one head: fills s->dq, adds to s->dk, s->dv and s->dbias. */
static void backward_query(const beit_attention_backward_args_t *a, const sums_t *s,
                           const head_t *head, beit__element_draws_t *draws, int64_t b, int64_t h,
                           int64_t i)
{
    const int64_t T = a->tokens, W = a->width;
    const float *dout = a->dout + ((b * T + i) * a->heads + h) * W;
    const double lse = (double)a->lse[(b * a->heads + h) * T + i];
    double mean = 0;
    scores(head, i, s->p);
    for (int64_t j = 0; j < T; j++) {
        const double keep =
            a->drop_rate > 0 ? drop_factor(draws, a->drop_rate, (h * T + i) * T + j) : 1.0;
        s->p[j] = exp(s->p[j] - lse);
        s->dp[j] = keep * beit__dot(dout, head->v + j * head->ld, W);
        beit__axpy(s->dv + j * W, keep * s->p[j], dout, W);
        mean += s->p[j] * s->dp[j];
    }
    beit__zero(s->dq, W);
    for (int64_t j = 0; j < T; j++) {
        const double ds = s->p[j] * (s->dp[j] - mean);
        beit__axpy(s->dq, head->scale * ds, head->k + j * head->ld, W);
        beit__axpy(s->dk + j * W, head->scale * ds, head->q + i * head->ld, W);
        s->dbias[i * T + j] += ds;
    }
}

static void backward_head(const beit_attention_backward_args_t *a, const sums_t *s, int64_t b,
                          int64_t h)
{
    const int64_t T = a->tokens, W = a->width, third = a->heads * W;
    const head_t head = head_at(a->qkv, a->bias, b, h, T, a->heads, W, a->ldqkv, a->scale);
    float *dqkv = a->dqkv + b * T * a->ldqkv + h * W;
    beit__element_draws_t draws = {0};
    if (a->drop_rate > 0)
        draws = beit__element_draws(&a->random, b);
    beit__zero(s->dk, T * W);
    beit__zero(s->dv, T * W);
    for (int64_t i = 0; i < T; i++) {
        backward_query(a, s, &head, &draws, b, h, i);
        for (int64_t w = 0; w < W; w++)
            dqkv[i * a->ldqkv + w] = (float)s->dq[w];
    }
    for (int64_t j = 0; j < T; j++)
        for (int64_t w = 0; w < W; w++) {
            dqkv[j * a->ldqkv + third + w] = (float)s->dk[j * W + w];
            dqkv[j * a->ldqkv + 2 * third + w] = (float)s->dv[j * W + w];
        }
}

beit_status_t beit__reference_attention_backward(void *self,
                                                 const beit_attention_backward_args_t *a)
{
    (void)self;
    const int64_t T = a->tokens;
    const sums_t s = sums_in(a);
    for (int64_t h = 0; h < a->heads; h++) {
        beit__zero(s.dbias, T * T);
        for (int64_t b = 0; b < a->batch; b++)
            backward_head(a, &s, b, h);
        if (a->dbias)
            beit__add_to(a->dbias + h * T * T, s.dbias, T * T);
    }
    return BEIT_OK;
}
