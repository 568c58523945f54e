/* Configuration of a model, and what follows from it alone: messages, named sizes, the list of
 * tensors with upstream's names, and initial values. */
#include "check.h"

#include <beit/beit.h>
#include <stdio.h>

#include "model/handle.h"

static beit_model_config_t defaults(void)
{
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    return config;
}

/* ---- checks ---- */

typedef struct refusal {
    size_t offset;
    int is_float;
    double value;
    const char *message;
} refusal_t;

#define INT(field, value, message)                                                                 \
    {                                                                                              \
        offsetof(beit_model_config_t, field), 0, value, "model config: " message                   \
    }
#define FLOAT(field, value, message)                                                               \
    {                                                                                              \
        offsetof(beit_model_config_t, field), 1, (double)(value), "model config: " message         \
    }

static const refusal_t refusals[] = {
    INT(image_height, 0, "image_height is 0, expected 1 to 65536"),
    INT(image_height, 225, "image_height is 225, expected a multiple of patch_size 16"),
    INT(image_width, -16, "image_width is -16, expected 1 to 65536"),
    INT(image_width, 8, "image_width is 8, expected a multiple of patch_size 16"),
    INT(patch_size, 0, "patch_size is 0, expected 1 to 1024"),
    INT(channels, 257, "channels is 257, expected 1 to 256"),
    INT(vocab_size, 0, "vocab_size is 0, expected 1 to 16777216"),
    INT(embed_dim, 0, "embed_dim is 0, expected 1 to 65536"),
    INT(embed_dim, 770,
        "embed_dim is 770, expected a multiple of heads 12 where attn_head_dim is 0"),
    INT(depth, 0, "depth is 0, expected 1 to 1024"),
    INT(heads, -1, "heads is -1, expected 1 to 1024"),
    INT(mlp_dim, -1, "mlp_dim is -1, expected 0 to 1048576"),
    INT(attn_head_dim, -1, "attn_head_dim is -1, expected 0 to 65536"),
    INT(attn_head_dim, 65536, "heads * attn_head_dim is 786432, expected at most 65536"),
    INT(shared_rel_pos, 2, "shared_rel_pos is 2, expected 0 to 1"),
    INT(rel_pos, -1, "rel_pos is -1, expected 0 to 1"),
    INT(abs_pos, 3, "abs_pos is 3, expected 0 to 1"),
    INT(qkv_bias, 2, "qkv_bias is 2, expected 0 to 1"),
    FLOAT(layer_scale, INFINITY, "layer_scale is inf, expected a finite number"),
    FLOAT(layer_scale, NAN, "layer_scale is nan, expected a finite number"),
    FLOAT(drop_path, 1, "drop_path is 1, expected at least 0 and less than 1"),
    FLOAT(drop_path, -0.5, "drop_path is -0.5, expected at least 0 and less than 1"),
    FLOAT(norm_eps, 0, "norm_eps is 0, expected a finite number above 0"),
    FLOAT(init_std, 0, "init_std is 0, expected a finite number above 0"),
    FLOAT(drop_rate, 1, "drop_rate is 1, expected at least 0 and less than 1"),
    FLOAT(attn_drop_rate, NAN, "attn_drop_rate is nan, expected at least 0 and less than 1"),
    FLOAT(qk_scale, -1, "qk_scale is -1, expected a finite number, at least 0"),
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal_t *refusal = &refusals[i];
        beit_model_config_t config = defaults();
        const float float_value = (float)refusal->value;
        const int32_t int_value = refusal->is_float ? 0 : (int32_t)refusal->value;
        memcpy((char *)&config + refusal->offset,
               refusal->is_float ? (const void *)&float_value : &int_value, sizeof int_value);
        beit_model_t *model = (beit_model_t *)1;
        check_status(beit_model_create(&model, NULL, &config), BEIT_E_ARGUMENT);
        check_error_has(refusal->message);
        assert_null(model);
    }
    beit_model_config_t config = defaults();
    config.patch_size = 1;
    config.image_height = config.image_width = 256;
    beit_model_t *model = NULL;
    check_status(beit_model_create(&model, NULL, &config), BEIT_E_ARGUMENT);
    check_error_has("model config: 65536 patches of 1 x 1, expected at most 65535");
    check_status(beit_model_create(NULL, NULL, NULL), BEIT_E_ARGUMENT);
    check_error_has("out is NULL");
}

static void test_presets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t dim, depth, heads;
        float layer_scale;
    } sizes[] = {{"nano", 128, 4, 4, 0.1f},
                 {"tiny", 192, 12, 3, 0.1f},
                 {"small", 384, 12, 6, 0.1f},
                 {"base", 768, 12, 12, 0.1f},
                 {"large", 1024, 24, 16, 1e-5f}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        beit_model_config_t config = defaults();
        config.vocab_size = 512;
        config.mlp_dim = 5;
        check_ok(beit_model_config_preset(&config, sizes[i].name));
        assert_int_equal(config.embed_dim, sizes[i].dim);
        assert_int_equal(config.depth, sizes[i].depth);
        assert_int_equal(config.heads, sizes[i].heads);
        assert_true(config.layer_scale == sizes[i].layer_scale);
        assert_int_equal(config.mlp_dim, 0);
        assert_int_equal(config.vocab_size, 512); /* not a matter of size */
        assert_int_equal(config.struct_size, sizeof config);
    }
    beit_model_config_t config = defaults(), before = config;
    check_status(beit_model_config_preset(&config, "huge"), BEIT_E_ARGUMENT);
    check_error_has("there is no model size \"huge\", expected nano, tiny, small, base or large");
    check_status(beit_model_config_preset(&config, NULL), BEIT_E_ARGUMENT);
    assert_memory_equal(&config, &before, sizeof config);
    check_status(beit_model_config_preset(NULL, "base"), BEIT_E_ARGUMENT);
}

static void test_resolved(void **state)
{
    (void)state;
    beit_model_config_t config = defaults(), found = {.struct_size = sizeof found};
    config.image_height = config.image_width = 32;
    config.vocab_size = 8;
    config.embed_dim = 32;
    config.heads = 2;
    config.depth = 1;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, NULL, &config)); /* with a context of its own */
    check_ok(beit_model_config(model, &found));
    assert_int_equal(found.mlp_dim, 128);
    assert_int_equal(found.attn_head_dim, 16);
    assert_true(found.qk_scale == 0.25f);
    check_status(beit_model_config(NULL, &found), BEIT_E_ARGUMENT);
    check_status(beit_model_config(model, NULL), BEIT_E_ARGUMENT);
    beit_model_destroy(model);
    beit_model_destroy(NULL);
}

/* ---- tensors ---- */

/* Name and shape, in upstream's order, with every option on. D 8, A 3*5, F 9, 2x3 patches. */
static const struct {
    const char *name;
    int32_t ndim;
    int64_t shape[4];
} tensors[] = {
    {"cls_token", 3, {1, 1, 8}},
    {"mask_token", 3, {1, 1, 8}},
    {"pos_embed", 3, {1, 7, 8}},
    {"patch_embed.proj.weight", 4, {8, 2, 4, 4}},
    {"patch_embed.proj.bias", 1, {8}},
    {"rel_pos_bias.relative_position_bias_table", 2, {18, 3}},
    {"blocks.0.gamma_1", 1, {8}},
    {"blocks.0.gamma_2", 1, {8}},
    {"blocks.0.norm1.weight", 1, {8}},
    {"blocks.0.norm1.bias", 1, {8}},
    {"blocks.0.attn.q_bias", 1, {15}},
    {"blocks.0.attn.v_bias", 1, {15}},
    {"blocks.0.attn.relative_position_bias_table", 2, {18, 3}},
    {"blocks.0.attn.qkv.weight", 2, {45, 8}},
    {"blocks.0.attn.proj.weight", 2, {8, 15}},
    {"blocks.0.attn.proj.bias", 1, {8}},
    {"blocks.0.norm2.weight", 1, {8}},
    {"blocks.0.norm2.bias", 1, {8}},
    {"blocks.0.mlp.fc1.weight", 2, {9, 8}},
    {"blocks.0.mlp.fc1.bias", 1, {9}},
    {"blocks.0.mlp.fc2.weight", 2, {8, 9}},
    {"blocks.0.mlp.fc2.bias", 1, {8}},
    {"norm.weight", 1, {8}},
    {"norm.bias", 1, {8}},
    {"lm_head.weight", 2, {7, 8}},
    {"lm_head.bias", 1, {7}},
};

static void test_names(void **state)
{
    (void)state;
    beit_model_config_t config = defaults();
    config.image_height = 8;
    config.image_width = 12;
    config.patch_size = 4;
    config.channels = 2;
    config.vocab_size = 7;
    config.embed_dim = 8;
    config.depth = 1;
    config.heads = 3;
    config.attn_head_dim = 5;
    config.mlp_dim = 9;
    config.rel_pos = config.abs_pos = 1;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, NULL, &config));
    const beit_params_t *params = beit_model_params(model);
    assert_int_equal(beit_params_count(params), sizeof tensors / sizeof *tensors);
    for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, t, &info));
        assert_string_equal(info.name, tensors[t].name);
        assert_int_equal(info.value.ndim, tensors[t].ndim);
        for (int32_t i = 0; i < info.value.ndim; i++)
            assert_int_equal(info.value.shape[i], tensors[t].shape[i]);
    }
    beit_model_destroy(model);
}

/* Published parameter counts; only the lists are made. */
static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *size;
        uint64_t elements, tensors;
    } published[] = {{"base", 91965776, 189}, {"large", 311534016, 369}};
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, NULL));
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        beit_model_config_t config = defaults();
        check_ok(beit_model_config_preset(&config, published[i].size));
        beit__model_config_resolve(&config);
        beit__vit_t vit;
        check_ok(beit__vit_create(&vit, ctx, &config));
        const beit_params_t params = {.list = &vit.list};
        assert_int_equal(beit_params_elements(&params), published[i].elements);
        assert_int_equal(beit_params_count(&params), published[i].tensors);
        beit__vit_destroy(&vit);
    }
    beit_context_unref(ctx);
}

/* ---- initial values ---- */

/* The largest absolute value of a tensor. */
static double largest(beit_model_t *model, const char *name)
{
    const beit_params_t *params = beit_model_params(model);
    size_t index;
    check_ok(beit_params_find(params, name, &index));
    double most = 0;
    for (size_t i = 0; i < params->list->items[index].count; i++)
        most = fmax(most, fabs((double)beit__params_at(params, index)[i]));
    return most;
}

static void test_initial_values(void **state)
{
    (void)state;
    beit_model_config_t config = defaults();
    check_ok(beit_model_config_preset(&config, "nano"));
    config.image_height = config.image_width = 64;
    config.vocab_size = 64;
    config.abs_pos = config.rel_pos = 1;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, NULL, &config));
    /* of thousands of values cut at 0.02, the largest comes within a hundredth of the cut; of the
     * 128 of a token within a tenth */
    static const char *const full[] = {"patch_embed.proj.weight", "pos_embed", "lm_head.weight",
                                       "blocks.3.attn.qkv.weight", "blocks.3.mlp.fc1.weight"};
    static const char *const tokens[] = {"cls_token", "mask_token"};
    static const char *const zeros[] = {"patch_embed.proj.bias",
                                        "rel_pos_bias.relative_position_bias_table",
                                        "blocks.1.attn.relative_position_bias_table",
                                        "blocks.1.attn.q_bias",
                                        "blocks.1.attn.v_bias",
                                        "blocks.1.attn.proj.bias",
                                        "blocks.1.norm1.bias",
                                        "norm.bias",
                                        "lm_head.bias"};
    for (size_t i = 0; i < sizeof full / sizeof *full; i++)
        check_near(largest(model, full[i]), 0.0199, 0.0001001);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        check_near(largest(model, tokens[i]), 0.019, 0.001001);
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        assert_true(largest(model, zeros[i]) == 0);
    assert_true(largest(model, "blocks.2.gamma_1") == (double)0.1f);
    assert_true(largest(model, "blocks.2.gamma_2") == (double)0.1f);
    assert_true(largest(model, "blocks.2.norm2.weight") == 1);
    for (int block = 0; block < 4; block++) {
        char name[64];
        const double cut = 0.02 / sqrt(2 * (block + 1));
        snprintf(name, sizeof name, "blocks.%d.attn.proj.weight", block);
        check_near(largest(model, name), 0.995 * cut, 0.00501 * cut);
        snprintf(name, sizeof name, "blocks.%d.mlp.fc2.weight", block);
        check_near(largest(model, name), 0.995 * cut, 0.00501 * cut);
    }
    beit_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_presets),
        cmocka_unit_test(test_resolved), cmocka_unit_test(test_names),
        cmocka_unit_test(test_counts),   cmocka_unit_test(test_initial_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
