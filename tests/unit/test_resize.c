/* resample.c, image_resize.c: every byte is Pillow's, and nothing is written on a refusal. */
#include "check.h"
#include "failing_alloc.h"
#include "picture.h"

static void equals_pillow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_resize / sizeof *golden_resize; i++) {
        const golden_resize_t *wanted = &golden_resize[i];
        const beit_tensor_t src = picture(wanted->formula, wanted->size[0], wanted->size[1]);
        const beit_tensor_t dst = picture(0, wanted->out[0], wanted->out[1]); /* overwritten */
        check_ok(beit_image_resize(NULL, &src, wanted->box, (beit_filter_t)wanted->filter, &dst));
        check_golden(dst.data, wanted->out[0], wanted->out[1], &wanted->made, i);
        free(src.data);
        free(dst.data);
    }
}

static void no_box_is_the_whole_picture(void **state)
{
    (void)state;
    const beit_tensor_t src = picture(2, 33, 44);
    const int32_t whole[4] = {0, 0, 44, 33};
    uint8_t a[10 * 12 * 3], b[10 * 12 * 3];
    const beit_tensor_t to_a = bytes_view(a, 10, 12), to_b = bytes_view(b, 10, 12);
    check_ok(beit_image_resize(NULL, &src, whole, BEIT_FILTER_LANCZOS, &to_a));
    check_ok(beit_image_resize(NULL, &src, NULL, BEIT_FILTER_LANCZOS, &to_b));
    assert_memory_equal(a, b, sizeof a);
    free(src.data);
}

/* A constant picture stays constant, in every filter and to the last bit, also where the window is
 * cut off at an edge: the fixed-point weights sum to 2^22 within their rounding, which moves a
 * byte by less than one half. */
static void constants_stay(void **state)
{
    (void)state;
    uint8_t src[23 * 57 * 3], dst[40 * 9 * 3];
    const beit_tensor_t from = bytes_view(src, 23, 57), to = bytes_view(dst, 40, 9);
    static const uint8_t values[] = {0, 1, 127, 255};
    for (size_t v = 0; v < sizeof values; v++)
        for (int filter = BEIT_FILTER_BILINEAR; filter <= BEIT_FILTER_LANCZOS; filter++) {
            memset(src, values[v], sizeof src);
            check_ok(beit_image_resize(NULL, &from, NULL, (beit_filter_t)filter, &to));
            for (size_t i = 0; i < sizeof dst; i++)
                assert_int_equal(dst[i], values[v]);
        }
}

static void check_refused(const beit_tensor_t *src, const int32_t *box, int filter,
                          const beit_tensor_t *dst, beit_status_t status, const char *message)
{
    check_status(beit_image_resize(NULL, src, box, (beit_filter_t)filter, dst), status);
    check_error_has(message);
}

static void refusals(void **state)
{
    (void)state;
    uint8_t src[8 * 9 * 3], dst[4 * 4 * 3];
    memset(src, 1, sizeof src);
    memset(dst, 7, sizeof dst);
    const beit_tensor_t from = bytes_view(src, 8, 9), to = bytes_view(dst, 4, 4);
    check_refused(NULL, NULL, 2, &to, BEIT_E_ARGUMENT, "src is NULL");
    check_refused(&from, NULL, 2, NULL, BEIT_E_ARGUMENT, "dst is NULL");
    check_refused(&from, NULL, 0, &to, BEIT_E_ARGUMENT, "filter is 0, allowed are 1 to 3");
    check_refused(&from, NULL, 4, &to, BEIT_E_ARGUMENT, "filter is 4, allowed are 1 to 3");

    static const int32_t boxes[][4] = {{-1, 0, 2, 2},        {0, -1, 2, 2},       {0, 0, 0, 2},
                                       {0, 0, 2, 0},         {5, 0, 5, 2},        {0, 7, 2, 2},
                                       {INT32_MAX, 0, 1, 1}, {0, 0, INT32_MAX, 1}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++)
        check_refused(&from, boxes[i], 2, &to, BEIT_E_ARGUMENT, "not within the picture of 8 x 9");

    const int64_t flat[2] = {8, 27}, grey[3] = {8, 27, 1}, long_line[3] = {1, (1 << 20) + 1, 3};
    const beit_tensor_t plane = beit_tensor_make(src, BEIT_U8, 2, flat),
                        one = beit_tensor_make(src, BEIT_U8, 3, grey),
                        huge = beit_tensor_make(src, BEIT_U8, 3, long_line);
    check_refused(&plane, NULL, 2, &to, BEIT_E_SHAPE, "src: ndim is 2, expected 3");
    check_refused(&one, NULL, 2, &to, BEIT_E_SHAPE, "src: dim 2 is 1, expected 3");
    check_refused(&huge, NULL, 2, &to, BEIT_E_SHAPE, "src: dim 1 is 1048577, more than 1048576");
    for (size_t i = 0; i < sizeof dst; i++)
        assert_int_equal(dst[i], 7);
}

static void no_memory(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    const size_t before = memory.blocks;
    uint8_t src[8 * 9 * 3] = {0}, dst[4 * 4 * 3];
    const beit_tensor_t from = bytes_view(src, 8, 9), to = bytes_view(dst, 4, 4);
    memory.fail_at = memory.requests + 1;
    check_status(beit_image_resize(ctx, &from, NULL, BEIT_FILTER_BICUBIC, &to), BEIT_E_NOMEM);
    check_ok(beit_image_resize(ctx, &from, NULL, BEIT_FILTER_BICUBIC, &to));
    assert_int_equal(memory.blocks, before);
    assert_int_equal(memory.mismatches, 0);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_pillow),  cmocka_unit_test(no_box_is_the_whole_picture),
        cmocka_unit_test(constants_stay), cmocka_unit_test(refusals),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
