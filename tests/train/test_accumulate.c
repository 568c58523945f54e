/* A batch in pieces - micro-batches of any size, several calls - gives the gradient of the whole,
 * also when pictures have different numbers of masked patches. */
#include "tiny.h"

/* Sums of up to a hundred float32 terms in another order, relative to the largest gradient. */
#define RELATIVE 1e-6

enum { PICTURES = 6 };

/* How a batch is handed over: micro-batch, and pictures per call (the last call takes the rest). */
typedef struct cut {
    int32_t micro_batch;
    int64_t per_call;
} cut_t;

static const cut_t cuts[] = {
    {PICTURES, PICTURES}, {1, PICTURES}, {4, PICTURES}, {2, 1}, {2, 4}, {3, 5}};
#define CUTS (sizeof cuts / sizeof *cuts)

/* ---- masked modeling ---- */

typedef struct mim {
    beit_context_t *ctx;
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *trainer;
} mim_t;

static mim_t mim_create(int32_t micro_batch)
{
    mim_t mim = {.ctx = tiny_context("cblas", 2)};
    mim.model = tiny_model(mim.ctx);
    mim.dvae = tiny_dvae(mim.ctx);
    mim.masker = tiny_masker(mim.ctx);
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.micro_batch = micro_batch;
    check_ok(beit_trainer_create_mim(&mim.trainer, mim.model, mim.dvae, mim.masker, &cfg));
    return mim;
}

static void mim_destroy(mim_t *mim)
{
    beit_trainer_destroy(mim->trainer);
    beit_masker_destroy(mim->masker);
    beit_dvae_destroy(mim->dvae);
    beit_model_destroy(mim->model);
    beit_context_unref(mim->ctx);
}

static beit_status_t accumulate(beit_trainer_t *trainer, const beit_batch_t *batch,
                                int64_t per_call)
{
    for (int64_t first = 0; first < PICTURES; first += per_call) {
        const int64_t left = PICTURES - first;
        const beit_batch_t part = tiny_part(batch, first, left < per_call ? left : per_call);
        const beit_status_t status = beit_trainer_accumulate(trainer, &part);
        if (status != BEIT_OK)
            return status;
    }
    return BEIT_OK;
}

static void check_same_step(beit_trainer_t *whole, beit_trainer_t *pieces)
{
    const double difference =
        tiny_difference(beit_trainer_gradients(whole), beit_trainer_gradients(pieces));
    check_near(difference, 0, RELATIVE);
    beit_step_report_t a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    check_ok(beit_trainer_apply(whole, &a));
    check_ok(beit_trainer_apply(pieces, &b));
    assert_int_equal(a.samples, PICTURES);
    assert_int_equal(b.samples, PICTURES);
    assert_int_equal(a.masked, b.masked);
    check_near(b.loss, a.loss, RELATIVE * a.loss);
    check_near(b.accuracy, a.accuracy, 0);
    check_near(b.grad_norm, a.grad_norm, RELATIVE * a.grad_norm);
    check_near(b.recon_loss, a.recon_loss, RELATIVE * a.recon_loss);
    check_near(b.kl, a.kl, RELATIVE * fabs(a.kl));
    check_near(b.sharpness, a.sharpness, RELATIVE * a.sharpness);
    check_near(b.perplexity, a.perplexity, RELATIVE * a.perplexity);
}

/* Masks from the masker, of 3 to 7 patches; labels from the tokenizer. */
static void pieces_make_the_whole(void **state)
{
    (void)state;
    const beit_batch_t batch = tiny_pictures(PICTURES, 3);
    for (size_t c = 1; c < CUTS; c++) {
        mim_t whole = mim_create(cuts[0].micro_batch), pieces = mim_create(cuts[c].micro_batch);
        check_ok(accumulate(whole.trainer, &batch, cuts[0].per_call));
        check_ok(accumulate(pieces.trainer, &batch, cuts[c].per_call));
        check_same_step(whole.trainer, pieces.trainer);
        mim_destroy(&pieces);
        mim_destroy(&whole);
    }
}

/* From no masked patch at all to all of them. */
static void mask_counts_may_differ_wildly(void **state)
{
    (void)state;
    uint8_t mask[PICTURES][TINY_PATCHES] = {{0}};
    int32_t tokens[PICTURES][TINY_PATCHES];
    static const int counts[PICTURES] = {0, 16, 1, 0, 9, 3};
    for (int i = 0; i < PICTURES; i++)
        for (int n = 0; n < TINY_PATCHES; n++) {
            mask[i][n] = 5 * n % TINY_PATCHES < counts[i];
            tokens[i][n] = mask[i][n] ? (i + n) % TINY_VOCAB : INT32_MIN; /* not looked at */
        }
    const int64_t grid[] = {PICTURES, TINY_GRID, TINY_GRID}; /* this shape is taken as well */
    beit_batch_t batch = tiny_pictures(PICTURES, 4);
    batch.token_pixels.data = NULL;
    batch.mask = beit_tensor_make(mask, BEIT_U8, 3, grid);
    batch.tokens = beit_tensor_make(tokens, BEIT_I32, 3, grid);
    mim_t whole = mim_create(PICTURES), pieces = mim_create(2);
    check_ok(accumulate(whole.trainer, &batch, PICTURES));
    check_ok(accumulate(pieces.trainer, &batch, 3));
    check_same_step(whole.trainer, pieces.trainer);

    const beit_batch_t empty = tiny_part(&batch, 3, 1);
    check_ok(beit_trainer_accumulate(pieces.trainer, &batch));
    check_status(beit_trainer_accumulate(pieces.trainer, &empty), BEIT_E_ARGUMENT);
    check_error_has("no patch of the batch's 1 pictures is masked");
    check_ok(beit_trainer_apply(pieces.trainer, NULL)); /* what came before is still there */
    mim_destroy(&pieces);
    mim_destroy(&whole);
}

/* Keys of pictures are running numbers where the host gives none. */
static void running_keys_are_counted(void **state)
{
    (void)state;
    static const uint64_t keys[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    mim_t given = mim_create(4), counted = mim_create(4);
    beit_batch_t batch = tiny_pictures(PICTURES, 5);
    for (int step = 0; step < 2; step++) {
        batch.sample_ids = keys + step * PICTURES;
        check_ok(beit_trainer_step(given.trainer, &batch, NULL));
        batch.sample_ids = NULL;
        check_ok(accumulate(counted.trainer, &batch, 4));
        check_ok(beit_trainer_apply(counted.trainer, NULL));
    }
    check_near(tiny_difference(beit_model_params(given.model), beit_model_params(counted.model)), 0,
               1e-4); /* other masks would make a difference of 1e-2, the rate of a step */
    mim_destroy(&counted);
    mim_destroy(&given);
}

/* ---- dVAE ---- */

static beit_dvae_t *dvae_create(beit_context_t *ctx, int32_t reduction)
{
    beit_dvae_config_t cfg = tiny_dvae_config();
    cfg.kl_reduction = reduction;
    beit_dvae_t *dvae;
    check_ok(beit_dvae_create(&dvae, ctx, &cfg));
    return dvae;
}

static beit_trainer_t *dvae_trainer(beit_dvae_t *dvae, int32_t micro_batch, float kl, float balance)
{
    beit_trainer_config_t cfg = tiny_trainer_config();
    cfg.micro_batch = micro_batch;
    cfg.kl_weight = kl;
    cfg.balance_weight = balance;
    cfg.sharpness_weight = 0.3f;
    beit_trainer_t *trainer;
    check_ok(beit_trainer_create_dvae(&trainer, dvae, &cfg));
    return trainer;
}

static void dvae_pieces_make_the_whole(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 2);
    const beit_batch_t batch = tiny_pictures(PICTURES, 6);
    for (int32_t reduction = BEIT_KL_UPSTREAM_SUM; reduction <= BEIT_KL_MEAN_PER_IMAGE; reduction++)
        for (size_t c = 1; c < CUTS; c++) {
            if (reduction == BEIT_KL_UPSTREAM_SUM && cuts[c].per_call < PICTURES)
                continue;
            beit_dvae_t *a = dvae_create(ctx, reduction), *b = dvae_create(ctx, reduction);
            beit_trainer_t *whole = dvae_trainer(a, PICTURES, 0.2f, 0);
            beit_trainer_t *pieces = dvae_trainer(b, cuts[c].micro_batch, 0.2f, 0);
            check_ok(accumulate(whole, &batch, PICTURES));
            check_ok(accumulate(pieces, &batch, cuts[c].per_call));
            check_same_step(whole, pieces);
            beit_trainer_destroy(pieces);
            beit_trainer_destroy(whole);
            beit_dvae_destroy(b);
            beit_dvae_destroy(a);
        }
    beit_context_unref(ctx);
}

/* A sum over the whole batch cannot be made of pieces that do not know of each other. */
static void published_kl_needs_one_call(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    beit_dvae_t *dvae = dvae_create(ctx, BEIT_KL_UPSTREAM_SUM);
    const beit_batch_t batch = tiny_pictures(PICTURES, 6);
    beit_trainer_t *trainer = dvae_trainer(dvae, 2, 0.2f, 0);
    check_status(accumulate(trainer, &batch, 3), BEIT_E_UNSUPPORTED);
    check_error_has("one call");
    check_ok(beit_trainer_apply(trainer, NULL)); /* the first call's part */
    beit_trainer_destroy(trainer);
    trainer = dvae_trainer(dvae, 2, 0, 0); /* without the term nothing stands in the way */
    check_ok(accumulate(trainer, &batch, 3));
    check_ok(beit_trainer_apply(trainer, NULL));
    beit_trainer_destroy(trainer);
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

/* The balance term is that of each micro-batch, weighted by its pictures. */
static void balance_is_per_micro_batch(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    beit_dvae_t *dvae = dvae_create(ctx, BEIT_KL_UPSTREAM_SUM);
    const beit_batch_t batch = tiny_pictures(PICTURES, 7);
    const beit_batch_t four = tiny_part(&batch, 0, 4), two = tiny_part(&batch, 4, 2);
    beit_trainer_t *trainer = dvae_trainer(dvae, 4, 0, 0.5f);
    beit_step_report_t all = {.struct_size = sizeof all}, a = all, b = all;
    check_ok(beit_trainer_evaluate(trainer, &batch, &all));
    check_ok(beit_trainer_evaluate(trainer, &four, &a));
    check_ok(beit_trainer_evaluate(trainer, &two, &b));
    check_near(all.balance, (4 * a.balance + 2 * b.balance) / 6, RELATIVE);
    check_near(all.loss, all.recon_loss + 0.5 * all.balance + (double)0.3f * all.sharpness, 1e-9);
    assert_true(fabs(a.balance - b.balance) > 1e-4); /* else nothing was shown */
    beit_trainer_destroy(trainer);
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

static void pictures_of_one_step_have_one_size(void **state)
{
    (void)state;
    beit_context_t *ctx = tiny_context("cblas", 1);
    beit_dvae_t *dvae = tiny_dvae(ctx);
    beit_trainer_t *trainer = dvae_trainer(dvae, 2, 0, 0);
    const beit_batch_t batch = tiny_pictures(2, 8);
    beit_batch_t piece = batch;
    const int64_t shape[] = {2, 3, 8, 16}, odd[] = {2, 3, 6, 16}, larger[] = {2, 3, 32, 32};
    piece.token_pixels = beit_tensor_make(batch.token_pixels.data, BEIT_F32, 4, shape);
    check_ok(beit_trainer_accumulate(trainer, &batch));
    check_status(beit_trainer_accumulate(trainer, &piece), BEIT_E_SHAPE);
    check_error_has("8 x 16 pixels, but this step began with 16 x 16");
    check_ok(beit_trainer_apply(trainer, NULL));
    check_ok(beit_trainer_step(trainer, &piece, NULL)); /* another step, another size */
    piece.token_pixels = beit_tensor_make(batch.pixels.data, BEIT_F32, 4, larger);
    beit_step_report_t report = {.struct_size = sizeof report};
    check_ok(beit_trainer_step(trainer, &piece, &report)); /* also a larger one than was planned */
    piece.token_pixels = beit_tensor_make(batch.token_pixels.data, BEIT_F32, 4, odd);
    check_status(beit_trainer_step(trainer, &piece, NULL), BEIT_E_SHAPE);
    check_error_has("multiples of 4");
    beit_trainer_destroy(trainer);
    beit_dvae_destroy(dvae);
    beit_context_unref(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_the_whole),
        cmocka_unit_test(mask_counts_may_differ_wildly),
        cmocka_unit_test(running_keys_are_counted),
        cmocka_unit_test(dvae_pieces_make_the_whole),
        cmocka_unit_test(published_kl_needs_one_call),
        cmocka_unit_test(balance_is_per_micro_batch),
        cmocka_unit_test(pictures_of_one_step_have_one_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
