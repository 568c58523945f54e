/* Sizes are as small as the options allow, so that a test may run hundreds of whole lives. */
#include "fixture.h"

#include <math.h>
#include <string.h>

beit_model_config_t fixture_model_config(void)
{
    beit_model_config_t cfg;
    beit_model_config_init(&cfg, sizeof cfg);
    cfg.image_height = cfg.image_width = FIXTURE_SIDE;
    cfg.patch_size = FIXTURE_SIDE / FIXTURE_GRID;
    cfg.vocab_size = FIXTURE_VOCAB;
    cfg.embed_dim = 16;
    cfg.depth = 2;
    cfg.heads = 2;
    cfg.shared_rel_pos = cfg.rel_pos = cfg.abs_pos = 1;
    cfg.drop_path = cfg.drop_rate = cfg.attn_drop_rate = 0.1f;
    return cfg;
}

beit_dvae_config_t fixture_dvae_config(void)
{
    beit_dvae_config_t cfg;
    beit_dvae_config_init(&cfg, sizeof cfg);
    cfg.image_height = cfg.image_width = FIXTURE_TOKEN_SIDE;
    cfg.vocab_size = FIXTURE_VOCAB;
    cfg.codebook_dim = cfg.hidden_dim = 8;
    cfg.num_layers = 2;
    return cfg;
}

beit_masker_config_t fixture_masker_config(void)
{
    beit_masker_config_t cfg;
    beit_masker_config_init(&cfg, sizeof cfg);
    cfg.rows = cfg.cols = FIXTURE_GRID;
    cfg.target = 7;
    cfg.min_block = 2;
    return cfg;
}

beit_trainer_config_t fixture_trainer_config(void)
{
    beit_trainer_config_t cfg;
    beit_trainer_config_init(&cfg, sizeof cfg);
    cfg.total_steps = 100;
    cfg.warmup_steps = 10;
    cfg.micro_batch = FIXTURE_MICRO_BATCH;
    cfg.kl_weight = cfg.balance_weight = cfg.sharpness_weight = 0.01f;
    return cfg;
}

/* A plane wave whose direction depends on picture and channel, and a little hashed noise. */
static void paint(float *pixels, int64_t side, unsigned seed)
{
    unsigned noise = seed * 2654435761u + 1;
    for (int64_t image = 0; image < FIXTURE_BATCH; image++)
        for (int64_t channel = 0; channel < 3; channel++)
            for (int64_t y = 0; y < side; y++)
                for (int64_t x = 0; x < side; x++) {
                    noise = noise * 1664525u + 1013904223u;
                    const double phase =
                        (double)(x * (image + 1) + y * (channel + 1)) / (double)side;
                    *pixels++ = (float)(sin(6 * phase + seed) + 0.1 * ((noise >> 16) / 65536.0));
                }
}

beit_batch_t fixture_batch(unsigned seed)
{
    static float pixels[FIXTURE_BATCH * 3 * FIXTURE_SIDE * FIXTURE_SIDE];
    static float token_pixels[FIXTURE_BATCH * 3 * FIXTURE_TOKEN_SIDE * FIXTURE_TOKEN_SIDE];
    static const int64_t shape[] = {FIXTURE_BATCH, 3, FIXTURE_SIDE, FIXTURE_SIDE};
    static const int64_t token_shape[] = {FIXTURE_BATCH, 3, FIXTURE_TOKEN_SIDE, FIXTURE_TOKEN_SIDE};
    paint(pixels, FIXTURE_SIDE, seed);
    paint(token_pixels, FIXTURE_TOKEN_SIDE, seed);
    beit_batch_t batch;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = beit_tensor_make(pixels, BEIT_F32, 4, shape);
    batch.token_pixels = beit_tensor_make(token_pixels, BEIT_F32, 4, token_shape);
    return batch;
}

#define TRY(expression)                                                                            \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != BEIT_OK)                                                                     \
            goto fail;                                                                             \
    } while (0)

beit_status_t fixture_create(fixture_t *fixture, beit_context_t *ctx)
{
    const beit_model_config_t model = fixture_model_config();
    const beit_dvae_config_t dvae = fixture_dvae_config();
    const beit_masker_config_t masker = fixture_masker_config();
    const beit_trainer_config_t trainer = fixture_trainer_config();
    beit_status_t status;
    memset(fixture, 0, sizeof *fixture);
    fixture->ctx = beit_context_ref(ctx);
    TRY(beit_model_create(&fixture->model, ctx, &model));
    TRY(beit_dvae_create(&fixture->dvae, ctx, &dvae));
    TRY(beit_masker_create(&fixture->masker, ctx, &masker));
    TRY(beit_trainer_create_mim(&fixture->mim, fixture->model, fixture->dvae, fixture->masker,
                                &trainer));
    TRY(beit_trainer_create_dvae(&fixture->dvae_trainer, fixture->dvae, &trainer));
    return BEIT_OK;
fail:
    fixture_destroy(fixture);
    return status;
}

void fixture_destroy(fixture_t *fixture)
{
    beit_trainer_destroy(fixture->dvae_trainer);
    beit_trainer_destroy(fixture->mim);
    beit_masker_destroy(fixture->masker);
    beit_dvae_destroy(fixture->dvae);
    beit_model_destroy(fixture->model);
    beit_context_unref(fixture->ctx);
    memset(fixture, 0, sizeof *fixture);
}
