/* The error of hard tokens counts: the soft one that training lowers hides a decoder that only
 * works on mixtures of codes. */
#include "tokenizer_figures.h"

#include <math.h>
#include <stdlib.h>

#include "unit_pixels.h"

typedef struct measuring {
    eval_set_t *set;
    beit_dvae_t *dvae;
    tokenizer_figures_t *figures;
    float *decoded; /* one batch; NULL without a decoder */
    affine_t view, output;
    double sum, squares, errors; /* over pixels, in [0, 1] units */
    double pixels;
} measuring_t;

static void compare(measuring_t *m, const float *view, const float *decoded, size_t floats)
{
    for (size_t i = 0; i < floats; i++) {
        const double x = to_unit(m->view, view[i]), y = to_unit(m->output, decoded[i]);
        m->sum += x;
        m->squares += x * x;
        m->errors += (x - y) * (x - y);
    }
    m->pixels += (double)floats;
}

static outcome_t measure_batch(void *user, const eval_set_t *set, size_t first, size_t count,
                               void *slot)
{
    measuring_t *m = user;
    const beit_tensor_t views = view_source_tokens(&set->source, slot, count);
    const int64_t shape[] = {(int64_t)count, (int64_t)set->patches};
    const beit_tensor_t tokens =
        beit_tensor_make(m->set->tokens + first * set->patches, BEIT_I32, 2, shape);
    TRY(check(beit_dvae_tokenize(m->dvae, &views, NULL, &tokens), "evaluating the tokenizer"));
    TRY(check(beit_token_usage(tokens.data, count * set->patches, (int32_t)set->run->settings.vocab,
                               m->figures->histogram, &m->figures->usage),
              "evaluating the tokenizer"));
    if (!m->decoded)
        return OUTCOME_DONE;
    const beit_tensor_t decoded = beit_tensor_make(m->decoded, BEIT_F32, 4, views.shape);
    TRY(check(beit_dvae_decode(m->dvae, &tokens, &decoded), "evaluating the tokenizer"));
    compare(m, views.data, m->decoded,
            (size_t)(views.shape[0] * views.shape[1] * views.shape[2] * views.shape[3]));
    return OUTCOME_DONE;
}

outcome_t tokenizer_measure(eval_set_t *set, beit_dvae_t *dvae, tokenizer_figures_t *figures)
{
    const beit_dvae_config_t *cfg = &set->run->dvae_config;
    *figures = (tokenizer_figures_t){.usage = {.struct_size = sizeof figures->usage}};
    measuring_t m = {.set = set,
                     .dvae = dvae,
                     .figures = figures,
                     .view = unit_of_view(set->source.views.tokens_scaling),
                     .output = unit_of_decoded(cfg->arch)};
    const bool decodes = cfg->parts == BEIT_DVAE_BOTH;
    figures->histogram = calloc((size_t)set->run->settings.vocab, sizeof *figures->histogram);
    if (decodes)
        m.decoded = malloc(view_source_slot_bytes(&set->source));
    outcome_t outcome = OUTCOME_DONE;
    if (!figures->histogram || (decodes && !m.decoded))
        outcome = fail(OUTCOME_FAILURE, "no memory for an evaluation");
    else
        outcome = eval_set_each(set, measure_batch, &m);
    free(m.decoded);
    const double mean = m.sum / m.pixels, variance = m.squares / m.pixels - mean * mean;
    figures->hard_error = decodes ? m.errors / m.pixels / variance : (double)NAN;
    return outcome;
}

void tokenizer_figures_log(const tokenizer_figures_t *figures, int32_t vocab, json_t *row)
{
    const beit_token_usage_t *usage = &figures->usage;
    json_object_set_new(row, "used", json_integer((json_int_t)usage->used));
    json_object_set_new(row, "vocab", json_integer(vocab));
    json_object_set_new(row, "perplexity", json_number(usage->perplexity));
    json_object_set_new(row, "top_share", json_number(usage->top_share));
    json_object_set_new(row, "tokens", json_integer((json_int_t)usage->tokens));
    json_object_set_new(row, "hard_error", json_number(figures->hard_error));
}
