/* Weights to and from storage of one's own: a growing buffer in memory, in place of a file. Saves a
 * model, makes another one from what was stored, and saves that: the bytes must be the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/noise_model.h"

typedef struct buffer {
    unsigned char *data;
    size_t size, room;
    int committed;
} buffer_t;

static beit_status_t buffer_size(void *user, uint64_t *bytes)
{
    *bytes = ((const buffer_t *)user)->size;
    return BEIT_OK;
}

static beit_status_t buffer_read_at(void *user, uint64_t offset, void *dst, size_t n)
{
    const buffer_t *buffer = user;
    if (offset > buffer->size || n > buffer->size - offset)
        return BEIT_E_IO;
    memcpy(dst, buffer->data + offset, n);
    return BEIT_OK;
}

static beit_status_t buffer_append(void *user, const void *src, size_t n)
{
    buffer_t *buffer = user;
    if (buffer->room - buffer->size < n) {
        const size_t room = 2 * buffer->room + n;
        unsigned char *data = realloc(buffer->data, room);
        if (!data)
            return BEIT_E_IO;
        buffer->data = data;
        buffer->room = room;
    }
    memcpy(buffer->data + buffer->size, src, n);
    buffer->size += n;
    return BEIT_OK;
}

static beit_status_t buffer_commit(void *user)
{
    ((buffer_t *)user)->committed = 1;
    return BEIT_OK;
}

static beit_io_t storage_of(buffer_t *buffer)
{
    return (beit_io_t){.struct_size = sizeof(beit_io_t),
                       .user = buffer,
                       .size = buffer_size,
                       .read_at = buffer_read_at,
                       .append = buffer_append,
                       .commit = buffer_commit};
}

int main(void)
{
    buffer_t first = {0}, second = {0};
    const beit_io_t into_first = storage_of(&first), into_second = storage_of(&second);
    beit_model_t *model = NULL, *copy = NULL;
    beit_status_t status = noise_model_create(&model, NULL);
    if (!status)
        status = beit_model_save(model, "the first buffer", &into_first);
    if (!status)
        status = beit_model_load(&copy, NULL, "the first buffer", &into_first);
    if (!status)
        status = beit_model_save(copy, "the second buffer", &into_second);
    const int same = first.size == second.size && first.size > 0 &&
                     memcmp(first.data, second.data, first.size) == 0;
    if (status)
        fprintf(stderr, "%s\n", beit_last_error());
    else
        printf("%zu bytes stored, committed: %s, the copy's bytes are %s\n", first.size,
               first.committed ? "yes" : "no", same ? "the same" : "different");
    beit_model_destroy(copy);
    beit_model_destroy(model);
    free(first.data);
    free(second.data);
    return status || !same || !first.committed;
}
