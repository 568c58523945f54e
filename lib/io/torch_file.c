/* From a file's object to its tensors. A state dict is read as it is; a pickled module is walked
 * through its `_parameters`, `_buffers` and `_modules`, as its state_dict() would be put together.
 */
#include "io/torch_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

#define LONGEST_NAME   512                /* of a tensor, with its prefixes */
#define LARGEST_NAMES  ((size_t)16 << 20) /* bytes of all names */
#define MOST_TENSORS   65536
#define DEEPEST_MODULE 32
#define MOST_WRAPPERS  4

/* ---- one tensor ---- */

static beit_status_t bad_tensor(const beit__source_t *source, const char *name, const char *reason)
{
    return beit__fail(BEIT_E_FORMAT, "%s: '%s': %s", source->name, name, reason);
}

/* Natural numbers of a tuple; the first BEIT_MAX_DIMS are kept. */
static bool take_extents(const beit__object_t *tuple, int64_t *extents)
{
    int32_t d = 0;
    for (const beit__cell_t *cell = tuple->items; cell; cell = cell->next, d++) {
        if (cell->value->kind != BEIT__OBJECT_INT || cell->value->integer < 0)
            return false;
        if (d < BEIT_MAX_DIMS)
            extents[d] = cell->value->integer;
    }
    return true;
}

/* Number of elements, and index of the last one from the first. False on overflow. */
static bool measure(const beit__entry_t *entry, uint64_t *count, uint64_t *last)
{
    *count = 1;
    *last = 0;
    bool empty = false;
    for (int32_t d = 0; d < entry->ndim; d++) {
        const uint64_t extent = (uint64_t)entry->shape[d], stride = (uint64_t)entry->stride[d];
        uint64_t reach;
        empty = empty || extent == 0;
        if (__builtin_mul_overflow(*count, extent, count) ||
            __builtin_mul_overflow(extent ? extent - 1 : 0, stride, &reach) ||
            __builtin_add_overflow(*last, reach, last))
            return false;
    }
    return !empty || (*last = 0, true);
}

/* The place and arrangement of a tensor, all of which must lie inside its storage. */
static beit_status_t describe_tensor(const beit__source_t *source, const beit__object_t *tensor,
                                     const char *name, beit__entry_t *entry)
{
    const beit__storage_t *storage = tensor->storage;
    uint64_t last = 0;
    if (tensor->shape->count > INT32_MAX || !take_extents(tensor->shape, entry->shape) ||
        !take_extents(tensor->stride, entry->stride))
        return bad_tensor(source, name, "its size and stride are not natural numbers");
    entry->ndim = (int32_t)tensor->shape->count;
    entry->dtype = storage->dtype;
    if (entry->ndim > BEIT_MAX_DIMS) { /* nothing here is like that: not to be read */
        entry->dtype = 0;
        return BEIT_OK;
    }
    if (!measure(entry, &entry->count, &last))
        return bad_tensor(source, name, "its size and stride overflow");
    const uint64_t have = storage->count - storage->first;
    if (tensor->first > have || (entry->count > 0 && last >= have - tensor->first))
        return beit__fail(BEIT_E_FORMAT,
                          "%s: '%s' reaches to element %" PRIu64 " + %" PRIu64
                          " of a storage of %" PRIu64,
                          source->name, name, tensor->first, last, have);
    entry->at = storage->at + (storage->first + tensor->first) * storage->width;
    return BEIT_OK;
}

/* ---- walking ---- */

typedef struct walk {
    beit__torch_t *torch;
    beit__unpickler_t *unpickler;
    const beit__source_t *source;
    char name[LONGEST_NAME + 1]; /* of the module being walked, with a dot */
} walk_t;

static beit_status_t make_room(beit__torch_t *torch, const beit__source_t *source)
{
    if (torch->count < torch->room)
        return BEIT_OK;
    if (torch->count >= MOST_TENSORS)
        return beit__fail(BEIT_E_FORMAT, "%s: more than %d tensors", source->name, MOST_TENSORS);
    const size_t room = torch->room ? 2 * torch->room : 256;
    beit__entry_t *grown = beit__calloc(torch->ctx, room, sizeof *grown);
    if (!grown)
        return BEIT_E_NOMEM;
    if (torch->count)
        memcpy(grown, torch->entries, torch->count * sizeof *grown);
    beit__free(torch->ctx, torch->entries, torch->room * sizeof *grown);
    torch->entries = grown;
    torch->room = room;
    return BEIT_OK;
}

/* Append a key to the walk's name, which had `length` bytes. */
static beit_status_t extend_name(walk_t *walk, size_t length, const beit__object_t *key,
                                 const char *end)
{
    bool printable = key && key->kind == BEIT__OBJECT_TEXT;
    for (uint32_t i = 0; printable && i < key->count; i++)
        printable = key->text[i] >= 0x20 && key->text[i] <= 0x7e;
    const int n = printable ? snprintf(walk->name + length, sizeof walk->name - length, "%s%s",
                                       key->text, end)
                            : -1;
    if (n < 0 || (size_t)n >= sizeof walk->name - length)
        return beit__fail(
            BEIT_E_FORMAT,
            "%s: a tensor's name is too long or has characters that are not printable",
            walk->source->name);
    return BEIT_OK;
}

static beit_status_t add_entry(walk_t *walk, const beit__object_t *object)
{
    beit__torch_t *torch = walk->torch;
    BEIT__TRY(make_room(torch, walk->source));
    beit__entry_t *entry = &torch->entries[torch->count];
    *entry = (beit__entry_t){.source = walk->source};
    if (object->kind == BEIT__OBJECT_TENSOR)
        BEIT__TRY(describe_tensor(walk->source, object, walk->name, entry));
    else
        entry->class = beit__pieces_text(&torch->names, object->text, strlen(object->text));
    entry->name = beit__pieces_text(&torch->names, walk->name, strlen(walk->name));
    if (!entry->name || (object->kind != BEIT__OBJECT_TENSOR && !entry->class))
        return torch->names.status;
    entry->stored = entry->name;
    torch->count++;
    return BEIT_OK;
}

/* Tensors of a dict, and placeholders, which may stand where a tensor is wanted. */
static beit_status_t add_tensors(walk_t *walk, const beit__object_t *dict, size_t length)
{
    for (const beit__cell_t *cell = dict->items; cell; cell = cell->next) {
        BEIT__TRY(beit__unpickler_work(walk->unpickler, 1));
        if (cell->value->kind != BEIT__OBJECT_TENSOR && cell->value->kind != BEIT__OBJECT_BAG)
            continue;
        BEIT__TRY(extend_name(walk, length, cell->key, ""));
        BEIT__TRY(add_entry(walk, cell->value));
    }
    return BEIT_OK;
}

/* A part of a module's state; NULL when the object is no module, or has no such part. */
static const beit__object_t *part_of(const beit__object_t *object, const char *part)
{
    const beit__object_t *state = object->kind == BEIT__OBJECT_BAG ? object->state : NULL;
    state = state ? beit__object_as_dict(state) : NULL;
    const beit__object_t *found = state ? beit__object_get(state, part) : NULL;
    return found ? beit__object_as_dict(found) : NULL;
}

static bool is_module(const beit__object_t *object)
{
    return part_of(object, "_parameters") && part_of(object, "_modules");
}

/* Steps that it takes to look for the parts of what may be a module. */
static uint64_t work_of(const beit__object_t *object)
{
    return object->kind == BEIT__OBJECT_BAG && object->state ? 1 + object->state->count : 1;
}

/* Recursion ends at DEEPEST_MODULE, and at the unpickler's bound on work should modules share or
 * contain each other. */
static beit_status_t add_module(walk_t *walk, const beit__object_t *module, size_t length,
                                int depth)
{
    if (depth > DEEPEST_MODULE)
        return beit__fail(BEIT_E_FORMAT, "%s: its modules nest more than %d deep, or in a circle",
                          walk->source->name, DEEPEST_MODULE);
    const beit__object_t *buffers = part_of(module, "_buffers");
    BEIT__TRY(add_tensors(walk, part_of(module, "_parameters"), length));
    if (buffers)
        BEIT__TRY(add_tensors(walk, buffers, length));
    const beit__cell_t *cell = part_of(module, "_modules")->items;
    for (; cell; cell = cell->next) {
        BEIT__TRY(beit__unpickler_work(walk->unpickler, work_of(cell->value)));
        if (!is_module(cell->value))
            continue;
        BEIT__TRY(extend_name(walk, length, cell->key, "."));
        BEIT__TRY(add_module(walk, cell->value, strlen(walk->name), depth + 1));
    }
    return BEIT_OK;
}

/* ---- the top ---- */

static beit_status_t take_settings(walk_t *walk, const beit__object_t *hparams)
{
    beit__torch_t *torch = walk->torch;
    BEIT__TRY(beit__unpickler_work(walk->unpickler, hparams->count));
    torch->settings = beit__calloc(torch->ctx, hparams->count, sizeof *torch->settings);
    if (!torch->settings)
        return BEIT_E_NOMEM;
    torch->setting_count = hparams->count;
    beit__setting_t *setting = torch->settings;
    for (const beit__cell_t *cell = hparams->items; cell; cell = cell->next, setting++) {
        const beit__object_t *value = cell->value;
        const bool integer = value->kind == BEIT__OBJECT_INT || value->kind == BEIT__OBJECT_BOOL;
        const bool real = value->kind == BEIT__OBJECT_REAL || value->kind == BEIT__OBJECT_NONE;
        setting->name = "";
        if (!cell->key || cell->key->kind != BEIT__OBJECT_TEXT || (!integer && !real))
            continue;
        setting->name = beit__pieces_text(&torch->names, cell->key->text, cell->key->count);
        if (!setting->name)
            return torch->names.status;
        setting->number = integer                            ? (double)value->integer
                          : value->kind == BEIT__OBJECT_REAL ? value->real
                                                             : (double)NAN;
    }
    return BEIT_OK;
}

/* Where files keep their weights, in the order in which the originals look. */
static const char *const wrappers[] = {"model", "module", "state_dict", "weights"};

static const beit__object_t *unwrap(const beit__object_t *dict)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        const beit__object_t *inner = beit__object_get(dict, wrappers[i]);
        if (inner && (beit__object_as_dict(inner) || inner->kind == BEIT__OBJECT_BAG))
            return inner;
    }
    return NULL;
}

static beit_status_t no_tensors(const walk_t *walk, const beit__object_t *object)
{
    char found[128], keys[128] = "";
    const beit__object_t *dict = beit__object_as_dict(object);
    size_t used = 0;
    for (const beit__cell_t *cell = dict ? dict->items : NULL; cell; cell = cell->next)
        if (cell->key && cell->key->kind == BEIT__OBJECT_TEXT && used < sizeof keys)
            used += (size_t)snprintf(keys + used, sizeof keys - used,
                                     used ? ", '%.40s'" : "'%.40s'", cell->key->text);
    return beit__fail(BEIT_E_FORMAT, "%s: holds %s%s%s, expected tensors by name",
                      walk->source->name, beit__object_describe(object, found, sizeof found),
                      used ? " with " : "", keys);
}

static beit_status_t add_root(walk_t *walk, const beit__object_t *object)
{
    for (int level = 0; level < MOST_WRAPPERS; level++) {
        const beit__object_t *dict = beit__object_as_dict(object);
        const beit__object_t *inner = dict ? unwrap(dict) : NULL;
        const beit__object_t *hparams = inner ? beit__object_get(dict, "hparams") : NULL;
        if (!inner)
            break;
        if (hparams && hparams->kind == BEIT__OBJECT_DICT && !walk->torch->settings)
            BEIT__TRY(take_settings(walk, hparams));
        object = inner;
    }
    if (is_module(object))
        BEIT__TRY(add_module(walk, object, 0, 0));
    else if (beit__object_as_dict(object))
        BEIT__TRY(add_tensors(walk, object, 0));
    return walk->torch->count ? BEIT_OK : no_tensors(walk, object);
}

beit_status_t beit__torch_open(beit__torch_t *torch, beit_context_t *ctx,
                               const beit__source_t *source, bool zip)
{
    *torch = (beit__torch_t){.ctx = ctx,
                             .names = {.ctx = ctx, .owner = source->name, .limit = LARGEST_NAMES}};
    beit__unpickler_t unpickler;
    walk_t walk = {.torch = torch, .unpickler = &unpickler, .source = source};
    const beit__object_t *root;
    beit_status_t status = zip ? beit__torch_load_zip(&unpickler, ctx, source, &root)
                               : beit__torch_load_legacy(&unpickler, ctx, source, &root);
    if (status == BEIT_OK)
        status = add_root(&walk, root);
    beit__unpickler_close(&unpickler);
    if (status != BEIT_OK)
        beit__torch_close(torch);
    return status;
}

void beit__torch_close(beit__torch_t *torch)
{
    beit__free(torch->ctx, torch->entries, torch->room * sizeof *torch->entries);
    beit__free(torch->ctx, torch->settings, torch->setting_count * sizeof *torch->settings);
    beit__pieces_free(&torch->names);
    *torch = (beit__torch_t){0};
}
