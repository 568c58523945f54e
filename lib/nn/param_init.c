/* Initial values. Element e of a tensor is a function of (seed, index of the tensor, e) alone: it
 * uses draw e of the tensor's INIT stream (doc/reference/rng.md), two words each, so that pieces
 * are computed in parallel and in any order. The truncated normal is timm's: a uniform number
 * between the distribution function's values at the two cuts, through the inverse of that
 * function. */
#include <assert.h>
#include <math.h>

#include "backend/backend.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/philox.h"
#include "core/status.h"
#include "nn/param.h"

#define PIECE           ((size_t)1 << 20) /* floats drawn on the host before they are uploaded */
#define TASK            ((size_t)1 << 14) /* elements per task */
#define WORDS_PER_BLOCK 4
#define WORDS_PER_DRAW  2

/* One piece of one tensor. */
typedef struct piece {
    const beit__param_t *param;
    uint64_t key, tensor;
    size_t first, count; /* elements of the tensor */
    float *values;       /* host (count) */
    double reach;        /* of a truncated normal: P(|x| < cut) */
} piece_t;

/* Draw `e` of the stream: words 2e and 2e + 1. */
static beit__draws_t draws_at(const piece_t *piece, size_t element)
{
    const size_t word = element * WORDS_PER_DRAW;
    beit__draws_t draws = {
        .key = piece->key, .sample = piece->tensor, .block = (uint32_t)(word / WORDS_PER_BLOCK)};
    for (size_t skip = word % WORDS_PER_BLOCK; skip > 0; skip--)
        (void)beit__draw32(&draws);
    return draws;
}

static float truncated(const piece_t *piece, beit__draws_t *draws)
{
    const double sigma = (double)piece->param->a, cut = (double)piece->param->b;
    const double unit = beit__draw_unit(draws);
    const double u = fmax(piece->reach * (2 * unit - 1), -1 + 0x1p-53); /* erfinv is finite there */
    const double value = sigma * sqrt(2) * beit__erfinv(u);
    return (float)(fmin(fmax(value, -cut), cut) * (double)piece->param->c);
}

static float draw(const piece_t *piece, beit__draws_t *draws)
{
    const beit__param_t *param = piece->param;
    switch (param->init) {
    case BEIT__INIT_CONSTANT:
        return param->a;
    case BEIT__INIT_TRUNCATED:
        return truncated(piece, draws);
    case BEIT__INIT_UNIFORM:
        return (float)beit__draw_uniform(draws, -(double)param->a, (double)param->a);
    case BEIT__INIT_NORMAL:
        return (float)((double)param->a * beit__draw_normal(draws));
    default:
        return 0;
    }
}

static void fill_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const piece_t *piece = arg;
    const size_t begin = index * TASK;
    const size_t end = begin + TASK < piece->count ? begin + TASK : piece->count;
    beit__draws_t draws = draws_at(piece, piece->first + begin);
    for (size_t i = begin; i < end; i++)
        piece->values[i] = draw(piece, &draws);
}

static beit_status_t init_tensor(beit_params_t *params, size_t index, uint64_t key, float *values)
{
    const beit__param_list_t *list = params->list;
    const beit__param_t *param = &list->items[index];
    assert(param->count <= (size_t)UINT32_MAX * WORDS_PER_BLOCK / WORDS_PER_DRAW);
    piece_t piece = {.param = param, .key = key, .tensor = index, .values = values};
    if (param->init == BEIT__INIT_TRUNCATED)
        piece.reach = erf((double)param->b / ((double)param->a * sqrt(2)));
    for (; piece.first < param->count; piece.first += piece.count) {
        const size_t left = param->count - piece.first;
        piece.count = left < PIECE ? left : PIECE;
        const size_t tasks = (piece.count + TASK - 1) / TASK;
        BEIT__TRY(beit__parallel_for(&list->ctx->executor, tasks, fill_task, &piece));
        BEIT__TRY(beit__upload(list->ctx, beit__params_at(params, index) + piece.first, values,
                               piece.count * sizeof(float)));
    }
    return BEIT_OK;
}

beit_status_t beit__params_init(beit_params_t *params, uint64_t seed)
{
    const beit__param_list_t *list = params->list;
    float *values = beit__alloc(list->ctx, PIECE * sizeof *values);
    if (!values)
        return BEIT_E_NOMEM;
    const uint64_t key = beit__stream_key(seed, BEIT__STREAM_INIT, 0);
    beit_status_t status = BEIT_OK;
    for (size_t i = 0; i < list->count && status == BEIT_OK; i++)
        status = init_tensor(params, i, key, values);
    beit__free(list->ctx, values, PIECE * sizeof *values);
    return status;
}
