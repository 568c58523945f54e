/* Picture files as packed 8-bit RGB: JPEG (colour, grey, CMYK) and PNG (every colour type and
 * depth; transparency is dropped). Nothing here prints or ends the process; what is wrong with a
 * file is said in words. Thread-safety: all functions may run concurrently. */
#ifndef EXAMPLES_IMAGE_FILE_H
#define EXAMPLES_IMAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    IMAGE_REASON = 200,        /* room for the reason why a file cannot be read */
    IMAGE_MAX_SIDE = 65500,    /* libjpeg's limit, and enough */
    IMAGE_MAX_MEGAPIXELS = 250 /* after shrinking: a small file can claim any size */
};

typedef struct image {
    uint8_t *rgb; /* (height, width, 3), from malloc */
    int32_t width, height;
} image_t;

/* Read a picture. `enough` is a shorter side that suffices: a JPEG may then come out shrunk by a
 * power of two, but never below twice that (decoding is several times faster); 0 = as stored.
 * On failure image is untouched, and `reason` says why. */
bool image_read(const char *path, int32_t enough, image_t *image, char reason[IMAGE_REASON]);

/* Memory for a picture; false with a reason when the size is absurd or memory is short. */
bool image_allocate(image_t *image, uint64_t width, uint64_t height, char reason[IMAGE_REASON]);

void image_free(image_t *image);

/* Does the file's name end like that of a picture this can read? In any letter case. */
bool image_name_fits(const char *name);

#endif
