/* Reading safetensors. Every number is checked against the size of the file before anything of
 * that size is allocated or read; the ranges must follow each other without holes, from the first
 * byte of the data to the last, as the reference implementation demands. Tensors may be unaligned:
 * they are copied, never pointed into. */
#include "io/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"
#include "io/checksum.h"
#include "io/json.h"
#include "io/sniff.h"
#include "io/values.h"

#define LENGTH_BYTES   8u
#define LARGEST_HEADER 100000000u /* the reference implementation's limit */
#define DEEPEST_HEADER 8          /* a sound header nests three deep */
#define CHUNK          16384u     /* bytes read at a time where they are summed */
#define METADATA       "__metadata__"

typedef struct stored_dtype {
    const char *name;
    uint64_t bytes;
    int32_t dtype;
} stored_dtype_t;

static const stored_dtype_t stored_dtypes[] = {
    {"F32", 4, BEIT_F32}, {"F16", 2, BEIT_F16}, {"BF16", 2, BEIT_BF16}, {"F64", 8, BEIT_F64},
    {"I64", 8, BEIT_I64}, {"I32", 4, BEIT_I32}, {"U8", 1, BEIT_U8},     {"BOOL", 1, 0},
    {"I8", 1, 0},         {"I16", 2, 0},        {"U16", 2, 0},          {"U32", 4, 0},
    {"U64", 8, 0},        {"F8_E5M2", 1, 0},    {"F8_E4M3", 1, 0},
};

/* ---- the header's text ---- */

static beit_status_t not_safetensors(const beit__source_t *source, const char *reason)
{
    unsigned char first[BEIT__SNIFF_BYTES];
    const size_t n = source->bytes < sizeof first ? (size_t)source->bytes : sizeof first;
    BEIT__TRY(beit__source_read(source, 0, first, n));
    const char *kind = beit__sniff(first, n);
    return kind ? beit__fail(BEIT_E_FORMAT, "%s: this is %s", source->name, kind)
                : beit__fail(BEIT_E_FORMAT, "%s: not a safetensors file: %s", source->name, reason);
}

static beit_status_t read_length(const beit__source_t *source, size_t *length)
{
    if (source->bytes < LENGTH_BYTES)
        return not_safetensors(source, source->bytes ? "shorter than 8 bytes" : "it is empty");
    unsigned char bytes[LENGTH_BYTES];
    BEIT__TRY(beit__source_read(source, 0, bytes, sizeof bytes));
    uint64_t value = 0;
    for (size_t i = LENGTH_BYTES; i-- > 0;)
        value = value << 8 | bytes[i];
    if (value > LARGEST_HEADER)
        return not_safetensors(source, "its header would be larger than 100 MB");
    if (value > source->bytes - LENGTH_BYTES)
        return not_safetensors(source, "it ends within its header; it was truncated");
    *length = (size_t)value;
    return BEIT_OK;
}

/* Bounds the recursion of the JSON parser before it sees the text. */
static bool nests_too_deep(const char *text, size_t length)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        const char c = text[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        if (depth > DEEPEST_HEADER)
            return true;
    }
    return false;
}

static beit_status_t parse_header(const beit__source_t *source, const char *text, size_t length,
                                  json_t **root)
{
    if (length == 0 || text[0] != '{')
        return not_safetensors(source, "its header does not begin with '{'");
    if (nests_too_deep(text, length))
        return beit__fail(BEIT_E_FORMAT, "%s: the header nests more than %d levels deep",
                          source->name, DEEPEST_HEADER);
    json_error_t error;
    *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (*root)
        return BEIT_OK;
    if (beit__json_is_nomem(&error))
        return beit__fail(BEIT_E_NOMEM, "%s: no memory for a header of %zu bytes", source->name,
                          length);
    return beit__fail(BEIT_E_FORMAT, "%s: byte %d of the header: %s", source->name, error.position,
                      error.text);
}

static beit_status_t load_header(beit__safetensors_t *file)
{
    size_t length = 0;
    BEIT__TRY(read_length(file->source, &length));
    char *text = beit__alloc(file->ctx, length);
    if (!text)
        return BEIT_E_NOMEM;
    beit_status_t status = beit__source_read(file->source, LENGTH_BYTES, text, length);
    if (status == BEIT_OK)
        status = parse_header(file->source, text, length, &file->root);
    beit__free(file->ctx, text, length);
    file->data = LENGTH_BYTES + length;
    return status;
}

/* ---- the header's meaning ---- */

static beit_status_t check_metadata(const beit__safetensors_t *file)
{
    json_t *metadata = json_object_get(file->root, METADATA);
    if (!metadata)
        return BEIT_OK;
    if (!json_is_object(metadata))
        return beit__fail(BEIT_E_FORMAT, "%s: %s is not an object", file->source->name, METADATA);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return beit__fail(BEIT_E_FORMAT, "%s: %s: '%s' is not a string", file->source->name,
                              METADATA, key);
    }
    return BEIT_OK;
}

/* A natural number; json_integer_value() of anything else is 0, so the type is checked first. */
static bool natural(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool parse_shape(const json_t *shape, beit__stored_t *tensor)
{
    if (!json_is_array(shape) || json_array_size(shape) > INT32_MAX)
        return false;
    tensor->ndim = (int32_t)json_array_size(shape);
    tensor->count = 1;
    for (size_t d = 0; d < json_array_size(shape); d++) {
        uint64_t extent;
        if (!natural(json_array_get(shape, d), &extent) ||
            __builtin_mul_overflow(tensor->count, extent, &tensor->count))
            return false;
        if (d < BEIT_MAX_DIMS)
            tensor->shape[d] = (int64_t)extent;
    }
    return true;
}

static const stored_dtype_t *find_dtype(const json_t *value)
{
    const char *name = json_string_value(value);
    for (size_t i = 0; name && i < sizeof stored_dtypes / sizeof *stored_dtypes; i++)
        if (strcmp(name, stored_dtypes[i].name) == 0)
            return &stored_dtypes[i];
    return NULL;
}

static bool has_control_character(const char *name)
{
    for (; *name; name++)
        if ((unsigned char)*name < 0x20 || *name == 0x7f)
            return true;
    return false;
}

static beit_status_t parse_tensor(const beit__safetensors_t *file, const char *name,
                                  const json_t *entry, beit__stored_t *tensor)
{
    const char *path = file->source->name;
    *tensor = (beit__stored_t){.name = name};
    if (has_control_character(name)) /* it would garble messages and terminals */
        return beit__fail(BEIT_E_FORMAT, "%s: a tensor's name has a control character", path);
    if (!json_is_object(entry))
        return beit__fail(BEIT_E_FORMAT, "%s: entry '%s' is not an object", path, name);
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !natural(json_array_get(offsets, 0), &tensor->begin) ||
        !natural(json_array_get(offsets, 1), &tensor->end) || tensor->begin > tensor->end)
        return beit__fail(BEIT_E_FORMAT, "%s: '%s': data_offsets are not [begin, end]", path, name);
    if (!parse_shape(json_object_get(entry, "shape"), tensor))
        return beit__fail(BEIT_E_FORMAT,
                          "%s: '%s': shape is not an array of natural numbers with a product below "
                          "2^64",
                          path, name);
    const json_t *dtype_name = json_object_get(entry, "dtype");
    const stored_dtype_t *dtype = find_dtype(dtype_name);
    if (!dtype)
        return beit__fail(BEIT_E_FORMAT, "%s: '%s': dtype '%s' is not known", path, name,
                          json_is_string(dtype_name) ? json_string_value(dtype_name) : "(none)");
    tensor->dtype = dtype->dtype;
    uint64_t bytes;
    if (__builtin_mul_overflow(tensor->count, dtype->bytes, &bytes) ||
        bytes != tensor->end - tensor->begin)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: '%s': %" PRIu64 " elements of %s do not take the %" PRIu64
                          " bytes of its data_offsets",
                          path, name, tensor->count, dtype->name, tensor->end - tensor->begin);
    return BEIT_OK;
}

static beit_status_t parse_tensors(beit__safetensors_t *file)
{
    file->count = json_object_size(file->root) - (json_object_get(file->root, METADATA) ? 1 : 0);
    if (file->count == 0)
        return BEIT_OK;
    file->tensors = beit__calloc(file->ctx, file->count, sizeof *file->tensors);
    if (!file->tensors)
        return BEIT_E_NOMEM;
    size_t i = 0;
    const char *name;
    json_t *entry;
    json_object_foreach(file->root, name, entry)
    {
        if (strcmp(name, METADATA) != 0)
            BEIT__TRY(parse_tensor(file, name, entry, &file->tensors[i++]));
    }
    return BEIT_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const beit__stored_t *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const beit__stored_t *)a)->name, ((const beit__stored_t *)b)->name);
}

/* Leaves the tensors sorted by offset. */
static beit_status_t check_coverage(beit__safetensors_t *file)
{
    const char *path = file->source->name;
    const uint64_t have = file->source->bytes - file->data;
    uint64_t reached = 0;
    if (file->count > 0)
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_offsets);
    for (size_t i = 0; i < file->count; i++) {
        const beit__stored_t *tensor = &file->tensors[i];
        if (tensor->begin != reached)
            return beit__fail(BEIT_E_FORMAT,
                              "%s: '%s' begins at byte %" PRIu64 " of the data, %s %" PRIu64, path,
                              tensor->name, tensor->begin,
                              tensor->begin < reached ? "inside its predecessor, which ends at"
                                                      : "leaving a hole after",
                              reached);
        reached = tensor->end;
    }
    if (reached > have)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: truncated: its tensors take %" PRIu64 " bytes, of which %" PRIu64
                          " are there",
                          path, reached, have);
    if (reached < have)
        return beit__fail(BEIT_E_FORMAT, "%s: %" PRIu64 " bytes follow the last tensor", path,
                          have - reached);
    return BEIT_OK;
}

beit_status_t beit__safetensors_open(beit__safetensors_t *file, beit_context_t *ctx,
                                     const beit__source_t *source)
{
    *file = (beit__safetensors_t){.ctx = ctx, .source = source};
    beit_status_t status;
    BEIT__TRY_GOTO(load_header(file));
    BEIT__TRY_GOTO(check_metadata(file));
    BEIT__TRY_GOTO(parse_tensors(file));
    BEIT__TRY_GOTO(check_coverage(file));
    if (file->count > 0)
        qsort(file->tensors, file->count, sizeof *file->tensors, compare_names);
    return BEIT_OK;
fail:
    beit__safetensors_close(file);
    return status;
}

void beit__safetensors_close(beit__safetensors_t *file)
{
    beit__free(file->ctx, file->tensors, file->count * sizeof *file->tensors);
    json_decref(file->root);
    *file = (beit__safetensors_t){0};
}

/* ---- contents ---- */

beit_status_t beit__safetensors_verify(const beit__safetensors_t *file)
{
    const char *expected = beit__safetensors_metadata(file, BEIT__METADATA_CHECKSUM);
    if (!expected)
        return BEIT_OK;
    beit__checksum_t checksum;
    beit__checksum_begin(&checksum);
    unsigned char chunk[CHUNK];
    for (uint64_t at = file->data; at < file->source->bytes;) {
        const uint64_t left = file->source->bytes - at;
        const size_t n = left < sizeof chunk ? (size_t)left : sizeof chunk;
        BEIT__TRY(beit__source_read(file->source, at, chunk, n));
        beit__checksum_add(&checksum, chunk, n);
        at += n;
    }
    char found[BEIT__CHECKSUM_TEXT];
    beit__checksum_text(&checksum, found);
    if (strcmp(found, expected) != 0)
        return beit__fail(BEIT_E_FORMAT,
                          "%s: damaged: the checksum of its data is %s, its header says %s",
                          file->source->name, found, expected);
    return BEIT_OK;
}

const beit__stored_t *beit__safetensors_find(const beit__safetensors_t *file, const char *name)
{
    const beit__stored_t key = {.name = name};
    return file->count > 0 ? bsearch(&key, file->tensors, file->count, sizeof key, compare_names)
                           : NULL;
}

const char *beit__safetensors_metadata(const beit__safetensors_t *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->root, METADATA), key));
}

bool beit__stored_is_float(const beit__stored_t *tensor)
{
    return beit__values_are_real(tensor->dtype);
}

beit_status_t beit__safetensors_read(const beit__safetensors_t *file, const beit__stored_t *tensor,
                                     float *dst)
{
    return beit__values_read(file->source, file->data + tensor->begin, tensor->dtype, tensor->count,
                             dst);
}
