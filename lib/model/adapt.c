/* A model's weights into another model. First it is decided where every tensor comes from, then all
 * values are put together on the host over a copy of what is there, and only then one upload
 * changes the model. */
#include <stdio.h>
#include <string.h>

#include "core/abi.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "model/handle.h"
#include "model/resize.h"

#define OLDEST_OPTIONS sizeof(beit_adapt_options_t) /* of release 0.1 */
#define OLDEST_REPORT  sizeof(beit_adapt_report_t)  /* of release 0.1 */
#define TABLE          "relative_position_bias_table"

/* ---- where tensors come from ---- */

typedef struct origin {
    size_t from;  /* the source's tensor; BEIT__NO_PARAM = missing */
    size_t added; /* a second one, summed; or BEIT__NO_PARAM */
    bool resized;
} origin_t;

typedef struct adaptation {
    beit_model_t *dst;
    const beit_model_t *src;
    int32_t method;     /* of resizing relative tables */
    origin_t *origins;  /* one per tensor of dst */
    bool *used;         /* one per tensor of src */
    float *values;      /* all of dst's, laid out like its weights */
    float *read, *more; /* a tensor of src */
} adaptation_t;

static beit__grid_t grid_of(const beit_model_t *model)
{
    return (beit__grid_t){model->vit.positions.rows, model->vit.positions.cols};
}

static bool same_grid(const adaptation_t *a)
{
    const beit__grid_t from = grid_of(a->src), to = grid_of(a->dst);
    return from.rows == to.rows && from.cols == to.cols;
}

static bool is_relative(const beit__param_t *param)
{
    const size_t length = strlen(param->name), tail = sizeof TABLE - 1;
    return length >= tail && strcmp(param->name + length - tail, TABLE) == 0;
}

static bool is_absolute(const beit_model_t *model, size_t index)
{
    return index == model->vit.embedding.pos_embed;
}

static bool is_head(const beit_model_t *model, size_t index)
{
    return index == model->vit.head.weight || index == model->vit.head.bias;
}

/* By name; a block's own table may also come from the shared one. */
static origin_t find_origin(const adaptation_t *a, size_t index)
{
    const beit__param_t *param = &a->dst->vit.list.items[index];
    const size_t shared = a->src->vit.positions.shared;
    origin_t origin = {.from = beit__param_find(&a->src->vit.list, param->name),
                       .added = BEIT__NO_PARAM};
    const bool own_table = is_relative(param) && index != a->dst->vit.positions.shared;
    if (own_table && a->dst->vit.positions.shared == BEIT__NO_PARAM)
        *(origin.from == BEIT__NO_PARAM ? &origin.from : &origin.added) = shared;
    return origin;
}

static void print_shape(const beit__param_t *param, char *text, size_t size)
{
    size_t used = 0;
    for (int32_t d = 0; d < param->ndim && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, d ? ",%lld" : "%lld",
                                 (long long)param->shape[d]);
}

static beit_status_t irreconcilable(const beit__param_t *theirs, const beit__param_t *ours)
{
    char from[96], to[96];
    print_shape(theirs, from, sizeof from);
    print_shape(ours, to, sizeof to);
    return beit__fail(BEIT_E_MISMATCH,
                      "%s: shape [%s] in the source, [%s] here; only position tables and heads may "
                      "differ",
                      ours->name, from, to);
}

/* The shape apart from the extent that resizing changes. */
static bool agrees(const beit__param_t *theirs, const beit__param_t *ours, int32_t resized_dim)
{
    for (int32_t d = 0; d < ours->ndim; d++)
        if (d != resized_dim && theirs->shape[d] != ours->shape[d])
            return false;
    return theirs->ndim == ours->ndim;
}

static beit_status_t decide(adaptation_t *a, size_t index)
{
    enum { NO_DIM = -1, RELATIVE_ROWS = 0, ABSOLUTE_TOKENS = 1 };
    const beit__param_t *ours = &a->dst->vit.list.items[index];
    origin_t origin = find_origin(a, index);
    if (origin.from != BEIT__NO_PARAM) {
        const beit__param_t *theirs = &a->src->vit.list.items[origin.from];
        const int32_t dim = is_relative(ours)            ? RELATIVE_ROWS
                            : is_absolute(a->dst, index) ? ABSOLUTE_TOKENS
                                                         : NO_DIM;
        origin.resized = dim != NO_DIM && !same_grid(a);
        if (!agrees(theirs, ours, dim)) {
            if (!is_head(a->dst, index))
                return irreconcilable(theirs, ours);
            origin.from = BEIT__NO_PARAM;
        }
    }
    a->origins[index] = origin;
    return BEIT_OK;
}

/* A head is taken whole or not at all. */
static void keep_head_whole(adaptation_t *a)
{
    const beit__linear_t *head = &a->dst->vit.head;
    if (a->origins[head->weight].from == BEIT__NO_PARAM ||
        a->origins[head->bias].from == BEIT__NO_PARAM)
        a->origins[head->weight].from = a->origins[head->bias].from = BEIT__NO_PARAM;
}

static beit_status_t decide_all(adaptation_t *a)
{
    for (size_t i = 0; i < a->dst->vit.list.count; i++)
        BEIT__TRY(decide(a, i));
    keep_head_whole(a);
    for (size_t i = 0; i < a->dst->vit.list.count; i++) {
        const origin_t *origin = &a->origins[i];
        if (origin->from != BEIT__NO_PARAM)
            a->used[origin->from] = true;
        if (origin->added != BEIT__NO_PARAM)
            a->used[origin->added] = true;
    }
    return BEIT_OK;
}

/* ---- values ---- */

static beit_status_t read_tensor(const adaptation_t *a, size_t index, float *values)
{
    return beit__download(a->src->ctx, values, beit__params_at(&a->src->weights, index),
                          a->src->vit.list.items[index].count * sizeof *values);
}

static beit_status_t make_value(const adaptation_t *a, size_t index)
{
    const beit__param_t *ours = &a->dst->vit.list.items[index];
    const origin_t *origin = &a->origins[index];
    const beit__param_t *theirs = &a->src->vit.list.items[origin->from];
    const beit__grid_t from = grid_of(a->src), to = grid_of(a->dst);
    float *value = a->values + ours->offset;
    BEIT__TRY(read_tensor(a, origin->from, a->read));
    if (origin->added != BEIT__NO_PARAM) {
        BEIT__TRY(read_tensor(a, origin->added, a->more));
        for (size_t i = 0; i < theirs->count; i++)
            a->read[i] += a->more[i];
    }
    if (origin->resized && is_relative(ours))
        return beit__resize_relative(a->dst->ctx, a->method, from, to, ours->shape[1], a->read,
                                     value);
    if (origin->resized)
        return beit__resize_absolute(a->dst->ctx, from, to, ours->shape[2], a->read, value);
    memcpy(value, a->read, ours->count * sizeof *value);
    return BEIT_OK;
}

static beit_status_t carry_out(const adaptation_t *a)
{
    beit_params_t *weights = &a->dst->weights;
    const size_t bytes = a->dst->vit.list.floats * sizeof(float);
    BEIT__TRY(beit__download(a->dst->ctx, a->values, weights->data, bytes));
    for (size_t i = 0; i < a->dst->vit.list.count; i++)
        if (a->origins[i].from != BEIT__NO_PARAM)
            BEIT__TRY(make_value(a, i));
    return beit__upload(a->dst->ctx, weights->data, a->values, bytes);
}

/* ---- report ---- */

static beit_adapt_fate_t fate_of(const adaptation_t *a, size_t index)
{
    const origin_t *origin = &a->origins[index];
    if (origin->from == BEIT__NO_PARAM)
        return BEIT_ADAPT_MISSING;
    const char *ours = a->dst->vit.list.items[index].name;
    const char *theirs = a->src->vit.list.items[origin->from].name;
    const bool same = !origin->resized && origin->added == BEIT__NO_PARAM;
    return same && strcmp(ours, theirs) == 0 ? BEIT_ADAPT_TAKEN : BEIT_ADAPT_CHANGED;
}

static void describe(const adaptation_t *a, size_t index, char *text, size_t size)
{
    const origin_t *origin = &a->origins[index];
    const beit__grid_t from = grid_of(a->src), to = grid_of(a->dst);
    const beit__param_t *theirs = a->src->vit.list.items;
    const bool sum = origin->added != BEIT__NO_PARAM;
    int used = snprintf(text, size, "%s%s%s", theirs[origin->from].name, sum ? " + " : "",
                        sum ? theirs[origin->added].name : "");
    if (origin->resized && used > 0 && (size_t)used < size)
        (void)snprintf(text + used, size - (size_t)used, ", %lld x %lld to %lld x %lld patches",
                       (long long)from.rows, (long long)from.cols, (long long)to.rows,
                       (long long)to.cols);
}

static void tell(const adaptation_t *a, const beit_adapt_options_t *options,
                 beit_adapt_report_t *report)
{
    uint64_t *const counts[] = {[BEIT_ADAPT_TAKEN] = &report->taken,
                                [BEIT_ADAPT_CHANGED] = &report->changed,
                                [BEIT_ADAPT_MISSING] = &report->missing,
                                [BEIT_ADAPT_LEFT_OVER] = &report->left_over};
    char how[2 * BEIT__NAME_MAX + 96]; /* two names and two grids */
    for (size_t i = 0; i < a->dst->vit.list.count; i++) {
        const beit_adapt_fate_t fate = fate_of(a, i);
        how[0] = '\0';
        if (fate == BEIT_ADAPT_CHANGED)
            describe(a, i, how, sizeof how);
        ++*counts[fate];
        if (options->each)
            options->each(options->user, fate, a->dst->vit.list.items[i].name, how);
    }
    for (size_t i = 0; i < a->src->vit.list.count; i++) {
        if (a->used[i])
            continue;
        report->left_over++;
        if (options->each)
            options->each(options->user, BEIT_ADAPT_LEFT_OVER, a->src->vit.list.items[i].name, "");
    }
}

/* ---- the door ---- */

void beit_adapt_options_init(beit_adapt_options_t *options, size_t size)
{
    const beit_adapt_options_t defaults = {.struct_size = sizeof defaults,
                                           .table_resize = BEIT_TABLE_GEOMETRIC};
    beit__abi_init(options, size, &defaults, sizeof defaults);
}

static beit_status_t read_options(beit_adapt_options_t *ours, const beit_adapt_options_t *theirs)
{
    beit_adapt_options_init(ours, sizeof *ours);
    if (theirs)
        BEIT__TRY(beit__abi_in(ours, sizeof *ours, OLDEST_OPTIONS, theirs, "adapt options"));
    if (ours->table_resize < 0 || ours->table_resize > BEIT_TABLE_LINEAR)
        return beit__fail(BEIT_E_ARGUMENT, "adapt options: table_resize is %d, expected 0 to %d",
                          ours->table_resize, BEIT_TABLE_LINEAR);
    return BEIT_OK;
}

static size_t largest(const beit__param_list_t *list)
{
    size_t most = 0;
    for (size_t i = 0; i < list->count; i++)
        most = list->items[i].count > most ? list->items[i].count : most;
    return most;
}

static beit_status_t adapt(adaptation_t *a, const beit_adapt_options_t *options,
                           beit_adapt_report_t *report)
{
    beit_context_t *ctx = a->dst->ctx;
    const beit__param_list_t *ours = &a->dst->vit.list, *theirs = &a->src->vit.list;
    const size_t most = largest(theirs) * sizeof(float);
    beit_status_t status = BEIT_E_NOMEM;
    a->origins = beit__calloc(ctx, ours->count, sizeof *a->origins);
    a->used = beit__calloc(ctx, theirs->count, sizeof *a->used);
    a->values = beit__alloc(ctx, ours->floats * sizeof(float));
    a->read = beit__alloc(ctx, most);
    a->more = beit__alloc(ctx, most);
    if (!a->origins || !a->used || !a->values || !a->read || !a->more)
        goto fail;
    BEIT__TRY_GOTO(decide_all(a));
    BEIT__TRY_GOTO(carry_out(a));
    tell(a, options, report);
fail:
    beit__free(ctx, a->more, most);
    beit__free(ctx, a->read, most);
    beit__free(ctx, a->values, ours->floats * sizeof(float));
    beit__free(ctx, a->used, theirs->count * sizeof *a->used);
    beit__free(ctx, a->origins, ours->count * sizeof *a->origins);
    return status;
}

beit_status_t beit_model_adapt(beit_model_t *dst, const beit_model_t *src,
                               const beit_adapt_options_t *options, beit_adapt_report_t *report)
{
    if (!dst || !src)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", dst ? "src" : "dst");
    beit_adapt_options_t ours;
    beit_adapt_report_t counts = {.struct_size = sizeof counts};
    BEIT__TRY(read_options(&ours, options));
    if (report)
        BEIT__TRY(beit__abi_check(report, OLDEST_REPORT, "adapt report"));
    adaptation_t adaptation = {.dst = dst, .src = src, .method = ours.table_resize};
    BEIT__TRY(adapt(&adaptation, &ours, &counts));
    return report ? beit__abi_out(report, &counts, sizeof counts, OLDEST_REPORT, "adapt report")
                  : BEIT_OK;
}
