/* The command line: --name value, --name=value, and help for those who mistype. */
#include <stdio.h>
#include <string.h>

#include "common/option_store.h"

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

/* Take argument *i, and its value, which may be the next one. */
static bool take_option(const options_t *options, void *settings, int argc, char **argv, int *i,
                        char message[OPTION_MESSAGE])
{
    const char *argument = argv[*i];
    const char *typed = strcmp(argument, "-h") == 0 ? "help" : argument + 1 + (argument[1] == '-');
    const option_t *option = find(options, typed);
    if (!option)
        return unknown(options, typed, message);
    const char *equals = strchr(typed, '=');
    const char *value = equals ? equals + 1 : NULL;
    if (option->kind == OPTION_FLAG) {
        if (value)
            return wrong_value(option, value, message);
        value = "on";
    } else if (!value) {
        if (*i + 1 == argc) {
            snprintf(message, OPTION_MESSAGE, "%s needs a value", argument);
            return false;
        }
        value = argv[++*i];
    }
    return option_store(option, settings, value) || wrong_value(option, value, message);
}

bool options_parse(const options_t *options, void *settings, int argc, char **argv,
                   const char **operand, char message[OPTION_MESSAGE])
{
    bool only_operands = false, seen = false;
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (!only_operands && strcmp(argument, "--") == 0) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1] != '\0') {
            if (!take_option(options, settings, argc, argv, &i, message))
                return false;
        } else if (seen) {
            snprintf(message, OPTION_MESSAGE, "one folder is expected, not also '%.200s'",
                     argument);
            return false;
        } else {
            seen = true;
            *operand = argument;
        }
    }
    return true;
}
