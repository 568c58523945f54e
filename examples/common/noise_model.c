/* What is "random" here comes from small congruences: the examples print the same everywhere. */
#include "common/noise_model.h"

static float pixels[NOISE_BATCH * 3 * NOISE_SIDE * NOISE_SIDE];
static int32_t tokens[NOISE_BATCH * NOISE_PATCHES];
static uint8_t mask[NOISE_BATCH * NOISE_PATCHES];

beit_status_t noise_model_create(beit_model_t **model, beit_context_t *ctx)
{
    beit_model_config_t cfg;
    beit_model_config_init(&cfg, sizeof cfg);
    cfg.image_height = cfg.image_width = NOISE_SIDE;
    cfg.patch_size = NOISE_SIDE / NOISE_GRID;
    cfg.vocab_size = NOISE_VOCAB;
    cfg.embed_dim = 32;
    cfg.depth = cfg.heads = 2;
    return beit_model_create(model, ctx, &cfg);
}

void noise_batch(beit_batch_t *batch)
{
    const int64_t shape[] = {NOISE_BATCH, 3, NOISE_SIDE, NOISE_SIDE};
    const int64_t flat[] = {NOISE_BATCH, NOISE_PATCHES};
    for (int i = 0; i < NOISE_BATCH * 3 * NOISE_SIDE * NOISE_SIDE; i++)
        pixels[i] = (float)(i * 7919 % 200) / 100 - 1;
    for (int i = 0; i < NOISE_BATCH * NOISE_PATCHES; i++) {
        tokens[i] = i * 31 % NOISE_VOCAB;
        mask[i] = i * 5 % 7 < 3;
    }
    beit_batch_init(batch, sizeof *batch);
    batch->pixels = beit_tensor_make(pixels, BEIT_F32, 4, shape);
    batch->tokens = beit_tensor_make(tokens, BEIT_I32, 2, flat);
    batch->mask = beit_tensor_make(mask, BEIT_U8, 2, flat);
}

beit_status_t noise_train(beit_context_t *ctx, int steps, double *loss)
{
    beit_model_t *model = NULL;
    beit_trainer_t *trainer = NULL;
    beit_trainer_config_t recipe;
    beit_step_report_t report = {.struct_size = sizeof report};
    beit_batch_t batch;
    beit_trainer_config_init(&recipe, sizeof recipe);
    recipe.total_steps = (uint64_t)steps;
    recipe.warmup_steps = 0;
    recipe.lr = 3e-3f;
    noise_batch(&batch);
    beit_status_t status = noise_model_create(&model, ctx);
    if (!status)
        status = beit_trainer_create_mim(&trainer, model, NULL, NULL, &recipe);
    for (int i = 0; i < steps && !status; i++)
        status = beit_trainer_step(trainer, &batch, &report);
    *loss = report.loss;
    beit_trainer_destroy(trainer);
    beit_model_destroy(model);
    return status;
}
