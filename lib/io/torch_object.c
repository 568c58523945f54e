/* Looking at unpickled objects. */
#include "io/torch_object.h"

#include <stdio.h>
#include <string.h>

static const char *const descriptions[] = {
    [BEIT__OBJECT_NONE] = "None",       [BEIT__OBJECT_BOOL] = "a truth value",
    [BEIT__OBJECT_INT] = "an integer",  [BEIT__OBJECT_BIG] = "a large integer",
    [BEIT__OBJECT_REAL] = "a number",   [BEIT__OBJECT_TEXT] = "a text",
    [BEIT__OBJECT_BYTES] = "bytes",     [BEIT__OBJECT_TUPLE] = "a tuple",
    [BEIT__OBJECT_LIST] = "a list",     [BEIT__OBJECT_DICT] = "a dict",
    [BEIT__OBJECT_CLASS] = "the class", [BEIT__OBJECT_STORAGE] = "a storage",
    [BEIT__OBJECT_TENSOR] = "a tensor", [BEIT__OBJECT_BAG] = "a placeholder for",
};

const char *beit__object_describe(const beit__object_t *object, char *text, size_t size)
{
    const bool named = object->kind == BEIT__OBJECT_CLASS || object->kind == BEIT__OBJECT_BAG;
    (void)snprintf(text, size, "%s%s%s", descriptions[object->kind], named ? " " : "",
                   named ? object->text : "");
    return text;
}

bool beit__object_is(const beit__object_t *object, const char *text)
{
    return object->kind == BEIT__OBJECT_TEXT && object->count == strlen(text) &&
           memcmp(object->text, text, object->count) == 0;
}

const beit__object_t *beit__object_as_dict(const beit__object_t *object)
{
    const bool has_keys = object->kind == BEIT__OBJECT_DICT ||
                          (object->kind == BEIT__OBJECT_BAG && object->items && object->items->key);
    return has_keys ? object : NULL;
}

const beit__object_t *beit__object_get(const beit__object_t *dict, const char *key)
{
    const beit__object_t *found = NULL;
    for (const beit__cell_t *cell = dict->items; cell; cell = cell->next)
        if (cell->key && beit__object_is(cell->key, key))
            found = cell->value;
    return found;
}
