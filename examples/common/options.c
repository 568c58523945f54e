/* Values and the command line. The table's text forms are the only parser: defaults, command line
 * and JSON strings all pass through store(). */
#include "common/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(const option_t *option, void *settings)
{
    return (char *)settings + option->offset;
}

/* Index of a name in "a|b|c"; -1 when it is not among them. */
static int32_t choice_index(const char *choices, const char *name)
{
    const size_t length = strlen(name);
    int32_t index = 0;
    for (const char *at = choices; at; at = strchr(at, '|'), index++) {
        at += *at == '|';
        if (strncmp(at, name, length) == 0 && (at[length] == '|' || at[length] == '\0'))
            return index;
    }
    return -1;
}

static bool wrong_value(const option_t *option, const char *text, char message[OPTION_MESSAGE])
{
    const char *or_auto = option->flags & OPTION_MAY_BE_AUTO ? ", or auto" : "";
    char name[OPTION_VALUE];
    snprintf(name, sizeof name, "%s", option->field);
    for (char *c = name; *c; c++)
        *c = *c == '_' ? '-' : *c;
    if (option->kind == OPTION_CHOICE)
        snprintf(message, OPTION_MESSAGE, "--%s: '%s' is none of %s", name, text, option->choices);
    else if (option->kind == OPTION_FLAG)
        snprintf(message, OPTION_MESSAGE, "--%s: takes no value", name);
    else if (option->kind == OPTION_TEXT)
        snprintf(message, OPTION_MESSAGE, "--%s: needs a value", name);
    else
        snprintf(message, OPTION_MESSAGE, "--%s: '%s' is no %s from %.10g to %.10g%s", name, text,
                 option->kind == OPTION_INTEGER ? "whole number" : "number", option->low,
                 option->high, or_auto);
    return false;
}

/* strtoll and strtod, for all of a text and within bounds. */
static bool parse_number(const option_t *option, const char *text, void *field)
{
    char *end;
    errno = 0;
    if (option->kind == OPTION_INTEGER) {
        const long long value = strtoll(text, &end, 10);
        if (errno || *end || end == text || (double)value < option->low ||
            (double)value > option->high)
            return false;
        *(int64_t *)field = value;
        return true;
    }
    const double value = strtod(text, &end);
    if (*end || end == text || !(value >= option->low && value <= option->high))
        return false;
    *(double *)field = value;
    return true;
}

/* Set a field from text; the text must live as long as the settings. */
static bool store(const option_t *option, void *settings, const char *text)
{
    void *field = field_of(option, settings);
    const bool automatic = option->flags & OPTION_MAY_BE_AUTO && strcmp(text, "auto") == 0;
    switch (option->kind) {
    case OPTION_GROUP:
        return false;
    case OPTION_TEXT:
        *(const char **)field = text;
        return *text != '\0';
    case OPTION_CHOICE:
        *(int32_t *)field = choice_index(option->choices, text);
        return *(int32_t *)field >= 0;
    case OPTION_FLAG:
        *(int32_t *)field = strcmp(text, "on") == 0;
        return true;
    case OPTION_INTEGER:
        if (automatic)
            *(int64_t *)field = OPTION_AUTO_INTEGER;
        return automatic || parse_number(option, text, field);
    case OPTION_REAL:
        if (automatic)
            *(double *)field = OPTION_AUTO_REAL;
        return automatic || parse_number(option, text, field);
    }
    return false;
}

void options_defaults(const options_t *options, void *settings)
{
    for (size_t i = 0; i < options->count; i++) {
        const option_t *option = &options->items[i];
        if (option->kind == OPTION_TEXT)
            *(const char **)field_of(option, settings) = option->fallback;
        else if (option->kind != OPTION_GROUP)
            (void)store(option, settings, option->fallback);
    }
}

/* ---- the command line ---- */

/* Does `typed`, up to '=' or its end, spell this field? */
static bool spells(const char *typed, const char *field)
{
    for (; *field; typed++, field++)
        if (*typed != (*field == '_' ? '-' : *field))
            return false;
    return *typed == '\0' || *typed == '=';
}

/* Number of letters to insert, drop or change to get from one word to the other. */
static size_t distance(const char *typed, const char *field)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1];
    const size_t columns = strlen(field) < LONGEST ? strlen(field) : LONGEST;
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; typed[i - 1] && typed[i - 1] != '='; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            const char letter = field[j - 1] == '_' ? '-' : field[j - 1];
            size_t best = diagonal + (typed[i - 1] != letter);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[columns];
}

static bool unknown(const options_t *options, const char *typed, char message[OPTION_MESSAGE])
{
    enum { NEAR = 3 };
    const option_t *nearest = NULL;
    size_t least = NEAR;
    for (size_t i = 0; i < options->count; i++)
        if (options->items[i].kind != OPTION_GROUP) {
            const size_t d = distance(typed, options->items[i].field);
            if (d < least) {
                least = d;
                nearest = &options->items[i];
            }
        }
    int length = snprintf(message, OPTION_MESSAGE, "unknown option --%.*s",
                          (int)(strcspn(typed, "=") % 100), typed);
    if (nearest) {
        char *hint = message + length;
        snprintf(hint, OPTION_MESSAGE - (size_t)length, "; is --%s meant?", nearest->field);
        for (; *hint; hint++)
            *hint = *hint == '_' ? '-' : *hint;
    }
    return false;
}

static const option_t *find(const options_t *options, const char *typed)
{
    for (size_t i = 0; i < options->count; i++)
        if (options->items[i].kind != OPTION_GROUP && spells(typed, options->items[i].field))
            return &options->items[i];
    return NULL;
}

bool options_parse(const options_t *options, void *settings, int argc, char **argv,
                   const char **operand, char message[OPTION_MESSAGE])
{
    bool only_operands = false, seen = false;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (only_operands || argument[0] != '-' || argument[1] == '\0') {
            if (seen) {
                snprintf(message, OPTION_MESSAGE, "one folder is expected, not also '%.200s'",
                         argument);
                return false;
            }
            seen = true;
            *operand = argument;
            continue;
        }
        only_operands = strcmp(argument, "--") == 0;
        if (only_operands)
            continue;
        const char *typed =
            strcmp(argument, "-h") == 0 ? "help" : argument + 1 + (argument[1] == '-');
        const option_t *option = find(options, typed);
        if (!option)
            return unknown(options, typed, message);
        const char *value = strchr(typed, '=');
        if (option->kind == OPTION_FLAG) {
            if (value)
                return wrong_value(option, value + 1, message);
            value = "on";
        } else if (value) {
            value++;
        } else if (i + 1 < argc) {
            value = argv[++i];
        } else {
            snprintf(message, OPTION_MESSAGE, "%s needs a value", argument);
            return false;
        }
        if (!store(option, settings, value))
            return wrong_value(option, value, message);
    }
    return true;
}

/* ---- text and JSON ---- */

void options_value(const option_t *option, const void *settings, char text[OPTION_VALUE])
{
    const void *field = (const char *)settings + option->offset;
    const char *name = option->choices;
    switch (option->kind) {
    case OPTION_GROUP:
        text[0] = '\0';
        break;
    case OPTION_TEXT:
        snprintf(text, OPTION_VALUE, "%s",
                 *(const char *const *)field ? *(const char *const *)field : "");
        break;
    case OPTION_CHOICE:
        for (int32_t i = 0; i < *(const int32_t *)field; i++)
            name = strchr(name, '|') + 1;
        snprintf(text, OPTION_VALUE, "%.*s", (int)strcspn(name, "|"), name);
        break;
    case OPTION_FLAG:
        snprintf(text, OPTION_VALUE, "%s", *(const int32_t *)field ? "on" : "off");
        break;
    case OPTION_INTEGER:
        if (option_is_auto(*(const int64_t *)field))
            snprintf(text, OPTION_VALUE, "auto");
        else
            snprintf(text, OPTION_VALUE, "%lld", (long long)*(const int64_t *)field);
        break;
    case OPTION_REAL:
        if (option_is_auto_real(*(const double *)field))
            snprintf(text, OPTION_VALUE, "auto");
        else
            snprintf(text, OPTION_VALUE, "%.10g", *(const double *)field);
        break;
    }
}

static json_t *value_to_json(const option_t *option, const void *settings)
{
    const void *field = (const char *)settings + option->offset;
    if (option->kind == OPTION_INTEGER && !option_is_auto(*(const int64_t *)field))
        return json_integer(*(const int64_t *)field);
    if (option->kind == OPTION_REAL && !option_is_auto_real(*(const double *)field))
        return json_real(*(const double *)field);
    if (option->kind == OPTION_FLAG)
        return json_boolean(*(const int32_t *)field);
    if (option->kind == OPTION_TEXT) {
        const char *text = *(const char *const *)field;
        return text ? json_string(text) : json_null();
    }
    char text[OPTION_VALUE];
    options_value(option, settings, text);
    return json_string(text);
}

json_t *options_to_json(const options_t *options, const void *settings)
{
    json_t *object = json_object();
    for (size_t i = 0; object && i < options->count; i++) {
        const option_t *option = &options->items[i];
        if (option->kind == OPTION_GROUP || option->flags & OPTION_NOT_STORED)
            continue;
        if (json_object_set_new(object, option->field, value_to_json(option, settings)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static bool value_from_json(const option_t *option, void *settings, const json_t *value)
{
    char text[OPTION_VALUE];
    if (json_is_string(value))
        return option->kind != OPTION_FLAG && store(option, settings, json_string_value(value));
    if (json_is_null(value)) {
        if (option->kind == OPTION_TEXT)
            *(const char **)field_of(option, settings) = NULL;
        return option->kind == OPTION_TEXT;
    }
    if (option->kind == OPTION_FLAG && json_is_boolean(value))
        return store(option, settings, json_is_true(value) ? "on" : "off");
    if (option->kind == OPTION_INTEGER && json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (option->kind == OPTION_REAL && json_is_number(value))
        snprintf(text, sizeof text, "%.17g", json_number_value(value));
    else
        return false;
    return store(option, settings, text);
}

bool options_from_json(const options_t *options, void *settings, const json_t *object,
                       char message[OPTION_MESSAGE])
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        const option_t *option = NULL;
        for (size_t i = 0; i < options->count && !option; i++)
            if (options->items[i].field && strcmp(options->items[i].field, key) == 0 &&
                !(options->items[i].flags & OPTION_NOT_STORED))
                option = &options->items[i];
        if (!option) {
            snprintf(message, OPTION_MESSAGE, "unknown setting \"%.100s\"", key);
            return false;
        }
        if (!value_from_json(option, settings, value)) {
            char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
            snprintf(message, OPTION_MESSAGE, "setting \"%s\": %.200s is not acceptable", key,
                     text ? text : "the value");
            free(text);
            return false;
        }
    }
    return true;
}
