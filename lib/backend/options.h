/* Backend options, "key=value,key=value": a walk over the pairs. */
#ifndef BEIT_BACKEND_OPTIONS_H
#define BEIT_BACKEND_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Pieces of the option text; not terminated. A pair without '=' has a value of length 0. */
typedef struct beit__option {
    const char *key, *value;
    size_t key_length, value_length;
} beit__option_t;

/* The next pair; moves *text behind it. False at the end, also for a NULL text. */
static inline bool beit__next_option(const char **text, beit__option_t *option)
{
    if (!*text || !**text)
        return false;
    const size_t pair = strcspn(*text, ",");
    option->key = *text;
    option->key_length = strcspn(*text, "=,");
    const bool has_value = option->key_length < pair;
    option->value = *text + option->key_length + (has_value ? 1 : 0);
    option->value_length = has_value ? pair - option->key_length - 1 : 0;
    *text += pair + ((*text)[pair] == ',' ? 1 : 0);
    return true;
}

static inline bool beit__option_is(const beit__option_t *option, const char *key)
{
    return strlen(key) == option->key_length && !memcmp(key, option->key, option->key_length);
}

#endif
