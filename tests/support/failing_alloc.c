/* Each block carries a header with what was asked for, so that a free with another size shows. */
#include "failing_alloc.h"

#include <beit/backend.h>
#include <stdlib.h>
#include <string.h>

#define MOST_FILLED 65536u /* bytes, so that large blocks cost no time */

typedef struct header {
    size_t size, align;
} header_t;

static void *request(void *user, size_t size, size_t align)
{
    failing_alloc_t *state = user;
    state->requests++;
    const bool refuse =
        state->fail_at && (state->requests == state->fail_at ||
                           (state->fail_all_after && state->requests > state->fail_at));
    if (refuse) {
        state->refused++;
        return NULL;
    }
    /* The header takes one whole step of the alignment; its end lies right before the block. */
    const size_t padded = (size + align - 1) / align * align;
    unsigned char *block = aligned_alloc(align, padded + align);
    if (!block)
        return NULL;
    const header_t header = {size, align};
    memcpy(block + align - sizeof header, &header, sizeof header);
    memset(block + align, 0xA5, size < MOST_FILLED ? size : MOST_FILLED); /* not zeroes */
    state->blocks++;
    state->bytes += size;
    return block + align;
}

static void release(void *user, void *ptr, size_t size, size_t align)
{
    failing_alloc_t *state = user;
    header_t header;
    memcpy(&header, (unsigned char *)ptr - sizeof header, sizeof header);
    if (header.size != size || header.align != align)
        state->mismatches++;
    state->blocks--;
    state->bytes -= header.size;
    free((unsigned char *)ptr - header.align);
}

beit_allocator_t failing_alloc(failing_alloc_t *state)
{
    return (beit_allocator_t){
        .struct_size = sizeof(beit_allocator_t), .user = state, .alloc = request, .free = release};
}

beit_status_t failing_context(beit_context_t **out, failing_alloc_t *state, const char *backend,
                              int32_t threads)
{
    const beit_allocator_t allocator = failing_alloc(state);
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.allocator = &allocator;
    config.backend = backend ? beit_backend_builtin(backend) : NULL;
    config.threads = threads;
    return beit_context_create(out, &config);
}
