/* Smoothing: p(t | context) = (count(context, t) + a u(t)) / (count(context) + a), u the unigram,
 * with that a of a short list that serves best. */
#include "baselines.h"

#include <math.h>
#include <stdlib.h>

#include "recipe.h"

enum { MASKS_PER_VIEW = 4 }; /* for counting neighbours: more pairs from the same tokens */

/* A hidden patch of a set: what is to be predicted, and what may be known. */
typedef struct hidden {
    uint32_t token, position, neighbour;
} hidden_t;

typedef struct sample {
    hidden_t *items;
    size_t count;
} sample_t;

/* The visible patch nearest to `at`; -1 when there is none. Ties take the first in order. */
static int32_t nearest_visible(const uint8_t *mask, int32_t grid, int32_t at)
{
    int32_t best = -1, least = INT32_MAX;
    for (int32_t i = 0; i < grid * grid; i++) {
        const int32_t dy = i / grid - at / grid, dx = i % grid - at % grid;
        if (!mask[i] && dy * dy + dx * dx < least) {
            least = dy * dy + dx * dx;
            best = i;
        }
    }
    return best;
}

/* Append the hidden patches of one view. */
static void gather(const uint8_t *mask, const int32_t *tokens, int32_t grid, sample_t *sample)
{
    for (int32_t i = 0; i < grid * grid; i++) {
        if (!mask[i])
            continue;
        const int32_t nearest = nearest_visible(mask, grid, i);
        sample->items[sample->count++] =
            (hidden_t){(uint32_t)tokens[i], (uint32_t)i,
                       nearest < 0 ? (uint32_t)tokens[i] + 1 : (uint32_t)tokens[nearest]};
    }
}

/* ---- counting ---- */

static outcome_t no_memory(void)
{
    return fail(OUTCOME_FAILURE, "no memory for statistics of tokens");
}

/* Laplace: each code counts once more than it was seen. */
static outcome_t count_unigram(token_statistics_t *statistics, const eval_set_t *set)
{
    const size_t vocab = (size_t)set->run->settings.vocab, n = set->views * set->patches;
    statistics->unigram = malloc(vocab * sizeof *statistics->unigram);
    if (!statistics->unigram)
        return no_memory();
    for (size_t t = 0; t < vocab; t++)
        statistics->unigram[t] = 1;
    for (size_t i = 0; i < n; i++)
        statistics->unigram[set->tokens[i]] += 1;
    for (size_t t = 0; t < vocab; t++)
        statistics->unigram[t] /= (double)(n + vocab);
    return OUTCOME_DONE;
}

static outcome_t count_view(token_statistics_t *statistics, const eval_set_t *set,
                            const beit_masker_t *masker, size_t view, uint8_t *mask,
                            sample_t *sample)
{
    const int32_t *tokens = set->tokens + view * set->patches;
    for (uint32_t i = 0; i < set->patches; i++)
        if (!counts_add(&statistics->position, i, (uint32_t)tokens[i]))
            return no_memory();
    for (uint64_t m = 0; m < MASKS_PER_VIEW; m++) {
        TRY(eval_set_mask(set, masker, m, view, mask));
        sample->count = 0;
        gather(mask, tokens, statistics->grid, sample);
        for (size_t i = 0; i < sample->count; i++)
            if (!counts_add(&statistics->neighbour, sample->items[i].neighbour,
                            sample->items[i].token))
                return no_memory();
    }
    return OUTCOME_DONE;
}

static outcome_t count_contexts(token_statistics_t *statistics, const eval_set_t *set,
                                const beit_masker_t *masker)
{
    uint8_t *mask = malloc(set->patches);
    sample_t sample = {.items = malloc(set->patches * sizeof *sample.items)};
    outcome_t outcome = mask && sample.items ? OUTCOME_DONE : no_memory();
    for (size_t i = 0; outcome == OUTCOME_DONE && i < set->views; i++)
        outcome = count_view(statistics, set, masker, i, mask, &sample);
    free(sample.items);
    free(mask);
    return outcome;
}

outcome_t token_statistics_open(token_statistics_t *statistics, const eval_set_t *set)
{
    *statistics = (token_statistics_t){.grid = recipe_grid(&set->run->settings)};
    beit_masker_config_t cfg;
    beit_masker_t *masker;
    recipe_masker(&set->run->settings, &cfg);
    TRY(count_unigram(statistics, set));
    TRY(check(beit_masker_create(&masker, set->run->ctx, &cfg), "masks"));
    const outcome_t outcome = count_contexts(statistics, set, masker);
    beit_masker_destroy(masker);
    counts_sort(&statistics->position);
    counts_sort(&statistics->neighbour);
    return outcome;
}

void token_statistics_close(token_statistics_t *statistics)
{
    free(statistics->unigram);
    counts_free(&statistics->position);
    counts_free(&statistics->neighbour);
    *statistics = (token_statistics_t){0};
}

/* ---- measuring ---- */

/* Entropy of the sample's own histogram. */
static double entropy(const sample_t *sample, uint64_t *histogram, size_t vocab)
{
    double sum = 0;
    for (size_t i = 0; i < sample->count; i++)
        histogram[sample->items[i].token]++;
    for (size_t t = 0; t < vocab; t++)
        if (histogram[t] > 0) {
            const double p = (double)histogram[t] / (double)sample->count;
            sum -= p * log(p);
        }
    return sum;
}

/* Cross-entropy of p(t | context) with the best smoothing; by_position chooses the context. */
static double conditional(const token_statistics_t *s, const sample_t *sample, bool by_position)
{
    static const double strengths[] = {1, 3, 10, 30, 100, 300, 1000, 1e9};
    enum { STRENGTHS = sizeof strengths / sizeof *strengths };
    const counts_t *counts = by_position ? &s->position : &s->neighbour;
    double sums[STRENGTHS] = {0};
    for (size_t i = 0; i < sample->count; i++) {
        const hidden_t *item = &sample->items[i];
        const uint32_t context = by_position ? item->position : item->neighbour;
        const double pair = (double)counts_of_pair(counts, context, item->token);
        const double all = (double)counts_of_context(counts, context);
        for (size_t a = 0; a < STRENGTHS; a++)
            sums[a] -= log((pair + strengths[a] * s->unigram[item->token]) / (all + strengths[a]));
    }
    double best = sums[0];
    for (size_t a = 1; a < STRENGTHS; a++)
        best = fmin(best, sums[a]);
    return best / (double)sample->count;
}

/* Cross-entropy of the mixture with the best share of copying. */
static double copying(const token_statistics_t *s, const sample_t *sample)
{
    static const double shares[] = {0,  .01, .02, .03, .05, .07, .1, .15,
                                    .2, .3,  .4,  .5,  .6,  .7,  .8, .9};
    double best = HUGE_VAL;
    for (size_t k = 0; k < sizeof shares / sizeof *shares; k++) {
        double sum = 0;
        for (size_t i = 0; i < sample->count; i++) {
            const hidden_t *item = &sample->items[i];
            sum -= log(shares[k] * (item->token == item->neighbour) +
                       (1 - shares[k]) * s->unigram[item->token]);
        }
        best = fmin(best, sum);
    }
    return best / (double)sample->count;
}

static void measure(const token_statistics_t *statistics, const sample_t *sample,
                    uint64_t *histogram, size_t vocab, baselines_t *out)
{
    const double n = (double)sample->count;
    *out = (baselines_t){.entropy = entropy(sample, histogram, vocab),
                         .position = conditional(statistics, sample, true),
                         .copy = copying(statistics, sample),
                         .neighbour = conditional(statistics, sample, false)};
    for (size_t i = 0; i < sample->count; i++) {
        const hidden_t *item = &sample->items[i];
        out->unigram -= log(statistics->unigram[item->token]) / n;
        out->copy_accuracy += (item->token == item->neighbour) / n;
    }
}

outcome_t baselines_measure(const token_statistics_t *statistics, const eval_set_t *set,
                            baselines_t *baselines)
{
    const size_t vocab = (size_t)set->run->settings.vocab;
    uint64_t *histogram = calloc(vocab, sizeof *histogram);
    sample_t sample = {.items = malloc(set->views * set->patches * sizeof *sample.items)};
    outcome_t outcome = OUTCOME_DONE;
    if (!histogram || !sample.items) {
        outcome = no_memory();
    } else {
        for (size_t i = 0; i < set->views; i++)
            gather(set->masks + i * set->patches, set->tokens + i * set->patches, statistics->grid,
                   &sample);
        measure(statistics, &sample, histogram, vocab, baselines);
    }
    free(sample.items);
    free(histogram);
    return outcome;
}

void baselines_log(const baselines_t *b, json_t *row)
{
    json_object_set_new(row, "H", json_number(b->entropy));
    json_object_set_new(row, "unigram", json_number(b->unigram));
    json_object_set_new(row, "position", json_number(b->position));
    json_object_set_new(row, "copy", json_number(b->copy));
    json_object_set_new(row, "neighbour", json_number(b->neighbour));
    json_object_set_new(row, "copy_acc", json_number(b->copy_accuracy));
}
