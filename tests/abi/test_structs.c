/* The struct_size rule through every public function that takes or fills a struct: a size that is
 * exact, longer with a zero tail, longer with data, too short, zero, absurd. One row per struct;
 * a row's `use` makes a call that succeeds when the struct is as `prepare` leaves it. */
#include "check.h"

#include <beit/backend.h>
#include <beit/beit.h>
#include <stdbool.h>

#include "fixture.h"

#define ROOM 4096u /* what the library accepts at most */
#define TAIL 24u   /* how much longer a newer caller's struct is */

static fixture_t fixture;
static unsigned char rgb[FIXTURE_SIDE * FIXTURE_SIDE * 3];

/* ---- structs that the library reads ---- */

static void prepare_context(void *room)
{
    beit_context_config_t *config = room;
    beit_context_config_init(config, sizeof *config);
    config->threads = 1;
}

static beit_status_t use_context(void *room)
{
    beit_context_t *ctx;
    const beit_status_t status = beit_context_create(&ctx, room);
    beit_context_unref(ctx);
    return status;
}

static beit_status_t use_in_context(const beit_allocator_t *allocator,
                                    const beit_executor_t *executor,
                                    const beit_backend_ops_t *backend)
{
    beit_context_config_t config;
    prepare_context(&config);
    config.allocator = allocator;
    config.executor = executor;
    config.backend = backend;
    return use_context(&config);
}

static void *host_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void host_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)user, (void)size, (void)align;
    free(ptr);
}

static void prepare_allocator(void *room)
{
    const beit_allocator_t allocator = {sizeof allocator, NULL, host_alloc, host_free};
    memcpy(room, &allocator, sizeof allocator);
}

static beit_status_t use_allocator(void *room)
{
    return use_in_context(room, NULL, NULL);
}

static unsigned host_workers(void *user)
{
    (void)user;
    return 1;
}

static beit_status_t host_loop(void *user, size_t n, beit_task_fn fn, void *arg)
{
    (void)user;
    for (size_t i = 0; i < n; i++)
        fn(arg, i, 0);
    return BEIT_OK;
}

static void prepare_executor(void *room)
{
    const beit_executor_t executor = {sizeof executor, NULL, host_workers, host_loop};
    memcpy(room, &executor, sizeof executor);
}

static beit_status_t use_executor(void *room)
{
    return use_in_context(NULL, room, NULL);
}

static void prepare_backend(void *room)
{
    memcpy(room, beit_backend_builtin("reference"), sizeof(beit_backend_ops_t));
}

static beit_status_t use_backend(void *room)
{
    return use_in_context(NULL, NULL, room);
}

static void prepare_model(void *room)
{
    *(beit_model_config_t *)room = fixture_model_config();
}

static beit_status_t use_model(void *room)
{
    beit_model_t *model;
    const beit_status_t status = beit_model_create(&model, fixture.ctx, room);
    beit_model_destroy(model);
    return status;
}

static beit_status_t use_preset(void *room)
{
    return beit_model_config_preset(room, "tiny");
}

static void prepare_dvae(void *room)
{
    *(beit_dvae_config_t *)room = fixture_dvae_config();
}

static beit_status_t use_dvae(void *room)
{
    beit_dvae_t *dvae;
    const beit_status_t status = beit_dvae_create(&dvae, fixture.ctx, room);
    beit_dvae_destroy(dvae);
    return status;
}

static void prepare_masker(void *room)
{
    *(beit_masker_config_t *)room = fixture_masker_config();
}

static beit_status_t use_masker(void *room)
{
    beit_masker_t *masker;
    const beit_status_t status = beit_masker_create(&masker, fixture.ctx, room);
    beit_masker_destroy(masker);
    return status;
}

static void prepare_trainer(void *room)
{
    *(beit_trainer_config_t *)room = fixture_trainer_config();
}

static beit_status_t use_trainer(void *room)
{
    beit_trainer_t *trainer;
    const beit_status_t status =
        beit_trainer_create_mim(&trainer, fixture.model, fixture.dvae, fixture.masker, room);
    beit_trainer_destroy(trainer);
    return status;
}

static beit_status_t use_dvae_trainer(void *room)
{
    beit_trainer_t *trainer;
    const beit_status_t status = beit_trainer_create_dvae(&trainer, fixture.dvae, room);
    beit_trainer_destroy(trainer);
    return status;
}

static void prepare_batch(void *room)
{
    *(beit_batch_t *)room = fixture_batch(1);
}

static beit_status_t use_batch(void *room)
{
    beit_step_report_t report = {.struct_size = sizeof report};
    return beit_trainer_evaluate(fixture.mim, room, &report);
}

static beit_status_t accumulate_batch(void *room)
{
    const beit_status_t status = beit_trainer_accumulate(fixture.mim, room);
    if (status == BEIT_OK)
        check_ok(beit_trainer_apply(fixture.mim, NULL));
    return status;
}

static void prepare_views(void *room)
{
    beit_views_config_t *config = room;
    beit_views_config_init(config, sizeof *config);
    config->pixels_height = config->pixels_width = FIXTURE_SIDE;
    config->tokens_height = config->tokens_width = FIXTURE_TOKEN_SIDE;
}

static beit_status_t use_views_in_draw(void *room)
{
    beit_view_draw_t draw = {.struct_size = sizeof draw};
    return beit_views_draw(room, 1, 2, 3, FIXTURE_SIDE, FIXTURE_SIDE, &draw);
}

static beit_status_t apply_views(const beit_views_config_t *config, const beit_view_draw_t *draw)
{
    static float pixels[3 * FIXTURE_SIDE * FIXTURE_SIDE];
    const beit_tensor_t in =
        beit_tensor_make(rgb, BEIT_U8, 3, (int64_t[]){FIXTURE_SIDE, FIXTURE_SIDE, 3});
    const beit_tensor_t out =
        beit_tensor_make(pixels, BEIT_F32, 3, (int64_t[]){3, FIXTURE_SIDE, FIXTURE_SIDE});
    if (draw)
        return beit_views_apply(fixture.ctx, config, draw, &in, &out, NULL);
    return beit_views_make(fixture.ctx, config, 1, 2, 3, &in, &out, NULL);
}

static beit_status_t use_views_in_make(void *room)
{
    return apply_views(room, NULL);
}

static void prepare_draw(void *room)
{
    beit_views_config_t config;
    prepare_views(&config);
    ((beit_view_draw_t *)room)->struct_size = sizeof(beit_view_draw_t);
    check_ok(beit_views_draw(&config, 1, 2, 3, FIXTURE_SIDE, FIXTURE_SIDE, room));
}

static beit_status_t use_draw(void *room)
{
    beit_views_config_t config;
    prepare_views(&config);
    return apply_views(&config, room);
}

static void prepare_forward(void *room)
{
    beit_forward_options_init(room, sizeof(beit_forward_options_t));
}

static beit_status_t use_forward(void *room)
{
    static uint8_t mask[FIXTURE_BATCH * FIXTURE_PATCHES] = {1};
    static float logits[FIXTURE_VOCAB];
    const beit_batch_t batch = fixture_batch(1);
    const beit_tensor_t mask_view =
        beit_tensor_make(mask, BEIT_U8, 2, (int64_t[]){FIXTURE_BATCH, FIXTURE_PATCHES});
    const beit_tensor_t logits_view =
        beit_tensor_make(logits, BEIT_F32, 2, (int64_t[]){1, FIXTURE_VOCAB});
    return beit_model_forward(fixture.model, &batch.pixels, &mask_view, room, &logits_view);
}

static void prepare_adapt(void *room)
{
    beit_adapt_options_init(room, sizeof(beit_adapt_options_t));
}

static beit_status_t use_adapt(void *room)
{
    return beit_model_adapt(fixture.model, fixture.model, room, NULL);
}

static beit_status_t discard(void *user, const void *src, size_t n)
{
    (void)user, (void)src, (void)n;
    return BEIT_OK;
}

static beit_status_t commit(void *user)
{
    (void)user;
    return BEIT_OK;
}

static void prepare_io(void *room)
{
    const beit_io_t io = {.struct_size = sizeof io, .append = discard, .commit = commit};
    memcpy(room, &io, sizeof io);
}

static beit_status_t use_io(void *room)
{
    return beit_params_save(beit_model_params(fixture.model), "nowhere", room);
}

/* ---- structs that the library fills ---- */

static beit_status_t fill_model(void *room)
{
    return beit_model_config(fixture.model, room);
}
static beit_status_t fill_adapt(void *room)
{
    return beit_model_adapt(fixture.model, fixture.model, NULL, room);
}
static beit_status_t fill_dvae(void *room)
{
    return beit_dvae_config(fixture.dvae, room);
}
static beit_status_t fill_masker(void *room)
{
    return beit_masker_config(fixture.masker, room);
}
static beit_status_t fill_trainer(void *room)
{
    return beit_trainer_config(fixture.mim, room);
}
static beit_status_t fill_param_info(void *room)
{
    return beit_params_info(beit_model_params(fixture.model), 0, room);
}
static beit_status_t fill_memory(void *room)
{
    return beit_trainer_memory(fixture.mim, room);
}
static beit_status_t fill_draw(void *room)
{
    beit_views_config_t config;
    prepare_views(&config);
    return beit_views_draw(&config, 1, 2, 3, FIXTURE_SIDE, FIXTURE_SIDE, room);
}
static beit_status_t fill_usage(void *room)
{
    static const int32_t tokens[] = {0, 1, 1, 2};
    uint64_t histogram[FIXTURE_VOCAB] = {0};
    return beit_token_usage(tokens, 4, FIXTURE_VOCAB, histogram, room);
}
static beit_status_t fill_evaluation(void *room)
{
    const beit_batch_t batch = fixture_batch(1);
    return beit_trainer_evaluate(fixture.mim, &batch, room);
}
static beit_status_t fill_step(void *room)
{
    const beit_batch_t batch = fixture_batch(1);
    return beit_trainer_step(fixture.mim, &batch, room);
}
static beit_status_t fill_apply(void *room)
{
    const beit_batch_t batch = fixture_batch(1);
    check_ok(beit_trainer_accumulate(fixture.mim, &batch));
    const beit_status_t status = beit_trainer_apply(fixture.mim, room);
    if (status != BEIT_OK)
        check_ok(beit_trainer_apply(fixture.mim, NULL)); /* refused, so still there to apply */
    return status;
}

/* ---- the tables ---- */

typedef struct subject {
    const char *name;
    size_t size, oldest; /* now, and in the struct's first release */
    void (*prepare)(void *room);
    beit_status_t (*use)(void *room);
} subject_t;

/* Fields from `since` on came later. */
#define GROWN(type, since)     sizeof(type), offsetof(type, since)
#define FIRST_RELEASE(type)    sizeof(type), sizeof(type)
#define IN(type, prepare, use) #use "(" #type ")", FIRST_RELEASE(type), prepare, use
#define OUT(type, fill)        #fill "(" #type ")", FIRST_RELEASE(type), NULL, fill

static const subject_t inputs[] = {
    {IN(beit_context_config_t, prepare_context, use_context)},
    {IN(beit_allocator_t, prepare_allocator, use_allocator)},
    {IN(beit_executor_t, prepare_executor, use_executor)},
    /* A backend's table may end behind any operation. */
    {"use_backend(beit_backend_ops_t)", sizeof(beit_backend_ops_t),
     offsetof(beit_backend_ops_t, gemm), prepare_backend, use_backend},
    {"use_model", GROWN(beit_model_config_t, num_classes), prepare_model, use_model},
    {"use_preset", GROWN(beit_model_config_t, num_classes), prepare_model, use_preset},
    {IN(beit_dvae_config_t, prepare_dvae, use_dvae)},
    {IN(beit_masker_config_t, prepare_masker, use_masker)},
    {IN(beit_trainer_config_t, prepare_trainer, use_trainer)},
    {IN(beit_trainer_config_t, prepare_trainer, use_dvae_trainer)},
    {IN(beit_batch_t, prepare_batch, use_batch)},
    {IN(beit_batch_t, prepare_batch, accumulate_batch)},
    {IN(beit_views_config_t, prepare_views, use_views_in_draw)},
    {IN(beit_views_config_t, prepare_views, use_views_in_make)},
    {IN(beit_view_draw_t, prepare_draw, use_draw)},
    {IN(beit_forward_options_t, prepare_forward, use_forward)},
    {IN(beit_adapt_options_t, prepare_adapt, use_adapt)},
    {IN(beit_io_t, prepare_io, use_io)},
};

static const subject_t outputs[] = {
    {"fill_model", GROWN(beit_model_config_t, num_classes), NULL, fill_model},
    {OUT(beit_adapt_report_t, fill_adapt)},
    {OUT(beit_dvae_config_t, fill_dvae)},
    {OUT(beit_masker_config_t, fill_masker)},
    {OUT(beit_trainer_config_t, fill_trainer)},
    {OUT(beit_param_info_t, fill_param_info)},
    {OUT(beit_memory_report_t, fill_memory)},
    {OUT(beit_view_draw_t, fill_draw)},
    {OUT(beit_token_usage_t, fill_usage)},
    {OUT(beit_step_report_t, fill_evaluation)},
    {OUT(beit_step_report_t, fill_step)},
    {OUT(beit_step_report_t, fill_apply)},
};

#define INITS(X)                                                                                   \
    X(beit_context_config)                                                                         \
    X(beit_model_config)                                                                           \
    X(beit_forward_options)                                                                        \
    X(beit_adapt_options)                                                                          \
    X(beit_dvae_config)                                                                            \
    X(beit_masker_config)                                                                          \
    X(beit_trainer_config)                                                                         \
    X(beit_batch)                                                                                  \
    X(beit_views_config)

#define INIT_FUNCTION(name)                                                                        \
    static void init_##name(void *room, size_t size)                                               \
    {                                                                                              \
        name##_init(room, size);                                                                   \
    }
INITS(INIT_FUNCTION)

static const struct {
    const char *name;
    size_t size;
    void (*init)(void *room, size_t size);
} inits[] = {
#define INIT_ROW(name) {#name, sizeof(name##_t), init_##name},
    INITS(INIT_ROW)};

/* What a caller may claim: `whole` times the real size plus `add`. */
typedef struct claim {
    const char *name;
    size_t whole, add;
    bool data;            /* a bit is set in the last byte of the tail */
    beit_status_t status; /* of a struct in its first release */
} claim_t;

static const claim_t claims[] = {
    {"exact", 1, 0, false, BEIT_OK},
    {"long, zero tail", 1, TAIL, false, BEIT_OK},
    {"long, data in the tail", 1, TAIL, true, BEIT_E_ABI},
    {"short", 1, -sizeof(size_t), false, BEIT_E_ABI},
    {"no sizeof", 1, -(size_t)1, false, BEIT_E_ABI},
    {"size 0", 0, 0, false, BEIT_E_ABI},
    {"only a size", 0, sizeof(size_t), false, BEIT_E_ABI},
    {"more than a struct can be", 0, ROOM + sizeof(size_t), false, BEIT_E_ABI},
    {"huge", 0, SIZE_MAX, false, BEIT_E_ABI},
};
#define CLAIMS (sizeof claims / sizeof *claims)

/* Zeroed room for any struct, with the size where every struct has it. */
static union room {
    size_t struct_size;
    max_align_t align;
    unsigned char bytes[ROOM + 64];
} room;

static void expect(const subject_t *subject, const claim_t *claim, beit_status_t found,
                   beit_status_t wanted)
{
    if (found != wanted)
        print_error("%s, %s: ", subject->name, claim->name);
    check_status(found, wanted);
}

/* A size that the struct had in an earlier release. */
static bool is_older(const subject_t *subject, size_t size)
{
    return size < subject->size && size >= subject->oldest && size % sizeof size == 0;
}

static void inputs_follow_the_rule(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof inputs / sizeof *inputs; s++)
        for (size_t c = 0; c < CLAIMS; c++) {
            const subject_t *subject = &inputs[s];
            const size_t size = claims[c].whole * subject->size + claims[c].add;
            memset(&room, 0, sizeof room);
            subject->prepare(&room);
            room.struct_size = size;
            if (claims[c].data)
                room.bytes[size - 1] = 1;
            expect(subject, &claims[c], subject->use(&room),
                   is_older(subject, size) ? BEIT_OK : claims[c].status);
        }
}

/* The caller's tail may hold anything; it comes back zero, and nothing behind it is touched. */
static void outputs_follow_the_rule(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof outputs / sizeof *outputs; s++)
        for (size_t c = 0; c < CLAIMS; c++) {
            const size_t size = claims[c].whole * outputs[s].size + claims[c].add;
            const bool fits = claims[c].data || is_older(&outputs[s], size);
            const beit_status_t wanted = fits ? BEIT_OK : claims[c].status;
            memset(&room, 0xEE, sizeof room);
            room.struct_size = size;
            expect(&outputs[s], &claims[c], outputs[s].use(&room), wanted);
            assert_true(room.struct_size == size);
            const size_t written = wanted == BEIT_OK ? size : sizeof room.struct_size;
            for (size_t i = outputs[s].size; i < written; i++)
                assert_int_equal(room.bytes[i], 0);
            for (size_t i = written; i < sizeof room; i++)
                if (room.bytes[i] != 0xEE)
                    fail_msg("%s, %s: byte %zu was written", outputs[s].name, claims[c].name, i);
        }
}

static void inits_write_what_the_caller_has(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof inits / sizeof *inits; s++) {
        const size_t sizes[] = {0,
                                sizeof(size_t) - 1,
                                sizeof(size_t),
                                inits[s].size - 4,
                                inits[s].size,
                                inits[s].size + TAIL};
        for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c++) {
            memset(&room, 0xEE, sizeof room);
            inits[s].init(&room, sizes[c]);
            const size_t written = sizes[c] < sizeof(size_t) ? 0 : sizes[c];
            if (written)
                assert_int_equal(room.struct_size, sizes[c]);
            for (size_t i = inits[s].size; i < written; i++)
                assert_int_equal(room.bytes[i], 0);
            for (size_t i = written; i < sizeof room; i++)
                if (room.bytes[i] != 0xEE)
                    fail_msg("%s, size %zu: byte %zu was written", inits[s].name, sizes[c], i);
        }
        inits[s].init(NULL, inits[s].size);
    }
}

static int create(void **state)
{
    (void)state;
    beit_context_config_t config;
    prepare_context(&config);
    beit_context_t *ctx;
    check_ok(beit_context_create(&ctx, &config));
    const beit_status_t status = fixture_create(&fixture, ctx);
    beit_context_unref(ctx);
    check_ok(status);
    return 0;
}

static int destroy(void **state)
{
    (void)state;
    fixture_destroy(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_follow_the_rule),
        cmocka_unit_test(outputs_follow_the_rule),
        cmocka_unit_test(inits_write_what_the_caller_has),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
