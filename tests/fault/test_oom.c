/* Allocation i fails, for i = 1, 2, ... until a call succeeds undisturbed, for every call that
 * allocates: the status is BEIT_E_NOMEM, weights and files are as before, the same call then
 * succeeds with the same result, and in the end nothing is leaked. Where JSON is built and written,
 * jansson's allocations, which bypass the context, fail too, but not each one: there are thousands.
 * Its reader (2.14) is not made for that: it asserts, or takes a cut word for a whole one. */
#include "check.h"

#include <beit/backend.h>
#include <beit/beit.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "fixture.h"

static failing_alloc_t memory, json_memory;
static char old_file[64], new_file[64];

/* ---- jansson on top of the same allocator; its frees do not tell the size ---- */

typedef union json_block {
    size_t size;
    max_align_t align;
} json_block_t;

static void *json_request(size_t size)
{
    const beit_allocator_t allocator = failing_alloc(&json_memory);
    const size_t bytes = size + sizeof(json_block_t);
    json_block_t *block = allocator.alloc(&json_memory, bytes, 64);
    if (!block)
        return NULL;
    block->size = bytes;
    return block + 1;
}

static void json_release(void *ptr)
{
    if (!ptr)
        return;
    const beit_allocator_t allocator = failing_alloc(&json_memory);
    json_block_t *block = (json_block_t *)ptr - 1;
    allocator.free(&json_memory, block, block->size, 64);
}

/* ---- results as one number ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t bytes) /* FNV-1a */
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ byte[i]) * 1099511628211u;
    return hash;
}

static uint64_t mix_params(uint64_t hash, const beit_params_t *params)
{
    for (size_t i = 0; i < beit_params_count(params); i++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, i, &info));
        size_t bytes = sizeof(float);
        for (int32_t d = 0; d < info.value.ndim; d++)
            bytes *= (size_t)info.value.shape[d];
        hash = mix(hash, info.value.data, bytes);
    }
    return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path)
{
    unsigned char block[4096];
    FILE *file = fopen(path, "rb");
    if (!file)
        return hash;
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        hash = mix(hash, block, n);
    fclose(file);
    return hash;
}

/* What no failed call may change. */
static uint64_t state_of(const fixture_t *f)
{
    uint64_t hash = mix_params(0, beit_model_params(f->model));
    hash = mix_params(hash, beit_dvae_params(f->dvae));
    const uint64_t steps[] = {beit_trainer_steps(f->mim), beit_trainer_steps(f->dvae_trainer)};
    hash = mix(hash, steps, sizeof steps);
    hash = mix_params(hash, beit_trainer_moments(f->mim, 0));
    hash = mix_params(hash, beit_trainer_moments(f->dvae_trainer, 1));
    return mix_file(mix_file(hash, old_file), new_file);
}

/* ---- the calls; each reports its result as a number ---- */

typedef beit_status_t (*call_fn)(fixture_t *f, uint64_t *result);

#define TRY(expression)                                                                            \
    do {                                                                                           \
        const beit_status_t try_status = (expression);                                             \
        if (try_status != BEIT_OK)                                                                 \
            return try_status;                                                                     \
    } while (0)

/* Output views over one static buffer. */
static float floats[1 << 16];

static beit_tensor_t output(int32_t ndim, const int64_t *shape)
{
    size_t count = 1;
    for (int32_t i = 0; i < ndim; i++)
        count *= (size_t)shape[i];
    assert_true(count <= sizeof floats / sizeof *floats);
    memset(floats, 0, sizeof floats);
    return beit_tensor_make(floats, BEIT_F32, ndim, shape);
}

static beit_tensor_t mask_view(void)
{
    static uint8_t mask[FIXTURE_BATCH][FIXTURE_PATCHES];
    memset(mask, 0, sizeof mask);
    for (int i = 0; i < FIXTURE_BATCH; i++)
        mask[i][i] = mask[i][7] = 1; /* two each */
    return beit_tensor_make(mask, BEIT_U8, 2, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES});
}

static beit_status_t call_reserve(fixture_t *f, uint64_t *result)
{
    *result = 0;
    return beit_model_reserve(f->model, 2 * FIXTURE_BATCH, 1);
}

static beit_status_t call_model_encode(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t features = output(3, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES + 1, 16});
    TRY(beit_model_encode(f->model, &batch.pixels, NULL, BEIT_FEATURES_NORMED, &features));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_predict(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t logits =
        output(3, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES, FIXTURE_VOCAB});
    TRY(beit_model_predict(f->model, &batch.pixels, NULL, &logits));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_forward_backward(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t mask = mask_view();
    const beit_tensor_t logits = output(2, (int64_t[]){2 * FIXTURE_BATCH, FIXTURE_VOCAB});
    TRY(beit_model_forward(f->model, &batch.pixels, &mask, NULL, &logits));
    *result = mix(0, floats, sizeof floats);
    TRY(beit_model_zero_gradients(f->model));
    TRY(beit_model_backward(f->model, &logits));
    *result = mix_params(*result, beit_model_gradients(f->model));
    return BEIT_OK;
}

static beit_status_t call_tokenize(fixture_t *f, uint64_t *result)
{
    static int32_t ids[FIXTURE_BATCH][FIXTURE_PATCHES];
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t mask = mask_view();
    const beit_tensor_t tokens =
        beit_tensor_make(ids, BEIT_I32, 2, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES});
    TRY(beit_dvae_tokenize(f->dvae, &batch.token_pixels, &mask, &tokens));
    *result = mix(0, ids, sizeof ids);
    TRY(beit_dvae_tokenize(f->dvae, &batch.token_pixels, NULL, &tokens));
    *result = mix(*result, ids, sizeof ids);
    return BEIT_OK;
}

static beit_status_t call_dvae_encode(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t logits =
        output(4, (int64_t[]){FIXTURE_BATCH, FIXTURE_VOCAB, FIXTURE_GRID, FIXTURE_GRID});
    TRY(beit_dvae_encode(f->dvae, &batch.token_pixels, &logits));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_decode(fixture_t *f, uint64_t *result)
{
    static int32_t ids[FIXTURE_BATCH][FIXTURE_PATCHES] = {{1, 2, 3}, {4, 5, 6}, {7, 0, 1}};
    const beit_tensor_t tokens =
        beit_tensor_make(ids, BEIT_I32, 2, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES});
    const beit_tensor_t pixels =
        output(4, (int64_t[]){FIXTURE_BATCH, 3, FIXTURE_TOKEN_SIDE, FIXTURE_TOKEN_SIDE});
    TRY(beit_dvae_decode(f->dvae, &tokens, &pixels));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_reconstruct(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t pixels =
        output(4, (int64_t[]){FIXTURE_BATCH, 3, FIXTURE_TOKEN_SIDE, FIXTURE_TOKEN_SIDE});
    TRY(beit_dvae_reconstruct(f->dvae, &batch.token_pixels, &pixels));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_step(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    TRY(beit_trainer_step(f->mim, &batch, NULL));
    *result = mix_params(0, beit_model_params(f->model));
    return BEIT_OK;
}

static beit_status_t call_dvae_step(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    TRY(beit_trainer_step(f->dvae_trainer, &batch, NULL));
    *result = mix_params(0, beit_dvae_params(f->dvae));
    return BEIT_OK;
}

static beit_status_t call_evaluate(fixture_t *f, uint64_t *result)
{
    const beit_batch_t batch = fixture_batch(1);
    beit_step_report_t report = {.struct_size = sizeof report};
    TRY(beit_trainer_evaluate(f->mim, &batch, &report));
    *result = mix(0, &report.loss, sizeof report.loss);
    TRY(beit_trainer_evaluate(f->dvae_trainer, &batch, &report));
    *result = mix(*result, &report.loss, sizeof report.loss);
    return BEIT_OK;
}

static beit_status_t call_set_group(fixture_t *f, uint64_t *result)
{
    *result = 0;
    return beit_trainer_set_group(f->mim, "*relative_position*", 0.5f, 0);
}

static beit_status_t call_params_save(fixture_t *f, uint64_t *result)
{
    TRY(beit_params_save(beit_model_params(f->model), new_file, NULL));
    *result = mix_file(0, new_file);
    return BEIT_OK;
}

static beit_status_t call_params_load(fixture_t *f, uint64_t *result)
{
    TRY(beit_params_load(beit_model_params(f->model), old_file, NULL, BEIT_LOAD_IGNORE_EXTRA));
    *result = mix_params(0, beit_model_params(f->model));
    return BEIT_OK;
}

static beit_status_t call_model_save(fixture_t *f, uint64_t *result)
{
    TRY(beit_model_save(f->model, new_file, NULL));
    *result = mix_file(0, new_file);
    return BEIT_OK;
}

static beit_status_t call_model_load(fixture_t *f, uint64_t *result)
{
    beit_model_t *model = NULL;
    const beit_status_t status = beit_model_load(&model, f->ctx, old_file, NULL);
    assert_true((status == BEIT_OK) == (model != NULL));
    if (model)
        *result = mix_params(0, beit_model_params(model));
    beit_model_destroy(model);
    return status;
}

static beit_status_t call_dvae_save(fixture_t *f, uint64_t *result)
{
    TRY(beit_dvae_save(f->dvae, new_file, NULL));
    *result = mix_file(0, new_file);
    return BEIT_OK;
}

static beit_status_t call_dvae_load(fixture_t *f, uint64_t *result)
{
    beit_dvae_t *dvae = NULL;
    const beit_status_t status = beit_dvae_load(&dvae, f->ctx, old_file, NULL);
    assert_true((status == BEIT_OK) == (dvae != NULL));
    if (dvae)
        *result = mix_params(0, beit_dvae_params(dvae));
    beit_dvae_destroy(dvae);
    return status;
}

static beit_status_t call_trainer_save(fixture_t *f, uint64_t *result)
{
    TRY(beit_trainer_save(f->mim, new_file, NULL));
    *result = mix_file(0, new_file);
    return BEIT_OK;
}

static beit_status_t call_resume(fixture_t *f, uint64_t *result)
{
    TRY(beit_trainer_resume(f->mim, old_file, NULL));
    *result = mix_params(beit_trainer_steps(f->mim), beit_model_params(f->model));
    return BEIT_OK;
}

static beit_status_t call_views(fixture_t *f, uint64_t *result)
{
    static unsigned char rgb[20][30][3];
    for (size_t i = 0; i < sizeof rgb; i++)
        ((unsigned char *)rgb)[i] = (unsigned char)(i * 7);
    beit_views_config_t config;
    beit_views_config_init(&config, sizeof config);
    config.pixels_height = config.pixels_width = FIXTURE_SIDE;
    const beit_tensor_t in = beit_tensor_make(rgb, BEIT_U8, 3, (int64_t[]){20, 30, 3});
    const beit_tensor_t out = output(3, (int64_t[]){3, FIXTURE_SIDE, FIXTURE_SIDE});
    TRY(beit_views_make(f->ctx, &config, 1, 2, 3, &in, &out, NULL));
    *result = mix(0, floats, sizeof floats);
    return BEIT_OK;
}

static beit_status_t call_pyrandom(fixture_t *f, uint64_t *result)
{
    beit_pyrandom_t *rng = NULL;
    TRY(beit_pyrandom_create(&rng, f->ctx, 42));
    *result = beit_pyrandom_next32(rng);
    beit_pyrandom_destroy(rng);
    return BEIT_OK;
}

/* ---- what must be there before a call: files that it reads, or overwrites ---- */

static void nothing(fixture_t *f)
{
    (void)f;
}
static void old_new_file(fixture_t *f)
{
    check_ok(beit_dvae_save(f->dvae, new_file, NULL));
}
static void change_weights(const beit_params_t *params)
{
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_info(params, beit_params_count(params) / 2, &info));
    *(float *)info.value.data += 1;
}
static void saved_model(fixture_t *f)
{
    check_ok(beit_model_save(f->model, old_file, NULL));
    change_weights(beit_model_params(f->model));
}
static void saved_dvae(fixture_t *f)
{
    check_ok(beit_dvae_save(f->dvae, old_file, NULL));
    change_weights(beit_dvae_params(f->dvae));
}
static void saved_trainer(fixture_t *f)
{
    uint64_t weights;
    check_ok(call_step(f, &weights));
    check_ok(beit_trainer_save(f->mim, old_file, NULL));
    change_weights(beit_model_params(f->model));
}

static const struct {
    const char *name;
    void (*prepare)(fixture_t *f);
    call_fn call;
    bool allocates; /* at least once: otherwise the row would prove nothing */
    bool computes;  /* and therefore runs on every backend */
    bool writes;    /* JSON */
} calls[] = {
    {"beit_model_reserve", nothing, call_reserve, true, true, false},
    {"beit_model_encode", nothing, call_model_encode, false, true, false},
    {"beit_model_predict", nothing, call_predict, false, true, false},
    {"beit_model_forward, _backward", nothing, call_forward_backward, false, true, false},
    {"beit_dvae_tokenize", nothing, call_tokenize, false, true, false},
    {"beit_dvae_encode", nothing, call_dvae_encode, false, true, false},
    {"beit_dvae_decode", nothing, call_decode, false, true, false},
    {"beit_dvae_reconstruct", nothing, call_reconstruct, false, true, false},
    {"beit_trainer_step (mim)", nothing, call_step, false, true, false},
    {"beit_trainer_step (dvae)", nothing, call_dvae_step, false, true, false},
    {"beit_trainer_evaluate", nothing, call_evaluate, false, true, false},
    {"beit_trainer_set_group", nothing, call_set_group, false, false, false},
    {"beit_params_save", old_new_file, call_params_save, true, false, true},
    {"beit_params_load", saved_model, call_params_load, true, false, false},
    {"beit_model_save", old_new_file, call_model_save, true, false, true},
    {"beit_model_load", saved_model, call_model_load, true, false, false},
    {"beit_dvae_save", old_new_file, call_dvae_save, true, false, true},
    {"beit_dvae_load", saved_dvae, call_dvae_load, true, false, false},
    {"beit_trainer_save", old_new_file, call_trainer_save, true, false, true},
    {"beit_trainer_resume", saved_trainer, call_resume, true, false, false},
    {"beit_views_make", nothing, call_views, true, false, false},
    {"beit_pyrandom_create", nothing, call_pyrandom, true, false, false},
};

/* ---- the runs ---- */

static void begin(fixture_t *f, const char *backend)
{
    beit_context_t *ctx;
    memory = json_memory = (failing_alloc_t){0};
    check_ok(failing_context(&ctx, &memory, backend, 2));
    check_ok(fixture_create(f, ctx));
    beit_context_unref(ctx);
}

static void end(fixture_t *f)
{
    fixture_destroy(f);
    unlink(old_file);
    unlink(new_file);
    assert_int_equal(memory.blocks + json_memory.blocks, 0);
    assert_int_equal(memory.bytes, 0);
    assert_int_equal(memory.mismatches, 0);
}

/* Failure of request `i` to `failing`, and of all later ones if so wished. Returns false when the
 * call makes fewer requests than i. Jansson does without some memory that it asks for. */
static bool run_failure(size_t call, const char *backend, failing_alloc_t *failing, size_t i,
                        bool all_after, uint64_t wanted)
{
    fixture_t f;
    uint64_t result = 0;
    begin(&f, backend);
    calls[call].prepare(&f);
    const uint64_t before = state_of(&f);
    *failing = (failing_alloc_t){.fail_at = i,
                                 .fail_all_after = all_after,
                                 .blocks = failing->blocks,
                                 .bytes = failing->bytes};
    const beit_status_t status = calls[call].call(&f, &result);
    const bool disturbed = failing->refused > 0;
    failing->fail_at = 0;
    const bool done_without = failing == &json_memory && status == BEIT_OK;
    if (status != (disturbed ? BEIT_E_NOMEM : BEIT_OK) && !done_without)
        fail_msg("%s, %s, allocation %zu: status %d, %s", calls[call].name, backend, i, (int)status,
                 beit_last_error());
    if (status != BEIT_OK) {
        if (state_of(&f) != before)
            fail_msg("%s, %s, allocation %zu: state changed", calls[call].name, backend, i);
        check_ok(calls[call].call(&f, &result));
    }
    if (result != wanted)
        fail_msg("%s, %s, allocation %zu: result differs", calls[call].name, backend, i);
    end(&f);
    return disturbed;
}

static void run_call(size_t call, const char *backend)
{
    static const size_t json_stride = 37;
    fixture_t f;
    uint64_t wanted = 0;
    size_t i = 1;
    begin(&f, backend);
    calls[call].prepare(&f);
    check_ok(calls[call].call(&f, &wanted));
    end(&f);
    while (run_failure(call, backend, &memory, i, false, wanted))
        run_failure(call, backend, &memory, i++, true, wanted);
    assert_true(i > 1 || !calls[call].allocates);
    if (calls[call].writes)
        for (i = 1; run_failure(call, backend, &json_memory, i, i % 2, wanted);)
            i += i < json_stride ? 1 : json_stride;
}

static void run_creation(const char *backend)
{
    size_t i = 1;
    for (;; i++) {
        beit_context_t *ctx = NULL;
        fixture_t f = {0};
        memory = (failing_alloc_t){.fail_at = i};
        json_memory = (failing_alloc_t){0};
        beit_status_t status = failing_context(&ctx, &memory, backend, 2);
        if (status == BEIT_OK)
            status = fixture_create(&f, ctx);
        else
            assert_null(ctx);
        beit_context_unref(ctx);
        const bool disturbed = memory.refused > 0;
        check_status(status, disturbed ? BEIT_E_NOMEM : BEIT_OK);
        if (disturbed)
            assert_non_null(strstr(beit_last_error(), "memory"));
        end(&f);
        if (!disturbed)
            break;
    }
    assert_true(i > 10);
}

static void run_backend(const char *backend)
{
    if (!beit_backend_builtin(backend))
        skip();
    run_creation(backend);
    for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
        if (calls[call].computes || strcmp(backend, "reference") == 0)
            run_call(call, backend);
}

static void reference_backend(void **state)
{
    (void)state;
    run_backend("reference");
}

static void cblas_backend(void **state)
{
    (void)state;
    run_backend("cblas");
}

/* Files that are synced for nothing lie in memory, where that is to be had. */
static void name_files(void)
{
    const char *directory = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : "";
    snprintf(old_file, sizeof old_file, "%soom-old-%ld.safetensors", directory, (long)getpid());
    snprintf(new_file, sizeof new_file, "%soom-new-%ld.safetensors", directory, (long)getpid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_backend),
        cmocka_unit_test(cblas_backend),
    };
    name_files();
    json_set_alloc_funcs(json_request, json_release);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
