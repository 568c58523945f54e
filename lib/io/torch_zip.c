/* Reading a ZIP archive (PKWARE's APPNOTE 6.3, with ZIP64): the record at the end of the file leads
 * to the directory, the directory to each entry's local header, behind which the data begin. Only
 * entries that are stored are wanted, so nothing is ever inflated. Checksums are left alone, as
 * PyTorch does: it can be told to write none. */
#include "io/torch_zip.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

#define END_MAGIC      0x06054b50u
#define END_BYTES      22u
#define LONGEST_NOTE   65535u /* follows the end record */
#define END64_MAGIC    0x06064b50u
#define END64_BYTES    56u
#define LOCATOR_MAGIC  0x07064b50u
#define LOCATOR_BYTES  20u
#define CENTRAL_MAGIC  0x02014b50u
#define CENTRAL_BYTES  46u
#define LOCAL_MAGIC    0x04034b50u
#define LOCAL_BYTES    30u
#define EXTRA_ZIP64    1u
#define FLAG_ENCRYPTED 1u
#define METHOD_STORED  0u

#define LARGEST_DIRECTORY (UINT64_C(1) << 24) /* 100,000 entries of ordinary names */

static uint64_t little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | bytes[n];
    return value;
}

static uint32_t u16(const unsigned char *bytes)
{
    return (uint32_t)little_endian(bytes, 2);
}

static uint32_t u32(const unsigned char *bytes)
{
    return (uint32_t)little_endian(bytes, 4);
}

static uint64_t u64(const unsigned char *bytes)
{
    return little_endian(bytes, 8);
}

static beit_status_t broken(const beit__zip_t *zip, const char *reason)
{
    return beit__fail(BEIT_E_FORMAT, "%s: a damaged or truncated zip archive: %s",
                      zip->source->name, reason);
}

/* ---- where the directory is ---- */

typedef struct directory {
    uint64_t at, bytes, entries;
} directory_t;

/* The last bytes of the file hold the end record, which may be followed by a note. */
static beit_status_t find_end(const beit__zip_t *zip, uint64_t *end)
{
    const uint64_t size = zip->source->bytes;
    unsigned char tail[END_BYTES + 1024]; /* read backwards, with some overlap */
    for (uint64_t seen = END_BYTES; seen <= size && seen <= END_BYTES + LONGEST_NOTE;) {
        const uint64_t reach =
            seen + sizeof tail - END_BYTES < size ? seen + sizeof tail - END_BYTES : size;
        const size_t n = (size_t)(reach - seen) + END_BYTES;
        BEIT__TRY(beit__source_read(zip->source, size - reach, tail, n));
        for (size_t i = n - END_BYTES + 1; i-- > 0;)
            if (u32(tail + i) == END_MAGIC && u16(tail + i + 20) == reach - i - END_BYTES) {
                *end = size - reach + i;
                return BEIT_OK;
            }
        seen = reach + 1;
    }
    return broken(zip, "its end is missing");
}

static beit_status_t read_end64(const beit__zip_t *zip, uint64_t end, directory_t *directory,
                                bool *found)
{
    unsigned char locator[LOCATOR_BYTES], record[END64_BYTES];
    *found = false;
    if (end < LOCATOR_BYTES)
        return BEIT_OK;
    BEIT__TRY(beit__source_read(zip->source, end - LOCATOR_BYTES, locator, sizeof locator));
    if (u32(locator) != LOCATOR_MAGIC)
        return BEIT_OK;
    const uint64_t at = u64(locator + 8);
    if (at > end - LOCATOR_BYTES || end - LOCATOR_BYTES - at < END64_BYTES)
        return broken(zip, "its ZIP64 record lies outside");
    BEIT__TRY(beit__source_read(zip->source, at, record, sizeof record));
    if (u32(record) != END64_MAGIC)
        return broken(zip, "its ZIP64 record is none");
    *directory = (directory_t){u64(record + 48), u64(record + 40), u64(record + 32)};
    *found = true;
    return BEIT_OK;
}

static beit_status_t find_directory(const beit__zip_t *zip, directory_t *directory)
{
    unsigned char record[END_BYTES];
    uint64_t end = 0;
    bool found;
    BEIT__TRY(find_end(zip, &end));
    BEIT__TRY(read_end64(zip, end, directory, &found));
    if (!found) {
        BEIT__TRY(beit__source_read(zip->source, end, record, sizeof record));
        *directory = (directory_t){u32(record + 16), u32(record + 12), u16(record + 10)};
    }
    if (directory->at > end || directory->bytes > end - directory->at)
        return broken(zip, "its directory lies outside");
    if (directory->bytes > LARGEST_DIRECTORY ||
        directory->entries > directory->bytes / CENTRAL_BYTES)
        return broken(zip, "its directory's size and number of entries make no sense");
    return BEIT_OK;
}

/* ---- the directory ---- */

/* Sizes that do not fit 32 bits stand in the extra field, in this order, each only when needed. */
static bool read_zip64(const unsigned char *extra, size_t bytes, uint64_t *wide[3])
{
    while (bytes >= 4) {
        const uint32_t id = u16(extra), n = u16(extra + 2);
        if (n > bytes - 4)
            return false;
        const unsigned char *field = extra + 4, *end = field + n;
        for (int i = 0; id == EXTRA_ZIP64 && i < 3; i++)
            if (*wide[i] == UINT32_MAX) {
                if (end - field < 8)
                    return false;
                *wide[i] = u64(field);
                field += 8;
            }
        extra += 4 + n;
        bytes -= 4 + n;
    }
    return true;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

/* An entry's record, of which `left` bytes are there; *used = its size. The name is moved to the
 * record's start, where its terminator does no harm. */
static beit_status_t parse_entry(const beit__zip_t *zip, unsigned char *record, size_t left,
                                 beit__zip_entry_t *entry, size_t *used)
{
    if (left < CENTRAL_BYTES || u32(record) != CENTRAL_MAGIC)
        return broken(zip, "its directory ends early");
    const uint32_t flags = u16(record + 8), method = u16(record + 10);
    const size_t name = u16(record + 28), extra = u16(record + 30), note = u16(record + 32);
    uint64_t packed = u32(record + 20);
    entry->bytes = u32(record + 24);
    entry->header = u32(record + 42);
    if (left - CENTRAL_BYTES < name + extra + note)
        return broken(zip, "its directory ends early");
    if (!read_zip64(record + CENTRAL_BYTES + name, extra,
                    (uint64_t *[3]){&entry->bytes, &packed, &entry->header}))
        return broken(zip, "an extra field of its directory is too short");
    *used = CENTRAL_BYTES + name + extra + note;
    memmove(record, record + CENTRAL_BYTES, name);
    record[name] = '\0';
    entry->name = (const char *)record;
    if (strlen(entry->name) != name || !is_printable(entry->name))
        return broken(zip, "the name of an entry is not printable");
    if (method != METHOD_STORED || flags & FLAG_ENCRYPTED)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: entry '%s' is %s (method %u), expected stored as torch.save does",
                          zip->source->name, entry->name,
                          flags & FLAG_ENCRYPTED ? "encrypted" : "compressed", method);
    if (packed != entry->bytes)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: entry '%s' is stored, yet has two sizes: %" PRIu64 " and %" PRIu64,
                          zip->source->name, entry->name, packed, entry->bytes);
    return BEIT_OK;
}

static beit_status_t parse_directory(beit__zip_t *zip, size_t count)
{
    zip->entries = beit__calloc(zip->ctx, count, sizeof *zip->entries);
    if (!zip->entries)
        return BEIT_E_NOMEM;
    zip->count = count;
    size_t at = 0, used = 0;
    for (size_t i = 0; i < count; i++, at += used)
        BEIT__TRY(parse_entry(zip, (unsigned char *)zip->directory + at, zip->directory_bytes - at,
                              &zip->entries[i], &used));
    return BEIT_OK;
}

/* ---- the entries ---- */

static int compare_headers(const void *a, const void *b)
{
    const beit__zip_entry_t *x = a, *y = b;
    return (x->header > y->header) - (x->header < y->header);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const beit__zip_entry_t *)a)->name, ((const beit__zip_entry_t *)b)->name);
}

/* `end` is where the next entry's header begins, or the directory. */
static beit_status_t locate(const beit__zip_t *zip, beit__zip_entry_t *entry, uint64_t end)
{
    unsigned char header[LOCAL_BYTES];
    if (entry->header > end || end - entry->header < LOCAL_BYTES)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: entry '%s' lies outside the archive or inside another entry",
                          zip->source->name, entry->name);
    BEIT__TRY(beit__source_read(zip->source, entry->header, header, sizeof header));
    if (u32(header) != LOCAL_MAGIC)
        return beit__fail(BEIT_E_FORMAT, "%s: entry '%s' does not begin with a header",
                          zip->source->name, entry->name);
    const uint64_t skip = LOCAL_BYTES + u16(header + 26) + u16(header + 28);
    const uint64_t room = end - entry->header;
    if (skip > room || entry->bytes > room - skip)
        return beit__fail(
            BEIT_E_FORMAT,
            "%s: entry '%s' claims %" PRIu64 " bytes, its place has room for %" PRIu64,
            zip->source->name, entry->name, entry->bytes, skip > room ? 0 : room - skip);
    entry->at = entry->header + skip;
    return BEIT_OK;
}

static beit_status_t locate_all(beit__zip_t *zip, uint64_t directory)
{
    if (zip->count == 0)
        return BEIT_OK;
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_headers);
    for (size_t i = 0; i < zip->count; i++)
        BEIT__TRY(locate(zip, &zip->entries[i],
                         i + 1 < zip->count ? zip->entries[i + 1].header : directory));
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (strcmp(zip->entries[i - 1].name, zip->entries[i].name) == 0)
            return beit__fail(BEIT_E_FORMAT, "%s: there are two entries '%s'", zip->source->name,
                              zip->entries[i].name);
    return BEIT_OK;
}

beit_status_t beit__zip_open(beit__zip_t *zip, beit_context_t *ctx, const beit__source_t *source)
{
    *zip = (beit__zip_t){.ctx = ctx, .source = source};
    directory_t directory = {0};
    beit_status_t status;
    BEIT__TRY_GOTO(find_directory(zip, &directory));
    zip->directory = beit__alloc(ctx, (size_t)directory.bytes);
    if (!zip->directory)
        return BEIT_E_NOMEM;
    zip->directory_bytes = (size_t)directory.bytes;
    BEIT__TRY_GOTO(beit__source_read(source, directory.at, zip->directory, zip->directory_bytes));
    BEIT__TRY_GOTO(parse_directory(zip, (size_t)directory.entries));
    BEIT__TRY_GOTO(locate_all(zip, directory.at));
    return BEIT_OK;
fail:
    beit__zip_close(zip);
    return status;
}

void beit__zip_close(beit__zip_t *zip)
{
    beit__free(zip->ctx, zip->entries, zip->count * sizeof *zip->entries);
    beit__free(zip->ctx, zip->directory, zip->directory_bytes);
    *zip = (beit__zip_t){0};
}

const beit__zip_entry_t *beit__zip_find(const beit__zip_t *zip, const char *name)
{
    const beit__zip_entry_t key = {.name = name};
    return zip->count > 0 ? bsearch(&key, zip->entries, zip->count, sizeof key, compare_names)
                          : NULL;
}
