/* Values, as text and as JSON. Text is the one form that is parsed: defaults, the command line and
 * JSON all pass through option_store(). */
#include "common/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/option_store.h"

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

bool option_store(const option_t *option, void *settings, const char *text)
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
            (void)option_store(option, settings, option->fallback);
    }
}

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
        return option->kind != OPTION_FLAG &&
               option_store(option, settings, json_string_value(value));
    if (json_is_null(value)) {
        if (option->kind == OPTION_TEXT)
            *(const char **)field_of(option, settings) = NULL;
        return option->kind == OPTION_TEXT;
    }
    if (option->kind == OPTION_FLAG && json_is_boolean(value))
        return option_store(option, settings, json_is_true(value) ? "on" : "off");
    if (option->kind == OPTION_INTEGER && json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (option->kind == OPTION_REAL && json_is_number(value))
        snprintf(text, sizeof text, "%.17g", json_number_value(value));
    else
        return false;
    return option_store(option, settings, text);
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
