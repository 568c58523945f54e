/* The file format: files that the specification calls legal are read, our own are exactly as the
 * format's reference writer orders them, and hostile ones are refused with a reason. Everything
 * happens in memory, through the host's storage hooks. */
#include "io/safetensors.h"

#include <jansson.h>
#include <stdio.h>

#include "check.h"
#include "io/json.h"

/* A file in memory. */
typedef struct memory {
    unsigned char bytes[4096];
    uint64_t size;
    uint64_t largest_read; /* reads beyond the size would be a fault */
} memory_t;

static beit_status_t memory_size(void *user, uint64_t *bytes)
{
    *bytes = ((const memory_t *)user)->size;
    return BEIT_OK;
}

static beit_status_t memory_read(void *user, uint64_t offset, void *dst, size_t n)
{
    memory_t *memory = user;
    assert_true(offset + n <= memory->size && offset + n <= sizeof memory->bytes);
    memcpy(dst, memory->bytes + offset, n);
    return BEIT_OK;
}

static beit_status_t memory_append(void *user, const void *src, size_t n)
{
    memory_t *memory = user;
    assert_true(memory->size + n <= sizeof memory->bytes);
    memcpy(memory->bytes + memory->size, src, n);
    memory->size += n;
    return BEIT_OK;
}

static beit_status_t memory_commit(void *user)
{
    (void)user;
    return BEIT_OK;
}

static beit_io_t memory_io(memory_t *memory)
{
    return (beit_io_t){sizeof(beit_io_t), memory,        memory_size,
                       memory_read,       memory_append, memory_commit};
}

/* length of header, header, `data` bytes 0, 1, 2, ... */
static void compose(memory_t *memory, const char *header, size_t data)
{
    const uint64_t length = strlen(header);
    *memory = (memory_t){.size = 8 + length + data};
    assert_true(memory->size <= sizeof memory->bytes);
    memcpy(memory->bytes, &length, 8);
    memcpy(memory->bytes + 8, header, length);
    for (size_t i = 0; i < data; i++)
        memory->bytes[8 + length + i] = (unsigned char)i;
}

typedef struct opened {
    beit_io_t io;
    beit__source_t source;
    beit__safetensors_t file;
} opened_t;

static beit_status_t open_memory(opened_t *opened, memory_t *memory)
{
    opened->io = memory_io(memory);
    check_ok(beit__source_open(&opened->source, "test", &opened->io));
    return beit__safetensors_open(&opened->file, NULL, &opened->source);
}

static void close_memory(opened_t *opened)
{
    beit__safetensors_close(&opened->file);
    beit__source_close(&opened->source);
}

/* ---- legal files ---- */

/* The reference implementation's own test vector. */
static void the_empty_file_is_read(void **state)
{
    (void)state;
    memory_t memory = {.bytes = {8, 0, 0, 0, 0, 0, 0, 0, '{', '}', ' ', ' ', ' ', ' ', ' ', ' '},
                       .size = 16};
    opened_t opened;
    check_ok(open_memory(&opened, &memory));
    assert_int_equal(opened.file.count, 0);
    assert_null(beit__safetensors_find(&opened.file, "x"));
    assert_null(beit__safetensors_metadata(&opened.file, "format"));
    check_ok(beit__safetensors_verify(&opened.file));
    close_memory(&opened);
}

static void every_real_type_becomes_f32(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[6],\"data_offsets\":[0,12]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[12,16]},"
        "\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[16,24]},"
        "\"f\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[24,28]},"
        "\"i\":{\"dtype\":\"I64\",\"shape\":[0,3],\"data_offsets\":[28,28]}} ";
    memory_t memory;
    compose(&memory, header, 28);
    unsigned char *data = memory.bytes + memory.size - 28;
    /* 1, -2, smallest subnormal, largest, infinity, -0 */
    const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000};
    const uint16_t brains[] = {0x3f80, 0xc120}; /* 1, -10 */
    const double wide = 0.1;
    const float single = -3.5f;
    memcpy(data, halves, 12);
    memcpy(data + 12, brains, 4);
    memcpy(data + 16, &wide, 8);
    memcpy(data + 24, &single, 4);
    opened_t opened;
    check_ok(open_memory(&opened, &memory));
    assert_int_not_equal(opened.file.data % 4, 0); /* unaligned on purpose */
    assert_int_equal(opened.file.count, 5);
    assert_string_equal(beit__safetensors_metadata(&opened.file, "format"), "pt");
    float values[6];
    const beit__stored_t *h = beit__safetensors_find(&opened.file, "h");
    check_ok(beit__safetensors_read(&opened.file, h, values));
    const float wanted[] = {1, -2, 0x1p-24f, 65504, INFINITY, -0.0f};
    assert_memory_equal(values, wanted, sizeof wanted);
    const beit__stored_t *b = beit__safetensors_find(&opened.file, "b");
    assert_int_equal(b->ndim, 2);
    assert_int_equal(b->shape[1], 2);
    check_ok(beit__safetensors_read(&opened.file, b, values));
    assert_true(values[0] == 1 && values[1] == -10);
    check_ok(
        beit__safetensors_read(&opened.file, beit__safetensors_find(&opened.file, "d"), values));
    assert_true(values[0] == 0.1f);
    const beit__stored_t *f = beit__safetensors_find(&opened.file, "f");
    assert_int_equal(f->ndim, 0);
    assert_int_equal(f->count, 1);
    check_ok(beit__safetensors_read(&opened.file, f, values));
    assert_true(values[0] == -3.5f);
    const beit__stored_t *i = beit__safetensors_find(&opened.file, "i");
    assert_int_equal(i->count, 0);
    assert_true(beit__stored_is_float(f) && !beit__stored_is_float(i));
    close_memory(&opened);
}

/* What a half-precision number means, by arithmetic on its fields. */
static double meaning_of_half(uint32_t bits)
{
    const int exponent = (int)(bits >> 10 & 31), mantissa = (int)(bits & 1023);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return mantissa ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25));
}

static void every_half_is_converted(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 0x10000; first += 1024) {
        memory_t memory;
        compose(&memory, "{\"h\":{\"dtype\":\"F16\",\"shape\":[1024],\"data_offsets\":[0,2048]}}",
                2048);
        for (uint32_t k = 0; k < 1024; k++) {
            const uint16_t half = (uint16_t)(first + k);
            memcpy(memory.bytes + memory.size - 2048 + 2 * k, &half, 2);
        }
        opened_t opened;
        float values[1024];
        check_ok(open_memory(&opened, &memory));
        check_ok(beit__safetensors_read(&opened.file, opened.file.tensors, values));
        close_memory(&opened);
        for (uint32_t k = 0; k < 1024; k++) {
            const double wanted = meaning_of_half(first + k);
            assert_true(isnan(wanted) ? isnan(values[k]) : (double)values[k] == wanted);
        }
    }
}

/* ---- hostile files ---- */

#define T(dtype, shape, offsets)                                                                   \
    "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define F4 T("\"F32\"", "[1]", "[0,4]")

typedef struct hostile {
    const char *what;
    const char *header;
    size_t data;
    const char *reason; /* part of the message */
} hostile_t;

static const hostile_t hostile_headers[] = {
    {"no header", "", 0, "does not begin with '{'"},
    {"an array", "[]", 0, "does not begin with '{'"},
    {"blank first", " {}", 0, "does not begin with '{'"},
    {"not JSON", "{nonsense}", 0, "byte"},
    {"unfinished", "{\"a\":", 0, "byte"},
    {"something after it", "{}{}", 0, "byte"},
    {"duplicate tensor", "{\"a\":" F4 ",\"a\":" F4 "}", 4, "duplicate"},
    {"duplicate field", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 0, "duplicate"},
    {"not UTF-8", "{\"\xff\":" F4 "}", 4, "unable to decode byte"},
    {"overlong UTF-8", "{\"\xc0\x80\":" F4 "}", 4, "unable to decode byte"},
    {"NUL in a name", "{\"a\\u0000b\":" F4 "}", 4, "byte"},
    {"escape in a name", "{\"a\\u001b[2J\":" F4 "}", 4, "control character"},
    {"deep", "{\"a\":[[[[[[[[[[[[]]]]]]]]]]]]}", 0, "nests more than"},
    {"tensor is a number", "{\"a\":1}", 0, "is not an object"},
    {"tensor is empty", "{\"a\":{}}", 0, "data_offsets"},
    {"metadata is a list", "{\"__metadata__\":[]}", 0, "__metadata__ is not an object"},
    {"metadata holds a number", "{\"__metadata__\":{\"step\":1}}", 0, "is not a string"},
    {"unknown dtype", "{\"a\":" T("\"F31\"", "[1]", "[0,4]") "}", 4, "dtype 'F31' is not known"},
    {"dtype is a number", "{\"a\":" T("5", "[1]", "[0,4]") "}", 4, "dtype '(none)'"},
    {"shape is a number", "{\"a\":" T("\"F32\"", "1", "[0,4]") "}", 4, "shape is not"},
    {"negative extent", "{\"a\":" T("\"F32\"", "[-1]", "[0,4]") "}", 4, "shape is not"},
    {"fractional extent", "{\"a\":" T("\"F32\"", "[1.0]", "[0,4]") "}", 4, "shape is not"},
    {"extent beyond 63 bits", "{\"a\":" T("\"F32\"", "[99999999999999999999]", "[0,4]") "}", 4,
     "byte"},
    {"shape overflows", "{\"a\":" T("\"F32\"", "[4294967296,4294967296]", "[0,0]") "}", 0,
     "shape is not"},
    {"shape overflows to what fits",
     "{\"a\":" T("\"F32\"", "[9223372036854775807,2,2]", "[0,4]") "}", 4, "shape is not"},
    {"bytes overflow", "{\"a\":" T("\"F64\"", "[2305843009213693952]", "[0,0]") "}", 0,
     "do not take"},
    {"range is too short", "{\"a\":" T("\"F32\"", "[2]", "[0,4]") "}", 4, "do not take"},
    {"range is too long", "{\"a\":" T("\"F32\"", "[1]", "[0,8]") "}", 8, "do not take"},
    {"range is reversed", "{\"a\":" T("\"F32\"", "[1]", "[4,0]") "}", 4, "data_offsets"},
    {"range is negative", "{\"a\":" T("\"F32\"", "[1]", "[-4,0]") "}", 4, "data_offsets"},
    {"range has three ends", "{\"a\":" T("\"F32\"", "[1]", "[0,4,8]") "}", 8, "data_offsets"},
    {"overlap", "{\"a\":" F4 ",\"b\":" T("\"F32\"", "[1]", "[2,6]") "}", 6, "inside its"},
    {"twice the same range", "{\"a\":" F4 ",\"b\":" F4 "}", 4, "inside its predecessor"},
    {"hole", "{\"a\":" F4 ",\"b\":" T("\"F32\"", "[1]", "[8,12]") "}", 12, "leaving a hole"},
    {"hole at the start", "{\"a\":" T("\"F32\"", "[1]", "[4,8]") "}", 8, "leaving a hole"},
    {"truncated", "{\"a\":" F4 "}", 3, "truncated"},
    {"far beyond the end",
     "{\"a\":" T("\"U8\"", "[4611686018427387904]", "[0,4611686018427387904]") "}", 4, "truncated"},
    {"trailing bytes", "{\"a\":" F4 "}", 5, "1 bytes follow the last tensor"},
};

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile_headers / sizeof *hostile_headers; i++) {
        const hostile_t *hostile = &hostile_headers[i];
        memory_t memory;
        opened_t opened;
        compose(&memory, hostile->header, hostile->data);
        const beit_status_t status = open_memory(&opened, &memory);
        if (status != BEIT_E_FORMAT || !strstr(beit_last_error(), hostile->reason))
            fail_msg("%s: status %d, \"%s\"", hostile->what, (int)status, beit_last_error());
        assert_null(opened.file.tensors);
        assert_null(opened.file.root);
    }
}

typedef struct impostor {
    const char *bytes;
    size_t length;
    const char *reason;
} impostor_t;

#define IMPOSTOR(text, reason)                                                                     \
    {                                                                                              \
        text, sizeof(text) - 1, reason                                                             \
    }

static const impostor_t impostors[] = {
    IMPOSTOR("", "it is empty"),
    IMPOSTOR("\x08\x00", "shorter than 8 bytes"),
    IMPOSTOR("\xff\xff\xff\xff\xff\xff\xff\xff{}", "larger than 100 MB"),
    IMPOSTOR("\x01\xe1\xf5\x05\x00\x00\x00\x00{}", "larger than 100 MB"), /* by one byte */
    IMPOSTOR("\x40\x00\x00\x00\x00\x00\x00\x00{}", "truncated"),
    IMPOSTOR("<!DOCTYPE html><html>Not Found", "HTML or XML"),
    IMPOSTOR("\xef\xbb\xbf \n<?xml version=", "HTML or XML"),
    IMPOSTOR("<a>", "HTML or XML"),
    IMPOSTOR("version https://git-lfs.github.com/spec/v1\n", "git-lfs"),
    IMPOSTOR("PK\003\004\000\000\000\000\000\000", "zip archive"),
    IMPOSTOR("\x80\002\x8a\nl\xfc\x9c\x46\xf9 j", "pickle"),
    IMPOSTOR("\x80\004\x95\x00\x00\x00\x00\x00\x00\x01", "pickle"),
    IMPOSTOR("\x93NUMPY\x01\x00v\x00", "NumPy"),
    IMPOSTOR("\x89HDF\r\n\x1a\n", "HDF5"),
    IMPOSTOR("GGUF\x03\x00\x00\x00\x01\x00", "GGUF"),
    IMPOSTOR("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"),
    IMPOSTOR("{\"error\":\"no such file\"}", "JSON text"),
    IMPOSTOR("hello, world, this is text", "not a safetensors file"),
};

static void other_files_are_called_what_they_are(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof impostors / sizeof *impostors; i++) {
        memory_t memory = {.size = impostors[i].length};
        memcpy(memory.bytes, impostors[i].bytes, impostors[i].length);
        opened_t opened;
        const beit_status_t status = open_memory(&opened, &memory);
        if (status != BEIT_E_FORMAT || !strstr(beit_last_error(), impostors[i].reason))
            fail_msg("impostor %zu: status %d, \"%s\", expected \"%s\"", i, (int)status,
                     beit_last_error(), impostors[i].reason);
    }
}

/* ---- our own files ---- */

static void write_items(memory_t *memory, beit__item_t *items, size_t count, json_t *metadata)
{
    *memory = (memory_t){0};
    const beit_io_t io = memory_io(memory);
    beit__sink_t sink;
    check_ok(beit__sink_open(&sink, NULL, &io));
    check_ok(beit__safetensors_write(NULL, &sink, items, count, metadata));
    check_ok(beit__sink_commit(&sink));
    beit__sink_close(&sink);
}

static void written_files_are_exact(void **state)
{
    (void)state;
    memory_t memory;
    write_items(&memory, NULL, 0, NULL);
    unsigned char empty[64] = {56, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    memset(empty + 10, ' ', sizeof empty - 10);
    assert_int_equal(memory.size, sizeof empty);
    assert_memory_equal(memory.bytes, empty, sizeof empty);

    const float b[] = {1, 2}, a[] = {3};
    beit__item_t items[] = {
        {.name = "b", .ndim = 2, .shape = {2, 1}, .count = 2, .data = b},
        {.name = "a", .ndim = 1, .shape = {1}, .count = 1, .data = a},
    };
    write_items(&memory, items, 2, NULL);
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]}"
                                 "}";
    assert_memory_equal(memory.bytes + 8, header, sizeof header - 1);
    assert_int_equal(memory.size, 8 + memory.bytes[0] + 12);
    assert_int_equal((8 + memory.bytes[0]) % 64, 0);
    assert_memory_equal(memory.bytes + memory.size - 12, a, 4);
    assert_memory_equal(memory.bytes + memory.size - 8, b, 8);
}

static void written_files_are_read_and_verified(void **state)
{
    (void)state;
    float values[300];
    for (int i = 0; i < 300; i++)
        values[i] = (float)i / 7;
    beit__item_t item = {
        .name = "w", .ndim = 3, .shape = {3, 10, 10}, .count = 300, .data = values};
    json_t *metadata = json_pack("{s:s}", "text", "{\"quoted\": \"\xc3\xa9\\\"\"}");
    memory_t memory;
    write_items(&memory, &item, 1, metadata);
    json_decref(metadata);

    opened_t opened;
    check_ok(open_memory(&opened, &memory));
    assert_int_equal(opened.file.data % 64, 0);
    assert_string_equal(beit__safetensors_metadata(&opened.file, "text"),
                        "{\"quoted\": \"\xc3\xa9\\\"\"}");
    assert_int_equal(strlen(beit__safetensors_metadata(&opened.file, BEIT__METADATA_CHECKSUM)), 16);
    check_ok(beit__safetensors_verify(&opened.file));
    float found[300];
    check_ok(
        beit__safetensors_read(&opened.file, beit__safetensors_find(&opened.file, "w"), found));
    assert_memory_equal(found, values, sizeof values);
    memory.bytes[memory.size - 1] ^= 1; /* one flipped bit */
    check_status(beit__safetensors_verify(&opened.file), BEIT_E_FORMAT);
    check_error_has("damaged");
    close_memory(&opened);
}

/* XXH3-64 of nothing and of "abc", from the algorithm's documentation and reference program. */
static void checksum_is_xxh3(void **state)
{
    (void)state;
    memory_t memory;
    opened_t opened;
    compose(&memory, "{\"__metadata__\":{\"libbeit.xxh3\":\"2d06800538d394c2\"}}", 0);
    check_ok(open_memory(&opened, &memory));
    check_ok(beit__safetensors_verify(&opened.file));
    close_memory(&opened);
    compose(&memory,
            "{\"__metadata__\":{\"libbeit.xxh3\":\"78af5f94892f3950\"},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
            3);
    memcpy(memory.bytes + memory.size - 3, "abc", 3);
    check_ok(open_memory(&opened, &memory));
    check_ok(beit__safetensors_verify(&opened.file));
    close_memory(&opened);
}

/* ---- numbers in JSON ---- */

static void floats_survive_json(void **state)
{
    (void)state;
    const float values[] = {0, -0.0f, 0.05f, 1.5e-3f, 1e-8f, 0.1f, 1.0f / 3, 3.4e38f, 1e-45f, 7};
    const char *texts[] = {"0.0", "-0.0",       "0.05",   "0.0015",     "1e-8",
                           "0.1", "0.33333334", "3.4e38", "1.4013e-45", "7.0"};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_t *array = json_pack("[o]", beit__json_float(values[i]));
        size_t bytes;
        char *text = beit__json_text(NULL, array, &bytes);
        assert_non_null(text);
        char wanted[32];
        (void)snprintf(wanted, sizeof wanted, "[%s]", texts[i]);
        assert_string_equal(text, wanted);
        json_t *back = json_loads(text, 0, NULL);
        assert_true((float)json_real_value(json_array_get(back, 0)) == values[i]);
        json_decref(back);
        json_decref(array);
        free(text); /* a NULL context's memory is the C library's */
    }
}

static void large_naturals_survive_json(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint64_t back = 5;
        json_t *json = beit__json_u64(values[i]);
        assert_int_equal(beit__json_get_u64(json, &back), 0);
        assert_true(back == values[i]);
        json_decref(json);
    }
    const char *bad[] = {
        "\"18446744073709551616\"", "\"\"", "\"1x\"", "\"-1\"", "-1", "1.0", "null", "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t back;
        json_t *json = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_non_null(json);
        assert_int_equal(beit__json_get_u64(json, &back), -1);
        json_decref(json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_empty_file_is_read),
        cmocka_unit_test(every_real_type_becomes_f32),
        cmocka_unit_test(every_half_is_converted),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(other_files_are_called_what_they_are),
        cmocka_unit_test(written_files_are_exact),
        cmocka_unit_test(written_files_are_read_and_verified),
        cmocka_unit_test(checksum_is_xxh3),
        cmocka_unit_test(floats_survive_json),
        cmocka_unit_test(large_naturals_survive_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
