/* RGB pictures as PNG, into memory: they are written to a file and put into a page alike. */
#ifndef EXAMPLES_PNG_WRITE_H
#define EXAMPLES_PNG_WRITE_H

#include "common/image_file.h"

typedef struct bytes {
    unsigned char *data; /* from malloc */
    size_t size;
} bytes_t;

/* Encode; false when memory is short. The caller frees out->data. */
bool png_encode(const image_t *image, bytes_t *out);

#endif
