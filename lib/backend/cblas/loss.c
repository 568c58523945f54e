/* Losses over rows of logits and over pixels. Each task writes what its rows or block contribute;
 * the caller's thread adds these in order. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "backend/cblas/cblas.h"
#include "core/status.h"

static double sum_in_order(size_t n, const double *x)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* ---- cross-entropy and arg-max ---- */

typedef struct cross_entropy {
    const beit__cblas_t *self;
    const beit_cross_entropy_args_t *a;
    size_t rows, cols, grain;
    double *losses; /* one per row, then whether the row was right */
    bool *correct;
} cross_entropy_t;

size_t beit__cblas_cross_entropy_space(const beit__cblas_t *self,
                                       const beit_cross_entropy_args_t *a)
{
    (void)self;
    return (size_t)a->rows * (sizeof(double) + sizeof(bool));
}

static void cross_entropy_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const cross_entropy_t *c = arg;
    const beit__span_t rows = beit__span(c->rows, c->grain, index);
    for (size_t r = rows.first; r < rows.end; r++)
        c->losses[r] = c->self->k.cross_entropy(c->cols, c->a->logits + r * c->cols,
                                                (size_t)c->a->labels[r], c->a->grad_scale,
                                                c->a->smoothing, c->a->backward, &c->correct[r]);
}

beit_status_t beit__cblas_cross_entropy(void *instance, const beit_cross_entropy_args_t *a)
{
    cross_entropy_t c = {instance, a, (size_t)a->rows, (size_t)a->cols, 0, a->op.workspace, NULL};
    c.grain = beit__row_grain(c.cols);
    c.correct = (bool *)(c.losses + c.rows);
    BEIT__TRY(beit__cblas_tasks(c.self, beit__pieces(c.rows, c.grain), cross_entropy_task, &c));
    *a->loss += sum_in_order(c.rows, c.losses);
    for (size_t r = 0; r < c.rows; r++)
        *a->correct += c.correct[r];
    return BEIT_OK;
}

typedef struct argmax {
    const beit__cblas_t *self;
    const beit_argmax_args_t *a;
    size_t rows, cols, grain;
} argmax_t;

static void argmax_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const argmax_t *m = arg;
    const beit__span_t rows = beit__span(m->rows, m->grain, index);
    for (size_t r = rows.first; r < rows.end; r++)
        m->a->index[r] = (int32_t)m->self->k.argmax(m->cols, m->a->x + r * (size_t)m->a->ldx);
}

beit_status_t beit__cblas_argmax(void *instance, const beit_argmax_args_t *a)
{
    argmax_t m = {instance, a, (size_t)a->rows, (size_t)a->cols, 0};
    m.grain = beit__row_grain(m.cols);
    return beit__cblas_tasks(m.self, beit__pieces(m.rows, m.grain), argmax_task, &m);
}

/* ---- reconstruction ---- */

typedef struct recon {
    const beit__cblas_t *self;
    const beit_recon_args_t *a;
    double *sums;
} recon_t;

enum { RECON_SMOOTH_L1 = 2 };

size_t beit__cblas_recon_space(const beit__cblas_t *self, const beit_recon_args_t *a)
{
    (void)self;
    return beit__pieces((size_t)a->count, BEIT__TASK_FLOATS) * sizeof(double);
}

static void recon_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const recon_t *r = arg;
    const beit_recon_args_t *a = r->a;
    const beit__span_t s = beit__span((size_t)a->count, BEIT__TASK_FLOATS, index);
    r->sums[index] =
        r->self->k.recon(s.end - s.first, a->kind == RECON_SMOOTH_L1, a->grad_scale, a->x + s.first,
                         a->target + s.first, a->dx ? a->dx + s.first : NULL);
}

beit_status_t beit__cblas_recon(void *instance, const beit_recon_args_t *a)
{
    recon_t r = {instance, a, a->op.workspace};
    const size_t tasks = beit__pieces((size_t)a->count, BEIT__TASK_FLOATS);
    BEIT__TRY(beit__cblas_tasks(r.self, tasks, recon_task, &r));
    *a->loss += sum_in_order(tasks, r.sums);
    return BEIT_OK;
}

/* ---- code prior ----
 * First pass: q, its log-sum-exp, the values per row and the column sums of q per block of rows.
 * Second pass: with g the derivative of the sum of all terms by q, dz += q (g - <q,g>). */

typedef struct prior {
    const beit__cblas_t *self;
    const beit_code_prior_args_t *a;
    size_t rows, vocab, grain, blocks, line;
    double *kl, *sharpness, *norm; /* per row; norm = log-sum-exp */
    float *usage;                  /* (blocks, V): column sums of q, block 0 becomes the mean */
    float *scratch;                /* two lines per worker: ln q, q */
} prior_t;

/* Blocks of rows are fixed so that their number, hence the scratch, stays small. */
#define PRIOR_BLOCKS 16u

static prior_t prior_plan(const beit__cblas_t *self, const beit_code_prior_args_t *a)
{
    prior_t p = {.self = self, .a = a, .rows = (size_t)a->rows, .vocab = (size_t)a->vocab};
    p.grain = beit__max(1, beit__pieces(p.rows, PRIOR_BLOCKS));
    p.blocks = beit__pieces(p.rows, p.grain);
    p.line = beit__line_floats(p.vocab);
    p.kl = a->op.workspace;
    p.sharpness = p.kl + p.rows;
    p.norm = p.sharpness + p.rows;
    p.usage = (float *)(p.norm + p.rows);
    p.scratch = p.usage + p.blocks * p.line;
    return p;
}

size_t beit__cblas_code_prior_space(const beit__cblas_t *self, const beit_code_prior_args_t *a)
{
    const size_t line = beit__line_floats((size_t)a->vocab);
    return 3 * (size_t)a->rows * sizeof(double) +
           (beit__min((size_t)a->rows, PRIOR_BLOCKS) + 2 * self->workers) * line * sizeof(float);
}

static double kl_of_row(const beit_code_prior_args_t *a, size_t V, const float *ln_q,
                        const float *q)
{
    const double ln_v = log((double)V), e = (double)a->kl_epsilon;
    double sum = 0.0;
    for (size_t i = 0; i < V; i++) {
        if (a->kl_direction != 1)
            sum -= (double)ln_q[i];
        else if (e > 0.0)
            sum += ((double)q[i] + e) * (log((double)q[i] + e) + ln_v);
        else
            sum += (double)q[i] * ((double)ln_q[i] + ln_v);
    }
    return a->kl_direction == 1 ? sum : sum / (double)V - ln_v;
}

static void value_task(void *arg, size_t block, unsigned worker)
{
    const prior_t *p = arg;
    const beit__kernels_t *k = &p->self->k;
    const size_t V = p->vocab;
    float *ln_q = p->scratch + 2 * worker * p->line, *q = ln_q + p->line;
    float *usage = p->usage + block * p->line;
    memset(usage, 0, V * sizeof *usage);
    const beit__span_t rows = beit__span(p->rows, p->grain, block);
    for (size_t r = rows.first; r < rows.end; r++) {
        const float *z = p->a->logits + r * V;
        float lse;
        k->softmax(1, V, 1.0f, z, V, NULL, 0, q, V, &lse);
        k->affine(V, 1.0f, -lse, z, ln_q);
        k->axpy(V, 1.0f, q, usage);
        p->norm[r] = (double)lse;
        p->sharpness[r] = -(double)k->dot(V, q, ln_q);
        p->kl[r] = kl_of_row(p->a, V, ln_q, q);
    }
}

static void gradient_of_row(const prior_t *p, size_t row, float *g, float *q)
{
    const beit_code_prior_args_t *a = p->a;
    const beit__kernels_t *k = &p->self->k;
    const size_t V = p->vocab;
    const float *z = a->logits + row * V;
    float *dz = a->dlogits + row * V;
    const float *ln_usage = p->usage; /* by now */
    const float per_row = 1.0f / (float)p->rows;
    k->softmax(1, V, 1.0f, z, V, NULL, 0, q, V, NULL);
    k->affine(V, 1.0f, -(float)p->norm[row], z, g); /* g = ln q */
    const bool forward_kl = a->kl_direction == 1;
    const float own =
        (forward_kl && a->kl_epsilon == 0.0f ? a->kl_weight : 0.0f) - a->sharpness_weight * per_row;
    if (forward_kl && a->kl_epsilon > 0.0f)
        for (size_t i = 0; i < V; i++)
            g[i] = own * g[i] + a->kl_weight * logf(q[i] + a->kl_epsilon);
    else
        k->affine(V, own, 0.0f, g, g);
    k->axpy(V, a->balance_weight * per_row, ln_usage, g);
    k->softmax_backward(V, 1.0f, q, g, dz);
    if (!forward_kl) {
        k->axpy(V, a->kl_weight, q, dz);
        k->affine(V, 1.0f, -a->kl_weight / (float)V, dz, dz);
    }
}

static void gradient_task(void *arg, size_t block, unsigned worker)
{
    const prior_t *p = arg;
    float *g = p->scratch + 2 * worker * p->line, *q = g + p->line;
    const beit__span_t rows = beit__span(p->rows, p->grain, block);
    for (size_t r = rows.first; r < rows.end; r++)
        gradient_of_row(p, r, g, q);
}

/* Entropy of the mean usage; leaves its logarithm in block 0. */
static double usage_entropy(const prior_t *p)
{
    double entropy = 0.0;
    for (size_t block = 1; block < p->blocks; block++)
        p->self->k.axpy(p->vocab, 1.0f, p->usage + block * p->line, p->usage);
    for (size_t i = 0; i < p->vocab; i++) {
        const float mean = fmaxf(p->usage[i] / (float)p->rows, FLT_MIN);
        p->usage[i] = logf(mean);
        entropy -= (double)mean * (double)p->usage[i];
    }
    return entropy;
}

beit_status_t beit__cblas_code_prior(void *instance, const beit_code_prior_args_t *a)
{
    prior_t p = prior_plan(instance, a);
    if (p.rows == 0) {
        *a->kl = *a->balance = *a->sharpness = 0.0;
        return BEIT_OK;
    }
    BEIT__TRY(beit__cblas_tasks(p.self, p.blocks, value_task, &p));
    *a->kl = sum_in_order(p.rows, p.kl);
    *a->sharpness = sum_in_order(p.rows, p.sharpness) / (double)p.rows;
    *a->balance = log((double)p.vocab) - usage_entropy(&p);
    return a->dlogits ? beit__cblas_tasks(p.self, p.blocks, gradient_task, &p) : BEIT_OK;
}
