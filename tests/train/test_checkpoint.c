/* Files of parameter sets, models, tokenizers and trainers: what is saved comes back, what does not
 * fit is refused by name, and a refusal changes nothing. */
#include <stdbool.h>
#include <stdio.h>

#include "tiny.h"

/* Host storage in memory. */
enum { MOST_BYTES = 1 << 20 };
typedef struct memory {
    unsigned char bytes[MOST_BYTES];
    size_t size;
} memory_t;

static memory_t memory;

static beit_status_t memory_size(void *user, uint64_t *bytes)
{
    *bytes = ((const memory_t *)user)->size;
    return BEIT_OK;
}

static beit_status_t memory_read(void *user, uint64_t offset, void *dst, size_t n)
{
    const memory_t *from = user;
    assert_true(offset + n <= from->size);
    memcpy(dst, from->bytes + offset, n);
    return BEIT_OK;
}

static beit_status_t memory_append(void *user, const void *src, size_t n)
{
    memory_t *to = user;
    assert_true(to->size + n <= sizeof to->bytes);
    memcpy(to->bytes + to->size, src, n);
    to->size += n;
    return BEIT_OK;
}

static beit_status_t memory_commit(void *user)
{
    (void)user;
    return BEIT_OK;
}

static const beit_io_t io = {sizeof io,   &memory,       memory_size,
                             memory_read, memory_append, memory_commit};

static void empty_memory(void)
{
    memory.size = 0;
}

/* Replace `old` by the shorter or equally long `new` everywhere in the header, keeping its length
 * and the data. */
static int edit_header(const char *old, const char *new)
{
    uint64_t length;
    memcpy(&length, memory.bytes, 8);
    assert_true(strlen(new) <= strlen(old));
    char *text = calloc(1, (size_t)length + 1);
    assert_non_null(text);
    memcpy(text, memory.bytes + 8, (size_t)length);
    int edits = 0;
    for (char *at = text; (at = strstr(at, old)); edits++) {
        memmove(at + strlen(new), at + strlen(old), strlen(at + strlen(old)) + 1);
        memcpy(at, new, strlen(new));
        at += strlen(new);
    }
    memset(memory.bytes + 8, ' ', (size_t)length);
    memcpy(memory.bytes + 8, text, strlen(text));
    free(text);
    return edits;
}

static beit_context_t *ctx;

static int open_context(void **state)
{
    (void)state;
    ctx = tiny_context("reference", 1);
    return 0;
}

static int close_context(void **state)
{
    (void)state;
    size_t now, peak;
    beit_context_memory(ctx, &now, &peak);
    beit_context_unref(ctx);
    return 0;
}

/* ---- parameter sets ---- */

static void sets_come_back(void **state)
{
    (void)state;
    const char *path = "checkpoint-test.safetensors";
    beit_model_t *a = tiny_model(ctx), *b;
    const beit_model_config_t cfg = tiny_model_config();
    check_ok(beit_model_create(&b, ctx, &cfg));
    check_ok(beit_params_save(beit_model_params(a), path, NULL));
    check_ok(beit_params_load(beit_model_params(b), path, NULL, 0));
    tiny_check_same(beit_model_params(a), beit_model_params(b));
    assert_int_equal(remove(path), 0);
    beit_model_destroy(b);
    beit_model_destroy(a);
}

/* {"<name>": <dtype and shape>, ...} over zeros. */
static void compose(const char *header, size_t data)
{
    const uint64_t length = strlen(header);
    memory.size = 8 + length + data;
    memset(memory.bytes, 0, memory.size);
    memcpy(memory.bytes, &length, 8);
    memcpy(memory.bytes + 8, header, length);
}

static void names_and_shapes_decide(void **state)
{
    (void)state;
    beit_model_t *model = tiny_model(ctx), *untouched = tiny_model(ctx);
    beit_params_t *params = beit_model_params(model);
    compose("{\"norm.bias\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]}}", 64);
    check_status(beit_params_load(params, NULL, &io, 0), BEIT_E_MISMATCH);
    check_error_has("there is no tensor 'cls_token'");
    tiny_check_same(params, beit_model_params(untouched));
    check_ok(beit_params_load(params, NULL, &io, BEIT_LOAD_PARTIAL));
    assert_true(tiny_value(params, "norm.bias") == 0);
    assert_true(tiny_value(params, "cls_token") != 0);

    compose("{\"norm.bias\":{\"dtype\":\"F32\",\"shape\":[4,4],\"data_offsets\":[0,64]}}", 64);
    check_status(beit_params_load(params, NULL, &io, BEIT_LOAD_PARTIAL), BEIT_E_MISMATCH);
    check_error_has("'norm.bias' has shape [4,4] in the file, [16] here");
    compose("{\"norm.bias\":{\"dtype\":\"I32\",\"shape\":[16],\"data_offsets\":[0,64]}}", 64);
    check_status(beit_params_load(params, NULL, &io, BEIT_LOAD_PARTIAL), BEIT_E_MISMATCH);
    check_error_has("real type");
    compose("{\"norm.bios\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]}}", 64);
    check_status(beit_params_load(params, NULL, &io, BEIT_LOAD_PARTIAL), BEIT_E_MISMATCH);
    check_error_has("nothing here is called 'norm.bios'");
    check_ok(beit_params_load(params, NULL, &io, BEIT_LOAD_PARTIAL | BEIT_LOAD_IGNORE_EXTRA));
    check_status(beit_params_load(params, NULL, &io, 4), BEIT_E_ARGUMENT);
    check_status(beit_params_load(NULL, NULL, &io, 0), BEIT_E_ARGUMENT);
    check_status(beit_params_save(NULL, NULL, &io), BEIT_E_ARGUMENT);
    beit_model_destroy(untouched);
    beit_model_destroy(model);
}

/* Files of the original code hold index buffers, and may hold halves. */
static void buffers_are_passed_over_and_halves_taken(void **state)
{
    (void)state;
    beit_model_t *model = tiny_model(ctx);
    compose("{\"rel_pos_bias.relative_position_index\":"
            "{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[32,64]},"
            "\"norm.weight\":{\"dtype\":\"F16\",\"shape\":[16],\"data_offsets\":[0,32]}}",
            64);
    const uint16_t half = 0x4200; /* 3 */
    memcpy(memory.bytes + memory.size - 64, &half, 2);
    check_ok(beit_params_load(beit_model_params(model), NULL, &io, BEIT_LOAD_PARTIAL));
    assert_true(tiny_value(beit_model_params(model), "norm.weight") == 3);
    beit_model_destroy(model);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    beit_model_t *model = tiny_model(ctx), *untouched = tiny_model(ctx);
    empty_memory();
    check_ok(beit_model_save(model, NULL, &io));
    memory.bytes[memory.size - 100] ^= 0x10;
    check_status(beit_params_load(beit_model_params(model), NULL, &io, 0), BEIT_E_FORMAT);
    check_error_has("damaged");
    tiny_check_same(beit_model_params(model), beit_model_params(untouched));
    beit_model_t *none = model;
    check_status(beit_model_load(&none, ctx, NULL, &io), BEIT_E_FORMAT);
    assert_null(none);
    beit_model_destroy(untouched);
    beit_model_destroy(model);
}

/* ---- models ---- */

static void models_come_back(void **state)
{
    (void)state;
    beit_model_config_t cfg = tiny_model_config(), found = {.struct_size = sizeof found};
    cfg.abs_pos = cfg.rel_pos = 1;
    cfg.drop_path = 0.07f;
    cfg.attn_head_dim = 5;
    cfg.init_seed = UINT64_MAX;
    beit_model_t *model, *back;
    check_ok(beit_model_create(&model, ctx, &cfg));
    empty_memory();
    check_ok(beit_model_save(model, NULL, &io));
    check_ok(beit_model_load(&back, ctx, NULL, &io));
    tiny_check_same(beit_model_params(model), beit_model_params(back));
    check_ok(beit_model_config(model, &cfg));
    check_ok(beit_model_config(back, &found));
    assert_memory_equal(&cfg, &found, sizeof cfg);
    beit_model_destroy(back);
    check_ok(beit_model_load(&back, NULL, NULL, &io)); /* a context of its own */
    beit_model_destroy(back);
    beit_model_destroy(model);
}

static void check_model_refused(const char *old, const char *new, beit_status_t status,
                                const char *reason)
{
    beit_model_t *model = tiny_model(ctx), *back;
    empty_memory();
    check_ok(beit_model_save(model, NULL, &io));
    assert_true(edit_header(old, new) > 0);
    check_status(beit_model_load(&back, ctx, NULL, &io), status);
    check_error_has(reason);
    assert_null(back);
    beit_model_destroy(model);
}

static void impossible_configurations_are_refused(void **state)
{
    (void)state;
    check_model_refused("\\\"depth\\\":2", "\\\"depth\\\":3", BEIT_E_MISMATCH,
                        "there is no tensor");
    check_model_refused("\\\"depth\\\":2", "\\\"depth\\\":0", BEIT_E_FORMAT, "not acceptable");
    check_model_refused("\\\"depth\\\":2", "\\\"depth\\\":x", BEIT_E_FORMAT, "is not JSON");
    check_model_refused("\\\"depth\\\":2,\\\"heads\\\":2", "\\\"heads\\\":\\\"2\\\"", BEIT_E_FORMAT,
                        "'heads'");
    check_model_refused("\\\"init_seed\\\":0,\\\"image_height\\\":32",
                        "\\\"image_height\\\":3200000", BEIT_E_FORMAT, "asks for at least");
    check_model_refused("\\\"mlp_dim\\\"", "\\\"new_dim\\\"", BEIT_E_UNSUPPORTED,
                        "'new_dim' is not known");
    check_model_refused("libbeit.config", "libbeit.confog", BEIT_E_MISMATCH, "beit_params_load");
    check_model_refused("\"model\"", "\"dvae\"", BEIT_E_MISMATCH, "holds a dvae");
}

/* What an older library did not write reads as zero; what a newer one wrote as zero is ignored. */
static void settings_come_and_go_as_zeros(void **state)
{
    (void)state;
    beit_model_t *model = tiny_model(ctx), *back;
    empty_memory();
    check_ok(beit_model_save(model, NULL, &io));
    assert_int_equal(edit_header("\\\"attn_drop_rate\\\"", "\\\"new_flag\\\""), 1);
    check_ok(beit_model_load(&back, ctx, NULL, &io));
    tiny_check_same(beit_model_params(model), beit_model_params(back));
    beit_model_destroy(back);
    beit_model_destroy(model);
}

/* ---- tokenizers ---- */

static void check_same_dvae(beit_dvae_t *a, beit_dvae_t *b, bool with_seed)
{
    beit_dvae_config_t x = {.struct_size = sizeof x}, y = x;
    check_ok(beit_dvae_config(a, &x));
    check_ok(beit_dvae_config(b, &y));
    if (!with_seed)
        x.init_seed = y.init_seed;
    assert_memory_equal(&x, &y, sizeof x);
    tiny_check_same(beit_dvae_params(a), beit_dvae_params(b));
}

static beit_dvae_config_t small_dalle(int32_t parts)
{
    beit_dvae_config_t cfg;
    beit_dvae_config_init(&cfg, sizeof cfg);
    cfg.arch = BEIT_DVAE_DALLE;
    cfg.vocab_size = 24;
    cfg.hidden_dim = 8;
    cfg.decoder_init = 4;
    cfg.blocks_per_group = 1;
    cfg.parts = parts;
    return cfg;
}

static beit_dvae_config_t small_discrete(int32_t layout, int32_t layers, int32_t blocks)
{
    beit_dvae_config_t cfg;
    beit_dvae_config_init(&cfg, sizeof cfg);
    cfg.layout = layout;
    cfg.num_layers = layers;
    cfg.num_resnet_blocks = blocks;
    cfg.image_height = cfg.image_width = 14 << layers; /* what inference assumes */
    cfg.vocab_size = 24;
    cfg.codebook_dim = 6;
    cfg.hidden_dim = 8;
    return cfg;
}

/* With the configuration in the file, and without it, told from names and shapes. */
static void check_dvae_round_trip(beit_dvae_config_t cfg)
{
    cfg.init_seed = 5;
    beit_dvae_t *dvae, *back;
    check_ok(beit_dvae_create(&dvae, ctx, &cfg));
    empty_memory();
    check_ok(beit_dvae_save(dvae, NULL, &io));
    check_ok(beit_dvae_load(&back, ctx, NULL, &io));
    check_same_dvae(dvae, back, true);
    beit_dvae_destroy(back);

    empty_memory();
    check_ok(beit_params_save(beit_dvae_params(dvae), NULL, &io));
    check_ok(beit_dvae_load(&back, ctx, NULL, &io));
    check_same_dvae(dvae, back, false);
    beit_dvae_destroy(back);
    beit_dvae_destroy(dvae);
}

static void tokenizers_come_back_and_are_inferred(void **state)
{
    (void)state;
    for (int32_t layers = 1; layers <= 4; layers++) {
        check_dvae_round_trip(small_discrete(BEIT_DVAE_LAYOUT_U, layers, 0));
        for (int32_t blocks = 0; blocks <= 2; blocks++)
            check_dvae_round_trip(small_discrete(BEIT_DVAE_LAYOUT_L, layers, blocks));
    }
    beit_dvae_config_t rgba = small_discrete(BEIT_DVAE_LAYOUT_L, 3, 2);
    rgba.channels = 4;
    check_dvae_round_trip(rgba);
    check_dvae_round_trip(small_dalle(BEIT_DVAE_BOTH));
}

/* OpenAI's files hold one half each, without our prefix. */
static void openai_halves_are_recognised(void **state)
{
    (void)state;
    static const char *prefixes[] = {NULL, "\"encoder.", "\"decoder."};
    for (int32_t parts = BEIT_DVAE_ENCODER_ONLY; parts <= BEIT_DVAE_DECODER_ONLY; parts++) {
        beit_dvae_config_t cfg = small_dalle(parts);
        cfg.blocks_per_group = 2;
        beit_dvae_t *dvae, *back;
        check_ok(beit_dvae_create(&dvae, ctx, &cfg));
        empty_memory();
        check_ok(beit_params_save(beit_dvae_params(dvae), NULL, &io));
        assert_true(edit_header(prefixes[parts], "\"") > 20);
        check_ok(beit_dvae_load(&back, ctx, NULL, &io));
        tiny_check_same(beit_dvae_params(dvae), beit_dvae_params(back));
        beit_dvae_config_t found = {.struct_size = sizeof found};
        check_ok(beit_dvae_config(back, &found));
        assert_int_equal(found.parts, parts);
        assert_int_equal(found.blocks_per_group, 2);
        assert_int_equal(found.hidden_dim, 8);
        assert_int_equal(found.vocab_size, 24);
        beit_dvae_destroy(back);
        beit_dvae_destroy(dvae);
    }
}

static void other_weights_are_no_tokenizer(void **state)
{
    (void)state;
    beit_model_t *model = tiny_model(ctx);
    beit_dvae_t *dvae;
    empty_memory();
    check_ok(beit_params_save(beit_model_params(model), NULL, &io));
    check_status(beit_dvae_load(&dvae, ctx, NULL, &io), BEIT_E_MISMATCH);
    check_error_has("neither those of a DiscreteVAE nor");
    assert_null(dvae);
    empty_memory();
    check_ok(beit_model_save(model, NULL, &io));
    check_status(beit_dvae_load(&dvae, ctx, NULL, &io), BEIT_E_MISMATCH);
    check_error_has("holds a model, not a dvae");
    beit_model_destroy(model);
}

/* ---- trainers ---- */

typedef struct mim {
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *trainer;
} mim_t;

static mim_t mim_create(const beit_trainer_config_t *cfg)
{
    mim_t mim = {tiny_model(ctx), tiny_dvae(ctx), tiny_masker(ctx), NULL};
    check_ok(beit_trainer_create_mim(&mim.trainer, mim.model, mim.dvae, mim.masker, cfg));
    return mim;
}

static void mim_destroy(mim_t *mim)
{
    beit_trainer_destroy(mim->trainer);
    beit_masker_destroy(mim->masker);
    beit_dvae_destroy(mim->dvae);
    beit_model_destroy(mim->model);
}

static void save_one_step(void)
{
    const beit_trainer_config_t cfg = tiny_trainer_config();
    const beit_batch_t batch = tiny_pictures(2, 1);
    mim_t mim = mim_create(&cfg);
    check_ok(beit_trainer_step(mim.trainer, &batch, NULL));
    empty_memory();
    check_ok(beit_trainer_save(mim.trainer, NULL, &io));
    mim_destroy(&mim);
}

static void check_resume_refused(mim_t *mim, beit_status_t status, const char *reason)
{
    mim_t fresh = mim_create(NULL);
    check_status(beit_trainer_resume(mim->trainer, NULL, &io), status);
    check_error_has(reason);
    assert_int_equal(beit_trainer_steps(mim->trainer), 0);
    tiny_check_same(beit_model_params(mim->model), beit_model_params(fresh.model));
    mim_destroy(&fresh);
}

static void other_runs_are_not_continued(void **state)
{
    (void)state;
    save_one_step();
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.lr = 0.02f;
    mim_t mim = mim_create(&cfg);
    check_resume_refused(&mim, BEIT_E_MISMATCH, "the trainer's lr is 0.01 in the file, 0.02 here");
    mim_destroy(&mim);

    cfg = tiny_trainer_config();
    mim = mim_create(&cfg);
    beit_trainer_destroy(mim.trainer);
    check_ok(beit_trainer_create_mim(&mim.trainer, mim.model, mim.dvae, NULL, &cfg));
    check_resume_refused(&mim, BEIT_E_MISMATCH, "saved with a masker");
    mim_destroy(&mim);

    mim = mim_create(&cfg);
    tiny_fill(beit_dvae_params(mim.dvae));
    check_resume_refused(&mim, BEIT_E_MISMATCH, "the tokenizer has other weights");
    mim_destroy(&mim);

    mim = mim_create(&cfg);
    assert_true(edit_header("\\\"step\\\":1", "\\\"stop\\\":1") == 1);
    check_resume_refused(&mim, BEIT_E_FORMAT, "incomplete");
    empty_memory();
    check_ok(beit_model_save(mim.model, NULL, &io));
    check_resume_refused(&mim, BEIT_E_MISMATCH, "holds a model, not a trainer");
    empty_memory();
    check_ok(beit_params_save(beit_trainer_gradients(mim.trainer), NULL, &io));
    assert_true(edit_header("libbeit.kind", "libbeit.kund") == 1);
    check_resume_refused(&mim, BEIT_E_MISMATCH, "holds a set of weights");
    mim_destroy(&mim);
}

static void damaged_runs_are_not_continued(void **state)
{
    (void)state;
    save_one_step();
    const beit_trainer_config_t cfg = tiny_trainer_config();
    mim_t mim = mim_create(&cfg);
    memory.bytes[memory.size / 2] ^= 1;
    check_resume_refused(&mim, BEIT_E_FORMAT, "damaged");
    memory.bytes[memory.size / 2] ^= 1;
    memory.size--;
    check_resume_refused(&mim, BEIT_E_FORMAT, "truncated");
    mim_destroy(&mim);
}

static void half_a_step_is_not_saved(void **state)
{
    (void)state;
    const beit_trainer_config_t cfg = tiny_trainer_config();
    const beit_batch_t batch = tiny_pictures(2, 1);
    mim_t mim = mim_create(&cfg);
    check_ok(beit_trainer_accumulate(mim.trainer, &batch));
    empty_memory();
    check_status(beit_trainer_save(mim.trainer, NULL, &io), BEIT_E_STATE);
    assert_int_equal(memory.size, 0);
    check_ok(beit_trainer_apply(mim.trainer, NULL));
    check_ok(beit_trainer_save(mim.trainer, NULL, &io));
    mim_destroy(&mim);
}

/* A model's weights can be taken out of a trainer's file. */
static void trainer_files_hold_weights(void **state)
{
    (void)state;
    save_one_step();
    beit_model_t *model = tiny_model(ctx);
    check_status(beit_params_load(beit_model_params(model), NULL, &io, 0), BEIT_E_MISMATCH);
    check_error_has("exp_avg");
    const float before = tiny_value(beit_model_params(model), "lm_head.bias");
    check_ok(beit_params_load(beit_model_params(model), NULL, &io, BEIT_LOAD_IGNORE_EXTRA));
    assert_true(tiny_value(beit_model_params(model), "lm_head.bias") != before);
    beit_model_destroy(model);
}

static char warning[512];

static void keep_warning(void *user, beit_log_level_t level, const char *line)
{
    (void)user;
    if (level == BEIT_LOG_WARN)
        (void)snprintf(warning, sizeof warning, "%s", line);
}

/* Another setting is allowed, but told. */
static void other_machines_are_told(void **state)
{
    (void)state;
    save_one_step();
    beit_context_config_t cfg;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = beit_backend_builtin("reference");
    cfg.threads = 2;
    cfg.log = keep_warning;
    beit_context_t *usual = ctx;
    check_ok(beit_context_create(&ctx, &cfg));
    const beit_trainer_config_t trainer = tiny_trainer_config();
    mim_t mim = mim_create(&trainer);
    check_ok(beit_trainer_resume(mim.trainer, NULL, &io));
    assert_non_null(strstr(warning, "resumed on"));
    mim_destroy(&mim);
    beit_context_unref(ctx);
    ctx = usual;
    warning[0] = '\0';
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_come_back),
        cmocka_unit_test(names_and_shapes_decide),
        cmocka_unit_test(buffers_are_passed_over_and_halves_taken),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(models_come_back),
        cmocka_unit_test(impossible_configurations_are_refused),
        cmocka_unit_test(settings_come_and_go_as_zeros),
        cmocka_unit_test(tokenizers_come_back_and_are_inferred),
        cmocka_unit_test(openai_halves_are_recognised),
        cmocka_unit_test(other_weights_are_no_tokenizer),
        cmocka_unit_test(other_runs_are_not_continued),
        cmocka_unit_test(damaged_runs_are_not_continued),
        cmocka_unit_test(half_a_step_is_not_saved),
        cmocka_unit_test(trainer_files_hold_weights),
        cmocka_unit_test(other_machines_are_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
