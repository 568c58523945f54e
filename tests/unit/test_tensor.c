/* tensor.c: making views and refusing unfit ones, each with a line that says why. */
#include "check.h"

#include "core/tensor.h"

static float numbers[24];
static const int64_t shape_234[] = {2, 3, 4};

static beit_tensor_t good_view(void)
{
    return beit_tensor_make(numbers, BEIT_F32, 3, shape_234);
}

static void made_views_are_packed(void **state)
{
    (void)state;
    const beit_tensor_t view = good_view();
    static const int64_t strides[] = {12, 4, 1};
    assert_ptr_equal(view.data, numbers);
    assert_int_equal(view.dtype, BEIT_F32);
    assert_int_equal(view.ndim, 3);
    assert_memory_equal(view.shape, shape_234, sizeof shape_234);
    assert_memory_equal(view.stride, strides, sizeof strides);
    assert_int_equal(view.memory, 0);
    check_ok(beit__tensor_check(&view, "x", BEIT_F32, 3, shape_234));
    assert_int_equal(beit__tensor_count(&view), 24);

    const beit_tensor_t scalar = beit_tensor_make(numbers, BEIT_F32, 0, NULL);
    assert_int_equal(scalar.ndim, 0);
    check_ok(beit__tensor_check(&scalar, "x", BEIT_F32, 0, NULL));
    assert_int_equal(beit__tensor_count(&scalar), 1);
}

static void impossible_views_are_marked(void **state)
{
    (void)state;
    static const int64_t shape[7] = {1, 1, 1, 1, 1, 1, 1};
    static const int64_t huge[] = {INT64_MAX, INT64_MAX};
    assert_int_equal(beit_tensor_make(numbers, BEIT_F32, 6, shape).ndim, 6);
    assert_int_equal(beit_tensor_make(numbers, BEIT_F32, 7, shape).ndim, -1);
    assert_int_equal(beit_tensor_make(numbers, BEIT_F32, -1, shape).ndim, -1);
    assert_int_equal(beit_tensor_make(numbers, BEIT_F32, 2, NULL).ndim, -1);
    assert_int_equal(beit_tensor_make(numbers, BEIT_F32, 2, huge).ndim, -1);
}

/* One thing wrong at a time: how the view is spoilt, the status, a piece of the message. */
static void no_data(beit_tensor_t *view)
{
    view->data = NULL;
}
static void on_device(beit_tensor_t *view)
{
    view->memory = 1;
}
static void other_dtype(beit_tensor_t *view)
{
    view->dtype = BEIT_I32;
}
static void unknown_dtype(beit_tensor_t *view)
{
    view->dtype = 99;
}
static void other_rank(beit_tensor_t *view)
{
    view->ndim = 2;
}
static void refused_rank(beit_tensor_t *view)
{
    view->ndim = -1;
}
static void other_extent(beit_tensor_t *view)
{
    view->shape[2] = 5;
}
static void gap(beit_tensor_t *view)
{
    view->stride[0] = 13;
}
static void transposed(beit_tensor_t *view)
{
    view->stride[1] = 1;
    view->stride[2] = 3;
}
static void unaligned(beit_tensor_t *view)
{
    view->data = (char *)numbers + 1;
}

static const struct {
    void (*spoil)(beit_tensor_t *view);
    beit_status_t status;
    const char *message;
} faults[] = {
    {no_data, BEIT_E_ARGUMENT, "logits: data is NULL"},
    {on_device, BEIT_E_ARGUMENT, "logits: memory is 1"},
    {other_dtype, BEIT_E_SHAPE, "logits: dtype is 3 (i32), expected 1 (f32)"},
    {unknown_dtype, BEIT_E_SHAPE, "logits: dtype is 99 (unknown)"},
    {other_rank, BEIT_E_SHAPE, "logits: ndim is 2, expected 3"},
    {refused_rank, BEIT_E_SHAPE, "logits: ndim is -1, expected 3"},
    {other_extent, BEIT_E_SHAPE, "logits: dim 2 is 5, expected 4"},
    {gap, BEIT_E_SHAPE, "logits: stride 0 is 13, expected 12"},
    {transposed, BEIT_E_SHAPE, "logits: stride 2 is 3, expected 1"},
    {unaligned, BEIT_E_ARGUMENT, "expected a multiple of 4"},
};

static void unfit_views_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        beit_tensor_t view = good_view();
        faults[i].spoil(&view);
        check_status(beit__tensor_check(&view, "logits", BEIT_F32, 3, shape_234), faults[i].status);
        check_error_has(faults[i].message);
    }
    check_status(beit__tensor_check(NULL, "logits", BEIT_F32, 3, shape_234), BEIT_E_ARGUMENT);
    check_error_has("logits is NULL");
}

static void any_extent_is_at_least_one(void **state)
{
    (void)state;
    static const int64_t any[] = {BEIT__ANY, 3, BEIT__ANY};
    beit_tensor_t view = good_view();
    check_ok(beit__tensor_check(&view, "x", BEIT_F32, 3, any));
    static const int64_t impossible[] = {0, -1, INT64_MIN};
    for (size_t i = 0; i < 3; i++) {
        view.shape[0] = impossible[i];
        check_status(beit__tensor_check(&view, "x", BEIT_F32, 3, any), BEIT_E_SHAPE);
        check_error_has("expected at least 1");
    }
}

static void single_elements_need_no_stride(void **state)
{
    (void)state;
    static const int64_t shape[] = {1, 24};
    beit_tensor_t view = beit_tensor_make(numbers, BEIT_F32, 2, shape);
    view.stride[0] = -777; /* as NumPy may leave it */
    check_ok(beit__tensor_check(&view, "x", BEIT_F32, 2, shape));
}

static void sizes_are_checked_for_overflow(void **state)
{
    (void)state;
    static const int64_t any[] = {BEIT__ANY, BEIT__ANY};
    static const int64_t shapes[][2] = {
        {INT64_C(1) << 40, INT64_C(1) << 40}, /* elements */
        {INT64_C(1) << 31, INT64_C(1) << 31}, /* bytes: 2^64 */
        {INT64_C(1) << 30, INT64_C(1) << 31}, /* bytes: 2^63, more than pointers differ by */
        {3, INT64_C(1) << 62}};               /* elements beyond int64 */
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        beit_tensor_t view = {.data = numbers, .dtype = BEIT_F32, .ndim = 2};
        memcpy(view.shape, shapes[i], sizeof shapes[i]);
        view.stride[0] = shapes[i][1];
        view.stride[1] = 1;
        check_status(beit__tensor_check(&view, "x", BEIT_F32, 2, any), BEIT_E_SHAPE);
        check_error_has("than can be addressed");
    }
}

static void dtypes_have_sizes_and_names(void **state)
{
    (void)state;
    static const struct {
        int32_t dtype;
        size_t size;
        const char *name;
    } rows[] = {{BEIT_F32, 4, "f32"}, {BEIT_U8, 1, "u8"},   {BEIT_I32, 4, "i32"},
                {BEIT_I64, 8, "i64"}, {BEIT_F16, 2, "f16"}, {BEIT_BF16, 2, "bf16"},
                {BEIT_F64, 8, "f64"}, {0, 0, "unknown"},    {8, 0, "unknown"},
                {-1, 0, "unknown"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(beit__dtype_size(rows[i].dtype), rows[i].size);
        assert_string_equal(beit__dtype_name(rows[i].dtype), rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_views_are_packed),
        cmocka_unit_test(impossible_views_are_marked),
        cmocka_unit_test(unfit_views_are_refused),
        cmocka_unit_test(any_extent_is_at_least_one),
        cmocka_unit_test(single_elements_need_no_stride),
        cmocka_unit_test(sizes_are_checked_for_overflow),
        cmocka_unit_test(dtypes_have_sizes_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
