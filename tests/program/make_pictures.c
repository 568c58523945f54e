/* Writes pictures for tests: COUNT sound ones of all kinds, in two folders, and with `damaged` also
 * files that no decoder can read. The contents are functions of the number alone.
 * usage: make_pictures FOLDER COUNT [damaged] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <png.h>

#include "picture_pattern.h"

enum { WIDTH = PATTERN_WIDTH, HEIGHT = PATTERN_HEIGHT, PATH = 4096, MOST_CHANNELS = 4 };

static void fill(unsigned char *row, int number, int channels, int y)
{
    for (int x = 0; x < WIDTH; x++)
        for (int c = 0; c < channels; c++)
            row[x * channels + c] = pattern_value(number, c, x, y);
}

static void write_jpeg(FILE *file, int number, pattern_kind_t kind)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char row[WIDTH * MOST_CHANNELS];
    JSAMPROW rows[] = {row};
    const int channels = kind == JPEG_GREY ? 1 : kind == JPEG_CMYK ? 4 : 3;
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    jpeg_stdio_dest(&info, file);
    info.image_width = WIDTH;
    info.image_height = HEIGHT;
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, 92, TRUE);
    if (kind == JPEG_PROGRESSIVE)
        jpeg_simple_progression(&info);
    jpeg_start_compress(&info, TRUE);
    for (int y = 0; y < HEIGHT; y++) {
        fill(row, number, channels, y);
        (void)jpeg_write_scanlines(&info, rows, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
}

/* Bits, colour type and bytes per pixel in memory of a PNG kind. */
static void png_layout(pattern_kind_t kind, int *bits, int *colour, int *bytes)
{
    *bits = kind == PNG_DEEP ? 16 : 8;
    *colour = kind == PNG_RGBA      ? PNG_COLOR_TYPE_RGB_ALPHA
              : kind == PNG_GREY    ? PNG_COLOR_TYPE_GRAY
              : kind == PNG_PALETTE ? PNG_COLOR_TYPE_PALETTE
                                    : PNG_COLOR_TYPE_RGB;
    *bytes = kind == PNG_RGBA ? 4 : kind == PNG_GREY || kind == PNG_PALETTE ? 1 : 3;
}

static void write_png(FILE *file, int number, pattern_kind_t kind)
{
    static unsigned char pixels[HEIGHT][WIDTH * 6];
    png_bytep rows[HEIGHT];
    png_color palette[256];
    int bits, colour, bytes;
    png_layout(kind, &bits, &colour, &bytes);
    for (int y = 0; y < HEIGHT; y++) {
        unsigned char plain[WIDTH * MOST_CHANNELS];
        fill(plain, number, bytes, y);
        for (int i = 0; i < WIDTH * bytes; i++) /* 16 bits: the value twice */
            for (int b = 0; b < bits / 8; b++)
                pixels[y][i * bits / 8 + b] = plain[i];
        rows[y] = pixels[y];
    }
    for (int i = 0; i < 256; i++)
        palette[i] = (png_color){(png_byte)i, (png_byte)(255 - i), (png_byte)(i / 2)};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, WIDTH, HEIGHT, bits, colour,
                 kind == PNG_INTERLACED ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind == PNG_PALETTE)
        png_set_PLTE(png, info, palette, 256);
    png_write_info(png, info);
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
}

static void write_picture(const char *folder, int number)
{
    const pattern_kind_t kind = (pattern_kind_t)(number % PATTERN_KINDS);
    char path[PATH];
    snprintf(path, sizeof path, PATTERN_PATH_FORMAT, PATTERN_PATH(folder, number));
    FILE *file = fopen(path, "wb");
    if (!file) {
        perror(path);
        exit(1);
    }
    if (kind == JPEG_COLOUR || kind == JPEG_GREY || kind == JPEG_CMYK || kind == JPEG_PROGRESSIVE)
        write_jpeg(file, number, kind);
    else
        write_png(file, number, kind);
    if (fclose(file) != 0)
        exit(1);
}

static void write_bytes(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        exit(1);
}

/* The first half of picture `number`. */
static void write_half(const char *folder, const char *name, int number)
{
    static char bytes[1 << 16];
    char path[PATH];
    snprintf(path, sizeof path, PATTERN_PATH_FORMAT, PATTERN_PATH(folder, number));
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(1);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    write_bytes(folder, name, bytes, size / 2);
}

int main(int argc, char **argv)
{
    char path[PATH];
    if (argc < 3)
        return 2;
    (void)mkdir(argv[1], 0777);
    for (int odd = 0; odd < 2; odd++) {
        snprintf(path, sizeof path, "%s/%s", argv[1], odd ? "odd" : "even");
        (void)mkdir(path, 0777);
    }
    for (int i = 0; i < atoi(argv[2]); i++)
        write_picture(argv[1], i);
    if (argc > 3) {
        write_half(argv[1], "half.jpg", JPEG_COLOUR);
        write_half(argv[1], "half-progressive.jpg", JPEG_PROGRESSIVE);
        write_half(argv[1], "half.png", PNG_RGB);
        write_bytes(argv[1], "empty.jpg", "", 0);
        write_bytes(argv[1], "page.png", "<!doctype html>", 15);
        write_bytes(argv[1], "animation.jpeg", "GIF89a......", 12);
        write_bytes(argv[1], "notes.txt", "passed over", 11);
        write_bytes(argv[1], ".hidden.jpg", "passed over", 11);
    }
    return 0;
}
