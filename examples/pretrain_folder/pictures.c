/* The first views of an evaluation set are of different pictures, so they are the ones shown. */
#include "pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out_folder.h"
#include "recipe.h"
#include "sheet.h"

enum {
    PAIRS_ACROSS = 2,
    PAIRS_DOWN = 4,
    PREDICTIONS = 6,
    PREDICTION_COLUMNS = 4,
    HISTOGRAM_WIDTH = 1024,
    HISTOGRAM_HEIGHT = 200
};

/* One picture at a time, in memory that is reused. */
typedef struct studio {
    const eval_set_t *set;
    beit_dvae_t *dvae;
    void *slot; /* views of the set's first batch */
    float *decoded;
    float *logits;
    int32_t *tokens;
    size_t view_floats;
    affine_t view, output;
    sheet_t sheet;
} studio_t;

static void studio_close(studio_t *studio)
{
    free(studio->slot);
    free(studio->decoded);
    free(studio->logits);
    free(studio->tokens);
    sheet_close(&studio->sheet);
}

static outcome_t studio_open(studio_t *studio, const eval_set_t *set, beit_dvae_t *dvae,
                             int32_t columns, int32_t rows)
{
    const view_source_t *source = &set->source;
    const int32_t side = view_source_token_side(source);
    *studio = (studio_t){.set = set,
                         .dvae = dvae,
                         .view_floats = 3 * (size_t)side * (size_t)side,
                         .view = unit_of_view(source->views.tokens_scaling),
                         .output = unit_of_decoded(set->run->dvae_config.arch)};
    studio->slot = malloc(view_source_slot_bytes(source));
    studio->decoded = malloc(studio->view_floats * sizeof(float));
    studio->logits = malloc(set->patches * (size_t)set->run->settings.vocab * sizeof(float));
    studio->tokens = malloc(set->patches * sizeof *studio->tokens);
    if (!studio->slot || !studio->decoded || !studio->logits || !studio->tokens ||
        !sheet_open(&studio->sheet, columns, rows, side)) {
        studio_close(studio);
        return fail(OUTCOME_FAILURE, "no memory for pictures of the report");
    }
    char reason[LOADER_REASON];
    if (view_source_make((void *)source, 0, studio->slot, reason))
        return OUTCOME_DONE;
    studio_close(studio);
    return fail(OUTCOME_DATA, "%s", reason);
}

static const float *view_of(const studio_t *studio, size_t i)
{
    const beit_tensor_t views =
        view_source_tokens(&studio->set->source, studio->slot, studio->set->source.batch);
    return (const float *)views.data + i * studio->view_floats;
}

/* Put the picture that the tokens stand for. */
static outcome_t put_decoded(studio_t *studio, const int32_t *tokens, int32_t column, int32_t row)
{
    const int64_t side = view_source_token_side(&studio->set->source);
    const int64_t flat[] = {1, (int64_t)studio->set->patches}, shape[] = {1, 3, side, side};
    const beit_tensor_t ids = beit_tensor_make((void *)tokens, BEIT_I32, 2, flat);
    const beit_tensor_t pixels = beit_tensor_make(studio->decoded, BEIT_F32, 4, shape);
    TRY(check(beit_dvae_decode(studio->dvae, &ids, &pixels), "pictures of the report"));
    sheet_put(&studio->sheet, column, row, studio->decoded, studio->output, NULL, 1);
    return OUTCOME_DONE;
}

static outcome_t studio_save(const studio_t *studio, const char *name)
{
    char *path = out_path(studio->set->run->settings.out, name);
    const outcome_t outcome =
        path ? image_save_png(&studio->sheet.image, path) : fail(OUTCOME_FAILURE, "no memory");
    free(path);
    return outcome;
}

static bool can_decode(const eval_set_t *set)
{
    return set->run->dvae_config.parts == BEIT_DVAE_BOTH;
}

outcome_t pictures_reconstructions(const eval_set_t *set, beit_dvae_t *dvae)
{
    if (!can_decode(set))
        return OUTCOME_DONE;
    studio_t studio;
    TRY(studio_open(&studio, set, dvae, 2 * PAIRS_ACROSS, PAIRS_DOWN));
    outcome_t outcome = OUTCOME_DONE;
    for (int32_t i = 0; outcome == OUTCOME_DONE && i < PAIRS_ACROSS * PAIRS_DOWN; i++) {
        const int32_t column = 2 * (i % PAIRS_ACROSS), row = i / PAIRS_ACROSS;
        sheet_put(&studio.sheet, column, row, view_of(&studio, (size_t)i), studio.view, NULL, 1);
        outcome = put_decoded(&studio, set->tokens + (size_t)i * set->patches, column + 1, row);
    }
    if (outcome == OUTCOME_DONE)
        outcome = studio_save(&studio, PICTURE_RECONSTRUCTIONS);
    studio_close(&studio);
    return outcome;
}

/* The tokens of view i, with those of hidden patches replaced by the model's best guess. */
static outcome_t predict(studio_t *studio, beit_model_t *model, size_t i)
{
    const eval_set_t *set = studio->set;
    const int64_t n = (int64_t)set->patches, vocab = set->run->settings.vocab;
    beit_tensor_t pixels = view_source_pixels(&set->source, studio->slot, 1);
    pixels.data = (float *)pixels.data + (int64_t)i * pixels.stride[0];
    const uint8_t *mask = set->masks + i * set->patches;
    const int64_t flat[] = {1, n}, shape[] = {1, n, vocab};
    const beit_tensor_t hidden = beit_tensor_make((void *)mask, BEIT_U8, 2, flat);
    const beit_tensor_t logits = beit_tensor_make(studio->logits, BEIT_F32, 3, shape);
    TRY(check(beit_model_predict(model, &pixels, &hidden, &logits), "pictures of the report"));
    for (int64_t p = 0; p < n; p++) {
        const float *row = studio->logits + p * vocab;
        int32_t best = 0;
        for (int32_t t = 1; t < vocab; t++)
            best = row[t] > row[best] ? t : best;
        studio->tokens[p] = mask[p] ? best : set->tokens[i * set->patches + (size_t)p];
    }
    return OUTCOME_DONE;
}

static outcome_t put_prediction(studio_t *studio, beit_model_t *model, int32_t row)
{
    const eval_set_t *set = studio->set;
    const size_t i = (size_t)row;
    const float *view = view_of(studio, i);
    sheet_put(&studio->sheet, 0, row, view, studio->view, NULL, 1);
    sheet_put(&studio->sheet, 1, row, view, studio->view, set->masks + i * set->patches,
              recipe_grid(&set->run->settings));
    TRY(predict(studio, model, i));
    TRY(put_decoded(studio, studio->tokens, 2, row));
    return put_decoded(studio, set->tokens + i * set->patches, 3, row);
}

outcome_t pictures_predictions(const eval_set_t *set, beit_dvae_t *dvae, beit_model_t *model)
{
    if (!can_decode(set))
        return OUTCOME_DONE;
    eval_set_t with_pixels = *set;
    with_pixels.source.pixels = true;
    studio_t studio;
    TRY(studio_open(&studio, &with_pixels, dvae, PREDICTION_COLUMNS, PREDICTIONS));
    outcome_t outcome = OUTCOME_DONE;
    for (int32_t row = 0; outcome == OUTCOME_DONE && row < PREDICTIONS; row++)
        outcome = put_prediction(&studio, model, row);
    if (outcome == OUTCOME_DONE)
        outcome = studio_save(&studio, PICTURE_PREDICTIONS);
    studio_close(&studio);
    return outcome;
}

/* ---- the histogram ---- */

static int descending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static void paint(image_t *image, int32_t x, int32_t y, const uint8_t colour[3])
{
    memcpy(image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3, colour, 3);
}

/* Bars of sorted[], which hold `vocab` counts that add up to `total`. */
static void draw_bars(image_t *image, const uint64_t *sorted, size_t vocab, uint64_t total)
{
    static const uint8_t bar[3] = {42, 111, 151}, line[3] = {210, 90, 40};
    const double even = (double)total / (double)vocab, most = fmax((double)sorted[0], 2 * even);
    const int32_t level = image->height - 1 - (int32_t)(even / most * (image->height - 1));
    for (int32_t x = 0; x < image->width; x++) {
        const uint64_t count = sorted[(size_t)x * vocab / (size_t)image->width];
        const int32_t height = (int32_t)ceil((double)count / most * image->height);
        for (int32_t y = image->height - height; y < image->height; y++)
            paint(image, x, y, bar);
        paint(image, x, level, line);
    }
}

outcome_t pictures_tokens(const run_t *run, const uint64_t *histogram)
{
    const size_t vocab = (size_t)run->settings.vocab;
    uint64_t *sorted = malloc(vocab * sizeof *sorted), total = 0;
    char *path = out_path(run->settings.out, PICTURE_TOKENS);
    char reason[IMAGE_REASON];
    image_t image = {0};
    outcome_t outcome;
    if (sorted && path && image_allocate(&image, HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT, reason)) {
        memset(image.rgb, 255, HISTOGRAM_WIDTH * HISTOGRAM_HEIGHT * 3);
        memcpy(sorted, histogram, vocab * sizeof *sorted);
        qsort(sorted, vocab, sizeof *sorted, descending);
        for (size_t i = 0; i < vocab; i++)
            total += sorted[i];
        draw_bars(&image, sorted, vocab, total);
        outcome = image_save_png(&image, path);
    } else {
        outcome = fail(OUTCOME_FAILURE, "no memory for pictures of the report");
    }
    image_free(&image);
    free(path);
    free(sorted);
    return outcome;
}
