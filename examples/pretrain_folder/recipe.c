/* What "auto" stands for. The small recipe is what was measured to learn from a few hundred
 * pictures in minutes: a high rate, a relative position table that moves ten times faster, absolute
 * positions, no stochastic depth, and a tokenizer whose objective keeps its codes in use. The
 * published recipe is the original's, which takes 10^5 steps and more. */
#include "recipe.h"

#include <math.h>

/* What a size of model decides in the small recipe. */
typedef struct size_recipe {
    int64_t steps, batch, warmup, tokenizer_steps;
    double lr;
    double lr_long; /* above LONG_RUN steps */
    int64_t eval_views;
} size_recipe_t;

static const size_recipe_t by_size[] = {
    [MODEL_NANO] = {500, 8, 50, 1500, 5e-3, 5e-3, 128},
    [MODEL_TINY] = {2000, 8, 80, 5000, 4e-3, 2e-3, 128},
    [MODEL_SMALL] = {4000, 16, 200, 5000, 1e-3, 1e-3, 64},
    [MODEL_BASE] = {6000, 16, 200, 5000, 5e-4, 5e-4, 64},
    [MODEL_LARGE] = {6000, 16, 200, 5000, 3e-4, 3e-4, 64},
};

enum {
    LONG_RUN = 1000,
    WARMUP_SHARE = 6, /* warm-up takes at most 1/6 of a run */
    PUBLISHED_WARMUP_SHARE = 60,
    PUBLISHED_EPOCHS = 300,
    PUBLISHED_TOKENIZER_EPOCHS = 20,
    PUBLISHED_BATCH = 64,
    MANY_EPOCHS = 50, /* from here on stochastic depth pays in the small recipe */
    LARGEST_AUTO_MICRO_BATCH = 8,
    TOKENIZER_WARMUP = 100,
    SMALL_PIECE = 32
};

#define PUBLISHED_CELLS     196.0 /* the 14 x 14 grid for which masks were published */
#define PUBLISHED_MASKED    75.0
#define PUBLISHED_MIN_BLOCK 16.0

static void settle(int64_t *setting, double value)
{
    if (option_is_auto(*setting))
        *setting = value < 1 ? 1 : (int64_t)value;
}

static void settle_real(double *setting, double value)
{
    if (option_is_auto_real(*setting))
        *setting = value;
}

static int64_t steps_of_epochs(int64_t epochs, size_t pictures, int64_t batch)
{
    return (int64_t)ceil((double)epochs * (double)pictures / (double)batch);
}

static outcome_t resolve_size(settings_t *s, bool published)
{
    beit_model_config_t preset;
    beit_model_config_init(&preset, sizeof preset);
    TRY(check(beit_model_config_preset(&preset, settings_model_name(s)), "--model"));
    settle(&s->embed_dim, preset.embed_dim);
    settle(&s->depth, preset.depth);
    settle(&s->heads, preset.heads);
    settle(&s->mlp_dim, 4 * (double)s->embed_dim);
    settle_real(&s->layer_scale, s->model == MODEL_LARGE ? 1e-5 : 0.1);
    if (s->absolute == SWITCH_AUTO)
        s->absolute = published ? SWITCH_OFF : SWITCH_ON;
    if (s->image_size % s->patch_size != 0)
        return fail(OUTCOME_USAGE, "--image-size %lld is no multiple of --patch-size %lld",
                    (long long)s->image_size, (long long)s->patch_size);
    if (s->embed_dim % s->heads != 0)
        return fail(OUTCOME_USAGE, "--embed-dim %lld is no multiple of --heads %lld",
                    (long long)s->embed_dim, (long long)s->heads);
    return OUTCOME_DONE;
}

static outcome_t resolve_training(settings_t *s, bool published, size_t pictures)
{
    const size_recipe_t *size = &by_size[s->model];
    if (!option_is_auto(s->epochs) && !option_is_auto(s->steps))
        return fail(OUTCOME_USAGE, "--steps and --epochs exclude each other; where --steps stands "
                                   "in --config's file, add --steps auto");
    settle(&s->batch_size, published ? PUBLISHED_BATCH : (double)size->batch);
    settle(&s->micro_batch, fmin((double)s->batch_size, LARGEST_AUTO_MICRO_BATCH));
    if (!option_is_auto(s->epochs) || published)
        settle(&s->steps,
               (double)steps_of_epochs(option_is_auto(s->epochs) ? PUBLISHED_EPOCHS : s->epochs,
                                       pictures, s->batch_size));
    settle(&s->steps, (double)size->steps);
    settle_real(&s->lr, published ? 5e-4 : s->steps > LONG_RUN ? size->lr_long : size->lr);
    if (option_is_auto(s->warmup_steps)) {
        const int64_t most = s->steps / WARMUP_SHARE;
        s->warmup_steps = published ? s->steps / PUBLISHED_WARMUP_SHARE : size->warmup;
        s->warmup_steps = s->warmup_steps < most ? s->warmup_steps : most;
    }
    if (s->warmup_steps > s->steps)
        return fail(OUTCOME_USAGE, "--warmup-steps %lld is more than the %lld steps of the run",
                    (long long)s->warmup_steps, (long long)s->steps);
    const double epochs = (double)s->steps * (double)s->batch_size / (double)pictures;
    settle_real(&s->drop_path,
                published || (s->model >= MODEL_SMALL && epochs > MANY_EPOCHS) ? 0.1 : 0);
    settle_real(&s->table_rate, published ? 1 : 10);
    return OUTCOME_DONE;
}

static outcome_t resolve_tokenizer(settings_t *s, const beit_dvae_config_t *tokenizer,
                                   bool published, size_t pictures)
{
    if (tokenizer && !option_is_auto(s->vocab) && s->vocab != tokenizer->vocab_size)
        return fail(OUTCOME_CHECKPOINT, "%s: has %d tokens, but --vocab is %lld", s->tokenizer,
                    tokenizer->vocab_size, (long long)s->vocab);
    if (tokenizer)
        s->tokenizer_stages = tokenizer->num_layers;
    settle(&s->vocab, tokenizer ? tokenizer->vocab_size : published ? 8192 : 512);
    settle(&s->tokenizer_hidden, published ? 256 : 32);
    settle(&s->codebook_dim, published ? 512 : 64);
    settle(&s->tokenizer_steps, published ? (double)steps_of_epochs(PUBLISHED_TOKENIZER_EPOCHS,
                                                                    pictures, s->tokenizer_batch)
                                          : (double)by_size[s->model].tokenizer_steps);
    settle_real(&s->tokenizer_lr, published ? 1e-3 : 3e-3);
    settle_real(&s->tokenizer_clip, published ? 0 : 1);
    if (option_is_auto(s->tokenizer_warmup)) {
        const int64_t most = s->tokenizer_steps / WARMUP_SHARE;
        s->tokenizer_warmup = published ? 0 : most < TOKENIZER_WARMUP ? most : TOKENIZER_WARMUP;
    }
    if (s->tokenizer_warmup > s->tokenizer_steps)
        return fail(OUTCOME_USAGE,
                    "--tokenizer-warmup %lld is more than the %lld steps of that phase",
                    (long long)s->tokenizer_warmup, (long long)s->tokenizer_steps);
    settle_real(&s->balance, published ? 0 : 0.024);
    settle_real(&s->sharpness, published ? 0 : 0.004);
    settle_real(&s->temperature_end, published ? 0.5 : 0.1);
    const int64_t stride = INT64_C(1) << s->tokenizer_stages;
    const int64_t view = recipe_grid(s) * stride;
    if (option_is_auto(s->piece))
        s->piece = published ? 0 : view < SMALL_PIECE ? view : SMALL_PIECE;
    if (s->piece % stride != 0 || s->piece > view)
        return fail(OUTCOME_USAGE,
                    "--piece %lld is no multiple of %lld, one token, up to the view's %lld",
                    (long long)s->piece, (long long)stride, (long long)view);
    return OUTCOME_DONE;
}

static void resolve_masks_and_views(settings_t *s, bool published)
{
    const double cells = recipe_grid(s) * (double)recipe_grid(s);
    settle(&s->mask_patches, rint(cells * PUBLISHED_MASKED / PUBLISHED_CELLS));
    settle(&s->mask_min_block,
           fmin(rint(cells * PUBLISHED_MIN_BLOCK / PUBLISHED_CELLS), (double)s->mask_patches));
    settle_real(&s->min_scale, published ? 0.08 : 0.2);
    settle_real(&s->jitter, published ? 0.4 : 0);
}

outcome_t recipe_resolve(settings_t *s, const beit_dvae_config_t *tokenizer, size_t pictures,
                         unsigned threads)
{
    if (s->recipe == RECIPE_AUTO)
        s->recipe = tokenizer ? RECIPE_PUBLISHED : RECIPE_SMALL;
    const bool published = s->recipe == RECIPE_PUBLISHED;
    TRY(resolve_size(s, published));
    TRY(resolve_training(s, published, pictures));
    TRY(resolve_tokenizer(s, tokenizer, published, pictures));
    resolve_masks_and_views(s, published);
    settle(&s->threads, threads);
    settle(&s->loader_threads, ceil((double)threads / 2));
    settle(&s->eval_views, (double)by_size[s->model].eval_views);
    return OUTCOME_DONE;
}

int32_t recipe_grid(const settings_t *settings)
{
    return (int32_t)(settings->image_size / settings->patch_size);
}
