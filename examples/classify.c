/* From pre-training to classes: a model learns from pictures without labels, its weights go into a
 * classifier for larger pictures, and that learns to tell horizontal from vertical stripes. */
#include <beit/beit.h>
#include <math.h>
#include <stdio.h>

#include "common/descend.h"

enum { BATCH = 16, SMALL = 32, LARGE = 48, PATCH = 8, LEVELS = 8, PRETRAINING = 60, STEPS = 200 };
#define RATE      0.1f
#define SMOOTHING 0.1f

/* ---- pictures ---- */

/* Striped pictures number first .. first + BATCH - 1; odd ones have vertical stripes. Phase and
 * width vary, so that no single pixel gives the class away. */
static void draw(int first, int side, float *pixels, int32_t *labels)
{
    for (int b = 0; b < BATCH; b++) {
        const int number = first + b;
        const double width = 2.0 + number * 13 % 7 * 0.3, phase = number * 37 % 100 * 0.063;
        labels[b] = number % 2;
        for (int i = 0; i < 3 * side * side; i++) {
            const int row = i / side % side, col = i % side;
            pixels[b * 3 * side * side + i] =
                (float)sin((labels[b] ? col : row) / width + phase + i / (side * side));
        }
    }
}

static beit_tensor_t view_of(float *pixels, int side)
{
    return beit_tensor_make(pixels, BEIT_F32, 4, (const int64_t[]){BATCH, 3, side, side});
}

/* What the model is to predict of a hidden patch: the brightness of its middle, in levels. A
 * trained tokenizer stands here in earnest. */
static void tokenize(const float *pixels, int32_t *tokens)
{
    enum { GRID = SMALL / PATCH };
    for (int i = 0; i < BATCH * GRID * GRID; i++) {
        const int row = i / GRID % GRID * PATCH + PATCH / 2, col = i % GRID * PATCH + PATCH / 2;
        const float value = pixels[(i / (GRID * GRID) * 3 * SMALL + row) * SMALL + col];
        tokens[i] = (int32_t)((value + 1) / 2.001f * LEVELS);
    }
}

/* ---- pre-training ---- */

static beit_status_t pretrain(beit_model_t *model)
{
    enum { PATCHES = SMALL / PATCH * (SMALL / PATCH) };
    static float pixels[BATCH * 3 * SMALL * SMALL];
    int32_t tokens[BATCH * PATCHES], labels[BATCH];
    uint8_t mask[BATCH * PATCHES];
    beit_trainer_t *trainer = NULL;
    beit_trainer_config_t recipe;
    beit_trainer_config_init(&recipe, sizeof recipe);
    recipe.total_steps = PRETRAINING;
    recipe.warmup_steps = 5;
    recipe.lr = 3e-3f;
    beit_batch_t batch;
    beit_batch_init(&batch, sizeof batch);
    batch.pixels = view_of(pixels, SMALL);
    batch.tokens = beit_tensor_make(tokens, BEIT_I32, 2, (const int64_t[]){BATCH, PATCHES});
    batch.mask = beit_tensor_make(mask, BEIT_U8, 2, (const int64_t[]){BATCH, PATCHES});
    beit_status_t status = beit_trainer_create_mim(&trainer, model, NULL, NULL, &recipe);
    for (int step = 0; step < PRETRAINING && !status; step++) {
        draw(step * BATCH, SMALL, pixels, labels);
        tokenize(pixels, tokens);
        for (int i = 0; i < BATCH * PATCHES; i++)
            mask[i] = (i * 5 + step) % 7 < 3;
        status = beit_trainer_step(trainer, &batch, NULL);
    }
    beit_trainer_destroy(trainer);
    return status;
}

/* ---- the classifier ---- */

static void tell(void *user, int fate, const char *name, const char *how)
{
    (void)user;
    static const char *const words[] = {[BEIT_ADAPT_CHANGED] = "changed",
                                        [BEIT_ADAPT_MISSING] = "fresh",
                                        [BEIT_ADAPT_LEFT_OVER] = "left over"};
    if (fate != BEIT_ADAPT_TAKEN)
        printf("  %-9s %s%s%s\n", words[fate], name, *how ? " from " : "", how);
}

/* A classifier on larger pictures, with the weights of a pre-trained model. */
static beit_status_t make_classifier(beit_model_t **classifier, const beit_model_t *pretrained)
{
    beit_model_config_t config = {.struct_size = sizeof config};
    beit_adapt_options_t options;
    beit_adapt_report_t report = {.struct_size = sizeof report};
    beit_status_t status = beit_model_config(pretrained, &config);
    config.image_height = config.image_width = LARGE;
    config.num_classes = 2;
    config.shared_rel_pos = 0; /* as published: one table per block */
    config.rel_pos = 1;
    beit_adapt_options_init(&options, sizeof options);
    options.each = tell;
    if (!status)
        status = beit_model_create(classifier, NULL, &config);
    if (!status)
        status = beit_model_adapt(*classifier, pretrained, &options, &report);
    if (!status)
        printf("%llu tensors taken, %llu changed, %llu fresh, %llu left over\n",
               (unsigned long long)report.taken, (unsigned long long)report.changed,
               (unsigned long long)report.missing, (unsigned long long)report.left_over);
    return status;
}

static beit_status_t fine_tune(beit_model_t *classifier)
{
    static float pixels[BATCH * 3 * LARGE * LARGE];
    float numbers[BATCH * 2];
    int32_t classes[BATCH];
    const beit_tensor_t in = view_of(pixels, LARGE);
    const beit_tensor_t labels = beit_tensor_make(classes, BEIT_I32, 1, (const int64_t[]){BATCH});
    const beit_tensor_t logits = beit_tensor_make(numbers, BEIT_F32, 2, (int64_t[]){BATCH, 2});
    beit_forward_options_t options;
    beit_forward_options_init(&options, sizeof options);
    options.training = 1;
    beit_status_t status = BEIT_OK;
    for (int step = 0; step < STEPS && !status; step++) {
        double loss = 0;
        options.step = (uint64_t)step;
        draw(step * BATCH, LARGE, pixels, classes);
        status = beit_model_forward(classifier, &in, NULL, &options, &logits);
        if (!status) /* the logits become their gradient */
            status = beit_model_loss(classifier, &logits, &labels, SMOOTHING, &loss, NULL, &logits);
        if (!status)
            status = beit_model_backward(classifier, &logits);
        if (!status)
            status = descend(classifier, RATE);
    }
    return status;
}

/* Hits among pictures that training has not shown. */
static beit_status_t test(beit_model_t *classifier, int *hits)
{
    static float pixels[BATCH * 3 * LARGE * LARGE];
    float logits[BATCH * 2];
    int32_t labels[BATCH];
    const beit_tensor_t in = view_of(pixels, LARGE);
    const beit_tensor_t out = beit_tensor_make(logits, BEIT_F32, 2, (const int64_t[]){BATCH, 2});
    draw(STEPS * BATCH + 5, LARGE, pixels, labels);
    const beit_status_t status = beit_model_classify(classifier, &in, &out);
    for (int b = 0; b < BATCH && !status; b++)
        *hits += (logits[2 * b + 1] > logits[2 * b]) == labels[b];
    return status;
}

int main(void)
{
    beit_model_t *model = NULL, *classifier = NULL;
    beit_model_config_t config;
    beit_model_config_init(&config, sizeof config);
    config.image_height = config.image_width = SMALL;
    config.patch_size = PATCH;
    config.vocab_size = LEVELS;
    config.embed_dim = 48;
    config.depth = config.heads = 3;
    int hits = 0;
    beit_status_t status = beit_model_create(&model, NULL, &config);
    if (!status)
        status = pretrain(model);
    if (!status)
        status = make_classifier(&classifier, model);
    if (!status)
        status = fine_tune(classifier);
    if (!status)
        status = test(classifier, &hits);
    if (status)
        fprintf(stderr, "%s\n", beit_last_error());
    else
        printf("%d of %d new pictures are told apart\n", hits, BATCH);
    beit_model_destroy(classifier);
    beit_model_destroy(model);
    return status || hits < BATCH - 1;
}
