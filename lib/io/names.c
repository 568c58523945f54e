/* Renaming the tensors of an archive. Values are not touched: a renamed tensor, or one that is
 * joined from several, is read from where it was. */
#include "io/names.h"

#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

static void translate(beit__names_kind_t kind, const char *stored, beit__translation_t *translation)
{
    if (kind == BEIT__NAMES_MODEL)
        beit__names_model(stored, translation);
    else
        beit__names_dvae(stored, translation);
}

/* Whether a tokenizer is inside a larger checkpoint, whose other tensors are then left out. */
static bool has_inner(const beit__archive_t *archive, beit__names_kind_t kind)
{
    beit__translation_t translation;
    for (size_t i = 0; i < archive->count; i++) {
        translate(kind, archive->entries[i].stored, &translation);
        if (translation.inner)
            return true;
    }
    return false;
}

/* OpenAI's halves have the same names; here they carry "encoder." and "decoder.". The encoder
 * begins with a 7x7 convolution on pixels, the decoder with a 1x1 one on codes. */
static const char *half_of(const beit__archive_t *archive, beit__names_kind_t kind)
{
    beit__translation_t translation;
    for (size_t i = 0; i < archive->count; i++) {
        const beit__entry_t *entry = &archive->entries[i];
        translate(kind, entry->stored, &translation);
        if (strcmp(translation.name, "blocks.input.w") == 0 && entry->ndim == 4)
            return entry->shape[2] > 1 ? "encoder." : "decoder.";
    }
    return "";
}

static beit_status_t rename_entry(beit__archive_t *archive, const char *half,
                                  const beit__translation_t *translation, beit__entry_t *entry,
                                  const beit__entry_t *stored)
{
    *entry = *stored;
    if (!translation->known)
        return BEIT_OK;
    char name[BEIT__NAME_MAX + 16];
    const bool halved = strncmp(translation->name, "blocks.", sizeof "blocks." - 1) == 0;
    const int n = snprintf(name, sizeof name, "%s%s", halved ? half : "", translation->name);
    entry->name = beit__pieces_text(&archive->names, name, (size_t)n);
    if (translation->row)
        entry->rows[translation->row - 1] = stored;
    return entry->name ? BEIT_OK : archive->names.status;
}

/* ---- joining ---- */

/* The second of two entries of the same name joins the first, if each is one of its rows. */
static beit_status_t join(const beit__archive_t *archive, beit__entry_t *into,
                          const beit__entry_t *entry)
{
    size_t row = 0;
    while (row < BEIT__MOST_ROWS && !entry->rows[row])
        row++;
    const bool joined = into->rows[0] || into->rows[1] || into->rows[2];
    if (row == BEIT__MOST_ROWS || !joined || into->rows[row])
        return beit__fail(BEIT_E_MISMATCH, "%s: '%s' and '%s' are both what is '%s' here",
                          archive->name, into->stored, entry->stored, into->name);
    into->rows[row] = entry->rows[row];
    return BEIT_OK;
}

/* Matrices of the same shape, one below the other. */
static beit_status_t finish(const beit__archive_t *archive, beit__entry_t *entry)
{
    const beit__entry_t *const *rows = entry->rows;
    if (!rows[0] && !rows[1] && !rows[2])
        return BEIT_OK;
    for (size_t i = 0; i < BEIT__MOST_ROWS; i++) {
        if (!rows[i])
            return beit__fail(BEIT_E_MISMATCH,
                              "%s: '%s' is there, but not all of query, key and value",
                              archive->name, entry->stored);
        BEIT__TRY(beit__archive_check_real(archive, rows[i]));
        if (rows[i]->ndim != 2 ||
            memcmp(rows[i]->shape, rows[0]->shape, 2 * sizeof *entry->shape) != 0)
            return beit__fail(BEIT_E_MISMATCH, "%s: '%s' is not a matrix of the shape of '%s'",
                              archive->name, rows[i]->stored, rows[0]->stored);
    }
    if (__builtin_mul_overflow(rows[0]->shape[0], (int64_t)BEIT__MOST_ROWS, &entry->shape[0]) ||
        __builtin_mul_overflow(rows[0]->count, (uint64_t)BEIT__MOST_ROWS, &entry->count))
        return beit__fail(BEIT_E_FORMAT, "%s: '%s': its size overflows", archive->name,
                          entry->stored);
    entry->dtype = rows[0]->dtype;
    entry->stored = entry->name;
    return BEIT_OK;
}

/* Entries are sorted by name. */
static beit_status_t join_all(beit__archive_t *archive, size_t *count)
{
    beit__entry_t *entries = archive->entries;
    *count = 0;
    for (size_t i = 0; i < archive->count; i++) {
        if (*count > 0 && strcmp(entries[*count - 1].name, entries[i].name) == 0)
            BEIT__TRY(join(archive, &entries[*count - 1], &entries[i]));
        else
            entries[(*count)++] = entries[i];
    }
    for (size_t i = 0; i < *count; i++)
        BEIT__TRY(finish(archive, &entries[i]));
    return BEIT_OK;
}

/* A classifier that was made from a pre-trained model may still carry what it has no use for. */
static void leave_out_mask(beit__archive_t *archive)
{
    const beit__entry_t *mask = beit__archive_find(archive, "mask_token");
    if (!mask || beit__archive_find(archive, "lm_head.weight") ||
        !beit__archive_find(archive, "head.weight"))
        return;
    const size_t at = (size_t)(mask - archive->entries);
    archive->count--;
    memmove(&archive->entries[at], &archive->entries[at + 1],
            (archive->count - at) * sizeof *archive->entries);
}

beit_status_t beit__names_translate(beit__archive_t *archive, beit__names_kind_t kind)
{
    const bool inner = has_inner(archive, kind);
    const char *half = half_of(archive, kind);
    beit__entry_t *renamed = beit__calloc(archive->ctx, archive->count, sizeof *renamed);
    if (!renamed)
        return BEIT_E_NOMEM;
    archive->stored = archive->entries;
    archive->stored_count = archive->count;
    archive->entries = renamed;
    archive->room = archive->count;
    archive->count = 0;
    for (size_t i = 0; i < archive->stored_count; i++) {
        const beit__entry_t *stored = &archive->stored[i];
        beit__translation_t translation;
        translate(kind, stored->stored, &translation);
        if (translation.other || (inner && !translation.inner))
            continue;
        BEIT__TRY(rename_entry(archive, half, &translation, &renamed[archive->count], stored));
        archive->count++;
    }
    beit__archive_sort(archive);
    size_t count = 0;
    BEIT__TRY(join_all(archive, &count));
    archive->count = count;
    leave_out_mask(archive);
    return BEIT_OK;
}
