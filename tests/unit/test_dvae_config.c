/* Tokenizers as configured: what is refused and how, which tensors there are, what they start
 * with, and which half can do what. */
#include "check.h"

#include <beit/beit.h>

static beit_dvae_config_t small_config(int32_t arch)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.arch = arch;
    config.image_height = config.image_width = 16;
    config.vocab_size = 8;
    config.codebook_dim = 6;
    config.hidden_dim = 4;
    config.decoder_init = 5;
    return config;
}

/* ---- refusals ---- */

typedef struct refusal {
    size_t field;
    int32_t arch, value;
    const char *message;
} refusal_t;

#define FIELD(name) offsetof(beit_dvae_config_t, name)

static const refusal_t refusals[] = {
    {FIELD(arch), 1, 3, "dvae config: arch is 3, allowed are 1 to 2"},
    {FIELD(layout), 1, 0, "dvae config: layout is 0, allowed are 1 to 2"},
    {FIELD(image_height), 1, 12,
     "dvae config: image_height is 12, expected a multiple of 2^num_layers = 8"},
    {FIELD(image_width), 1, 0, "dvae config: image_width is 0, allowed are 1 to 65536"},
    {FIELD(channels), 1, 0, "dvae config: channels is 0, allowed are 1 to 65536"},
    {FIELD(vocab_size), 1, 1, "dvae config: vocab_size is 1, allowed are 2 to 1048576"},
    {FIELD(codebook_dim), 1, -1, "dvae config: codebook_dim is -1, allowed are 1 to 65536"},
    {FIELD(hidden_dim), 1, 8193, "dvae config: hidden_dim is 8193, allowed are 1 to 8192"},
    {FIELD(num_layers), 1, 11, "dvae config: num_layers is 11, allowed are 1 to 10"},
    {FIELD(num_resnet_blocks), 1, -1, "dvae config: num_resnet_blocks is -1, allowed are 0 to 256"},
    {FIELD(recon_loss), 1, 3, "dvae config: recon_loss is 3, allowed are 1 to 2"},
    {FIELD(sampling), 1, 4, "dvae config: sampling is 4, allowed are 1 to 3"},
    {FIELD(sampling), 1, 3, "dvae config: sampling is REINMAX, which only layout L has"},
    {FIELD(kl_reduction), 1, 0, "dvae config: kl_reduction is 0, allowed are 1 to 3"},
    {FIELD(kl_direction), 1, 3, "dvae config: kl_direction is 3, allowed are 1 to 2"},
    {FIELD(input_norm), 1, 3, "dvae config: input_norm is 3, allowed are 0 to 2"},
    {FIELD(blocks_per_group), 2, 0, "dvae config: blocks_per_group is 0, allowed are 1 to 256"},
    {FIELD(decoder_init), 2, 0, "dvae config: decoder_init is 0, allowed are 1 to 65536"},
    {FIELD(parts), 2, 3, "dvae config: parts is 3, allowed are 0 to 2"},
    {FIELD(num_layers), 2, 2, "dvae config: num_layers is 2, arch DALLE has 3"},
    {FIELD(hidden_dim), 2, 6, "dvae config: hidden_dim is 6, arch DALLE needs a multiple of 4"},
    {FIELD(input_norm), 2, 2,
     "dvae config: input_norm is 2, arch DALLE takes mapped pixels as they are: NONE (1)"},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        beit_dvae_config_t config = small_config(refusals[i].arch);
        memcpy((char *)&config + refusals[i].field, &refusals[i].value, sizeof(int32_t));
        beit_dvae_t *dvae = (beit_dvae_t *)&config;
        check_status(beit_dvae_create(&dvae, NULL, &config), BEIT_E_ARGUMENT);
        assert_null(dvae);
        assert_string_equal(beit_last_error(), refusals[i].message);
    }
    check_status(beit_dvae_create(NULL, NULL, NULL), BEIT_E_ARGUMENT);
    beit_dvae_config_t config = small_config(BEIT_DVAE_DISCRETE);
    config.struct_size = 80;
    beit_dvae_t *dvae = NULL;
    check_status(beit_dvae_create(&dvae, NULL, &config), BEIT_E_ABI);
    check_error_has("beit_dvae_config");
}

/* ---- defaults ---- */

static void check_norm(int32_t arch, int32_t layout, int32_t wanted)
{
    beit_dvae_config_t config = small_config(arch), resolved = {.struct_size = sizeof resolved};
    config.layout = layout;
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    check_ok(beit_dvae_config(dvae, &resolved));
    assert_int_equal(resolved.input_norm, wanted);
    config.input_norm = wanted; /* the only field that 0 stood for */
    assert_memory_equal(&resolved, &config, sizeof config);
    beit_dvae_destroy(dvae);
}

static void test_resolved_config(void **state)
{
    (void)state;
    check_norm(BEIT_DVAE_DISCRETE, BEIT_DVAE_LAYOUT_U, BEIT_DVAE_NORM_NONE);
    check_norm(BEIT_DVAE_DISCRETE, BEIT_DVAE_LAYOUT_L, BEIT_DVAE_NORM_SYMMETRIC);
    check_norm(BEIT_DVAE_DALLE, BEIT_DVAE_LAYOUT_L, BEIT_DVAE_NORM_NONE);
    check_status(beit_dvae_config(NULL, NULL), BEIT_E_ARGUMENT);
    assert_null(beit_dvae_params(NULL));
    beit_dvae_destroy(NULL);
}

/* ---- tensors ---- */

typedef struct expected {
    const char *name;
    int64_t shape[4];
} expected_t;

/* Specification, section 11.4, for 3 channels, 8 tokens, dimension 6, width 4. */
static const expected_t layout_u[] = {
    {"codebook.weight", {8, 6}},
    {"encoder.0.0.weight", {4, 3, 4, 4}},
    {"encoder.0.0.bias", {4}},
    {"encoder.1.net.0.weight", {4, 4, 3, 3}},
    {"encoder.1.net.2.bias", {4}},
    {"encoder.1.net.4.weight", {4, 4, 1, 1}},
    {"encoder.2.0.weight", {4, 4, 4, 4}},
    {"encoder.5.net.2.weight", {4, 4, 3, 3}},
    {"encoder.6.weight", {8, 4, 1, 1}},
    {"decoder.0.0.weight", {6, 4, 4, 4}},
    {"decoder.2.0.weight", {4, 4, 4, 4}},
    {"decoder.5.net.4.bias", {4}},
    {"decoder.6.weight", {3, 4, 1, 1}},
    {"decoder.6.bias", {3}},
};
static const expected_t layout_l_blocks[] = {
    {"encoder.2.0.weight", {4, 4, 4, 4}},
    {"encoder.3.net.0.weight", {4, 4, 3, 3}},
    {"encoder.4.net.4.bias", {4}},
    {"encoder.5.weight", {8, 4, 1, 1}},
    {"decoder.0.weight", {4, 6, 1, 1}},
    {"decoder.0.bias", {4}},
    {"decoder.1.net.0.weight", {4, 4, 3, 3}},
    {"decoder.2.net.2.weight", {4, 4, 3, 3}},
    {"decoder.3.0.weight", {4, 4, 4, 4}},
    {"decoder.5.0.bias", {4}},
    {"decoder.6.weight", {3, 4, 1, 1}},
};
static const expected_t layout_l_plain[] = {
    {"encoder.2.0.weight", {4, 4, 4, 4}},
    {"encoder.3.weight", {8, 4, 1, 1}},
    {"decoder.0.0.weight", {6, 4, 4, 4}},
    {"decoder.3.weight", {3, 4, 1, 1}},
};
/* Section 11.5 for n_hid 4, n_init 5, with the prefixes that this library adds. */
static const expected_t dalle[] = {
    {"encoder.blocks.input.w", {4, 3, 7, 7}},
    {"encoder.blocks.input.b", {4}},
    {"encoder.blocks.group_1.block_1.res_path.conv_1.w", {1, 4, 3, 3}},
    {"encoder.blocks.group_1.block_2.res_path.conv_4.w", {4, 1, 1, 1}},
    {"encoder.blocks.group_2.block_1.id_path.w", {8, 4, 1, 1}},
    {"encoder.blocks.group_4.block_1.res_path.conv_1.w", {8, 16, 3, 3}},
    {"encoder.blocks.group_4.block_2.res_path.conv_3.b", {8}},
    {"encoder.blocks.output.conv.w", {8, 32, 1, 1}},
    {"decoder.blocks.input.w", {5, 8, 1, 1}},
    {"decoder.blocks.group_1.block_1.id_path.w", {32, 5, 1, 1}},
    {"decoder.blocks.group_1.block_1.res_path.conv_1.w", {8, 5, 1, 1}},
    {"decoder.blocks.group_1.block_1.res_path.conv_4.w", {32, 8, 3, 3}},
    {"decoder.blocks.group_4.block_2.res_path.conv_2.w", {1, 1, 3, 3}},
    {"decoder.blocks.output.conv.w", {6, 4, 1, 1}},
    {"decoder.blocks.output.conv.b", {6}},
};

static void check_tensors(const beit_dvae_config_t *config, size_t tensors,
                          const expected_t *expected, size_t count)
{
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, NULL, config));
    const beit_params_t *params = beit_dvae_params(dvae);
    assert_int_equal(beit_params_count(params), tensors);
    for (size_t i = 0; i < count; i++) {
        size_t index = 0;
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_find(params, expected[i].name, &index));
        check_ok(beit_params_info(params, index, &info));
        for (int32_t j = 0; j < 4; j++)
            assert_int_equal(j < info.value.ndim ? info.value.shape[j] : 0, expected[i].shape[j]);
    }
    beit_dvae_destroy(dvae);
}

#define CHECK_TENSORS(config, tensors, table)                                                      \
    check_tensors((config), (tensors), (table), sizeof(table) / sizeof *(table))

static void test_tensors(void **state)
{
    (void)state;
    beit_dvae_config_t config = small_config(BEIT_DVAE_DISCRETE);
    CHECK_TENSORS(&config, 1 + 2 * (3 * 8 + 2), layout_u);
    config.layout = BEIT_DVAE_LAYOUT_L;
    CHECK_TENSORS(&config, 1 + 2 * (3 * 2 + 2), layout_l_plain);
    config.num_resnet_blocks = 2;
    CHECK_TENSORS(&config, 1 + 2 * (3 * 2 + 2 * 6 + 2) + 2, layout_l_blocks);
    config = small_config(BEIT_DVAE_DALLE);
    CHECK_TENSORS(&config, 2 * (2 + 8 * 8 + 2) + 2 * (3 + 4), dalle);
}

/* Sizes of the published tokenizers, sections 3, 3.5 and 4.2. */
static void check_elements(const beit_dvae_config_t *config, uint64_t wanted)
{
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, NULL, config));
    assert_int_equal(beit_params_elements(beit_dvae_params(dvae)), wanted);
    beit_dvae_destroy(dvae);
}

static void test_published_sizes(void **state)
{
    (void)state;
    check_elements(NULL, 20081411);
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.parts = BEIT_DVAE_ENCODER_ONLY;
    check_elements(&config, 7953408);
    config.parts = BEIT_DVAE_DECODER_ONLY;
    check_elements(&config, 7933699 + 4194304);
    config.parts = BEIT_DVAE_BOTH;
    config.layout = BEIT_DVAE_LAYOUT_L;
    config.num_resnet_blocks = 2;
    config.image_height = config.image_width = 128;
    check_elements(&config, 16672259);
    beit_dvae_config_init(&config, sizeof config);
    config.arch = BEIT_DVAE_DALLE;
    config.parts = BEIT_DVAE_DECODER_ONLY;
    check_elements(&config, 43829766); /* the encoder is counted where it is used, test_dvae.c */
}

/* ---- initial values ---- */

typedef struct spread {
    double largest, deviation;
} spread_t;

static spread_t spread_of(const beit_params_t *params, const char *name)
{
    size_t index = 0, count = 1;
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_find(params, name, &index));
    check_ok(beit_params_info(params, index, &info));
    for (int32_t i = 0; i < info.value.ndim; i++)
        count *= (size_t)info.value.shape[i];
    spread_t spread = {0};
    for (size_t i = 0; i < count; i++) {
        const double x = (double)((const float *)info.value.data)[i];
        spread.largest = fmax(spread.largest, fabs(x));
        spread.deviation += x * x / (double)count;
    }
    spread.deviation = sqrt(spread.deviation);
    return spread;
}

/* Uniform: bounded, near the bound somewhere, deviation bound/sqrt(3). `slack` is some four
 * standard errors of a deviation for the number of elements. */
static void check_uniform(const beit_params_t *params, const char *name, double fan_in,
                          double slack)
{
    const spread_t spread = spread_of(params, name);
    const double bound = 1 / sqrt(fan_in);
    assert_true(spread.largest <= bound * (1 + 1e-6));
    check_near(spread.deviation, bound / sqrt(3), slack * bound);
}

static void test_initial_values(void **state)
{
    (void)state;
    beit_dvae_config_t config = small_config(BEIT_DVAE_DISCRETE);
    config.hidden_dim = 32;
    config.codebook_dim = 48;
    config.vocab_size = 64;
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    const beit_params_t *params = beit_dvae_params(dvae);
    check_uniform(params, "encoder.0.0.weight", 3 * 16, 0.03);
    check_uniform(params, "encoder.0.0.bias", 3 * 16, 0.3);
    check_uniform(params, "encoder.1.net.0.weight", 32 * 9, 0.03);
    check_uniform(params, "encoder.6.weight", 32, 0.05);
    check_uniform(params, "decoder.0.0.weight", 32 * 16, 0.03); /* output, not codebook_dim */
    check_uniform(params, "decoder.0.0.bias", 32 * 16, 0.3);
    check_near(spread_of(params, "codebook.weight").deviation, 1, 0.06);
    beit_dvae_destroy(dvae);

    config = small_config(BEIT_DVAE_DALLE);
    config.hidden_dim = 64;
    check_ok(beit_dvae_create(&dvae, NULL, &config));
    params = beit_dvae_params(dvae);
    const char *name = "encoder.blocks.group_1.block_1.res_path.conv_1.w";
    const double deviation = 1 / sqrt(64 * 9);
    check_near(spread_of(params, name).deviation, deviation, 0.04 * deviation);
    assert_true(spread_of(params, name).largest > 2.5 * deviation); /* not uniform */
    check_near(spread_of(params, "encoder.blocks.input.b").largest, 0, 0);
    beit_dvae_destroy(dvae);
}

/* ---- halves ---- */

static void test_halves(void **state)
{
    (void)state;
    static float pixels[3 * 16 * 16], logits[8 * 4];
    int32_t ids[4] = {0};
    const beit_tensor_t x = beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){1, 3, 16, 16});
    const beit_tensor_t z = beit_tensor_make(logits, BEIT_F32, 4, (const int64_t[]){1, 8, 2, 2});
    const beit_tensor_t t = beit_tensor_make(ids, BEIT_I32, 2, (const int64_t[]){1, 4});
    for (int32_t arch = BEIT_DVAE_DISCRETE; arch <= BEIT_DVAE_DALLE; arch++) {
        beit_dvae_config_t config = small_config(arch);
        beit_dvae_t *encoder = NULL, *decoder = NULL;
        config.parts = BEIT_DVAE_ENCODER_ONLY;
        check_ok(beit_dvae_create(&encoder, NULL, &config));
        config.parts = BEIT_DVAE_DECODER_ONLY;
        check_ok(beit_dvae_create(&decoder, NULL, &config));

        check_ok(beit_dvae_tokenize(encoder, &x, NULL, &t));
        check_ok(beit_dvae_encode(encoder, &x, &z));
        check_status(beit_dvae_decode(encoder, &t, &x), BEIT_E_STATE);
        assert_string_equal(beit_last_error(),
                            "dvae: this tokenizer was created without its decoder (parts 1)");
        check_status(beit_dvae_reconstruct(encoder, &x, &x), BEIT_E_STATE);

        check_ok(beit_dvae_decode(decoder, &t, &x));
        check_status(beit_dvae_tokenize(decoder, &x, NULL, &t), BEIT_E_STATE);
        check_status(beit_dvae_encode(decoder, &x, &z), BEIT_E_STATE);
        assert_string_equal(beit_last_error(),
                            "dvae: this tokenizer was created without its encoder (parts 2)");
        check_status(beit_dvae_reconstruct(decoder, &x, &x), BEIT_E_STATE);
        beit_dvae_destroy(encoder);
        beit_dvae_destroy(decoder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_resolved_config),
        cmocka_unit_test(test_tensors),        cmocka_unit_test(test_published_sizes),
        cmocka_unit_test(test_initial_values), cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
