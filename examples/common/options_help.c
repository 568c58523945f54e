/* The help text, laid out like a manual page. */
#include <string.h>

#include "common/options.h"

enum { WIDTH = 80, NAME_INDENT = 7, TEXT_INDENT = 14 };

static void indent(FILE *out, int columns)
{
    fprintf(out, "%*s", columns, "");
}

/* Words of `text`, wrapped; `column` is where the first one starts. Returns where the last ended.
 */
static int wrap(FILE *out, const char *text, int column)
{
    while (*text) {
        const int length = (int)strcspn(text, " ");
        if (column > TEXT_INDENT && column + 1 + length > WIDTH) {
            fputc('\n', out);
            indent(out, TEXT_INDENT);
            column = TEXT_INDENT;
        } else if (column > TEXT_INDENT) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, (size_t)length, out);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    return column;
}

static void describe(FILE *out, const option_t *option)
{
    indent(out, NAME_INDENT);
    fputs("--", out);
    for (const char *c = option->field; *c; c++)
        fputc(*c == '_' ? '-' : *c, out);
    if (option->kind != OPTION_FLAG)
        fprintf(out, " %s", option->kind == OPTION_CHOICE ? option->choices : option->value);
    fputc('\n', out);
    indent(out, TEXT_INDENT);
    const int column = wrap(out, option->help, TEXT_INDENT);
    if (option->kind != OPTION_FLAG) {
        char text[OPTION_VALUE];
        snprintf(text, sizeof text, "[%s]", option->fallback ? option->fallback : "none");
        (void)wrap(out, text, column);
    }
    fputc('\n', out);
}

void options_help(const options_t *options, FILE *out)
{
    for (size_t i = 0; i < options->count; i++)
        if (options->items[i].kind == OPTION_GROUP)
            fprintf(out, "\n   %s\n", options->items[i].help);
        else
            describe(out, &options->items[i]);
}
