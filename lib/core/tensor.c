/* Views of tensors: making them, and the one check of those that come from outside. */
#include "core/tensor.h"

#include "core/alloc.h"
#include "core/status.h"

typedef struct dtype {
    const char *name;
    size_t size;
} dtype_t;

static const dtype_t dtypes[] = {
    [BEIT_F32] = {"f32", 4}, [BEIT_U8] = {"u8", 1},   [BEIT_I32] = {"i32", 4},
    [BEIT_I64] = {"i64", 8}, [BEIT_F16] = {"f16", 2}, [BEIT_BF16] = {"bf16", 2},
    [BEIT_F64] = {"f64", 8},
};

static const dtype_t *find_dtype(int32_t dtype)
{
    static const dtype_t unknown = {"unknown", 0};
    const int32_t count = sizeof dtypes / sizeof *dtypes;
    return dtype > 0 && dtype < count ? &dtypes[dtype] : &unknown;
}

size_t beit__dtype_size(int32_t dtype)
{
    return find_dtype(dtype)->size;
}

const char *beit__dtype_name(int32_t dtype)
{
    return find_dtype(dtype)->name;
}

beit_tensor_t beit_tensor_make(void *data, beit_dtype_t dtype, int32_t ndim, const int64_t *shape)
{
    const beit_tensor_t refused = {.data = data, .dtype = (int32_t)dtype, .ndim = -1};
    if (ndim < 0 || ndim > BEIT_MAX_DIMS || (ndim > 0 && !shape))
        return refused;
    beit_tensor_t view = {.data = data, .dtype = (int32_t)dtype, .ndim = ndim};
    int64_t stride = 1;
    for (int32_t i = ndim - 1; i >= 0; i--) {
        view.shape[i] = shape[i];
        view.stride[i] = stride;
        if (__builtin_mul_overflow(stride, shape[i], &stride))
            return refused;
    }
    return view;
}

static beit_status_t check_memory(const beit_tensor_t *view, const char *name)
{
    if (!view)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", name);
    if (view->memory != 0)
        return beit__fail(BEIT_E_ARGUMENT, "%s: memory is %d, expected 0 (host)", name,
                          view->memory);
    if (!view->data)
        return beit__fail(BEIT_E_ARGUMENT, "%s: data is NULL", name);
    return BEIT_OK;
}

/* Extents and, from the last axis back, the strides of a packed layout. An axis of one element is
 * never stepped along, so its stride may be anything. */
static beit_status_t check_extents(const beit_tensor_t *view, const char *name,
                                   const int64_t *shape, size_t *count)
{
    *count = 1;
    for (int32_t i = view->ndim - 1; i >= 0; i--) {
        const int64_t extent = view->shape[i];
        if (shape[i] != BEIT__ANY && extent != shape[i])
            return beit__fail(BEIT_E_SHAPE, "%s: dim %d is %lld, expected %lld", name, i,
                              (long long)extent, (long long)shape[i]);
        if (extent < 1)
            return beit__fail(BEIT_E_SHAPE, "%s: dim %d is %lld, expected at least 1", name, i,
                              (long long)extent);
        if (extent > 1 && view->stride[i] != (int64_t)*count)
            return beit__fail(BEIT_E_SHAPE,
                              "%s: stride %d is %lld, expected %zu (row-major without gaps)", name,
                              i, (long long)view->stride[i], *count);
        if (beit__mul_overflow(*count, (size_t)extent, count) || *count > INT64_MAX)
            return beit__fail(BEIT_E_SHAPE, "%s: more elements than can be addressed", name);
    }
    return BEIT_OK;
}

beit_status_t beit__tensor_check(const beit_tensor_t *view, const char *name, beit_dtype_t dtype,
                                 int32_t ndim, const int64_t *shape)
{
    BEIT__TRY(check_memory(view, name));
    if (view->dtype != (int32_t)dtype)
        return beit__fail(BEIT_E_SHAPE, "%s: dtype is %d (%s), expected %d (%s)", name, view->dtype,
                          beit__dtype_name(view->dtype), (int)dtype,
                          beit__dtype_name((int32_t)dtype));
    if (view->ndim != ndim)
        return beit__fail(BEIT_E_SHAPE, "%s: ndim is %d, expected %d", name, view->ndim, ndim);
    size_t count, bytes;
    BEIT__TRY(check_extents(view, name, shape, &count));
    const size_t size = beit__dtype_size(view->dtype);
    if (beit__mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return beit__fail(BEIT_E_SHAPE, "%s: more bytes than can be addressed", name);
    if ((uintptr_t)view->data & (size - 1)) /* sizes are powers of two */
        return beit__fail(BEIT_E_ARGUMENT, "%s: data is %p, expected a multiple of %zu", name,
                          view->data, size);
    return BEIT_OK;
}

int64_t beit__tensor_count(const beit_tensor_t *view)
{
    int64_t count = 1;
    for (int32_t i = 0; i < view->ndim; i++)
        count *= view->shape[i];
    return count;
}
