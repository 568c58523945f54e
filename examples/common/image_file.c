/* Which decoder reads a file is decided by its first bytes, never by its name. */
#include "common/image_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/image_codecs.h"

enum { SIGNATURE = 12 };

/* Formats that are known by their first bytes only to be named. */
static const struct foreign {
    const char *name, *bytes;
    size_t offset;
} foreign[] = {
    {"a GIF file", "GIF8", 0}, {"a WebP file", "WEBP", 8}, {"a BMP file", "BM", 0},
    {"a TIFF file", "II*", 0}, {"a TIFF file", "MM", 0},   {"an AVIF or HEIC file", "ftyp", 4},
    {"an HTML page", "<", 0},
};

static const char *name_foreign(const unsigned char *start)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (memcmp(start + foreign[i].offset, foreign[i].bytes, strlen(foreign[i].bytes)) == 0)
            return foreign[i].name;
    return "no picture";
}

bool image_allocate(image_t *image, uint64_t width, uint64_t height, char reason[IMAGE_REASON])
{
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE ||
        width * height > (uint64_t)IMAGE_MAX_MEGAPIXELS * 1000000) {
        snprintf(reason, IMAGE_REASON,
                 "is %llu x %llu pixels; sides of 1 to %d and %d megapixels are accepted",
                 (unsigned long long)width, (unsigned long long)height, IMAGE_MAX_SIDE,
                 IMAGE_MAX_MEGAPIXELS);
        return false;
    }
    image->rgb = malloc((size_t)(width * height * 3));
    if (!image->rgb) {
        snprintf(reason, IMAGE_REASON, "no memory for %llu x %llu pixels",
                 (unsigned long long)width, (unsigned long long)height);
        return false;
    }
    image->width = (int32_t)width;
    image->height = (int32_t)height;
    return true;
}

static bool decode(FILE *file, int32_t enough, image_t *image, char reason[IMAGE_REASON])
{
    unsigned char start[SIGNATURE] = {0};
    const size_t length = fread(start, 1, sizeof start, file);
    if (length == 0) {
        snprintf(reason, IMAGE_REASON, "%s", ferror(file) ? strerror(errno) : "the file is empty");
        return false;
    }
    rewind(file);
    if (start[0] == 0xff && start[1] == 0xd8)
        return image_decode_jpeg(file, enough, image, reason);
    if (memcmp(start, "\x89PNG\r\n\x1a\n", 8) == 0)
        return image_decode_png(file, image, reason);
    snprintf(reason, IMAGE_REASON, "is %s; JPEG and PNG are read", name_foreign(start));
    return false;
}

bool image_read(const char *path, int32_t enough, image_t *image, char reason[IMAGE_REASON])
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(reason, IMAGE_REASON, "%s", strerror(errno));
        return false;
    }
    image_t decoded = {0};
    const bool done = decode(file, enough, &decoded, reason);
    (void)fclose(file);
    if (done)
        *image = decoded;
    else
        image_free(&decoded);
    return done;
}

void image_free(image_t *image)
{
    free(image->rgb);
    *image = (image_t){0};
}

bool image_name_fits(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}
