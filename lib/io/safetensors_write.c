/* Writing safetensors in the order of the reference writer (all our tensors are F32, so: by name).
 * The header is padded with spaces so that the data start on a multiple of 64 bytes; tensors
 * follow each other without gaps, because readers refuse holes. The checksum stands in the header,
 * before the data, so the data are walked twice. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "io/checksum.h"
#include "io/json.h"
#include "io/safetensors.h"

#define LENGTH_BYTES   8u
#define DATA_ALIGNMENT 64u
#define STAGING_BYTES  ((size_t)1 << 20) /* host copy of device memory, piece by piece */

typedef beit_status_t (*chunk_fn)(void *arg, const void *src, size_t n);

static beit_status_t walk_item(beit_context_t *ctx, const beit__item_t *item, void *staging,
                               chunk_fn fn, void *arg)
{
    const unsigned char *src = (const unsigned char *)item->data;
    const size_t bytes = item->count * sizeof(float);
    if (!staging)
        return fn(arg, src, bytes);
    for (size_t done = 0; done < bytes; done += STAGING_BYTES) {
        const size_t n = bytes - done < STAGING_BYTES ? bytes - done : STAGING_BYTES;
        BEIT__TRY(beit__download(ctx, staging, src + done, n));
        BEIT__TRY(fn(arg, staging, n));
    }
    return BEIT_OK;
}

/* Call fn with the data of all items, in order. staging is NULL when they are host memory. */
static beit_status_t walk(beit_context_t *ctx, const beit__item_t *items, size_t count,
                          void *staging, chunk_fn fn, void *arg)
{
    for (size_t i = 0; i < count; i++)
        BEIT__TRY(walk_item(ctx, &items[i], staging, fn, arg));
    return BEIT_OK;
}

static beit_status_t add_to_checksum(void *arg, const void *src, size_t n)
{
    beit__checksum_add(arg, src, n);
    return BEIT_OK;
}

static beit_status_t append_to_sink(void *arg, const void *src, size_t n)
{
    return beit__sink_append(arg, src, n);
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const beit__item_t *)a)->name, ((const beit__item_t *)b)->name);
}

static json_t *describe_item(const beit__item_t *item, uint64_t begin)
{
    json_t *shape = json_array();
    for (int32_t d = 0; shape && d < item->ndim; d++)
        if (json_array_append_new(shape, json_integer(item->shape[d])) != 0) {
            json_decref(shape);
            shape = NULL;
        }
    if (!shape)
        return NULL;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)(begin + item->count * sizeof(float)));
}

/* The header as text, without padding; NULL when memory runs out. */
static char *describe(beit_context_t *ctx, const beit__item_t *items, size_t count,
                      json_t *metadata, size_t *bytes)
{
    json_t *root = json_object();
    bool ok = root != NULL;
    if (ok && metadata)
        ok = json_object_set(root, "__metadata__", metadata) == 0;
    uint64_t begin = 0;
    for (size_t i = 0; ok && i < count; i++) {
        ok = json_object_set_new(root, items[i].name, describe_item(&items[i], begin)) == 0;
        begin += items[i].count * sizeof(float);
    }
    char *text = ok ? beit__json_text(ctx, root, bytes) : NULL;
    json_decref(root);
    return text;
}

static beit_status_t append_header(beit__sink_t *sink, const char *text)
{
    const size_t length = strlen(text);
    const size_t unpadded = LENGTH_BYTES + length;
    const size_t padding = (DATA_ALIGNMENT - unpadded % DATA_ALIGNMENT) % DATA_ALIGNMENT;
    const uint64_t total = length + padding;
    unsigned char prefix[LENGTH_BYTES], spaces[DATA_ALIGNMENT];
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        prefix[i] = (unsigned char)(total >> (8 * i));
    memset(spaces, ' ', sizeof spaces);
    BEIT__TRY(beit__sink_append(sink, prefix, sizeof prefix));
    BEIT__TRY(beit__sink_append(sink, text, length));
    return beit__sink_append(sink, spaces, padding);
}

static beit_status_t add_checksum(beit_context_t *ctx, const beit__item_t *items, size_t count,
                                  void *staging, json_t *metadata)
{
    beit__checksum_t checksum;
    beit__checksum_begin(&checksum);
    BEIT__TRY(walk(ctx, items, count, staging, add_to_checksum, &checksum));
    char text[BEIT__CHECKSUM_TEXT];
    beit__checksum_text(&checksum, text);
    if (json_object_set_new(metadata, BEIT__METADATA_CHECKSUM, json_string(text)) != 0)
        return beit__fail(BEIT_E_NOMEM, "no memory for the header");
    return BEIT_OK;
}

beit_status_t beit__safetensors_write(beit_context_t *ctx, beit__sink_t *sink, beit__item_t *items,
                                      size_t count, json_t *metadata)
{
    beit_status_t status = BEIT_OK;
    char *text = NULL;
    size_t text_bytes = 0;
    void *staging = NULL;
    if (ctx && !beit__backend_on_host(ctx->backend)) {
        staging = beit__alloc(ctx, STAGING_BYTES);
        if (!staging)
            return BEIT_E_NOMEM;
    }
    if (count > 0)
        qsort(items, count, sizeof *items, compare_items);
    if (metadata)
        BEIT__TRY_GOTO(add_checksum(ctx, items, count, staging, metadata));
    text = describe(ctx, items, count, metadata, &text_bytes);
    if (!text) {
        status = beit__fail(BEIT_E_NOMEM, "%s: no memory for the header", sink->name);
        goto fail;
    }
    BEIT__TRY_GOTO(append_header(sink, text));
    BEIT__TRY_GOTO(walk(ctx, items, count, staging, append_to_sink, sink));
fail:
    beit__free(ctx, text, text_bytes);
    beit__free(ctx, staging, STAGING_BYTES);
    return status;
}
