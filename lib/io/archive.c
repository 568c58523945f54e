/* Opening an archive: find the file or files, tell the format from the first bytes, list the
 * tensors. Nothing is read of them until the loader knows that it wants them. */
#include "io/archive.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"
#include "io/archive_files.h"
#include "io/values.h"

/* ---- one file ---- */

/* A header of less than 4 GiB whose text begins as it must. The length alone may look like
 * anything, also like the beginning of a pickle. */
static bool is_safetensors(const unsigned char *first, size_t n)
{
    static const unsigned char begin[] = {0, 0, 0, 0, '{'};
    return n >= 9 && memcmp(first + 4, begin, sizeof begin) == 0;
}

static beit_status_t open_contents(beit__archive_file_t *file, beit_context_t *ctx)
{
    unsigned char first[9];
    const size_t n = file->source.bytes < sizeof first ? (size_t)file->source.bytes : sizeof first;
    BEIT__TRY(beit__source_read(&file->source, 0, first, n));
    const bool zip = beit__torch_is_zip(first, n);
    if (!is_safetensors(first, n) && (zip || beit__torch_is_pickle(first, n)))
        return beit__torch_open(&file->torch, ctx, &file->source, zip);
    return beit__safetensors_open(&file->safetensors, ctx, &file->source);
}

static beit_status_t open_file(beit__archive_file_t *file, beit_context_t *ctx, const char *path,
                               const beit_io_t *io)
{
    BEIT__TRY(beit__source_open(&file->source, path, io));
    const beit_status_t status = open_contents(file, ctx);
    if (status != BEIT_OK)
        beit__source_close(&file->source);
    return status;
}

static void close_file(beit__archive_file_t *file)
{
    beit__safetensors_close(&file->safetensors); /* one of the two is empty */
    beit__torch_close(&file->torch);
    beit__source_close(&file->source);
}

static beit_status_t make_files(beit__archive_t *archive, size_t count)
{
    archive->files = beit__calloc(archive->ctx, count, sizeof *archive->files);
    if (!archive->files)
        return BEIT_E_NOMEM;
    archive->file_count = count;
    for (size_t i = 0; i < count; i++)
        archive->files[i].source.fd = -1;
    return BEIT_OK;
}

/* ---- shards ---- */

static beit_status_t open_shards(beit__archive_t *archive, const json_t *shards)
{
    BEIT__TRY(make_files(archive, json_object_size(shards)));
    beit__archive_file_t *file = archive->files;
    const char *name;
    json_t *unused;
    json_object_foreach((json_t *)shards, name, unused)
    {
        BEIT__TRY(beit__archive_beside(archive->path, name, file->path));
        BEIT__TRY(open_file(file, archive->ctx, file->path, NULL));
        file++;
    }
    return BEIT_OK;
}

/* Every tensor must be where the index says. */
static beit_status_t check_map(const beit__archive_t *archive, const json_t *map)
{
    const char *name;
    json_t *shard;
    json_object_foreach((json_t *)map, name, shard)
    {
        const beit__entry_t *entry = beit__archive_find(archive, name);
        const char *path = entry ? entry->source->name : "";
        const size_t n = strlen(path), tail = json_string_length(shard);
        if (n < tail || strcmp(path + n - tail, json_string_value(shard)) != 0)
            return beit__fail(BEIT_E_FORMAT, "%s: says that '%s' is in %s, which does not hold it",
                              archive->path, name, json_string_value(shard));
    }
    return BEIT_OK;
}

/* ---- all entries ---- */

static void add_safetensors(const beit__archive_file_t *file, beit__entry_t *entry)
{
    for (size_t i = 0; i < file->safetensors.count; i++, entry++) {
        const beit__stored_t *stored = &file->safetensors.tensors[i];
        *entry = (beit__entry_t){.name = stored->name,
                                 .stored = stored->name,
                                 .source = &file->source,
                                 .at = file->safetensors.data + stored->begin,
                                 .count = stored->count,
                                 .dtype = stored->dtype,
                                 .ndim = stored->ndim};
        memcpy(entry->shape, stored->shape, sizeof entry->shape);
        int64_t stride = 1; /* beyond BEIT_MAX_DIMS it is never looked at */
        for (int32_t d = stored->ndim < BEIT_MAX_DIMS ? stored->ndim : 0; d-- > 0;) {
            entry->stride[d] = stride;
            stride *= stored->shape[d];
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const beit__entry_t *)a)->name, ((const beit__entry_t *)b)->name);
}

void beit__archive_sort(beit__archive_t *archive)
{
    if (archive->count > 0)
        qsort(archive->entries, archive->count, sizeof *archive->entries, compare_names);
}

static beit_status_t list_entries(beit__archive_t *archive)
{
    size_t count = 0;
    for (size_t i = 0; i < archive->file_count; i++)
        count += archive->files[i].safetensors.count + archive->files[i].torch.count;
    archive->entries = beit__calloc(archive->ctx, count, sizeof *archive->entries);
    if (!archive->entries)
        return BEIT_E_NOMEM;
    archive->count = archive->room = count;
    beit__entry_t *entry = archive->entries;
    for (size_t i = 0; i < archive->file_count; i++) {
        const beit__archive_file_t *file = &archive->files[i];
        add_safetensors(file, entry);
        entry += file->safetensors.count;
        if (file->torch.count)
            memcpy(entry, file->torch.entries, file->torch.count * sizeof *entry);
        entry += file->torch.count;
    }
    beit__archive_sort(archive);
    for (size_t i = 1; i < count; i++)
        if (strcmp(archive->entries[i - 1].name, archive->entries[i].name) == 0)
            return beit__fail(BEIT_E_FORMAT, "%s: there are two tensors '%s'", archive->name,
                              archive->entries[i].name);
    return BEIT_OK;
}

/* ---- opening ---- */

static beit_status_t open_single(beit__archive_t *archive, const char *path, const beit_io_t *io)
{
    BEIT__TRY(make_files(archive, 1));
    BEIT__TRY(open_file(&archive->files[0], archive->ctx, path, io));
    return list_entries(archive);
}

static beit_status_t open_index(beit__archive_t *archive)
{
    json_t *index = NULL, *shards = NULL;
    const json_t *map = NULL;
    beit_status_t status;
    BEIT__TRY_GOTO(beit__archive_load_json(archive->ctx, archive->path, &index));
    BEIT__TRY_GOTO(beit__archive_list_shards(archive->path, index, &map, &shards));
    BEIT__TRY_GOTO(open_shards(archive, shards));
    BEIT__TRY_GOTO(list_entries(archive));
    BEIT__TRY_GOTO(check_map(archive, map));
fail:
    json_decref(shards);
    json_decref(index);
    return status;
}

beit_status_t beit__archive_open(beit__archive_t *archive, beit_context_t *ctx, const char *path,
                                 const beit_io_t *io)
{
    *archive = (beit__archive_t){.ctx = ctx, .name = path ? path : "host storage"};
    archive->names = (beit__pieces_t){.ctx = ctx, .owner = archive->name, .limit = SIZE_MAX};
    beit_status_t status = BEIT_OK;
    if (path && !io)
        status = beit__archive_resolve(path, archive->path);
    if (status == BEIT_OK)
        status = beit__archive_is_index(archive->path)
                     ? open_index(archive)
                     : open_single(archive, archive->path[0] ? archive->path : path, io);
    if (status != BEIT_OK)
        beit__archive_close(archive);
    return status;
}

void beit__archive_close(beit__archive_t *archive)
{
    beit_context_t *ctx = archive->ctx;
    for (size_t i = 0; i < archive->file_count; i++)
        close_file(&archive->files[i]);
    beit__free(ctx, archive->files, archive->file_count * sizeof *archive->files);
    beit__free(ctx, archive->entries, archive->room * sizeof *archive->entries);
    beit__free(ctx, archive->stored, archive->stored_count * sizeof *archive->stored);
    beit__pieces_free(&archive->names);
    archive->files = NULL;
    archive->entries = archive->stored = NULL;
    archive->file_count = archive->count = archive->room = archive->stored_count = 0;
}

/* ---- contents ---- */

const beit__entry_t *beit__archive_find(const beit__archive_t *archive, const char *name)
{
    const beit__entry_t key = {.name = name};
    return archive->count > 0
               ? bsearch(&key, archive->entries, archive->count, sizeof key, compare_names)
               : NULL;
}

beit_status_t beit__archive_check_real(const beit__archive_t *archive, const beit__entry_t *entry)
{
    if (entry->class)
        return beit__fail(BEIT_E_MISMATCH, "%s: '%s' is a placeholder for %s, expected a tensor",
                          archive->name, entry->stored, entry->class);
    if (!beit__values_are_real(entry->dtype))
        return beit__fail(BEIT_E_MISMATCH, "%s: '%s' does not hold numbers of a known real type",
                          archive->name, entry->stored);
    return BEIT_OK;
}

uint64_t beit__archive_bytes(const beit__archive_t *archive)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < archive->file_count; i++)
        bytes += archive->files[i].source.bytes;
    return bytes;
}

const char *beit__archive_metadata(const beit__archive_t *archive, const char *key)
{
    const beit__safetensors_t *first = &archive->files[0].safetensors;
    return archive->file_count == 1 && first->root ? beit__safetensors_metadata(first, key) : NULL;
}

bool beit__archive_setting(const beit__archive_t *archive, const char *name, double *number)
{
    const beit__torch_t *torch = &archive->files[0].torch;
    for (size_t i = 0; i < torch->setting_count; i++)
        if (strcmp(torch->settings[i].name, name) == 0) {
            *number = torch->settings[i].number;
            return true;
        }
    return false;
}

beit_status_t beit__archive_verify(const beit__archive_t *archive)
{
    for (size_t i = 0; i < archive->file_count; i++)
        if (archive->files[i].safetensors.root)
            BEIT__TRY(beit__safetensors_verify(&archive->files[i].safetensors));
    return BEIT_OK;
}

beit_status_t beit__archive_read(const beit__entry_t *entry, float *dst)
{
    if (!entry->rows[0])
        return beit__values_gather(entry->source, entry->at, entry->dtype, entry->ndim,
                                   entry->shape, entry->stride, dst);
    for (size_t i = 0; i < BEIT__MOST_ROWS && entry->rows[i]; dst += entry->rows[i++]->count)
        BEIT__TRY(beit__archive_read(entry->rows[i], dst));
    return BEIT_OK;
}
