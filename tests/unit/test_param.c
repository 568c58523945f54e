/* Parameter lists and sets: names, places, flags, the door for reading and writing, and initial
 * values, which are functions of seed, tensor and element alone. */
#include "check.h"

#include <beit/beit.h>
#include <stdbool.h>
#include <stdio.h>

#include "backend/backend.h"
#include "core/philox.h"
#include "failing_alloc.h"
#include "nn/param.h"

static const beit__param_t zero = {.init = BEIT__INIT_ZERO};

static beit_context_t *context_of(int32_t threads)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.threads = threads;
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    return ctx;
}

static size_t add(beit__param_list_t *list, beit__param_t init, int64_t rows, int64_t cols,
                  const char *name)
{
    size_t index = SIZE_MAX;
    const int64_t shape[2] = {rows, cols};
    check_ok(beit__param_add(list, &index, init, cols ? 2 : 1, shape, "%s", name));
    return index;
}

/* ---- lists ---- */

static void test_places(void **state)
{
    (void)state;
    beit_context_t *ctx = context_of(1);
    beit__param_list_t list = {.ctx = ctx};
    size_t end = 0;
    for (int i = 0; i < 200; i++) { /* beyond the first capacity, twice */
        char name[16];
        snprintf(name, sizeof name, "t%d", 199 - i);
        assert_int_equal(add(&list, zero, 1 + i % 40, 0, name), i);
    }
    for (size_t i = 0; i < 200; i++) {
        const beit__param_t *param = &list.items[i];
        assert_int_equal(param->count, 1 + i % 40);
        assert_int_equal(param->offset % 16, 0);
        assert_true(param->offset >= end && param->offset < end + 16);
        end = param->offset + param->count;
    }
    assert_true(list.floats >= end && list.floats < end + 16 && list.floats % 16 == 0);
    check_ok(beit__param_seal(&list));
    for (size_t i = 1; i < 200; i++)
        assert_true(strcmp(list.items[list.by_name[i - 1]].name, list.items[list.by_name[i]].name) <
                    0);
    beit__param_list_free(&list);
    beit_context_unref(ctx);
}

static void test_decay_rule(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t rows, cols;
        bool decays;
    } cases[] = {
        {"blocks.0.attn.qkv.weight", 3, 4, true},
        {"mask_token", 1, 4, true},
        {"rel_pos_bias.relative_position_bias_table", 5, 2, true},
        {"cls_token", 1, 4, false},
        {"pos_embed", 5, 4, false},
        {"norm.weight", 4, 0, false},
        {"blocks.0.gamma_1", 4, 0, false},
        {"odd.bias", 2, 2, false},
        {"xbias", 2, 2, true},
        {"old.cls_token", 2, 2, true},
    };
    beit_context_t *ctx = context_of(1);
    beit__param_list_t list = {.ctx = ctx};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        add(&list, zero, cases[i].rows, cases[i].cols, cases[i].name);
        assert_int_equal(!(list.items[i].flags & BEIT_PARAM_NO_DECAY), cases[i].decays);
    }
    beit__param_list_free(&list);
    beit_context_unref(ctx);
}

static void test_refusals(void **state)
{
    (void)state;
    beit_context_t *ctx = context_of(1);
    beit__param_list_t list = {.ctx = ctx};
    size_t index = 77;
    const int64_t one = 1, huge[3] = {1 << 20, 1 << 20, 1 << 20},
                  wrap[4] = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX};
    char longest[BEIT__NAME_MAX + 1];
    memset(longest, 'n', sizeof longest);
    longest[BEIT__NAME_MAX - 1] = '\0';
    check_ok(beit__param_add(&list, &index, zero, 1, &one, "%s", longest));
    assert_int_equal(index, 0);
    check_status(beit__param_add(&list, &index, zero, 1, &one, "%sx", longest), BEIT_E_ARGUMENT);
    check_error_has("the name of a tensor has 96 bytes, at most 95");
    check_status(beit__param_add(&list, &index, zero, 3, huge, "huge"), BEIT_E_ARGUMENT);
    check_error_has("huge: more than 8589934592 elements");
    check_status(beit__param_add(&list, &index, zero, 4, wrap, "wrap"), BEIT_E_ARGUMENT);
    assert_int_equal(list.count, 1); /* as before the refused calls */
    assert_int_equal(index, 0);
    add(&list, zero, 1, 0, "twin");
    add(&list, zero, 2, 0, "other");
    add(&list, zero, 1, 0, "twin");
    check_status(beit__param_seal(&list), BEIT_E_ARGUMENT);
    check_error_has("two tensors are called twin");
    beit__param_list_free(&list);
    beit_context_unref(ctx);
}

/* ---- sets ---- */

typedef struct set {
    beit_context_t *ctx;
    beit__param_list_t list;
    beit_params_t params;
} set_t;

static void make_set(set_t *set, int32_t threads)
{
    *set = (set_t){.ctx = context_of(threads)};
    set->list.ctx = set->ctx;
    add(&set->list, zero, 2, 3, "b.weight");
    add(&set->list, zero, 5, 0, "a");
    check_ok(beit__param_seal(&set->list));
    check_ok(beit__params_alloc(&set->params, &set->list));
}

static void free_set(set_t *set)
{
    beit__params_free(&set->params);
    beit__param_list_free(&set->list);
    beit_context_unref(set->ctx);
}

static void test_info(void **state)
{
    (void)state;
    set_t set;
    make_set(&set, 1);
    assert_int_equal(beit_params_count(&set.params), 2);
    assert_int_equal(beit_params_elements(&set.params), 11);
    assert_int_equal(beit_params_count(NULL), 0);
    assert_int_equal(beit_params_elements(NULL), 0);
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_info(&set.params, 0, &info));
    assert_string_equal(info.name, "b.weight");
    assert_int_equal(info.flags, 0);
    assert_int_equal(info.value.ndim, 2);
    assert_int_equal(info.value.shape[0], 2);
    assert_int_equal(info.value.shape[1], 3);
    assert_int_equal(info.value.dtype, BEIT_F32);
    assert_ptr_equal(info.value.data, set.params.data);
    check_ok(beit_params_info(&set.params, 1, &info));
    assert_int_equal(info.flags, BEIT_PARAM_NO_DECAY);
    check_status(beit_params_info(&set.params, 2, &info), BEIT_E_ARGUMENT);
    check_error_has("index is 2, expected less than 2");
    check_status(beit_params_info(NULL, 0, &info), BEIT_E_ARGUMENT);
    check_status(beit_params_info(&set.params, 0, NULL), BEIT_E_ARGUMENT);
    info.struct_size = 8;
    check_status(beit_params_info(&set.params, 0, &info), BEIT_E_ABI);
    free_set(&set);
}

static void test_find(void **state)
{
    (void)state;
    set_t set;
    make_set(&set, 1);
    size_t index = 9;
    check_ok(beit_params_find(&set.params, "a", &index));
    assert_int_equal(index, 1);
    check_ok(beit_params_find(&set.params, "b.weight", &index));
    assert_int_equal(index, 0);
    static const char *const unknown[] = {"", "A", "aa", "b", "b.weight2", "c"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        check_status(beit_params_find(&set.params, unknown[i], &index), BEIT_E_ARGUMENT);
        check_error_has("no tensor is called");
    }
    assert_int_equal(index, 0);
    check_status(beit_params_find(NULL, "a", &index), BEIT_E_ARGUMENT);
    check_error_has("params is NULL");
    check_status(beit_params_find(&set.params, NULL, &index), BEIT_E_ARGUMENT);
    check_error_has("name is NULL");
    check_status(beit_params_find(&set.params, "a", NULL), BEIT_E_ARGUMENT);
    check_error_has("index is NULL");
    free_set(&set);
}

static beit_tensor_t view(void *data, beit_dtype_t dtype, int32_t ndim, int64_t rows, int64_t cols)
{
    return beit_tensor_make(data, dtype, ndim, (const int64_t[]){rows, cols});
}

static void test_read_and_write(void **state)
{
    (void)state;
    set_t set;
    make_set(&set, 1);
    float in[6] = {1, 2, 3, 4, 5, 6}, out[6] = {0};
    beit_tensor_t src = view(in, BEIT_F32, 2, 2, 3), dst = view(out, BEIT_F32, 1, 6, 0);
    check_ok(beit_params_write(&set.params, 0, &src));
    check_ok(beit_params_read(&set.params, 0, &dst)); /* any shape of as many elements */
    assert_memory_equal(in, out, sizeof in);

    src = view(in, BEIT_F32, 2, 3, 2);
    check_status(beit_params_write(&set.params, 0, &src), BEIT_E_SHAPE);
    check_error_has("b.weight: dim 1 is 2, expected 3");
    src = view(in, BEIT_F32, 1, 6, 0);
    check_status(beit_params_write(&set.params, 0, &src), BEIT_E_SHAPE);
    check_error_has("b.weight: ndim is 1, expected 2");
    src = view(in, BEIT_I32, 2, 2, 3);
    check_status(beit_params_write(&set.params, 0, &src), BEIT_E_SHAPE);
    check_error_has("b.weight: dtype is 3 (i32), expected 1 (f32)");
    dst = view(out, BEIT_F32, 1, 5, 0);
    check_status(beit_params_read(&set.params, 0, &dst), BEIT_E_SHAPE);
    check_error_has("b.weight: 5 elements, expected 6");
    dst = view(out, BEIT_F32, -1, 0, 0); /* what beit_tensor_make() makes of nonsense */
    check_status(beit_params_read(&set.params, 0, &dst), BEIT_E_SHAPE);
    check_status(beit_params_read(&set.params, 0, NULL), BEIT_E_ARGUMENT);
    check_status(beit_params_write(&set.params, 0, NULL), BEIT_E_ARGUMENT);
    check_status(beit_params_read(&set.params, 2, &dst), BEIT_E_ARGUMENT);
    check_status(beit_params_write(&set.params, 2, &src), BEIT_E_ARGUMENT);
    assert_memory_equal(in, set.params.data, sizeof in); /* as before the refused calls */
    free_set(&set);
}

/* ---- initial values ---- */

/* Large enough for several pieces and tasks, with an odd count. */
enum { MANY = (1 << 20) + 12345 };

static const beit__param_t kinds[] = {
    {.init = BEIT__INIT_TRUNCATED, .a = 0.02f, .b = 0.02f, .c = 1},
    {.init = BEIT__INIT_TRUNCATED, .a = 0.02f, .b = 0.04f, .c = 0.5f},
    {.init = BEIT__INIT_UNIFORM, .a = 0.25f},
    {.init = BEIT__INIT_NORMAL, .a = 3},
    {.init = BEIT__INIT_CONSTANT, .a = 0.1f},
    {.init = BEIT__INIT_ZERO},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void draw_set(set_t *set, int32_t threads, uint64_t seed)
{
    *set = (set_t){.ctx = context_of(threads)};
    set->list.ctx = set->ctx;
    for (size_t i = 0; i < KINDS; i++) {
        char name[8];
        snprintf(name, sizeof name, "k%zu", i);
        add(&set->list, kinds[i], i == 0 ? MANY : 60000, 0, name);
    }
    check_ok(beit__param_seal(&set->list));
    check_ok(beit__params_alloc(&set->params, &set->list));
    memset(set->params.data, 0xff, set->list.floats * sizeof(float)); /* zeros are written, too */
    check_ok(beit__params_init(&set->params, seed));
}

/* Sample mean and deviation of n draws differ from the true ones by some sigma / sqrt(n): five of
 * these are allowed. */
static void check_moments(const set_t *set, size_t index, double sigma, double bound)
{
    const float *x = beit__params_at(&set->params, index);
    const double n = (double)set->list.items[index].count;
    double sum = 0, squares = 0, largest = 0;
    for (size_t i = 0; i < set->list.items[index].count; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        largest = fmax(largest, fabs((double)x[i]));
    }
    check_near(sum / n, 0, 5 * sigma / sqrt(n));
    check_near(sqrt(squares / n), sigma, 5 * sigma / sqrt(n));
    assert_true(largest <= bound && largest > 0.99 * bound);
}

static void test_distributions(void **state)
{
    (void)state;
    set_t set;
    draw_set(&set, 2, 1);
    check_moments(&set, 0, 0.02 * 0.53956, (double)0.02f);       /* cut at one sigma */
    check_moments(&set, 1, 0.01 * 0.87963, (double)0.04f * 0.5); /* at two, then halved */
    check_moments(&set, 2, 0.25 / sqrt(3), 0.25);
    const float *normal = beit__params_at(&set.params, 3);
    double squares = 0;
    for (size_t i = 0; i < 60000; i++)
        squares += (double)normal[i] * (double)normal[i];
    check_near(sqrt(squares / 60000), 3, 5 * 3 / sqrt(60000));
    for (size_t i = 0; i < 60000; i++) {
        assert_true(beit__params_at(&set.params, 4)[i] == 0.1f);
        assert_true(beit__params_at(&set.params, 5)[i] == 0.0f);
    }
    free_set(&set);
}

/* Element e uses draw e of the tensor's stream, wherever a piece or a task begins. */
static void test_draws(void **state)
{
    (void)state;
    set_t set;
    draw_set(&set, 2, 7);
    beit__draws_t truncated = beit__draws(7, BEIT__STREAM_INIT, 0, 0, 0);
    beit__draws_t uniform = beit__draws(7, BEIT__STREAM_INIT, 0, 2, 0);
    beit__draws_t normal = beit__draws(7, BEIT__STREAM_INIT, 0, 3, 0);
    for (size_t i = 0; i < MANY; i++) {
        /* timm's trunc_normal_: u in 2 Phi(+-1) - 1, sigma sqrt(2) erfinv(u) */
        const double u = beit__draw_uniform(&truncated, -0.6826894921370859, 0.6826894921370859);
        const double wanted = (double)0.02f * sqrt(2) * beit__erfinv(u);
        check_near((double)beit__params_at(&set.params, 0)[i], wanted, 2e-9);
    }
    for (size_t i = 0; i < 60000; i++) {
        const float u = (float)beit__draw_uniform(&uniform, -0.25, 0.25);
        const float z = (float)(3 * beit__draw_normal(&normal));
        assert_true(beit__params_at(&set.params, 2)[i] == u);
        assert_true(beit__params_at(&set.params, 3)[i] == z);
    }
    free_set(&set);
}

static void test_seed_and_workers(void **state)
{
    (void)state;
    set_t one, other;
    draw_set(&one, 1, 7);
    for (int32_t threads = 2; threads <= 7; threads += 5) {
        draw_set(&other, threads, 7);
        for (size_t i = 0; i < KINDS; i++)
            assert_memory_equal(beit__params_at(&one.params, i), beit__params_at(&other.params, i),
                                one.list.items[i].count * sizeof(float));
        free_set(&other);
    }
    draw_set(&other, 1, 8);
    assert_true(one.params.data[0] != other.params.data[0]);
    free_set(&other);
    free_set(&one);
}

/* ---- allocation failures ---- */

static beit_status_t whole_life(beit_context_t *ctx)
{
    beit__param_list_t list = {.ctx = ctx};
    beit_params_t params = {0};
    beit_status_t status = BEIT_OK;
    size_t index;
    const int64_t three = 3;
    for (int i = 0; i < 100 && status == BEIT_OK; i++)
        status = beit__param_add(&list, &index, zero, 1, &three, "t%d", i);
    if (status == BEIT_OK)
        status = beit__param_seal(&list);
    if (status == BEIT_OK)
        status = beit__params_alloc(&params, &list);
    if (status == BEIT_OK)
        status = beit__params_init(&params, 0);
    beit__params_free(&params);
    beit__param_list_free(&list);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    failing_alloc_t memory = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &memory, NULL, 1));
    const size_t before = memory.blocks;
    size_t failures = 0;
    for (beit_status_t status = BEIT_E_NOMEM; status != BEIT_OK; failures++) {
        memory.requests = 0;
        memory.fail_at = failures + 1;
        status = whole_life(ctx);
        assert_true(status == BEIT_OK || status == BEIT_E_NOMEM);
        assert_int_equal(memory.blocks, before);
    }
    assert_true(failures > 5); /* items twice, by_name, block, staging */
    beit_context_unref(ctx);
    assert_int_equal(memory.blocks, 0);
    assert_int_equal(memory.mismatches, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_decay_rule),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_read_and_write),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_seed_and_workers),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
