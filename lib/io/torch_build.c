/* What the few known callables of a pickle build. They are recognised by name and imitated; all
 * others yield a placeholder. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "io/torch_pickle.h"

static const beit__object_t *item(const beit__object_t *container, size_t index)
{
    const beit__cell_t *cell = container->items;
    while (cell && index-- > 0)
        cell = cell->next;
    return cell ? cell->value : NULL;
}

static bool is_kind(const beit__object_t *object, beit__object_kind_t kind)
{
    return object && object->kind == (int32_t)kind;
}

/* ---- builders ---- */

typedef beit_status_t (*build_fn)(beit__unpickler_t *unpickler, const beit__object_t *args,
                                  beit__object_t **result);

/* _rebuild_tensor(storage, offset, size, stride), and later versions with more arguments. */
static beit_status_t build_tensor(beit__unpickler_t *unpickler, const beit__object_t *args,
                                  beit__object_t **result)
{
    const beit__object_t *storage = item(args, 0), *first = item(args, 1);
    const beit__object_t *shape = item(args, 2), *stride = item(args, 3);
    char found[128];
    if (!is_kind(storage, BEIT__OBJECT_STORAGE))
        return beit__pickle_broken(unpickler, "a tensor is built on %s, expected a storage",
                                   storage ? beit__object_describe(storage, found, sizeof found)
                                           : "nothing");
    if (!is_kind(first, BEIT__OBJECT_INT) || first->integer < 0 ||
        !is_kind(shape, BEIT__OBJECT_TUPLE) || !is_kind(stride, BEIT__OBJECT_TUPLE) ||
        shape->count != stride->count)
        return beit__pickle_broken(unpickler, "a tensor has no sensible offset, size and stride");
    *result = beit__object_new(unpickler, BEIT__OBJECT_TENSOR);
    if (!*result)
        return unpickler->pieces.status;
    (*result)->storage = storage->storage;
    (*result)->first = (uint64_t)first->integer;
    (*result)->shape = shape;
    (*result)->stride = stride;
    return BEIT_OK;
}

/* What is built is the first argument: Parameter(data, ...), Size(tuple). */
static beit_status_t build_first(beit__unpickler_t *unpickler, const beit__object_t *args,
                                 beit__object_t **result)
{
    *result = (beit__object_t *)item(args, 0);
    return *result ? BEIT_OK : beit__pickle_broken(unpickler, "a parameter or size of nothing");
}

/* OrderedDict(), or as Python 2 wrote it: OrderedDict([[key, value], ...]). */
static beit_status_t build_dict(beit__unpickler_t *unpickler, const beit__object_t *args,
                                beit__object_t **result)
{
    const beit__object_t *pairs = item(args, 0);
    *result = beit__object_new(unpickler, BEIT__OBJECT_DICT);
    if (!*result)
        return unpickler->pieces.status;
    for (const beit__cell_t *cell = pairs ? pairs->items : NULL; cell; cell = cell->next) {
        const beit__object_t *key = item(cell->value, 0), *value = item(cell->value, 1);
        if (!key || !value || cell->key)
            return beit__pickle_broken(unpickler, "a dict is built of something else than pairs");
        BEIT__TRY(beit__unpickler_work(unpickler, 1));
        BEIT__TRY(beit__object_append(unpickler, *result, key, value));
    }
    return BEIT_OK;
}

static beit_status_t build_placeholder(beit__unpickler_t *unpickler, const beit__object_t *callable,
                                       beit__object_t **result)
{
    *result = beit__object_new(unpickler, BEIT__OBJECT_BAG);
    if (!*result)
        return unpickler->pieces.status;
    (*result)->text = callable->text;
    return BEIT_OK;
}

static const struct {
    const char *callable;
    build_fn build;
} builders[] = {
    {"torch._utils._rebuild_tensor_v2", build_tensor},
    {"torch._utils._rebuild_tensor", build_tensor},
    {"torch._utils._rebuild_parameter", build_first},
    {"torch._utils._rebuild_parameter_with_state", build_first},
    {"torch.nn.parameter.Parameter", build_first},
    {"torch.Size", build_first},
    {"collections.OrderedDict", build_dict},
};

/* _rebuild_from_type_v2(function, type, arguments, state) calls another one. */
#define INDIRECT "torch._tensor._rebuild_from_type_v2"

beit_status_t beit__torch_build(beit__unpickler_t *unpickler, const beit__object_t *callable,
                                const beit__object_t *args, beit__object_t **result)
{
    char found[128];
    for (;;) {
        if (!is_kind(callable, BEIT__OBJECT_CLASS) && !is_kind(callable, BEIT__OBJECT_BAG))
            return beit__pickle_broken(
                unpickler, "%s is called, expected a class or function",
                callable ? beit__object_describe(callable, found, sizeof found) : "nothing");
        if (!is_kind(args, BEIT__OBJECT_TUPLE))
            return beit__pickle_broken(unpickler, "%s is called without a tuple of arguments",
                                       callable->text);
        if (strcmp(callable->text, INDIRECT) != 0)
            break;
        BEIT__TRY(beit__unpickler_work(unpickler, 1));
        callable = item(args, 0);
        args = item(args, 2);
    }
    for (size_t i = 0; i < sizeof builders / sizeof *builders; i++)
        if (is_kind(callable, BEIT__OBJECT_CLASS) &&
            strcmp(callable->text, builders[i].callable) == 0)
            return builders[i].build(unpickler, args, result);
    return build_placeholder(unpickler, callable, result);
}

/* ---- storages ---- */

static const struct {
    const char *name;
    int32_t dtype;
    uint32_t width;
} storage_types[] = {
    {"FloatStorage", BEIT_F32, 4},
    {"HalfStorage", BEIT_F16, 2},
    {"BFloat16Storage", BEIT_BF16, 2},
    {"DoubleStorage", BEIT_F64, 8},
    {"LongStorage", BEIT_I64, 8},
    {"IntStorage", BEIT_I32, 4},
    {"ShortStorage", 0, 2},
    {"CharStorage", 0, 1},
    {"ByteStorage", BEIT_U8, 1},
    {"BoolStorage", 0, 1},
    {"UntypedStorage", 0, 1},
    {"ComplexFloatStorage", 0, 8},
    {"ComplexDoubleStorage", 0, 16},
    {"QInt8Storage", 0, 1},
    {"QUInt8Storage", 0, 1},
    {"QInt32Storage", 0, 4},
};

/* Sets type and width from "torch.FloatStorage" or "torch.cuda.FloatStorage". */
static beit_status_t set_type(const beit__unpickler_t *unpickler, const beit__object_t *class,
                              beit__storage_t *storage)
{
    const char *text = is_kind(class, BEIT__OBJECT_CLASS) ? class->text : "";
    const char *dot = strrchr(text, '.');
    for (size_t i = 0; dot && i < sizeof storage_types / sizeof *storage_types; i++)
        if (strncmp(text, "torch.", sizeof "torch." - 1) == 0 &&
            strcmp(dot + 1, storage_types[i].name) == 0) {
            storage->dtype = storage_types[i].dtype;
            storage->width = storage_types[i].width;
            return BEIT_OK;
        }
    return beit__pickle_broken(unpickler, "'%s' is no type of storage", text);
}

/* (key, first element, elements): a part of the storage, as very old files have it. */
static beit_status_t set_view(const beit__unpickler_t *unpickler, const beit__object_t *view,
                              beit__storage_t *storage)
{
    const beit__object_t *first = item(view, 1), *count = item(view, 2);
    if (!is_kind(first, BEIT__OBJECT_INT) || !is_kind(count, BEIT__OBJECT_INT) ||
        first->integer < 0 || count->integer < 0 || (uint64_t)first->integer > storage->count ||
        (uint64_t)count->integer > storage->count - (uint64_t)first->integer)
        return beit__pickle_broken(unpickler, "storage '%s' has a view outside", storage->key);
    storage->first = (uint64_t)first->integer;
    return BEIT_OK;
}

/* ("storage", type, key, device, elements[, view]) */
static beit_status_t name_storage(beit__unpickler_t *unpickler, const beit__object_t *id,
                                  beit__object_t **result)
{
    const beit__object_t *key = item(id, 2), *count = item(id, 4), *view = item(id, 5);
    if (!is_kind(key, BEIT__OBJECT_TEXT) || !is_kind(count, BEIT__OBJECT_INT) ||
        count->integer < 0 || strlen(key->text) != key->count)
        return beit__pickle_broken(unpickler, "a storage without key or number of elements");
    beit__storage_t *storage = beit__pieces_take(&unpickler->pieces, sizeof *storage);
    *result = beit__object_new(unpickler, BEIT__OBJECT_STORAGE);
    if (!storage || !*result)
        return unpickler->pieces.status;
    storage->key = key->text;
    storage->count = (uint64_t)count->integer;
    BEIT__TRY(set_type(unpickler, item(id, 1), storage));
    if (view && view->kind != BEIT__OBJECT_NONE)
        BEIT__TRY(set_view(unpickler, view, storage));
    (*result)->storage = storage;
    *unpickler->last_storage = storage;
    unpickler->last_storage = &storage->next;
    unpickler->storage_count++;
    return BEIT_OK;
}

beit_status_t beit__torch_persistent(beit__unpickler_t *unpickler, const beit__object_t *id,
                                     beit__object_t **result)
{
    const beit__object_t *kind = is_kind(id, BEIT__OBJECT_TUPLE) ? item(id, 0) : NULL;
    if (kind && beit__object_is(kind, "storage"))
        return name_storage(unpickler, id, result);
    /* ("module", class, its source file, its source text) stands for the class. */
    const beit__object_t *class = kind && beit__object_is(kind, "module") ? item(id, 1) : NULL;
    if (!is_kind(class, BEIT__OBJECT_CLASS))
        return beit__pickle_broken(unpickler, "a persistent id that is none of PyTorch's");
    *result = (beit__object_t *)class;
    return BEIT_OK;
}
