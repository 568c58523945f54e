/* Saving walks the sets; loading goes through four stages, and only the last one changes
 * anything: names and shapes, checksum, values into staging memory, values into the sets. */
#include "io/sets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "io/json.h"
#include "io/values.h"

/* ---- names ---- */

/* The name of tensor `index` in the file; false when it is longer than any file's. */
static bool stored_name(const beit__set_t *set, size_t index, char *name, size_t size)
{
    const int length =
        snprintf(name, size, "%s%s", set->prefix, set->params->list->items[index].name);
    return length > 0 && (size_t)length < size;
}

static size_t count_tensors(const beit__set_t *sets, size_t count)
{
    size_t tensors = 0;
    for (size_t s = 0; s < count; s++)
        tensors += sets[s].params->list->count;
    return tensors;
}

/* ---- saving ---- */

static void list_items(const beit__set_t *sets, size_t count, beit__item_t *items)
{
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sets[s].params->list->count; i++, items++) {
            const beit__param_t *param = &sets[s].params->list->items[i];
            (void)stored_name(&sets[s], i, items->name, sizeof items->name);
            items->ndim = param->ndim;
            memcpy(items->shape, param->shape, sizeof items->shape);
            items->count = param->count;
            items->data = beit__params_at(sets[s].params, i);
        }
}

/* Add JSON as text under `key`; nothing for NULL. */
static int set_json(beit_context_t *ctx, json_t *metadata, const char *key, const json_t *json)
{
    if (!json)
        return 0;
    size_t bytes;
    char *text = beit__json_text(ctx, json, &bytes);
    if (!text)
        return -1;
    const int result = json_object_set_new(metadata, key, json_string(text));
    beit__free(ctx, text, bytes);
    return result;
}

static json_t *make_metadata(beit_context_t *ctx, const char *kind, const json_t *config,
                             const json_t *state)
{
    char version[32];
    (void)snprintf(version, sizeof version, "%d.%d.%d", BEIT_VERSION_MAJOR, BEIT_VERSION_MINOR,
                   BEIT_VERSION_PATCH);
    json_t *metadata = json_pack("{s:s, s:s, s:s}", "format", "pt", BEIT__METADATA_VERSION, version,
                                 BEIT__METADATA_KIND, kind);
    if (metadata && set_json(ctx, metadata, BEIT__METADATA_CONFIG, config) == 0 &&
        set_json(ctx, metadata, BEIT__METADATA_STATE, state) == 0)
        return metadata;
    json_decref(metadata);
    return NULL;
}

beit_status_t beit__sets_save(beit_context_t *ctx, const beit__set_t *sets, size_t count,
                              const char *kind, json_t *config, json_t *state, const char *path,
                              const beit_io_t *io)
{
    const size_t tensors = count_tensors(sets, count);
    beit__sink_t sink = {.fd = -1, .directory = -1};
    beit_status_t status = BEIT_E_NOMEM;
    json_t *metadata = make_metadata(ctx, kind, config, state);
    beit__item_t *items = beit__calloc(ctx, tensors, sizeof *items);
    if (!metadata) {
        (void)beit__fail(BEIT_E_NOMEM, "no memory for the header");
        goto fail;
    }
    if (!items)
        goto fail;
    list_items(sets, count, items);
    BEIT__TRY_GOTO(beit__sink_open(&sink, path, io));
    BEIT__TRY_GOTO(beit__safetensors_write(ctx, &sink, items, tensors, metadata));
    BEIT__TRY_GOTO(beit__sink_commit(&sink));
fail:
    beit__sink_close(&sink);
    beit__free(ctx, items, tensors * sizeof *items);
    json_decref(metadata);
    json_decref(config);
    json_decref(state);
    return status;
}

/* ---- loading ---- */

beit_status_t beit__checkpoint_json(const beit__archive_t *archive, const char *key, json_t **json)
{
    *json = NULL;
    const char *text = beit__archive_metadata(archive, key);
    if (!text)
        return BEIT_OK;
    json_error_t error;
    *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (*json)
        return BEIT_OK;
    if (beit__json_is_nomem(&error))
        return beit__fail(BEIT_E_NOMEM, "%s: no memory for %s", archive->name, key);
    return beit__fail(BEIT_E_FORMAT, "%s: %s is not JSON: %s", archive->name, key, error.text);
}

static void print_shape(const int64_t *shape, int32_t ndim, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int32_t d = 0; d < ndim && d < BEIT_MAX_DIMS && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, d ? ",%" PRId64 : "%" PRId64, shape[d]);
}

static beit_status_t check_tensor(const beit__archive_t *archive, const beit__entry_t *entry,
                                  const beit__param_t *param)
{
    BEIT__TRY(beit__archive_check_real(archive, entry));
    if (entry->ndim == param->ndim &&
        memcmp(entry->shape, param->shape, (size_t)param->ndim * sizeof *param->shape) == 0)
        return BEIT_OK;
    char theirs[96], ours[96];
    print_shape(entry->shape, entry->ndim, theirs, sizeof theirs);
    print_shape(param->shape, param->ndim, ours, sizeof ours);
    return beit__fail(BEIT_E_MISMATCH, "%s: '%s' has shape [%s] in the file, [%s] here",
                      archive->name, entry->stored, theirs, ours);
}

/* One tensor's way from the file into its set. */
typedef struct transfer {
    const beit__entry_t *entry;
    float *dst; /* backend memory */
} transfer_t;

/* Find every tensor of the sets in the file. `used` marks the file's tensors that were found. */
static beit_status_t match(const beit__archive_t *archive, const beit__set_t *sets, size_t count,
                           uint32_t flags, transfer_t *transfers, size_t *matched,
                           unsigned char *used)
{
    *matched = 0;
    for (size_t s = 0; s < count; s++)
        for (size_t i = 0; i < sets[s].params->list->count; i++) {
            const beit__param_t *param = &sets[s].params->list->items[i];
            char name[sizeof((beit__item_t *)NULL)->name];
            const beit__entry_t *entry = stored_name(&sets[s], i, name, sizeof name)
                                             ? beit__archive_find(archive, name)
                                             : NULL;
            if (!entry && flags & BEIT_LOAD_PARTIAL)
                continue;
            if (!entry)
                return beit__fail(BEIT_E_MISMATCH, "%s: there is no tensor '%s%s'", archive->name,
                                  sets[s].prefix, param->name);
            BEIT__TRY(check_tensor(archive, entry, param));
            used[entry - archive->entries] = 1;
            transfers[(*matched)++] = (transfer_t){entry, beit__params_at(sets[s].params, i)};
        }
    return BEIT_OK;
}

static beit_status_t check_extras(const beit__archive_t *archive, const unsigned char *used)
{
    for (size_t i = 0; i < archive->count; i++)
        if (!used[i] && beit__values_are_real(archive->entries[i].dtype))
            return beit__fail(BEIT_E_MISMATCH,
                              "%s: nothing here is called '%s', which the file holds",
                              archive->name, archive->entries[i].stored);
    return BEIT_OK;
}

static beit_status_t read_directly(const transfer_t *transfers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        BEIT__TRY(beit__archive_read(transfers[i].entry, transfers[i].dst));
    return BEIT_OK;
}

/* Everything is read before anything is changed: storage may fail at any byte. */
static beit_status_t read_staged(beit_context_t *ctx, const transfer_t *transfers, size_t count)
{
    size_t floats = 0;
    for (size_t i = 0; i < count; i++)
        floats += (size_t)transfers[i].entry->count; /* bounded by the sets' own sizes */
    float *staging = beit__alloc(ctx, floats * sizeof *staging);
    if (!staging)
        return BEIT_E_NOMEM;
    beit_status_t status = BEIT_OK;
    float *at = staging;
    for (size_t i = 0; i < count; at += transfers[i++].entry->count)
        BEIT__TRY_GOTO(beit__archive_read(transfers[i].entry, at));
    at = staging;
    for (size_t i = 0; i < count; at += transfers[i++].entry->count)
        BEIT__TRY_GOTO(beit__upload(ctx, transfers[i].dst, at,
                                    (size_t)transfers[i].entry->count * sizeof *at));
fail:
    beit__free(ctx, staging, floats * sizeof *staging);
    return status;
}

beit_status_t beit__sets_load(const beit__archive_t *archive, const beit__set_t *sets, size_t count,
                              uint32_t flags)
{
    beit_context_t *ctx = sets[0].params->list->ctx;
    const size_t tensors = count_tensors(sets, count);
    size_t matched = 0;
    beit_status_t status = BEIT_E_NOMEM;
    transfer_t *transfers = beit__calloc(ctx, tensors, sizeof *transfers);
    unsigned char *used = beit__calloc(ctx, archive->count, 1);
    if (!transfers || !used)
        goto fail;
    BEIT__TRY_GOTO(match(archive, sets, count, flags, transfers, &matched, used));
    if (!(flags & BEIT_LOAD_IGNORE_EXTRA))
        BEIT__TRY_GOTO(check_extras(archive, used));
    BEIT__TRY_GOTO(beit__archive_verify(archive));
    if (flags & BEIT__LOAD_FRESH && beit__backend_on_host(ctx->backend))
        BEIT__TRY_GOTO(read_directly(transfers, matched));
    else
        BEIT__TRY_GOTO(read_staged(ctx, transfers, matched));
fail:
    beit__free(ctx, used, archive->count);
    beit__free(ctx, transfers, tensors * sizeof *transfers);
    return status;
}

/* ---- checksum of a set ---- */

beit_status_t beit__params_checksum(const beit_params_t *params, char text[BEIT__CHECKSUM_TEXT])
{
    const beit__param_list_t *list = params->list;
    const bool on_host = beit__backend_on_host(list->ctx->backend);
    size_t largest = 0;
    for (size_t i = 0; i < list->count; i++)
        largest = list->items[i].count > largest ? list->items[i].count : largest;
    float *staging = on_host ? NULL : beit__alloc(list->ctx, largest * sizeof *staging);
    if (!on_host && !staging)
        return BEIT_E_NOMEM;
    beit__checksum_t checksum;
    beit__checksum_begin(&checksum);
    beit_status_t status = BEIT_OK;
    for (size_t i = 0; i < list->count; i++) {
        const size_t bytes = list->items[i].count * sizeof(float);
        const float *values = beit__params_at(params, i);
        if (!on_host) {
            BEIT__TRY_GOTO(beit__download(list->ctx, staging, values, bytes));
            values = staging;
        }
        beit__checksum_add(&checksum, values, bytes);
    }
    beit__checksum_text(&checksum, text);
fail:
    beit__free(list->ctx, staging, largest * sizeof *staging);
    return status;
}
