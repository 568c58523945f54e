/* PNG by libpng, with its transformations set so that every colour type arrives as 8-bit RGB.
 * Errors come back by longjmp; what must survive the jump lives in the caller's frame. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <png.h>

#include "common/image_codecs.h"

typedef struct png {
    png_structp read;
    png_infop info;
    png_bytep *rows;
    char *reason;
    image_t *image;
} png_t;

static void on_error(png_structp read, png_const_charp message)
{
    const png_t *png = png_get_error_ptr(read);
    snprintf(png->reason, IMAGE_REASON, "%s", message);
    png_longjmp(read, 1);
}

static void on_warning(png_structp read, png_const_charp message)
{
    (void)read;
    (void)message; /* odd colour profiles and the like */
}

static void ask_for_rgb8(png_structp read)
{
    png_set_expand(read);   /* palettes, fewer than 8 bits, a transparent colour */
    png_set_scale_16(read); /* 16 bits to 8, rounded */
    png_set_gray_to_rgb(read);
    png_set_strip_alpha(read);
    (void)png_set_interlace_handling(read);
}

static bool decode_guarded(png_t *png, FILE *file)
{
    if (setjmp(png_jmpbuf(png->read)))
        return false;
    png_init_io(png->read, file);
    png_set_user_limits(png->read, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
    png_read_info(png->read, png->info);
    ask_for_rgb8(png->read);
    png_read_update_info(png->read, png->info);
    const png_uint_32 width = png_get_image_width(png->read, png->info);
    const png_uint_32 height = png_get_image_height(png->read, png->info);
    if (png_get_rowbytes(png->read, png->info) != (size_t)width * 3) {
        snprintf(png->reason, IMAGE_REASON, "has an unknown colour type");
        return false;
    }
    if (!image_allocate(png->image, width, height, png->reason))
        return false;
    png->rows = malloc(height * sizeof *png->rows);
    if (!png->rows) {
        snprintf(png->reason, IMAGE_REASON, "no memory");
        return false;
    }
    for (png_uint_32 y = 0; y < height; y++)
        png->rows[y] = png->image->rgb + (size_t)y * width * 3;
    png_read_image(png->read, png->rows);
    png_read_end(png->read, NULL);
    return true;
}

bool image_decode_png(FILE *file, image_t *image, char reason[IMAGE_REASON])
{
    png_t png = {.reason = reason, .image = image};
    snprintf(reason, IMAGE_REASON, "no memory");
    png.read = png_create_read_struct(PNG_LIBPNG_VER_STRING, &png, on_error, on_warning);
    if (png.read)
        png.info = png_create_info_struct(png.read);
    const bool done = png.info && decode_guarded(&png, file);
    png_destroy_read_struct(&png.read, &png.info, NULL);
    free(png.rows);
    return done;
}
