/* The files that people have, as the originals write them (tests/golden/make_torch_files.py): every
 * one is loaded whole, under our names, with the configuration that it was made with. Each value
 * is a function of our name and of its place, so a tensor that is renamed, joined or gathered
 * wrongly cannot pass. */
#include "io/names.h"

#include <beit/beit.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torch_case.h"

static char path[512];

static const char *file(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", BEIT_TEST_FILES, name);
    return path;
}

/* The same rule as make_torch_files.py's fill(). */
static void check_values(const beit_params_t *params)
{
    assert_true(beit_params_count(params) > 0);
    for (size_t p = 0; p < beit_params_count(params); p++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, p, &info));
        uint32_t seed = 2166136261u;
        for (const char *byte = info.name; *byte; byte++)
            seed = (seed ^ (unsigned char)*byte) * 16777619u;
        const float *values = info.value.data;
        const int64_t count = info.value.shape[0] * info.value.stride[0];
        for (int64_t i = 0; i < count; i++) {
            const int64_t wanted = (seed % 509 + 13 * i) % 509 - 254;
            if (values[i] != (float)wanted / 256 &&
                !(values[i] == 0.5f && strcmp(info.name, "blocks.0.norm1.weight") == 0))
                fail_msg("%s: %s[%lld] is %g, expected %lld/256", path, info.name, (long long)i,
                         (double)values[i], (long long)wanted);
        }
    }
}

/* ---- single names ---- */

static const struct {
    const char *stored, *ours; /* NULL = not known */
    int32_t row;
    bool other;
} model_names[] = {
    {"cls_token", "cls_token", 0, false},
    {"module.model.backbone.layers.11.ln2.bias", "blocks.11.norm2.bias", 0, false},
    {"_orig_mod.blocks.10.mlp.fc1.weight", "blocks.10.mlp.fc1.weight", 0, false},
    {"beit.encoder.layer.3.attention.attention.query.weight", "blocks.3.attn.qkv.weight", 1, false},
    {"beit.encoder.layer.3.attention.attention.key.weight", "blocks.3.attn.qkv.weight", 2, false},
    {"beit.layers.3.attention.v_proj.weight", "blocks.3.attn.qkv.weight", 3, false},
    {"beit.layers.3.attention.v_proj.bias", "blocks.3.attn.v_bias", 0, false},
    {"beit.layers.3.attention.k_proj.bias", NULL, 0, false}, /* keys have none */
    {"blocks.0.attn.qkv.bias", NULL, 0, false},
    {"beit.pooler.layernorm.weight", "fc_norm.weight", 0, false},
    {"backbone.ln1.weight", "norm.weight", 0, false},
    {"head.cls_head.bias", "lm_head.bias", 0, false},
    {"head.scale", NULL, 0, false},
    {"blocks.0.norm1.weights", NULL, 0, false},
    {"blocks.00.norm1.weight", NULL, 0, false},
    {"blocks.99999.norm1.weight", NULL, 0, false},
    {"blocks.x.norm1.weight", NULL, 0, false},
    {"blocks.0", NULL, 0, false},
    {"blocks.0.", NULL, 0, false},
    {"", NULL, 0, false},
    {"target_generator.blocks.input.w", NULL, 0, true},
};

static const struct {
    const char *stored, *ours;
    bool inner;
} dvae_names[] = {
    {"encoder.0.0.weight", "encoder.0.0.weight", false},
    {"module.codebook.weight", "codebook.weight", false},
    {"blocks.group_1.block_2.res_path.conv_3.w", "blocks.group_1.block_2.res_path.conv_3.w", false},
    {"image_codebook.blocks.group_1.group.block_2.res_path.path.conv_3.bias",
     "blocks.group_1.block_2.res_path.conv_3.b", true},
    {"blocks.group_2.group.block_1.id_path.weight", "blocks.group_2.block_1.id_path.w", false},
    {"target_generator.blocks.output.conv.b", "blocks.output.conv.b", true},
};

static void single_names_are_translated(void **state)
{
    (void)state;
    beit__translation_t found;
    for (size_t i = 0; i < sizeof model_names / sizeof *model_names; i++) {
        beit__names_model(model_names[i].stored, &found);
        if (found.known != (model_names[i].ours != NULL))
            fail_msg("%s is %s", model_names[i].stored, found.known ? found.name : "not known");
        assert_int_equal(found.other, model_names[i].other);
        if (found.known)
            assert_string_equal(found.name, model_names[i].ours);
        if (found.known)
            assert_int_equal(found.row, model_names[i].row);
    }
    for (size_t i = 0; i < sizeof dvae_names / sizeof *dvae_names; i++) {
        beit__names_dvae(dvae_names[i].stored, &found);
        assert_true(found.known);
        assert_string_equal(found.name, dvae_names[i].ours);
        assert_int_equal(found.inner, dvae_names[i].inner);
    }
}

/* ---- joining ---- */

#define MATRIX(name, first) "'" name "' " TENSOR("0", first, "#1 #2 =86 ", "#2 #1 =86 ")
#define Q                   MATRIX("layers.0.attention.q_proj.weight", "0")
#define K                   MATRIX("layers.0.attention.k_proj.weight", "1")
#define V                   MATRIX("layers.0.attention.v_proj.weight", "2")

static const struct {
    const char *words, *reason;
} joins[] = {
    {PROTOCOL "} ( " K V Q "u .", NULL},
    {PROTOCOL "} ( " Q V "u .", "not all of query, key and value"},
    {PROTOCOL "} ( " K "u .", "'layers.0.attention.k_proj.weight' is there, but not all"},
    {PROTOCOL "} ( " Q K V MATRIX("blocks.0.attn.qkv.weight", "0") "u .",
     "are both what is 'blocks.0.attn.qkv.weight' here"},
    {PROTOCOL "} ( " Q K V MATRIX("module.layers.0.attention.k_proj.weight", "0") "u .",
     "are both"},
    {PROTOCOL "} ( " MATRIX("blocks.0.norm1.weight", "0") MATRIX("layers.0.ln1.weight", "0") "u .",
     "'blocks.0.norm1.weight' and 'layers.0.ln1.weight' are both"},
    {PROTOCOL "} ( " Q V "'layers.0.attention.k_proj.weight' " W1234 "u .",
     "is not a matrix of the shape of"},
    {PROTOCOL "} ( " Q V "'layers.0.attention.k_proj.weight' @my:Key ) R u .",
     "'layers.0.attention.k_proj.weight' is a placeholder for my.Key"},
};

static void rows_are_joined(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        bytes_t bytes = zip_of(joins[i].words);
        opened_t opened;
        check_ok(open_bytes(&opened, &bytes));
        const beit_status_t status = beit__names_translate(&opened.archive, BEIT__NAMES_MODEL);
        if (status != (joins[i].reason ? BEIT_E_MISMATCH : BEIT_OK) ||
            (joins[i].reason && !strstr(beit_last_error(), joins[i].reason)))
            fail_msg("%s: status %d, \"%s\"", joins[i].words, (int)status, beit_last_error());
        if (!joins[i].reason)
            check_tensor(&opened.archive, "blocks.0.attn.qkv.weight", 6,
                         (float[]){1, 2, 2, 3, 3, 4});
        close_bytes(&opened);
        free_bytes(&bytes);
    }
}

/* ---- transformers ---- */

typedef struct model_file {
    const char *name;
    int32_t height, width, vocab, classes, pooling;
    int32_t shared, own, absolute;
    float eps;
} model_file_t;

static const model_file_t models[] = {
    {"unilm.pth", 6, 6, 5, 0, 0, 1, 0, 0, 1e-6f},
    {"arrangements/weights.pth", 6, 6, 5, 0, 0, 0, 0, 1, 1e-6f},
    {"hf", 6, 6, 5, 0, 0, 1, 0, 0, 3e-6f},
    {"hf/model.safetensors", 6, 6, 5, 0, 0, 1, 0, 0, 3e-6f},
    {"hf-sharded", 6, 6, 5, 0, 0, 1, 0, 0, 3e-6f},
    {"hf-sharded/model.safetensors.index.json", 6, 6, 5, 0, 0, 1, 0, 0, 3e-6f},
    {"hf-wide", 4, 8, 5, 0, 0, 1, 0, 0, 3e-6f},
    {"hf-new-names.pth", 6, 6, 5, 0, 0, 1, 0, 0, 1e-12f},
    {"mmpretrain.pth", 6, 6, 5, 0, 0, 1, 0, 0, 1e-6f},
    {"hf-classifier", 6, 6, 0, 3, BEIT_POOL_MEAN, 0, 1, 0, 3e-6f},
    {"timm-classifier.pth", 6, 6, 0, 3, BEIT_POOL_MEAN, 0, 1, 0, 1e-6f},
    {"unilm-classifier.pth", 6, 6, 0, 3, BEIT_POOL_CLASS, 0, 1, 1, 1e-6f},
};

static void models_are_loaded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const model_file_t *m = &models[i];
        beit_model_t *model;
        check_ok(beit_model_load(&model, NULL, file(m->name), NULL));
        check_values(beit_model_params(model));
        beit_model_config_t cfg = {.struct_size = sizeof cfg};
        check_ok(beit_model_config(model, &cfg));
        assert_int_equal(cfg.image_height, m->height);
        assert_int_equal(cfg.image_width, m->width);
        assert_true(m->vocab == 0 || cfg.vocab_size == m->vocab);
        assert_int_equal(cfg.num_classes, m->classes);
        assert_int_equal(cfg.pooling, m->pooling);
        assert_int_equal(cfg.shared_rel_pos, m->shared);
        assert_int_equal(cfg.rel_pos, m->own);
        assert_int_equal(cfg.abs_pos, m->absolute);
        assert_true(cfg.norm_eps == m->eps);
        assert_int_equal(cfg.depth, 2);
        assert_int_equal(cfg.heads, 2);
        assert_int_equal(cfg.mlp_dim, 8);
        assert_int_equal(cfg.patch_size, 2);
        assert_int_equal(cfg.qkv_bias, 1);
        assert_true(cfg.layer_scale > 0);
        beit_model_destroy(model);
    }
}

/* Hosts that know what they want can read any of them into a model of their own. */
static void parameter_sets_take_any_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        beit_model_t *model, *own;
        check_ok(beit_model_load(&model, NULL, file(models[i].name), NULL));
        beit_model_config_t cfg = {.struct_size = sizeof cfg};
        check_ok(beit_model_config(model, &cfg));
        beit_model_destroy(model);
        check_ok(beit_model_create(&own, NULL, &cfg));
        check_ok(beit_params_load(beit_model_params(own), path, NULL, 0));
        check_values(beit_model_params(own));
        beit_model_destroy(own);
    }
}

/* ---- tokenizers ---- */

typedef struct dvae_file {
    const char *name;
    int32_t arch, layout, side, blocks, parts, norm, loss;
} dvae_file_t;

#define DISCRETE BEIT_DVAE_DISCRETE
#define DALLE    BEIT_DVAE_DALLE
#define U        BEIT_DVAE_LAYOUT_U
#define L        BEIT_DVAE_LAYOUT_L
#define NONE     BEIT_DVAE_NORM_NONE
#define HALVES   BEIT_DVAE_NORM_SYMMETRIC
#define MSE      BEIT_RECON_MSE
#define SMOOTH   BEIT_RECON_SMOOTH_L1

static const dvae_file_t tokenizers[] = {
    {"unilm-dvae.bin", DISCRETE, U, 56, 0, BEIT_DVAE_BOTH, NONE, MSE},
    {"dalle-pytorch.pt", DISCRETE, L, 32, 0, BEIT_DVAE_BOTH, NONE, MSE},
    {"dalle-pytorch-blocks.pt", DISCRETE, L, 32, 2, BEIT_DVAE_BOTH, HALVES, SMOOTH},
    {"encoder.pkl", DALLE, U, 112, 0, BEIT_DVAE_ENCODER_ONLY, NONE, MSE},
    {"decoder.pkl", DALLE, U, 112, 0, BEIT_DVAE_DECODER_ONLY, NONE, MSE},
    {"flava", DALLE, U, 112, 0, BEIT_DVAE_ENCODER_ONLY, NONE, MSE},
    {"mmpretrain.pth", DALLE, U, 112, 0, BEIT_DVAE_ENCODER_ONLY, NONE, MSE},
};

static void tokenizers_are_loaded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
        const dvae_file_t *t = &tokenizers[i];
        beit_dvae_t *dvae;
        check_ok(beit_dvae_load(&dvae, NULL, file(t->name), NULL));
        check_values(beit_dvae_params(dvae));
        beit_dvae_config_t cfg = {.struct_size = sizeof cfg};
        check_ok(beit_dvae_config(dvae, &cfg));
        assert_int_equal(cfg.arch, t->arch);
        assert_int_equal(cfg.layout, t->layout);
        assert_int_equal(cfg.image_height, t->side);
        assert_int_equal(cfg.image_width, t->side);
        assert_int_equal(cfg.num_resnet_blocks, t->blocks);
        assert_int_equal(cfg.parts, t->parts);
        assert_int_equal(cfg.input_norm, t->norm);
        assert_int_equal(cfg.recon_loss, t->loss);
        assert_int_equal(cfg.vocab_size, 7);
        assert_int_equal(cfg.hidden_dim, 4);
        assert_int_equal(cfg.num_layers, t->arch == DALLE ? 3 : 2);
        beit_dvae_destroy(dvae);
    }
}

/* ---- what is refused ---- */

typedef struct wrong {
    const char *name;
    bool tokenizer;
    beit_status_t status;
    const char *reason;
} wrong_t;

static const wrong_t wrongs[] = {
    {"encoder.pkl", false, BEIT_E_MISMATCH, "neither a masked-modeling model nor a classifier"},
    {"unilm.pth", true, BEIT_E_MISMATCH, "neither those of a DiscreteVAE nor"},
    {"hf/config.json", false, BEIT_E_FORMAT, "JSON"},
    {"", false, BEIT_E_IO, "is a directory without model.safetensors"},
    {"absent.pth", false, BEIT_E_IO, "cannot open"},
};

static void other_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const wrong_t *w = &wrongs[i];
        beit_model_t *model = NULL;
        beit_dvae_t *dvae = NULL;
        const beit_status_t status = w->tokenizer
                                         ? beit_dvae_load(&dvae, NULL, file(w->name), NULL)
                                         : beit_model_load(&model, NULL, file(w->name), NULL);
        if (status != w->status || !strstr(beit_last_error(), w->reason))
            fail_msg("%s: status %d, \"%s\"", w->name, (int)status, beit_last_error());
        assert_null(model);
        assert_null(dvae);
    }
}

/* ---- folders ---- */

static char folder[] = "names-test-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *inside(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *stream = fopen(inside(name), "wb");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

/* Copies weights into the folder, with a config.json of its own. */
static void copy_with_config(const char *name, const char *config)
{
    static unsigned char bytes[1 << 16];
    FILE *from = fopen(file(name), "rb"), *to = fopen(inside("weights"), "wb");
    assert_true(from && to);
    const size_t n = fread(bytes, 1, sizeof bytes, from);
    assert_true(n > 0 && n < sizeof bytes && fwrite(bytes, 1, n, to) == n);
    assert_int_equal(fclose(from) | fclose(to), 0);
    if (config)
        write_text("config.json", config);
}

static void remove_copies(void)
{
    unlink(inside("weights"));
    unlink(inside("config.json"));
    unlink(inside("model.safetensors.index.json"));
}

typedef struct configured {
    const char *weights, *config;
    const char *reason; /* NULL: loads */
} configured_t;

static const configured_t configured[] = {
    {"arrangements/weights.pth", NULL, "\"num_attention_heads\""},
    {"arrangements/weights.pth", "{\"model_type\":\"bert\",\"num_attention_heads\":2}",
     "\"num_attention_heads\""},
    {"arrangements/weights.pth", "{\"num_attention_heads\":4}", NULL},
    {"arrangements/weights.pth", "{\"num_attention_heads\":3}", "multiple of 3 x 3 heads"},
    {"arrangements/weights.pth", "{\"num_attention_heads\":2,\"image_size\":8}",
     "'pos_embed' has shape [1,10,4] in the file, [1,17,4] here"},
    {"arrangements/weights.pth", "not JSON", "config.json: line 1"},
    {"arrangements/weights.pth", "[]", "is not a JSON object"},
    {"hf-wide/model.safetensors", NULL, "image_height and image_width"},
    {"hf-wide/model.safetensors", "{\"model_type\":\"beit\",\"image_size\":[8,4]}", NULL},
    {"hf-wide/model.safetensors", "{\"model_type\":\"beit\",\"image_size\":[8,5]}",
     "not acceptable: model config: image_width is 5"},
    {"hf/model.safetensors", "{\"hidden_act\":\"relu\"}", "hidden_act is 'relu'"},
    {"hf/model.safetensors", "{\"layer_norm_eps\":-1}", "norm_eps is -1"},
    {"hf/model.safetensors", "{\"image_size\":1000000000}", "asks for at least"},
};

static void what_cannot_be_told_is_asked_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof configured / sizeof *configured; i++) {
        const configured_t *c = &configured[i];
        copy_with_config(c->weights, c->config);
        beit_model_t *model;
        const beit_status_t status = beit_model_load(&model, NULL, inside("weights"), NULL);
        if (c->reason ? !model && strstr(beit_last_error(), c->reason) : status == BEIT_OK)
            beit_model_destroy(model);
        else
            fail_msg("%s with %s: status %d, \"%s\"", c->weights, c->config ? c->config : "nothing",
                     (int)status, beit_last_error());
        remove_copies();
    }
}

#define INDEX(map) "{\"metadata\":{},\"weight_map\":" map "}"

static const struct {
    const char *index;
    beit_status_t status;
    const char *reason;
} indices[] = {
    {"", BEIT_E_FORMAT, "line 1"},
    {"<!DOCTYPE html>", BEIT_E_FORMAT, "this is an HTML or XML page"},
    {"{}", BEIT_E_FORMAT, "no weight_map"},
    {INDEX("{}"), BEIT_E_FORMAT, "no weight_map"},
    {INDEX("[1]"), BEIT_E_FORMAT, "no weight_map"},
    {INDEX("{\"a\":1}"), BEIT_E_FORMAT, "'a' is said to be in '(no text)'"},
    {INDEX("{\"a\":\"\"}"), BEIT_E_FORMAT, "'a' is said to be in ''"},
    {INDEX("{\"a\":\"../weights\"}"), BEIT_E_FORMAT, "'../weights', expected a file beside it"},
    {INDEX("{\"a\":\"/etc/passwd\"}"), BEIT_E_FORMAT, "expected a file beside it"},
    {INDEX("{\"a\":\"model.safetensors.index.json\"}"), BEIT_E_FORMAT, "a file beside it"},
    {INDEX("{\"a\":\"absent\"}"), BEIT_E_IO, "absent: cannot open"},
    {INDEX("{\"a\":\"weights\"}"), BEIT_E_FORMAT, "'a' is in weights, which does not hold it"},
    {INDEX("{\"lm_head.bias\":\"weights\"}"), BEIT_OK, ""},
};

static void indices_cannot_mislead(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        copy_with_config("hf/model.safetensors", NULL);
        write_text("model.safetensors.index.json", indices[i].index);
        beit_model_t *model;
        const beit_status_t status = beit_model_load(&model, NULL, folder, NULL);
        if (status != indices[i].status ||
            (status != BEIT_OK && !strstr(beit_last_error(), indices[i].reason)))
            fail_msg("%s: status %d, \"%s\"", indices[i].index, (int)status, beit_last_error());
        beit_model_destroy(model);
        remove_copies();
    }
}

/* Shards may be of either format. */
static void shards_of_pytorch_are_read(void **state)
{
    (void)state;
    copy_with_config("hf-new-names.pth", "{\"model_type\":\"beit\",\"layer_norm_eps\":0.25}");
    write_text("pytorch_model.bin.index.json", INDEX("{\"lm_head.bias\":\"weights\"}"));
    beit_model_t *model;
    beit_model_config_t cfg = {.struct_size = sizeof cfg};
    check_ok(beit_model_load(&model, NULL, folder, NULL));
    check_values(beit_model_params(model));
    check_ok(beit_model_config(model, &cfg));
    assert_true(cfg.norm_eps == 0.25f);
    beit_model_destroy(model);
    unlink(inside("pytorch_model.bin.index.json"));
    remove_copies();
}

/* ---- memory ---- */

/* Allocation i fails, for i = 1, 2, ...: nothing is leaked, and the status says why. */
static void memory_may_run_out(void **state)
{
    (void)state;
    static const char *names[] = {"mmpretrain.pth", "hf-sharded", "encoder.pkl"};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        beit_status_t status = BEIT_E_NOMEM;
        for (size_t i = 1; status == BEIT_E_NOMEM; i++) {
            failing_alloc_t memory = {0};
            beit_context_t *ctx;
            check_ok(failing_context(&ctx, &memory, "reference", 1));
            memory.fail_at = memory.requests + i;
            beit_model_t *model = NULL;
            beit_dvae_t *dvae = NULL;
            status = n == 2 ? beit_dvae_load(&dvae, ctx, file(names[n]), NULL)
                            : beit_model_load(&model, ctx, file(names[n]), NULL);
            assert_true((status == BEIT_OK) == (memory.refused == 0));
            beit_model_destroy(model);
            beit_dvae_destroy(dvae);
            beit_context_unref(ctx);
            assert_int_equal(memory.blocks, 0);
            assert_int_equal(memory.mismatches, 0);
        }
        check_ok(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_names_are_translated),
        cmocka_unit_test(rows_are_joined),
        cmocka_unit_test(models_are_loaded),
        cmocka_unit_test(parameter_sets_take_any_names),
        cmocka_unit_test(tokenizers_are_loaded),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(what_cannot_be_told_is_asked_for),
        cmocka_unit_test(indices_cannot_mislead),
        cmocka_unit_test(shards_of_pytorch_are_read),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
