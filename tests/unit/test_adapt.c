/* adapt.c: what becomes of each tensor and what is said of it, that features survive where they
 * should, and that a refused or failed call changes nothing. */
#include "model_case.h"

#include <stdio.h>

#include "failing_alloc.h"
#include "model/resize.h"
#include "toy_device.h"

enum { K = 5, ROOM = 200 };

/* ---- models ---- */

static beit_model_config_t pretrained_config(void)
{
    beit_model_config_t config = config_of(DEPTH);
    config.drop_rate = config.attn_drop_rate = config.drop_path = 0;
    return config;
}

static beit_model_config_t classifier_config(void)
{
    beit_model_config_t config = pretrained_config();
    config.num_classes = K;
    config.shared_rel_pos = 0;
    config.rel_pos = 1;
    return config;
}

static beit_model_t *create(beit_context_t *ctx, const beit_model_config_t *config)
{
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, config));
    return model;
}

/* A model none of whose tensors holds zeros or ones only, on the host. */
static beit_model_t *trained(const beit_model_config_t *config)
{
    beit_model_t *model = create(NULL, config);
    beit__draws_t draws = beit__draws(2, BEIT__STREAM_JITTER, 0, 0, 0);
    const beit_params_t *params = beit_model_params(model);
    for (size_t t = 0; t < beit_params_count(params); t++)
        for (size_t i = 0; i < params->list->items[t].count; i++)
            beit__params_at(params, t)[i] = (float)beit__draw_uniform(&draws, -0.3, 0.3);
    return model;
}

/* The tensor on the host; count NULL = not wanted. Free it. */
static float *copy_of(beit_model_t *model, const char *name, size_t *count)
{
    const beit_params_t *params = beit_model_params(model);
    size_t index;
    check_ok(beit_params_find(params, name, &index));
    const int64_t elements = (int64_t)params->list->items[index].count;
    float *values = malloc((size_t)elements * sizeof *values);
    const beit_tensor_t view = beit_tensor_make(values, BEIT_F32, 1, &elements);
    check_ok(beit_params_read(params, index, &view));
    if (count)
        *count = (size_t)elements;
    return values;
}

static void check_same(beit_model_t *a, const char *in_a, beit_model_t *b, const char *in_b)
{
    size_t count, other;
    float *x = copy_of(a, in_a, &count), *y = copy_of(b, in_b, &other);
    assert_int_equal(count, other);
    assert_memory_equal(x, y, count * sizeof *x);
    free(y);
    free(x);
}

/* All weights, with padding. Free it. */
static float *snapshot(beit_model_t *model, size_t *bytes)
{
    const beit_params_t *params = beit_model_params(model);
    *bytes = params->list->floats * sizeof(float);
    float *all = malloc(*bytes);
    memcpy(all, params->data, *bytes);
    return all;
}

/* ---- what is told ---- */

typedef struct entry {
    int fate;
    char name[96], how[288];
} entry_t;

typedef struct account {
    entry_t entries[ROOM];
    size_t count;
} account_t;

static void note(void *user, int fate, const char *name, const char *how)
{
    account_t *account = user;
    assert_true(account->count < ROOM);
    entry_t *entry = &account->entries[account->count++];
    entry->fate = fate;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    snprintf(entry->how, sizeof entry->how, "%s", how);
}

static account_t *adapt(beit_model_t *dst, const beit_model_t *src, beit_adapt_report_t *report)
{
    static account_t account;
    account.count = 0;
    beit_adapt_options_t options;
    beit_adapt_options_init(&options, sizeof options);
    assert_int_equal(options.table_resize, BEIT_TABLE_GEOMETRIC);
    options.each = note;
    options.user = &account;
    report->struct_size = sizeof *report;
    check_ok(beit_model_adapt(dst, src, &options, report));
    assert_int_equal(account.count,
                     report->taken + report->changed + report->missing + report->left_over);
    return &account;
}

static void check_told(const account_t *account, const char *name, int fate, const char *how)
{
    size_t times = 0;
    for (size_t i = 0; i < account->count; i++) {
        const entry_t *entry = &account->entries[i];
        if (strcmp(entry->name, name) != 0 || entry->fate != fate)
            continue;
        times++;
        assert_string_equal(entry->how, how);
    }
    if (times != 1)
        print_error("%s: told %zu times as %d\n", name, times, fate);
    assert_int_equal(times, 1);
}

/* ---- features ---- */

static void features_of(beit_model_t *model, float *features)
{
    const beit_tensor_t pixel_view = pixels_of(B);
    const beit_tensor_t view = beit_tensor_make(features, BEIT_F32, 3, (const int64_t[]){B, T, D});
    check_ok(beit_model_encode(model, &pixel_view, NULL, DEPTH - 1, &view));
}

static void check_features(beit_model_t *found, beit_model_t *wanted, double tolerance)
{
    static float x[B * T * D], y[B * T * D];
    features_of(found, x);
    features_of(wanted, y);
    for (int i = 0; i < B * T * D; i++)
        check_near((double)x[i], (double)y[i], tolerance);
}

#define SHARED_TABLE "rel_pos_bias.relative_position_bias_table"
#define OWN_TABLE    "blocks.1.attn.relative_position_bias_table"

static void test_into_a_classifier(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config(), to = classifier_config();
    beit_model_t *src = trained(&from), *dst = create(NULL, &to);
    float *head = copy_of(dst, "head.weight", NULL);
    beit_adapt_report_t report;
    const account_t *account = adapt(dst, src, &report);
    const size_t own = beit_params_count(beit_model_params(dst));
    assert_int_equal(report.changed, DEPTH);
    assert_int_equal(report.missing, 4);
    assert_int_equal(report.taken, own - DEPTH - 4);
    assert_int_equal(report.left_over, 5); /* the shared table is used */
    check_told(account, "patch_embed.proj.weight", BEIT_ADAPT_TAKEN, "");
    check_told(account, OWN_TABLE, BEIT_ADAPT_CHANGED, SHARED_TABLE);
    static const char *const missing[] = {"fc_norm.weight", "fc_norm.bias", "head.weight",
                                          "head.bias"};
    static const char *const left[] = {"mask_token", "norm.weight", "norm.bias", "lm_head.weight",
                                       "lm_head.bias"};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        check_told(account, missing[i], BEIT_ADAPT_MISSING, "");
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        check_told(account, left[i], BEIT_ADAPT_LEFT_OVER, "");
    for (size_t i = 0; i < account->count; i++) /* dst's in its order, then the rest */
        assert_true((account->entries[i].fate == BEIT_ADAPT_LEFT_OVER) == (i >= own));
    size_t count;
    float *after = copy_of(dst, "head.weight", &count);
    assert_memory_equal(after, head, count * sizeof *head);
    check_same(dst, OWN_TABLE, src, SHARED_TABLE);
    check_features(dst, src, 0);
    free(after);
    free(head);
    beit_model_destroy(dst);
    beit_model_destroy(src);
}

/* With class pooling the norm is the source's; a second classifier of as many classes takes the
 * head, one of another number does not. */
static void test_norm_and_head(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config();
    beit_model_config_t to = classifier_config();
    to.pooling = BEIT_POOL_CLASS;
    beit_model_t *src = trained(&from), *first = create(NULL, &to), *second = create(NULL, &to);
    to.num_classes = K + 1;
    beit_model_t *other = create(NULL, &to);
    beit_adapt_report_t report;
    check_told(adapt(first, src, &report), "norm.weight", BEIT_ADAPT_TAKEN, "");
    adapt(second, first, &report);
    assert_int_equal(report.taken, beit_params_count(beit_model_params(second)));
    check_same(second, "head.weight", first, "head.weight");
    const account_t *account = adapt(other, first, &report);
    check_told(account, "head.weight", BEIT_ADAPT_MISSING, "");
    check_told(account, "head.bias", BEIT_ADAPT_LEFT_OVER, "");
    assert_int_equal(report.missing, 2);
    assert_int_equal(report.left_over, 2);
    beit_model_destroy(other);
    beit_model_destroy(second);
    beit_model_destroy(first);
    beit_model_destroy(src);
}

/* ---- tables ---- */

/* 3 x 4 patches to 5 x 6; and to 4 x 3, where the tables have as many rows as before. */
static void test_another_grid(void **state)
{
    (void)state;
    static const beit__grid_t grids[] = {{5, 6}, {4, 3}};
    const beit__grid_t from_grid = {3, 4};
    for (size_t g = 0; g < 2; g++) {
        const beit_model_config_t from = pretrained_config();
        beit_model_config_t to = classifier_config();
        to.image_height = P * (int32_t)grids[g].rows;
        to.image_width = P * (int32_t)grids[g].cols;
        beit_model_t *src = trained(&from), *dst = create(NULL, &to);
        beit_adapt_report_t report;
        const account_t *account = adapt(dst, src, &report);
        assert_int_equal(report.changed, DEPTH + 1);
        check_told(account, OWN_TABLE, BEIT_ADAPT_CHANGED,
                   g == 0 ? SHARED_TABLE ", 3 x 4 to 5 x 6 patches"
                          : SHARED_TABLE ", 3 x 4 to 4 x 3 patches");
        size_t count;
        float *table = copy_of(src, SHARED_TABLE, NULL), *found = copy_of(dst, OWN_TABLE, &count);
        float *wanted = malloc(count * sizeof *wanted);
        check_ok(beit__resize_relative(NULL, BEIT_TABLE_GEOMETRIC, from_grid, grids[g], 3, table,
                                       wanted));
        assert_memory_equal(found, wanted, count * sizeof *wanted);
        free(wanted);
        free(found);
        free(table);
        table = copy_of(src, "pos_embed", NULL);
        found = copy_of(dst, "pos_embed", &count);
        wanted = malloc(count * sizeof *wanted);
        check_ok(beit__resize_absolute(NULL, from_grid, grids[g], D, table, wanted));
        assert_memory_equal(found, wanted, count * sizeof *wanted);
        free(wanted);
        free(found);
        free(table);
        beit_model_destroy(dst);
        beit_model_destroy(src);
    }
}

static void test_linear(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config();
    beit_model_config_t to = from;
    to.image_height = 2 * H;
    beit_model_t *src = trained(&from), *spline = create(NULL, &to), *linear = create(NULL, &to);
    beit_adapt_options_t options;
    beit_adapt_options_init(&options, sizeof options);
    check_ok(beit_model_adapt(spline, src, NULL, NULL));
    options.table_resize = BEIT_TABLE_LINEAR;
    check_ok(beit_model_adapt(linear, src, &options, NULL));
    size_t count;
    float *a = copy_of(spline, SHARED_TABLE, &count), *b = copy_of(linear, SHARED_TABLE, NULL);
    assert_memory_not_equal(a, b, count * sizeof *a);
    free(b);
    free(a);
    check_same(spline, "pos_embed", linear, "pos_embed");
    beit_model_destroy(linear);
    beit_model_destroy(spline);
    beit_model_destroy(src);
}

/* A model of both kinds of tables into one of own tables: their sums, the same biases but for
 * rounding. The other way the shared table is missing. */
static void test_sums_of_tables(void **state)
{
    (void)state;
    beit_model_config_t both = pretrained_config(), own = classifier_config();
    both.rel_pos = 1;
    beit_model_t *src = trained(&both), *dst = create(NULL, &own), *back = create(NULL, &both);
    beit_adapt_report_t report;
    check_told(adapt(dst, src, &report), OWN_TABLE, BEIT_ADAPT_CHANGED,
               OWN_TABLE " + " SHARED_TABLE);
    check_features(dst, src, 1e-5);
    const account_t *account = adapt(back, dst, &report);
    check_told(account, SHARED_TABLE, BEIT_ADAPT_MISSING, "");
    check_told(account, OWN_TABLE, BEIT_ADAPT_TAKEN, "");
    check_features(back, dst, 0); /* a fresh shared table is zero */
    beit_model_destroy(back);
    beit_model_destroy(dst);
    beit_model_destroy(src);
}

/* ---- refusals and failures ---- */

static void check_refused(beit_model_t *src, const beit_model_config_t *to, const char *words)
{
    beit_model_t *dst = create(NULL, to);
    size_t bytes;
    float *before = snapshot(dst, &bytes);
    check_status(beit_model_adapt(dst, src, NULL, NULL), BEIT_E_MISMATCH);
    check_error_has(words);
    assert_memory_equal(beit_model_params(dst)->data, before, bytes);
    free(before);
    beit_model_destroy(dst);
}

static void test_refusals(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config();
    beit_model_t *src = trained(&from), *dst = create(NULL, &from);
    beit_model_config_t to = from;
    to.embed_dim = D + 3;
    check_refused(src, &to, "cls_token: shape [1,1,24] in the source, [1,1,27] here");
    to = from;
    to.patch_size = 2;
    check_refused(src, &to,
                  "patch_embed.proj.weight: shape [24,3,4,4] in the source, [24,3,2,2] here");
    to = from;
    to.heads = 4;
    check_refused(src, &to, "relative_position_bias_table: shape [38,3] in the source, [38,4]");
    check_status(beit_model_adapt(NULL, src, NULL, NULL), BEIT_E_ARGUMENT);
    check_status(beit_model_adapt(dst, NULL, NULL, NULL), BEIT_E_ARGUMENT);
    beit_adapt_options_t options;
    beit_adapt_options_init(&options, sizeof options);
    options.table_resize = 3;
    check_status(beit_model_adapt(dst, src, &options, NULL), BEIT_E_ARGUMENT);
    check_error_has("table_resize is 3, expected 0 to 2");
    size_t bytes;
    float *before = snapshot(dst, &bytes);
    beit_adapt_report_t report = {.struct_size = 1};
    check_status(beit_model_adapt(dst, src, NULL, &report), BEIT_E_ABI);
    assert_memory_equal(beit_model_params(dst)->data, before, bytes);
    free(before);
    beit_model_destroy(dst);
    beit_model_destroy(src);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config();
    beit_model_config_t to = classifier_config();
    to.image_height = 2 * H;
    failing_alloc_t alloc = {0};
    beit_context_t *ctx = NULL;
    check_ok(failing_context(&ctx, &alloc, NULL, 1));
    beit_model_t *src = trained(&from), *dst = create(ctx, &to);
    size_t bytes, refusals = 0;
    float *before = snapshot(dst, &bytes);
    const size_t blocks = alloc.blocks;
    for (;; refusals++) {
        alloc.fail_at = alloc.requests + 1 + refusals;
        const beit_status_t status = beit_model_adapt(dst, src, NULL, NULL);
        assert_int_equal(alloc.blocks, blocks);
        if (status == BEIT_OK)
            break;
        check_status(status, BEIT_E_NOMEM);
        assert_memory_equal(beit_model_params(dst)->data, before, bytes);
    }
    assert_true(refusals > 5);
    assert_memory_not_equal(beit_model_params(dst)->data, before, bytes);
    free(before);
    beit_model_destroy(dst);
    beit_model_destroy(src);
    beit_context_unref(ctx);
    assert_int_equal(alloc.blocks, 0);
}

/* Source and destination may live in different memories. */
static void test_devices(void **state)
{
    (void)state;
    const beit_model_config_t from = pretrained_config(), to = classifier_config();
    beit_context_t *device = context_on(&toy_device_ops, 1);
    beit_model_t *src = trained(&from), *there = create(device, &from), *dst = create(device, &to);
    beit_model_t *here = create(NULL, &to);
    beit_adapt_report_t report;
    adapt(there, src, &report);
    adapt(dst, there, &report);
    adapt(here, dst, &report);
    check_same(here, OWN_TABLE, src, SHARED_TABLE);
    check_same(here, "blocks.2.mlp.fc2.weight", src, "blocks.2.mlp.fc2.weight");
    beit_model_destroy(here);
    beit_model_destroy(dst);
    beit_model_destroy(there);
    beit_model_destroy(src);
    beit_context_unref(device);
    assert_int_equal(toy_device_counts.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_a_classifier),
        cmocka_unit_test(test_norm_and_head),
        cmocka_unit_test(test_another_grid),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_sums_of_tables),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_devices),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
