/* The least that trains: a context, a model, a masker, a trainer, and steps on noise that must
 * learn one batch by heart. Prints the loss before and after. */
#include <beit/beit.h>
#include <stdio.h>

enum { B = 4, SIDE = 32, GRID = 4, N = GRID * GRID, VOCAB = 16, STEPS = 60 };

static float pixels[B * 3 * SIDE * SIDE];
static int32_t tokens[B * N];

int main(void)
{
    beit_context_t *ctx = NULL;
    beit_model_t *model = NULL;
    beit_masker_t *masker = NULL;
    beit_trainer_t *trainer = NULL;
    beit_model_config_t size;
    beit_masker_config_t masks;
    beit_trainer_config_t recipe;
    beit_batch_t batch;
    beit_step_report_t first = {.struct_size = sizeof first}, last = first;
    const int64_t picture_shape[] = {B, 3, SIDE, SIDE}, token_shape[] = {B, N};

    beit_model_config_init(&size, sizeof size);
    size.image_height = size.image_width = SIDE;
    size.patch_size = SIDE / GRID;
    size.vocab_size = VOCAB;
    size.embed_dim = 32;
    size.depth = size.heads = 2;
    beit_masker_config_init(&masks, sizeof masks);
    masks.rows = masks.cols = GRID;
    masks.target = masks.min_block = 4;
    beit_trainer_config_init(&recipe, sizeof recipe);
    recipe.total_steps = STEPS; /* the schedule's length */
    recipe.warmup_steps = 0;
    recipe.lr = 1e-2f;
    for (int b = 0; b < B; b++) /* decoded pictures in a real program */
        for (int i = 0; i < 3 * SIDE * SIDE; i++)
            pixels[b * 3 * SIDE * SIDE + i] = (float)b / 2 - 1;
    for (int i = 0; i < B * N; i++) /* a tokenizer's in a real program */
        tokens[i] = i / N;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = beit_tensor_make(pixels, BEIT_F32, 4, picture_shape);
    batch.tokens = beit_tensor_make(tokens, BEIT_I32, 2, token_shape);

    beit_status_t status = beit_context_create(&ctx, NULL);
    if (!status && !(status = beit_model_create(&model, ctx, &size)) &&
        !(status = beit_masker_create(&masker, ctx, &masks)))
        status = beit_trainer_create_mim(&trainer, model, NULL, masker, &recipe);
    for (int i = 0; i < STEPS && !status; i++)
        status = beit_trainer_step(trainer, &batch, i == 0 ? &first : &last);
    if (status)
        fprintf(stderr, "%s: %s\n", beit_status_string(status), beit_last_error());
    else
        printf("loss %.3f at the first step, %.3f at the last\n", first.loss, last.loss);
    beit_trainer_destroy(trainer);
    beit_masker_destroy(masker);
    beit_model_destroy(model);
    beit_context_unref(ctx);
    return status || last.loss > 0.5 * first.loss;
}
