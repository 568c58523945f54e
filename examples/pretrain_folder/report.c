/* The page: figures first, then what the model learned, then the tokenizer, then how it was made.
 */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "html.h"
#include "out_folder.h"
#include "phase_names.h"
#include "pictures.h"

typedef struct page {
    FILE *out;
    const run_t *run;
    history_t history;
} page_t;

/* The evaluation that counts: on held-out pictures, if there are any. */
static const json_t *deciding(const page_t *page, history_row_t train, history_row_t held)
{
    const json_t *row = page->history.rows[held];
    return row ? row : page->history.rows[train];
}

static const json_t *model_row(const page_t *page)
{
    return deciding(page, ROW_MODEL_TRAIN, ROW_MODEL_HELD);
}

static const json_t *tokenizer_row(const page_t *page)
{
    const json_t *row = deciding(page, ROW_TOKENIZER_TRAIN, ROW_TOKENIZER_HELD);
    return row ? row : model_row(page); /* with --tokenizer */
}

static void write_picture(const page_t *page, const char *name, const char *columns,
                          const char *caption)
{
    char *path = out_path(page->run->settings.out, name);
    if (path && out_exists(page->run->settings.out, name)) {
        fprintf(page->out, "<figure>%s", columns);
        html_png(page->out, path, caption);
        fprintf(page->out, "<figcaption>%s</figcaption></figure>\n", caption);
    }
    free(path);
}

static void write_card(FILE *out, const char *value, const char *meaning)
{
    fprintf(out, "<div><b>%s</b><span>%s</span></div>\n", value, meaning);
}

static void write_model_cards(FILE *out, const json_t *row)
{
    char value[64], meaning[160];
    snprintf(value, sizeof value, "%.2f nats", history_number(row, "below_H"));
    snprintf(meaning, sizeof meaning,
             "masked loss %.3f below the entropy %.3f of the tokens: what was learned from context",
             history_number(row, "loss"), history_number(row, "H"));
    write_card(out, value, meaning);
    snprintf(value, sizeof value, "%.1f %%", 100 * history_number(row, "mlm_acc"));
    snprintf(meaning, sizeof meaning,
             "of the hidden tokens predicted exactly; copying a neighbour gets %.1f %%",
             100 * history_number(row, "copy_acc"));
    write_card(out, value, meaning);
}

static void write_tokenizer_cards(FILE *out, const json_t *row)
{
    char value[64], meaning[160];
    const double vocab = history_number(row, "vocab");
    snprintf(value, sizeof value, "%.0f %%", 100 * history_number(row, "used") / vocab);
    snprintf(meaning, sizeof meaning, "of %.0f codes used; perplexity %.0f", vocab,
             history_number(row, "perplexity"));
    write_card(out, value, meaning);
    if (isfinite(history_number(row, "hard_error"))) {
        snprintf(value, sizeof value, "%.0f %%", 100 * history_number(row, "hard_error"));
        write_card(out, value, "of the pictures' variance is lost between picture and tokens");
    }
}

static void write_head(const page_t *page)
{
    FILE *out = page->out;
    const collection_t *pictures = &page->run->collection;
    const json_t *last = page->history.rows[ROW_LAST];
    const settings_t *settings = &page->run->settings;
    const char *name = json_string_value(json_object_get(last, "phase"));
    const char *phase = name ? name : PHASE_TOKENIZER;
    const bool tokenizer = strcmp(phase, PHASE_TOKENIZER) == 0;
    char time[DURATION_TEXT];
    fputs("<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
          "<meta name='viewport' content='width=device-width,initial-scale=1'>"
          "<title>BEiT pre-training</title>\n<style>\n",
          out);
    fputs(html_style, out);
    fputs("</style></head><body>\n<h1>BEiT pre-training on ", out);
    html_text(out, page->run->settings.images);
    progress_duration(history_number(last, "wall_s"), time);
    fprintf(out,
            "</h1>\n<p class='soft'>%zu pictures to train on, %zu held out, %zu unreadable. Model "
            "%s. Stands at step %.0f of %lld of the %s phase, after %s.</p>\n",
            pictures->train.count, pictures->held.count, picture_store_bad(pictures->store),
            settings_model_name(settings), history_number(last, "step"),
            (long long)(tokenizer ? settings->tokenizer_steps : settings->steps), phase, time);
    fputs("<div class='cards'>\n", out);
    if (model_row(page))
        write_model_cards(out, model_row(page));
    if (tokenizer_row(page))
        write_tokenizer_cards(out, tokenizer_row(page));
    fputs("</div>\n", out);
}

static void write_model(const page_t *page)
{
    const json_t *row = model_row(page);
    if (!row)
        return;
    const curve_t *curves = page->history.curves;
    const chart_line_t losses[] = {
        {&curves[CURVE_MODEL_LOSS], "training batches", "run", false},
        {&curves[CURVE_MODEL_LOSS_TRAIN], "new crops of training pictures", "train", true},
        {&curves[CURVE_MODEL_LOSS_HELD], "held-out pictures", "held", true},
    };
    const chart_level_t baselines[] = {
        {"unigram", history_number(row, "unigram")},     {"entropy H", history_number(row, "H")},
        {"position", history_number(row, "position")},   {"copy", history_number(row, "copy")},
        {"neighbour", history_number(row, "neighbour")},
    };
    const chart_line_t accuracies[] = {
        {&curves[CURVE_ACCURACY], "training batches", "run", false},
        {&curves[CURVE_ACCURACY_TRAIN], "new crops of training pictures", "train", true},
        {&curves[CURVE_ACCURACY_HELD], "held-out pictures", "held", true},
    };
    const chart_level_t copying[] = {{"copying", history_number(row, "copy_acc")}};
    const chart_t loss = {"Loss on hidden patches", "nats", losses, 3, baselines, 5};
    const chart_t accuracy = {"Accuracy on hidden patches", "share", accuracies, 3, copying, 1};
    FILE *out = page->out;
    fputs("<h2>What the model learned</h2>\n"
          "<p>The model sees a picture with some patches hidden and predicts their tokens. The "
          "dashed lines are what can be had without a network: guessing by overall frequency "
          "(unigram, entropy H), by position in the picture, by copying the nearest visible token, "
          "or by what usually stands beside it (neighbour).</p>\n",
          out);
    chart_write(out, &loss);
    write_picture(page, PICTURE_PREDICTIONS,
                  "<div class='columns' style='grid-template-columns:repeat(4,1fr)'>"
                  "<span>picture</span><span>hidden</span><span>predicted</span>"
                  "<span>true tokens</span></div>",
                  "Right: the best that these tokens can show. Predicted: the visible tokens, and "
                  "the model's guess where patches were hidden.");
    chart_write(out, &accuracy);
}

static void write_tokenizer(const page_t *page)
{
    const curve_t *curves = page->history.curves;
    const chart_line_t losses[] = {
        {&curves[CURVE_TOKENIZER_LOSS], "training batches, soft choice", "run", false},
    };
    const chart_line_t errors[] = {
        {&curves[CURVE_TOKENIZER_ERROR_TRAIN], "training pictures", "train", true},
        {&curves[CURVE_TOKENIZER_ERROR_HELD], "held-out pictures", "held", true},
    };
    const chart_line_t perplexities[] = {
        {&curves[CURVE_PERPLEXITY_TRAIN], "training pictures", "train", true},
        {&curves[CURVE_PERPLEXITY_HELD], "held-out pictures", "held", true},
    };
    const chart_level_t all[] = {{"all equal", (double)page->run->settings.vocab}};
    const chart_t loss = {"Reconstruction loss", "squared error", losses, 1, NULL, 0};
    const chart_t error = {"Error of hard tokens", "share of variance", errors, 2, NULL, 0};
    const chart_t perplexity = {"Codes in use (perplexity)", "codes", perplexities, 2, all, 1};
    FILE *out = page->out;
    fputs("<h2>The tokenizer</h2>\n"
          "<p>It turns a picture into a grid of tokens and back. What is lost here, the model "
          "cannot learn.</p>\n",
          out);
    write_picture(page, PICTURE_RECONSTRUCTIONS,
                  "<div class='columns' style='grid-template-columns:repeat(4,1fr)'>"
                  "<span>picture</span><span>from tokens</span><span>picture</span>"
                  "<span>from tokens</span></div>",
                  "Pictures, and what comes back from their tokens alone.");
    write_picture(page, PICTURE_TOKENS, "",
                  "How often each token is used, most frequent first; the line is where all would "
                  "be equal. A healthy tokenizer fills most of the width.");
    chart_write(out, &loss);
    chart_write(out, &error);
    chart_write(out, &perplexity);
}

static void write_figures(const page_t *page)
{
    static const struct figure {
        const char *field, *meaning;
        int digits;
    } figures[] = {
        {"loss", "masked loss, nats", 3},
        {"mlm_acc", "accuracy", 3},
        {"below_H", "loss below H", 3},
        {"H", "entropy of the hidden tokens, H", 3},
        {"unigram", "baseline: unigram", 3},
        {"position", "baseline: position", 3},
        {"copy", "baseline: copy", 3},
        {"neighbour", "baseline: neighbour", 3},
        {"copy_acc", "accuracy of copying", 3},
        {"used", "codes used", 0},
        {"perplexity", "perplexity of the codes", 0},
        {"hard_error", "hard error, share of variance", 3},
    };
    const json_t *train = page->history.rows[ROW_MODEL_TRAIN];
    const json_t *held = page->history.rows[ROW_MODEL_HELD];
    if (!train)
        return;
    fprintf(page->out,
            "<h2>All figures</h2>\n<div class='wide'><table><tr><th></th><th class='number'>"
            "training pictures</th>%s</tr>\n",
            held ? "<th class='number'>held out</th>" : "");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        fprintf(page->out, "<tr><td>%s</td><td class='number'>%.*f</td>", figures[i].meaning,
                figures[i].digits, history_number(train, figures[i].field));
        if (held)
            fprintf(page->out, "<td class='number'>%.*f</td>", figures[i].digits,
                    history_number(held, figures[i].field));
        fputs("</tr>\n", page->out);
    }
    fputs("</table></div>\n<p class='soft'>Measured on fixed views and fixed masks, without "
          "dropout or stochastic depth.</p>\n",
          page->out);
}

static void write_settings(const page_t *page)
{
    FILE *out = page->out;
    const json_t *begin = page->history.rows[ROW_BEGIN];
    fputs("<h2>How it was made</h2>\n<p>", out);
    const char *runs_on = json_string_value(json_object_get(begin, "runs_on"));
    html_text(out, runs_on ? runs_on : "");
    fputs("</p>\n<p><code>", out);
    for (int i = 0; i < page->run->argc; i++) {
        html_text(out, page->run->argv[i]);
        fputc(' ', out);
    }
    fputs("</code></p>\n<details><summary>All settings</summary><table>\n", out);
    for (size_t i = 0; i < settings_options.count; i++) {
        const option_t *option = &settings_options.items[i];
        char value[OPTION_VALUE];
        if (option->kind == OPTION_GROUP || option->flags & OPTION_NOT_STORED)
            continue;
        options_value(option, &page->run->settings, value);
        fprintf(out, "<tr><td>%s</td><td>", option->field);
        html_text(out, value);
        fputs("</td></tr>\n", out);
    }
    fputs("</table></details>\n</body></html>\n", out);
}

static outcome_t compose(page_t *page, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    page->out = open_memstream(&text, &size);
    if (!page->out)
        return fail(OUTCOME_FAILURE, "no memory for the report");
    write_head(page);
    write_model(page);
    write_tokenizer(page);
    write_figures(page);
    write_settings(page);
    const bool done = !ferror(page->out) && fclose(page->out) == 0;
    const outcome_t outcome =
        done ? out_write_file(path, text, size) : fail(OUTCOME_FAILURE, "no memory for the report");
    free(text);
    return outcome;
}

outcome_t report_write(const run_t *run)
{
    page_t page = {.run = run};
    char *log = out_path(run->settings.out, "log.jsonl");
    char *path = out_path(run->settings.out, "report/index.html");
    outcome_t outcome = log && path ? history_open(&page.history, log)
                                    : fail(OUTCOME_FAILURE, "no memory for the report");
    if (outcome == OUTCOME_DONE)
        outcome = compose(&page, path);
    history_close(&page.history);
    free(path);
    free(log);
    return outcome;
}
