/* Operations that draw random numbers: dropout and the relaxed choice of codes. */
#include "backend/cblas/random.h"

#include "core/status.h"

size_t beit__keep_floats(size_t n)
{
    return n + 2 * BEIT__BLOCK_WORDS;
}

const float *beit__keep_row(const beit__cblas_t *self, const beit_op_random_t *random, size_t index,
                            size_t row, size_t n, float rate, float *space)
{
    const size_t skip = row * n % BEIT__BLOCK_WORDS;
    self->k.keep(n + skip, random->key, random->sample_ids[index], random->place, row * n - skip,
                 rate, space);
    return space + skip;
}

/* Elements of one task: a multiple of a block, so that tasks draw whole blocks. */
#define DROPOUT_GRAIN 4096u

typedef struct dropout {
    const beit__cblas_t *self;
    const beit_dropout_args_t *a;
    size_t per_sample, chunks;
} dropout_t;

size_t beit__cblas_dropout_space(const beit__cblas_t *self, const beit_dropout_args_t *a)
{
    (void)a;
    return self->workers * DROPOUT_GRAIN * sizeof(float);
}

static void dropout_task(void *arg, size_t index, unsigned worker)
{
    const dropout_t *d = arg;
    const beit__kernels_t *k = &d->self->k;
    const size_t sample = index / d->chunks;
    const beit__span_t span = beit__span(d->per_sample, DROPOUT_GRAIN, index % d->chunks);
    const size_t at = sample * d->per_sample + span.first, n = span.end - span.first;
    float *factor = (float *)d->a->op.workspace + worker * DROPOUT_GRAIN;
    k->keep(n, d->a->random.key, d->a->random.sample_ids[sample], d->a->random.place, span.first,
            d->a->rate, factor);
    k->multiply(n, d->a->x + at, factor, d->a->y + at);
}

beit_status_t beit__cblas_dropout(void *instance, const beit_dropout_args_t *a)
{
    dropout_t d = {instance, a, (size_t)a->per_sample, 0};
    d.chunks = beit__pieces(d.per_sample, DROPOUT_GRAIN);
    return beit__cblas_tasks(d.self, (size_t)a->samples * d.chunks, dropout_task, &d);
}

/* Relaxed choice. Scratch of a worker: noise of a row, or two rows of probabilities. */
typedef struct gumbel {
    const beit__cblas_t *self;
    const beit_gumbel_args_t *a;
    size_t rows, vocab, grain, row_floats;
} gumbel_t;

enum { SOFT = 1, STRAIGHT_THROUGH = 2, REINMAX = 3 };
static const float PROBABILITY_FLOOR = 1e-20f;

static gumbel_t gumbel_plan(const beit__cblas_t *self, const beit_gumbel_args_t *a)
{
    const size_t vocab = (size_t)a->vocab;
    return (gumbel_t){self,
                      a,
                      (size_t)(a->samples * a->positions),
                      vocab,
                      beit__row_grain(vocab),
                      beit__line_floats(vocab + 2 * BEIT__BLOCK_WORDS)};
}

size_t beit__cblas_gumbel_forward_space(const beit__cblas_t *self, const beit_gumbel_args_t *a)
{
    return self->workers * gumbel_plan(self, a).row_floats * sizeof(float);
}

size_t beit__cblas_gumbel_backward_space(const beit__cblas_t *self, const beit_gumbel_args_t *a)
{
    return 2 * self->workers * gumbel_plan(self, a).row_floats * sizeof(float);
}

static void forward_row(const gumbel_t *g, size_t row, float *space)
{
    const beit_gumbel_args_t *a = g->a;
    const beit__kernels_t *k = &g->self->k;
    const size_t V = g->vocab, at = row * V;
    const float *noise = a->noise ? a->noise + at : NULL;
    if (!noise) {
        const size_t position = row % (size_t)a->positions, sample = row / (size_t)a->positions;
        const size_t skip = position * V % BEIT__BLOCK_WORDS;
        k->gumbel(V + skip, a->random.key, a->random.sample_ids[sample], a->random.place,
                  position * V - skip, space);
        noise = space + skip;
    }
    float *y = a->y + at;
    k->scale_add(V, a->logits + at, NULL, 1.0f, noise, y);
    k->softmax(1, V, 1.0f / a->tau, y, V, NULL, 0, y, V, NULL);
    if (a->mode != SOFT && a->choice)
        a->choice[row] = (int32_t)k->argmax(V, y);
}

static void forward_task(void *arg, size_t index, unsigned worker)
{
    const gumbel_t *g = arg;
    const beit__span_t rows = beit__span(g->rows, g->grain, index);
    for (size_t r = rows.first; r < rows.end; r++)
        forward_row(g, r, (float *)g->a->op.workspace + worker * g->row_floats);
}

beit_status_t beit__cblas_gumbel_forward(void *instance, const beit_gumbel_args_t *a)
{
    gumbel_t g = gumbel_plan(instance, a);
    return beit__cblas_tasks(g.self, beit__pieces(g.rows, g.grain), forward_task, &g);
}

/* ReinMax (Liu et al. 2023, arXiv 2304.08612): with D the one-hot sample, p0 = softmax(z) and
 * p1 = (D + softmax(z / tau)) / 2, the gradient is that of 2 softmax(ln p1) - p0 / 2, the
 * logarithm being held constant up to a term z. */
static void reinmax_row(const gumbel_t *g, size_t row, float *space)
{
    const beit_gumbel_args_t *a = g->a;
    const beit__kernels_t *k = &g->self->k;
    const size_t V = g->vocab, at = row * V;
    float *p0 = space, *p1 = space + g->row_floats;
    k->softmax(1, V, 1.0f, a->logits + at, V, NULL, 0, p0, V, NULL);
    k->softmax(1, V, 1.0f / a->tau, a->logits + at, V, NULL, 0, p1, V, NULL);
    double sum = 0.0;
    for (size_t i = 0; i < V; i++) {
        const float p = 0.5f * (p1[i] + ((size_t)a->choice[row] == i ? 1.0f : 0.0f));
        p1[i] = p > PROBABILITY_FLOOR ? p : PROBABILITY_FLOOR;
        sum += (double)p1[i];
    }
    k->affine(V, (float)(1.0 / sum), 0.0f, p1, p1);
    k->softmax_backward(V, 2.0f, p1, a->dy + at, a->dlogits + at);
    k->softmax_backward(V, -0.5f, p0, a->dy + at, a->dlogits + at);
}

static void backward_task(void *arg, size_t index, unsigned worker)
{
    const gumbel_t *g = arg;
    const beit_gumbel_args_t *a = g->a;
    const beit__span_t rows = beit__span(g->rows, g->grain, index);
    for (size_t r = rows.first; r < rows.end; r++) {
        const size_t at = r * g->vocab;
        if (a->mode == REINMAX)
            reinmax_row(g, r, (float *)a->op.workspace + 2 * worker * g->row_floats);
        else
            g->self->k.softmax_backward(g->vocab, 1.0f / a->tau, a->y + at, a->dy + at,
                                        a->dlogits + at);
    }
}

beit_status_t beit__cblas_gumbel_backward(void *instance, const beit_gumbel_args_t *a)
{
    gumbel_t g = gumbel_plan(instance, a);
    return beit__cblas_tasks(g.self, beit__pieces(g.rows, g.grain), backward_task, &g);
}
