/* Sizes and field offsets of every public struct as JSON, for bindings that mirror the structs by
 * hand. The table comes from the headers themselves (layouts.py); the text is put together at the
 * first call, because the preprocessor cannot print an offset. */
#include <beit/backend.h>
#include <beit/beit.h>

#include <assert.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 16384 /* the unit test parses the whole text: it is not cut off */

typedef struct field {
    const char *owner; /* "beit_tensor" */
    size_t owner_size;
    const char *name;
    size_t offset;
} field_t;

static const field_t fields[] = {
#define X(owner, name) {#owner, sizeof(struct owner), #name, offsetof(struct owner, name)},
#include "layouts_table.h"
#undef X
};

static char text[TEXT_SIZE];

static void write_text(void)
{
    const size_t count = sizeof fields / sizeof *fields;
    const char *owner = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof text; i++) {
        const field_t *field = &fields[i];
        char *end = text + used;
        const size_t left = sizeof text - used;
        if (strcmp(owner, field->owner) == 0)
            used += (size_t)snprintf(end, left, ",\"%s\":%zu", field->name, field->offset);
        else
            used += (size_t)snprintf(end, left, "%s\"%s\":{\"size\":%zu,\"fields\":{\"%s\":%zu",
                                     i ? "}}," : "{", field->owner, field->owner_size, field->name,
                                     field->offset);
        owner = field->owner;
    }
    assert(used + sizeof "}}}" <= sizeof text);
    strncat(text, "}}}", sizeof text - strlen(text) - 1);
}

const char *beit_struct_layouts(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_text);
    return text;
}
