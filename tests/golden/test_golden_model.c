/* Conformance of the model: specification, sections 19.2 (relative index) and 19.5 (tiny
 * masked-modeling model), on every built-in backend. The vectors come from the original code in
 * float64. */
#include "tiny.h"

/* ---- 19.2 ---- */

/* With one head and table[r] = r, the bias is the index. */
static float *relative_index(beit_context_t *ctx, int64_t rows, int64_t cols)
{
    const int64_t tokens = rows * cols + 1, table_rows = (2 * rows - 1) * (2 * cols - 1) + 3;
    float *table = malloc((size_t)table_rows * sizeof *table);
    float *bias = malloc((size_t)(tokens * tokens) * sizeof *bias);
    for (int64_t r = 0; r < table_rows; r++)
        table[r] = (float)r;
    beit__run_t run = {.ctx = ctx};
    check_ok(beit__relpos_forward(
        &run, &(beit_relpos_args_t){
                  .rows = rows, .cols = cols, .heads = 1, .table = table, .bias = bias}));
    free(table);
    return bias;
}

static void check_index(beit_context_t *ctx, int64_t rows, int64_t cols, const int *wanted)
{
    const int64_t tokens = rows * cols + 1;
    float *index = relative_index(ctx, rows, cols);
    for (int64_t i = 0; i < tokens * tokens; i++)
        assert_int_equal((int)index[i], wanted[i]);
    free(index);
}

static void relative_index_on(beit_context_t *ctx)
{
    static const int square[5 * 5] = {11, 9, 9,  9, 9, 10, 4, 3,  1, 0, 10, 5, 4,
                                      2,  1, 10, 7, 6, 4,  3, 10, 8, 7, 5,  4};
    static const int oblong[7 * 7] = {
        17, 15, 15, 15, 15, 15, 15, 16, 7, 6, 5,  2,  1,  0,  16, 8, 7, 6,  3,  2,  1,  16, 9, 8, 7,
        4,  3,  2,  16, 12, 11, 10, 7,  6, 5, 16, 13, 12, 11, 8,  7, 6, 16, 14, 13, 12, 9,  8, 7};
    check_index(ctx, 2, 2, square);
    check_index(ctx, 2, 3, oblong);
    float *index = relative_index(ctx, 14, 14);
    assert_int_equal((int)index[1 * 197 + 1], 364);
    assert_int_equal((int)index[1 * 197 + 2], 363);
    assert_int_equal((int)index[2 * 197 + 1], 365);
    assert_int_equal((int)index[1 * 197 + 196], 0);
    assert_int_equal((int)index[196 * 197 + 1], 728);
    free(index);
}

static void test_relative_index(void **state)
{
    (void)state;
    on_every_backend(relative_index_on);
}

/* ---- 19.5 ---- */

enum { B = 2, SIDE = 32, N = 16, V = 11, M = 13, PIXELS = B * 3 * SIDE * SIDE };

static void make_input(float pixels[PIXELS], uint8_t mask[B * N], int32_t labels[M])
{
    fill_pixels(pixels, PIXELS);
    for (int k = 0; k < B * N; k++)
        mask[k] = 7 * k % 5 < 2;
    for (int j = 0; j < M; j++)
        labels[j] = 3 * j % V;
}

static beit_model_t *make_model(beit_context_t *ctx)
{
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    config.image_height = config.image_width = SIDE;
    config.patch_size = 8;
    config.vocab_size = V;
    config.embed_dim = 16;
    config.depth = config.heads = 2;
    config.drop_path = 0;
    beit_model_t *model = NULL;
    check_ok(beit_model_create(&model, ctx, &config));
    beit_params_t *params = beit_model_params(model);
    assert_int_equal(beit_params_count(params), 39);
    assert_int_equal(beit_params_elements(params), 10035);
    const beit__param_list_t *list = params->list;
    assert_string_equal(list->items[list->by_name[0]].name, "blocks.0.attn.proj.bias");
    assert_string_equal(list->items[list->by_name[38]].name,
                        "rel_pos_bias.relative_position_bias_table");
    fill(params);
    return model;
}

typedef struct gradient {
    const char *name;
    double norm, first, last;
} gradient_t;

static const double total_norm = 3.0132869286;
static const gradient_t gradients[] = {
    {"cls_token", 4.19941929e-06, -1.21331863e-06, 6.46458480e-07},
    {"mask_token", 1.16982333, 0.227896209, -0.368977975},
    {"patch_embed.proj.weight", 5.92203646e-03, -3.50497518e-05, 1.14536409e-04},
    {"patch_embed.proj.bias", 3.97973277e-04, 9.00028167e-05, -1.26138432e-04},
    {"rel_pos_bias.relative_position_bias_table", 8.04998557e-04, -4.33369620e-05, -1.26333971e-10},
    {"blocks.0.attn.qkv.weight", 6.03584821e-02, 1.16314267e-05, 1.41630833e-03},
    {"blocks.0.attn.q_bias", 8.30473076e-04, 3.11308362e-04, 1.53867019e-04},
    {"blocks.0.attn.v_bias", 1.87075209e-02, 3.82961688e-03, -5.15162447e-03},
    {"blocks.0.attn.proj.weight", 0.552440349, -5.64526593e-02, -8.09003761e-03},
    {"blocks.0.gamma_1", 0.315763902, -4.78790409e-02, 3.30829722e-02},
    {"blocks.0.norm1.weight", 3.40244729e-03, 1.43952604e-05, 1.08178003e-04},
    {"blocks.1.mlp.fc1.weight", 0.611804275, -1.60342282e-02, 2.81946694e-05},
    {"blocks.1.mlp.fc2.bias", 0.103839852, 1.12227085e-02, -3.29205400e-02},
    {"blocks.1.gamma_2", 0.843867495, 0.169385295, -2.84339708e-02},
    {"norm.weight", 0.498277306, 9.01553899e-02, 1.50045334e-02},
    {"lm_head.weight", 1.71190472, -0.134481830, 1.14451789e-02},
    {"lm_head.bias", 0.387136598, -0.126041705, -2.93696174e-02},
};

static void check_gradients(const beit_params_t *params)
{
    check_relative(total_gradient_norm(params, M), total_norm);
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++) {
        const gradient_t *wanted = &gradients[i];
        size_t index, count;
        check_ok(beit_params_find(params, wanted->name, &index));
        double *g = read_gradient(params, index, M, &count);
        check_near(sqrt(square_sum(g, count)), wanted->norm, RELATIVE * wanted->norm);
        check_element(g[0], wanted->first, wanted->norm);
        check_element(g[count - 1], wanted->last, wanted->norm);
        free(g);
    }
}

static void tiny_model_on(beit_context_t *ctx)
{
    static float pixels[PIXELS], logits[M * V], all[B * N * V];
    uint8_t mask[B * N];
    int32_t labels[M];
    make_input(pixels, mask, labels);
    beit_model_t *model = make_model(ctx);
    const beit_tensor_t pixel_view =
        beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){B, 3, SIDE, SIDE});
    const beit_tensor_t mask_view = beit_tensor_make(mask, BEIT_U8, 2, (const int64_t[]){B, N});
    const beit_tensor_t logit_view = beit_tensor_make(logits, BEIT_F32, 2, (const int64_t[]){M, V});
    const beit_tensor_t all_view = beit_tensor_make(all, BEIT_F32, 3, (const int64_t[]){B, N, V});

    check_ok(beit_model_forward(model, &pixel_view, &mask_view, NULL, &logit_view));
    static const double first[] = {-0.57314749, -0.34247992, 0.52866255, -1.30352805};
    static const double last[] = {1.26353065, -0.63714860, -0.03625643};
    for (int i = 0; i < 4; i++)
        check_element((double)logits[i], first[i], 1);
    for (int i = 0; i < 3; i++)
        check_element((double)logits[12 * V + 8 + i], last[i], 1);

    double sum = 0;
    check_ok(beit_model_predict(model, &pixel_view, &mask_view, &all_view));
    for (int i = 0; i < B * N * V; i++)
        sum += (double)all[i];
    check_relative(sum, -7.52238965);

    double loss = 0;
    int64_t correct = 0;
    const beit__mim_batch_t batch = {.pixels = pixels,
                                     .mask = mask,
                                     .labels = labels,
                                     .batch = B,
                                     .masked = M,
                                     .training = true,
                                     .backward = true};
    check_ok(beit_model_zero_gradients(model));
    check_ok(beit__model_mim(model, &batch, &loss, &correct));
    check_relative(loss / M, 3.1963140659);
    assert_int_equal(correct, 1);
    check_gradients(beit_model_gradients(model));
    beit_model_destroy(model);
}

static void test_tiny_model(void **state)
{
    (void)state;
    on_every_backend(tiny_model_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relative_index),
        cmocka_unit_test(test_tiny_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
