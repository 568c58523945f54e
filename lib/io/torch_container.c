/* PyTorch's two containers. Since 1.6: a zip archive with <stem>/data.pkl and one entry
 * <stem>/data/<key> for each storage. Before: pickles of a magic number, the protocol, the writer's
 * machine, the object and the list of storage keys, then each storage as its number of elements
 * (u64) and the elements. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"
#include "io/torch_file.h"
#include "io/torch_zip.h"

#define LONGEST_ENTRY 512

/* ---- zip ---- */

bool beit__torch_is_zip(const unsigned char *first, size_t n)
{
    return n >= 4 && memcmp(first, "PK\003\004", 4) == 0;
}

/* The stem of "<stem>/data.pkl". */
static beit_status_t find_stem(const beit__zip_t *zip, char stem[LONGEST_ENTRY])
{
    static const char suffix[] = "/data.pkl";
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name, *slash = strchr(name, '/');
        const size_t n = slash ? (size_t)(slash - name) : LONGEST_ENTRY;
        if (n < LONGEST_ENTRY && strcmp(slash, suffix) == 0) {
            memcpy(stem, name, n);
            stem[n] = '\0';
            return BEIT_OK;
        }
    }
    return beit__fail(BEIT_E_FORMAT,
                      "%s: a zip archive without data.pkl ('%s' and %zu other entries), expected "
                      "one that torch.save wrote",
                      zip->source->name, zip->count ? zip->entries[0].name : "",
                      zip->count ? zip->count - 1 : 0);
}

static const beit__zip_entry_t *find_member(const beit__zip_t *zip, const char *stem,
                                            const char *folder, const char *member)
{
    char name[LONGEST_ENTRY];
    const int n = snprintf(name, sizeof name, "%s/%s%s", stem, folder, member);
    return n > 0 && (size_t)n < sizeof name ? beit__zip_find(zip, name) : NULL;
}

static beit_status_t check_kind(const beit__zip_t *zip, const char *stem)
{
    char order[8] = "little";
    const beit__zip_entry_t *entry = find_member(zip, stem, "", "byteorder");
    if (entry)
        memset(order, 0, sizeof order);
    if (entry && entry->bytes < sizeof order)
        BEIT__TRY(beit__source_read(zip->source, entry->at, order, (size_t)entry->bytes));
    if (strcmp(order, "little") != 0)
        return beit__fail(BEIT_E_FORMAT, "%s: its byte order is not 'little'", zip->source->name);
    if (find_member(zip, stem, "", "constants.pkl"))
        return beit__fail(BEIT_E_FORMAT,
                          "%s: a TorchScript program, expected weights: save its state_dict() "
                          "with torch.save",
                          zip->source->name);
    return BEIT_OK;
}

static beit_status_t locate_members(const beit__unpickler_t *unpickler, const beit__zip_t *zip,
                                    const char *stem)
{
    for (beit__storage_t *storage = unpickler->storages; storage; storage = storage->next) {
        const beit__zip_entry_t *entry = find_member(zip, stem, "data/", storage->key);
        if (!entry)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: there is no entry '%s/data/%s', which its pickle names",
                              zip->source->name, stem, storage->key);
        if (entry->bytes % storage->width != 0 || entry->bytes / storage->width != storage->count)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: entry '%s' has %" PRIu64 " bytes, its pickle says %" PRIu64
                              " elements of %u bytes",
                              zip->source->name, entry->name, entry->bytes, storage->count,
                              storage->width);
        storage->at = entry->at;
    }
    return BEIT_OK;
}

beit_status_t beit__torch_load_zip(beit__unpickler_t *unpickler, beit_context_t *ctx,
                                   const beit__source_t *source, const beit__object_t **root)
{
    beit__zip_t zip;
    char stem[LONGEST_ENTRY];
    beit__unpickler_open(unpickler, ctx, source, 0, 0);
    beit_status_t status;
    BEIT__TRY(beit__zip_open(&zip, ctx, source));
    BEIT__TRY_GOTO(find_stem(&zip, stem));
    BEIT__TRY_GOTO(check_kind(&zip, stem));
    const beit__zip_entry_t *entry = find_member(&zip, stem, "", "data.pkl");
    unpickler->at = entry->at;
    unpickler->end = entry->at + entry->bytes;
    BEIT__TRY_GOTO(beit__unpickle(unpickler, root));
    BEIT__TRY_GOTO(locate_members(unpickler, &zip, stem));
fail:
    beit__zip_close(&zip);
    return status;
}

/* ---- legacy ---- */

bool beit__torch_is_pickle(const unsigned char *first, size_t n)
{
    return n >= 2 && first[0] == 0x80 && first[1] <= 5;
}

/* 0x1950a86a20f9469cfc6c */
static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

#define PROTOCOL 1001

static beit_status_t read_preamble(beit__unpickler_t *unpickler)
{
    const beit__object_t *number, *protocol, *machine;
    const char *path = unpickler->source->name;
    BEIT__TRY(beit__unpickle(unpickler, &number));
    if (number->kind != BEIT__OBJECT_BIG || number->count != sizeof magic ||
        memcmp(number->text, magic, sizeof magic) != 0)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: a Python pickle, but not of torch.save: its magic number is missing",
                          path);
    BEIT__TRY(beit__unpickle(unpickler, &protocol));
    if (protocol->kind != BEIT__OBJECT_INT || protocol->integer != PROTOCOL)
        return beit__fail(BEIT_E_FORMAT, "%s: not of torch.save's protocol %d", path, PROTOCOL);
    BEIT__TRY(beit__unpickle(unpickler, &machine));
    const beit__object_t *little =
        machine->kind == BEIT__OBJECT_DICT ? beit__object_get(machine, "little_endian") : NULL;
    if (!little || little->kind != BEIT__OBJECT_BOOL || !little->integer)
        return beit__fail(BEIT_E_FORMAT, "%s: its byte order is not little-endian", path);
    return BEIT_OK;
}

static int compare_keys(const void *a, const void *b)
{
    beit__storage_t *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

/* The storages of this key, from the first to before the returned end; they are sorted. */
static size_t find_key(beit__storage_t **storages, size_t count, const char *key, size_t *end)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(storages[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (*end = low; *end < count && strcmp(storages[*end]->key, key) == 0;)
        ++*end;
    return low;
}

/* A storage's count and elements, at the unpickler's place. */
static beit_status_t locate_run(beit__unpickler_t *unpickler, beit__storage_t **storages,
                                size_t count)
{
    const beit__source_t *source = unpickler->source;
    const uint64_t left = unpickler->end - unpickler->at;
    uint64_t elements = 0, bytes;
    if (left < sizeof elements)
        return beit__fail(BEIT_E_FORMAT, "%s: truncated: it ends before storage '%s'", source->name,
                          storages[0]->key);
    BEIT__TRY(beit__source_read(source, unpickler->at, &elements, sizeof elements));
    if (__builtin_mul_overflow(elements, (uint64_t)storages[0]->width, &bytes) ||
        bytes > left - sizeof elements)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: truncated: storage '%s' claims %" PRIu64
                          " elements of %u bytes, %" PRIu64 " bytes are left",
                          source->name, storages[0]->key, elements, storages[0]->width,
                          left - sizeof elements);
    for (size_t i = 0; i < count; i++) {
        if (storages[i]->count != elements || storages[i]->width != storages[0]->width)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: storage '%s' has %" PRIu64 " elements of %u bytes, its pickle "
                              "says %" PRIu64 " of %u",
                              source->name, storages[i]->key, elements, storages[0]->width,
                              storages[i]->count, storages[i]->width);
        storages[i]->at = unpickler->at + sizeof elements;
    }
    unpickler->at += sizeof elements + bytes;
    return BEIT_OK;
}

/* `storages` sorted by key; afterwards none is left without a place. */
static beit_status_t locate_keys(beit__unpickler_t *unpickler, const beit__object_t *keys,
                                 beit__storage_t **storages, size_t count)
{
    const char *path = unpickler->source->name;
    if (keys->kind != BEIT__OBJECT_LIST)
        return beit__fail(BEIT_E_FORMAT, "%s: it has no list of storages", path);
    for (const beit__cell_t *cell = keys->items; cell; cell = cell->next) {
        size_t end = 0, first = 0;
        if (cell->value->kind == BEIT__OBJECT_TEXT)
            first = find_key(storages, count, cell->value->text, &end);
        if (first == end)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: its list of storages names one that no tensor uses", path);
        BEIT__TRY(beit__unpickler_work(unpickler, end - first));
        BEIT__TRY(locate_run(unpickler, storages + first, end - first));
    }
    for (size_t i = 0; i < count; i++)
        if (storages[i]->at == 0)
            return beit__fail(BEIT_E_FORMAT, "%s: storage '%s' is not in its list of storages",
                              path, storages[i]->key);
    return BEIT_OK;
}

beit_status_t beit__torch_load_legacy(beit__unpickler_t *unpickler, beit_context_t *ctx,
                                      const beit__source_t *source, const beit__object_t **root)
{
    const beit__object_t *keys;
    beit__unpickler_open(unpickler, ctx, source, 0, source->bytes);
    BEIT__TRY(read_preamble(unpickler));
    BEIT__TRY(beit__unpickle(unpickler, root));
    const size_t count = unpickler->storage_count;
    beit__storage_t **storages = beit__calloc(ctx, count, sizeof(beit__storage_t *));
    if (!storages)
        return BEIT_E_NOMEM;
    size_t i = 0;
    for (beit__storage_t *storage = unpickler->storages; storage; storage = storage->next)
        storages[i++] = storage;
    if (count > 0)
        qsort(storages, count, sizeof(beit__storage_t *), compare_keys);
    beit_status_t status;
    BEIT__TRY_GOTO(beit__unpickle(unpickler, &keys));
    BEIT__TRY_GOTO(locate_keys(unpickler, keys, storages, count));
fail:
    beit__free(ctx, storages, count * sizeof(beit__storage_t *));
    return status;
}
