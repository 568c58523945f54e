/* libpng's simplified interface suffices for writing. */
#include "common/png_write.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>

bool png_encode(const image_t *image, bytes_t *out)
{
    png_image png;
    memset(&png, 0, sizeof png);
    png.version = PNG_IMAGE_VERSION;
    png.width = (png_uint_32)image->width;
    png.height = (png_uint_32)image->height;
    png.format = PNG_FORMAT_RGB;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
    unsigned char *data = malloc(size);
    if (!data)
        return false;
    if (!png_image_write_to_memory(&png, data, &size, 0, image->rgb, 0, NULL)) {
        free(data);
        return false;
    }
    *out = (bytes_t){data, size};
    return true;
}
