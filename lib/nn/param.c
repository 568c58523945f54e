/* Parameter lists and sets: what is trained, under which name, where in one block of memory. A
 * list is the description, shared by weights, gradients and moments; a set is one block laid out
 * by it. Blocks are padded to whole cache lines per tensor, so that an optimizer may run over a
 * block as over one long vector: padding starts as zero and stays zero. */
#include "nn/param.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "core/abi.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "core/tensor.h"

#define ALIGN_FLOATS   (BEIT__ALIGN / sizeof(float))
#define FIRST_CAPACITY 64
#define MOST_ELEMENTS  ((size_t)1 << 33) /* what the INIT stream can number, see param_init.c */

/* ---- lists ---- */

static beit_status_t reserve_one(beit__param_list_t *list)
{
    if (list->count < list->capacity)
        return BEIT_OK;
    const size_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
    beit__param_t *items = beit__calloc(list->ctx, capacity, sizeof *items);
    if (!items)
        return BEIT_E_NOMEM;
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    beit__free(list->ctx, list->items, list->capacity * sizeof *items);
    list->items = items;
    list->capacity = capacity;
    return BEIT_OK;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The rule of unilm's optim_factory.py. */
static bool never_decays(const beit__param_t *param)
{
    return param->ndim == 1 || ends_with(param->name, ".bias") ||
           strcmp(param->name, "pos_embed") == 0 || strcmp(param->name, "cls_token") == 0;
}

/* Set count and offset of a new tensor; `floats` is the block's size before and after. */
static beit_status_t place(beit__param_t *param, size_t *floats)
{
    param->count = 1;
    param->offset = *floats;
    bool overflow = false;
    for (int32_t i = 0; i < param->ndim; i++) {
        assert(param->shape[i] >= 1);
        overflow |= beit__mul_overflow(param->count, (size_t)param->shape[i], &param->count);
    }
    size_t end, bytes;
    overflow |= beit__add_overflow(param->offset, param->count, &end);
    overflow |= beit__add_overflow(end, ALIGN_FLOATS - 1, &end);
    end = end / ALIGN_FLOATS * ALIGN_FLOATS;
    overflow |= beit__mul_overflow(end, sizeof(float), &bytes) || bytes > PTRDIFF_MAX;
    if (overflow || param->count > MOST_ELEMENTS)
        return beit__fail(BEIT_E_ARGUMENT, "%s: more than %zu elements", param->name,
                          MOST_ELEMENTS);
    *floats = end;
    return BEIT_OK;
}

beit_status_t beit__param_add(beit__param_list_t *list, size_t *index, beit__param_t init,
                              int32_t ndim, const int64_t *shape, const char *format, ...)
{
    assert(ndim >= 1 && ndim <= 4 && !list->by_name);
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(init.name, sizeof init.name, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof init.name)
        return beit__fail(BEIT_E_ARGUMENT, "the name of a tensor has %d bytes, at most %d", length,
                          BEIT__NAME_MAX - 1);
    init.ndim = ndim;
    memcpy(init.shape, shape, (size_t)ndim * sizeof *shape);
    if (never_decays(&init))
        init.flags |= BEIT_PARAM_NO_DECAY;
    size_t floats = list->floats;
    BEIT__TRY(place(&init, &floats));
    BEIT__TRY(reserve_one(list));
    list->floats = floats;
    list->items[list->count] = init;
    *index = list->count++;
    return BEIT_OK;
}

/* Where `name` stands among the first `sorted` entries of by_name, or would stand. */
static size_t lower_bound(const beit__param_list_t *list, size_t sorted, const char *name)
{
    size_t low = 0, high = sorted;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(list->items[list->by_name[middle]].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool stands_at(const beit__param_list_t *list, size_t sorted, size_t at, const char *name)
{
    return at < sorted && strcmp(list->items[list->by_name[at]].name, name) == 0;
}

beit_status_t beit__param_seal(beit__param_list_t *list)
{
    assert(!list->by_name);
    list->by_name = beit__calloc(list->ctx, list->count, sizeof *list->by_name);
    if (!list->by_name)
        return BEIT_E_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->items[i].name;
        const size_t at = lower_bound(list, i, name);
        if (stands_at(list, i, at, name))
            return beit__fail(BEIT_E_ARGUMENT, "two tensors are called %s", name);
        memmove(list->by_name + at + 1, list->by_name + at, (i - at) * sizeof *list->by_name);
        list->by_name[at] = i;
    }
    return BEIT_OK;
}

size_t beit__param_find(const beit__param_list_t *list, const char *name)
{
    const size_t at = lower_bound(list, list->count, name);
    return stands_at(list, list->count, at, name) ? list->by_name[at] : SIZE_MAX;
}

void beit__param_list_free(beit__param_list_t *list)
{
    beit__free(list->ctx, list->by_name, list->count * sizeof *list->by_name);
    beit__free(list->ctx, list->items, list->capacity * sizeof *list->items);
    *list = (beit__param_list_t){.ctx = list->ctx};
}

/* ---- sets ---- */

beit_status_t beit__params_alloc(beit_params_t *params, const beit__param_list_t *list)
{
    void *data;
    BEIT__TRY(beit__backend_alloc(list->ctx, list->floats * sizeof(float), &data));
    *params = (beit_params_t){.list = list, .data = data};
    return BEIT_OK;
}

void beit__params_free(beit_params_t *params)
{
    if (params->data)
        beit__backend_free(params->list->ctx, params->data, params->list->floats * sizeof(float));
    *params = (beit_params_t){0};
}

/* ---- the public door ---- */

size_t beit_params_count(const beit_params_t *params)
{
    return params ? params->list->count : 0;
}

uint64_t beit_params_elements(const beit_params_t *params)
{
    uint64_t elements = 0;
    for (size_t i = 0; i < beit_params_count(params); i++)
        elements += params->list->items[i].count;
    return elements;
}

static beit_status_t check_index(const beit_params_t *params, size_t index)
{
    if (!params)
        return beit__fail(BEIT_E_ARGUMENT, "params is NULL");
    if (index >= params->list->count)
        return beit__fail(BEIT_E_ARGUMENT, "index is %zu, expected less than %zu", index,
                          params->list->count);
    return BEIT_OK;
}

beit_status_t beit_params_info(const beit_params_t *params, size_t index, beit_param_info_t *info)
{
    BEIT__TRY(check_index(params, index));
    const beit__param_t *param = &params->list->items[index];
    const bool on_host = beit__backend_on_host(params->list->ctx->backend);
    const beit_param_info_t ours = {
        .struct_size = sizeof ours,
        .name = param->name,
        .value = beit_tensor_make(on_host ? beit__params_at(params, index) : NULL, BEIT_F32,
                                  param->ndim, param->shape),
        .flags = param->flags};
    return beit__abi_out(info, &ours, sizeof ours, sizeof ours, "param info");
}

beit_status_t beit_params_find(const beit_params_t *params, const char *name, size_t *index)
{
    if (!params || !name || !index)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL",
                          !params ? "params"
                          : !name ? "name"
                                  : "index");
    const size_t found = beit__param_find(params->list, name);
    if (found == SIZE_MAX)
        return beit__fail(BEIT_E_ARGUMENT, "no tensor is called %s", name);
    *index = found;
    return BEIT_OK;
}

beit_status_t beit_params_read(const beit_params_t *params, size_t index, const beit_tensor_t *dst)
{
    static const int64_t any[BEIT_MAX_DIMS] = {BEIT__ANY, BEIT__ANY, BEIT__ANY,
                                               BEIT__ANY, BEIT__ANY, BEIT__ANY};
    BEIT__TRY(check_index(params, index));
    const beit__param_t *param = &params->list->items[index];
    const int32_t ndim = dst && dst->ndim >= 0 && dst->ndim <= BEIT_MAX_DIMS ? dst->ndim : 0;
    BEIT__TRY(beit__tensor_check(dst, param->name, BEIT_F32, ndim, any));
    if ((size_t)beit__tensor_count(dst) != param->count)
        return beit__fail(BEIT_E_SHAPE, "%s: %lld elements, expected %zu", param->name,
                          (long long)beit__tensor_count(dst), param->count);
    return beit__download(params->list->ctx, dst->data, beit__params_at(params, index),
                          param->count * sizeof(float));
}

beit_status_t beit_params_write(beit_params_t *params, size_t index, const beit_tensor_t *src)
{
    BEIT__TRY(check_index(params, index));
    const beit__param_t *param = &params->list->items[index];
    BEIT__TRY(beit__tensor_check(src, param->name, BEIT_F32, param->ndim, param->shape));
    return beit__upload(params->list->ctx, beit__params_at(params, index), src->data,
                        param->count * sizeof(float));
}
