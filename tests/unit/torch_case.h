/* Files of torch.save put together by hand, in memory: pickles from a short notation, and both
 * containers around them. */
#ifndef TESTS_TORCH_CASE_H
#define TESTS_TORCH_CASE_H

#include <beit/backend.h>
#include <beit/checkpoint.h>
#include <stdbool.h>
#include <stdio.h>

#include "check.h"
#include "failing_alloc.h"
#include "io/archive.h"

/* ---- bytes that grow ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size, room;
} bytes_t;

static inline void add_bytes(bytes_t *bytes, const void *src, size_t n)
{
    if (n == 0)
        return; /* there may be no data at either end */
    if (bytes->size + n > bytes->room) {
        bytes->room = 2 * (bytes->size + n) + 256;
        bytes->data = realloc(bytes->data, bytes->room);
        assert_non_null(bytes->data);
    }
    memcpy(bytes->data + bytes->size, src, n);
    bytes->size += n;
}

static inline void add_number(bytes_t *bytes, uint64_t value, size_t width)
{
    add_bytes(bytes, &value, width); /* this and every supported machine is little-endian */
}

static inline void free_bytes(bytes_t *bytes)
{
    free(bytes->data);
    *bytes = (bytes_t){0};
}

/* ---- as host storage ---- */

static inline beit_status_t bytes_size(void *user, uint64_t *size)
{
    *size = ((const bytes_t *)user)->size;
    return BEIT_OK;
}

static inline beit_status_t bytes_read(void *user, uint64_t offset, void *dst, size_t n)
{
    const bytes_t *bytes = user;
    assert_true(offset <= bytes->size && n <= bytes->size - offset);
    memcpy(dst, bytes->data + offset, n);
    return BEIT_OK;
}

static inline beit_io_t bytes_io(bytes_t *bytes)
{
    return (beit_io_t){sizeof(beit_io_t), bytes, bytes_size, bytes_read, NULL, NULL};
}

/* ---- pickles ---- */

static inline unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Words: 'text' BINUNICODE; #1 BININT; @module:name GLOBAL; else opcodes as they are, and bytes in
 * hexadecimal behind `=`. Texts have no blanks. */
static inline void assemble(bytes_t *out, const char *words)
{
    while (*words) {
        const size_t n = strcspn(words, " ");
        if (*words == '\'' && n > 1) {
            add_number(out, 'X', 1);
            add_number(out, n - 2, 4);
            add_bytes(out, words + 1, n - 2);
        } else if (*words == '#') {
            add_number(out, 'J', 1);
            add_number(out, (uint32_t)strtol(words + 1, NULL, 10), 4);
        } else if (*words == '@') {
            const size_t module = strcspn(words, ":");
            add_number(out, 'c', 1);
            add_bytes(out, words + 1, module - 1);
            add_number(out, '\n', 1);
            add_bytes(out, words + module + 1, n - module - 1);
            add_number(out, '\n', 1);
        } else {
            const size_t codes = strcspn(words, "= ");
            add_bytes(out, words, codes);
            for (size_t i = codes + 1; i + 1 < n; i += 2)
                add_number(out, hex_digit(words[i]) << 4 | hex_digit(words[i + 1]), 1);
        }
        words += n + (words[n] == ' ');
    }
}

#define PROTOCOL                  "=8002 "
#define STORAGE(type, key, count) "( 'storage' @torch:" type " '" key "' 'cpu' #" count " t Q "
#define REBUILD                   "@torch._utils:_rebuild_tensor_v2 "
/* Of the four floats under `key`; shape and stride are words that build tuples. */
#define TENSOR(key, first, shape, stride)                                                          \
    REBUILD "( " STORAGE("FloatStorage", key, "4") "#" first " " shape stride                      \
                                                   "=89 @collections:OrderedDict ) R t R "
#define FOUR   "#4 =85 "
#define ONE    "#1 =85 "
#define FLOATS STORAGE("FloatStorage", "0", "4")
#define W1234  TENSOR("0", "0", FOUR, ONE)
/* A state dict with one tensor, "w", of the numbers 1 to 4. */
#define SOUND PROTOCOL "} ( 'w' " W1234 "u ."

/* The same in any arrangement. */
#define W(first, shape, stride) PROTOCOL "} ( 'w' " TENSOR("0", first, shape, stride) "u ."

/* ---- zip archives ---- */

enum { MOST_MEMBERS = 8 };

/* Where the parts of an archive begin. */
typedef struct zip_case {
    bytes_t bytes;
    size_t members, local[MOST_MEMBERS], central[MOST_MEMBERS], size[MOST_MEMBERS];
    char name[MOST_MEMBERS][64];
    size_t record64, locator, end;
} zip_case_t;

static inline void zip_add(zip_case_t *zip, const char *name, const void *data, size_t n)
{
    const size_t i = zip->members++;
    assert_true(i < MOST_MEMBERS);
    (void)snprintf(zip->name[i], sizeof zip->name[i], "%s", name);
    zip->local[i] = zip->bytes.size;
    zip->size[i] = n;
    add_number(&zip->bytes, 0x04034b50, 4);
    for (int zero = 0; zero < 11; zero++) /* PyTorch's readers look at the directory only */
        add_number(&zip->bytes, 0, 2);
    add_number(&zip->bytes, strlen(name), 2);
    add_number(&zip->bytes, 0, 2);
    add_bytes(&zip->bytes, name, strlen(name));
    add_bytes(&zip->bytes, data, n);
}

/* The directory, with ZIP64's fields for what would fit without when `wide`. */
static inline void zip_end(zip_case_t *zip, bool wide)
{
    bytes_t *bytes = &zip->bytes;
    const size_t begin = bytes->size;
    for (size_t i = 0; i < zip->members; i++) {
        zip->central[i] = bytes->size;
        add_number(bytes, 0x02014b50, 4);
        for (int zero = 0; zero < 8; zero++)
            add_number(bytes, 0, 2);
        add_number(bytes, wide ? UINT32_MAX : zip->size[i], 4);
        add_number(bytes, wide ? UINT32_MAX : zip->size[i], 4);
        add_number(bytes, strlen(zip->name[i]), 2);
        add_number(bytes, wide ? 28 : 0, 2);
        for (int zero = 0; zero < 5; zero++)
            add_number(bytes, 0, 2);
        add_number(bytes, wide ? UINT32_MAX : zip->local[i], 4);
        add_bytes(bytes, zip->name[i], strlen(zip->name[i]));
        if (wide) {
            add_number(bytes, 24 << 16 | 1, 4);
            add_number(bytes, zip->size[i], 8);
            add_number(bytes, zip->size[i], 8);
            add_number(bytes, zip->local[i], 8);
        }
    }
    const size_t directory = bytes->size - begin;
    if (wide) {
        zip->record64 = bytes->size;
        add_number(bytes, 0x06064b50, 4);
        add_number(bytes, 44, 8);
        for (int zero = 0; zero < 3; zero++)
            add_number(bytes, 0, 4);
        add_number(bytes, zip->members, 8);
        add_number(bytes, zip->members, 8);
        add_number(bytes, directory, 8);
        add_number(bytes, begin, 8);
        zip->locator = bytes->size;
        add_number(bytes, 0x07064b50, 4);
        add_number(bytes, 0, 4);
        add_number(bytes, zip->record64, 8);
        add_number(bytes, 1, 4);
    }
    zip->end = bytes->size;
    add_number(bytes, 0x06054b50, 4);
    add_number(bytes, 0, 4);
    add_number(bytes, wide ? UINT16_MAX : zip->members, 2);
    add_number(bytes, wide ? UINT16_MAX : zip->members, 2);
    add_number(bytes, wide ? UINT32_MAX : directory, 4);
    add_number(bytes, wide ? UINT32_MAX : begin, 4);
    add_number(bytes, 0, 2);
}

static const float one_to_four[] = {1, 2, 3, 4};

/* As torch.save writes it, with this pickle (n bytes) and the storages "0" and "1". */
static inline void zip_whole(zip_case_t *zip, const void *pickle, size_t n, bool wide)
{
    *zip = (zip_case_t){.members = 0};
    zip_add(zip, "w/data.pkl", pickle, n);
    zip_add(zip, "w/byteorder", "little", 6);
    zip_add(zip, "w/data/0", one_to_four, sizeof one_to_four);
    zip_add(zip, "w/data/1", one_to_four, sizeof one_to_four);
    zip_add(zip, "w/version", "3\n", 2);
    zip_end(zip, wide);
}

/* ---- the legacy container ---- */

#define MAGIC   PROTOCOL "=8a0a6cfc9c46f9206aa85019 ."
#define VERSION PROTOCOL "=4de903 ."
#define MACHINE PROTOCOL "} ( 'protocol_version' =4de903 'little_endian' =88 u ."
#define KEYS    PROTOCOL "] ( '0' e ."

typedef struct legacy_case {
    const char *magic, *version, *machine, *object, *keys; /* words; NULL = sound */
    const char *storages;                                  /* words; NULL = four floats */
} legacy_case_t;

static inline bytes_t legacy_whole(const legacy_case_t *legacy)
{
    bytes_t bytes = {0};
    assemble(&bytes, legacy->magic ? legacy->magic : MAGIC);
    assemble(&bytes, legacy->version ? legacy->version : VERSION);
    assemble(&bytes, legacy->machine ? legacy->machine : MACHINE);
    assemble(&bytes, legacy->object ? legacy->object : SOUND);
    assemble(&bytes, legacy->keys ? legacy->keys : KEYS);
    if (legacy->storages) {
        assemble(&bytes, legacy->storages);
    } else {
        add_number(&bytes, 4, 8);
        add_bytes(&bytes, one_to_four, sizeof one_to_four);
    }
    return bytes;
}

/* ---- opening ---- */

/* The bytes as an archive, whose memory is that of a context of its own. */
typedef struct opened {
    failing_alloc_t memory;
    beit_context_t *ctx;
    size_t peak; /* bytes that opening took at most */
    beit_io_t io;
    beit__archive_t archive;
} opened_t;

static inline beit_status_t open_bytes(opened_t *opened, bytes_t *bytes)
{
    *opened = (opened_t){.io = bytes_io(bytes)};
    check_ok(failing_context(&opened->ctx, &opened->memory, "reference", 1));
    size_t before, now, peak;
    beit_context_memory(opened->ctx, &before, &peak);
    const beit_status_t status =
        beit__archive_open(&opened->archive, opened->ctx, "test.pth", &opened->io);
    beit_context_memory(opened->ctx, &now, &peak);
    opened->peak = peak - before;
    if (status != BEIT_OK)
        assert_int_equal(now, before);
    return status;
}

static inline void close_bytes(opened_t *opened)
{
    beit__archive_close(&opened->archive);
    beit_context_unref(opened->ctx);
    assert_int_equal(opened->memory.blocks, 0);
    assert_int_equal(opened->memory.mismatches, 0);
}

/* The bytes must be refused for this reason, and take no more than `most` bytes to be refused. */
static inline void check_refused(bytes_t *bytes, const char *what, const char *reason, size_t most)
{
    opened_t opened;
    const beit_status_t status = open_bytes(&opened, bytes);
    if (status != BEIT_E_FORMAT || !strstr(beit_last_error(), reason) ||
        !strstr(beit_last_error(), "test.pth: "))
        fail_msg("%s: status %d, \"%s\", expected \"%s\"", what, (int)status, beit_last_error(),
                 reason);
    assert_true(opened.peak <= most);
    close_bytes(&opened);
}

static inline bytes_t zip_of(const char *words)
{
    bytes_t pickle = {0};
    zip_case_t zip;
    assemble(&pickle, words);
    zip_whole(&zip, pickle.data, pickle.size, false);
    free_bytes(&pickle);
    return zip.bytes;
}

static inline void check_tensor(const beit__archive_t *archive, const char *name, size_t count,
                                const float *wanted)
{
    const beit__entry_t *entry = beit__archive_find(archive, name);
    float values[16];
    assert_non_null(entry);
    assert_int_equal(entry->count, count);
    assert_true(count <= sizeof values / sizeof *values);
    check_ok(beit__archive_read(entry, values));
    assert_memory_equal(values, wanted, count * sizeof *values);
}

#endif
