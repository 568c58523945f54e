/* Colour jitter in Pillow's arithmetic (`ImageEnhance`, `src/libImaging/Blend.c`): each operation
 * blends the picture with a degenerate one - black, its mean grey, its grey version - in single
 * precision and truncates to a byte. */
#include "data/jitter.h"

#include <math.h>
#include <string.h>

enum { BRIGHTNESS = 0, CONTRAST = 1, SATURATION = 2 }; /* of beit_view_draw_t::jitter_order */

enum { BLOCK = 64 }; /* pixels that are worked on as planes, for vector instructions */

typedef struct planes {
    float red[BLOCK], green[BLOCK], blue[BLOCK], grey[BLOCK];
} planes_t;

/* Pillow clamps before it truncates; the other way round gives the same bytes. */
static inline int32_t blend(float degenerate, float value, float factor)
{
    const int32_t mixed = (int32_t)(degenerate + factor * (value - degenerate));
    return mixed < 0 ? 0 : mixed > 255 ? 255 : mixed;
}

static void table_identity(uint8_t *table) /* (256) */
{
    for (int32_t i = 0; i < 256; i++)
        table[i] = (uint8_t)i;
}

static void table_blend(uint8_t *table /* (256) */, int32_t degenerate, float factor)
{
    for (int32_t i = 0; i < 256; i++)
        table[i] = (uint8_t)blend((float)degenerate, table[i], factor);
}

static void load(planes_t *planes, const uint8_t *table, const uint8_t *rgb, size_t pixels)
{
    for (size_t i = 0; i < pixels; i++) {
        planes->red[i] = table[rgb[3 * i]];
        planes->green[i] = table[rgb[3 * i + 1]];
        planes->blue[i] = table[rgb[3 * i + 2]];
    }
}

/* (19595 R + 38470 G + 7471 B + 32768) >> 16; every sum is below 2^24 and so exact in a float. */
static void find_grey(planes_t *planes)
{
    for (size_t i = 0; i < BLOCK; i++) {
        const float sum = 19595.0f * planes->red[i] + 38470.0f * planes->green[i] +
                          7471.0f * planes->blue[i] + 32768.0f;
        planes->grey[i] = (float)(int32_t)(sum * 0x1p-16f);
    }
}

static void saturate_plane(float *restrict plane, const float *restrict grey, float factor)
{
    for (size_t i = 0; i < BLOCK; i++)
        plane[i] = (float)blend(grey[i], plane[i], factor);
}

static void saturate(planes_t *planes, float factor)
{
    if (factor == 1)
        return;
    find_grey(planes);
    saturate_plane(planes->red, planes->grey, factor);
    saturate_plane(planes->green, planes->grey, factor);
    saturate_plane(planes->blue, planes->grey, factor);
}

static void map_plane(float *plane, const uint8_t *table)
{
    for (size_t i = 0; i < BLOCK; i++)
        plane[i] = table[(int32_t)plane[i]];
}

/* Run what is prepared so far on `pixels` <= BLOCK pixels. The rest of a block keeps the values
 * of an earlier one, or zeros, so that all loops but the first have a fixed length. */
static void run_block(const beit__jitter_t *jitter, planes_t *planes, const uint8_t *rgb,
                      size_t pixels)
{
    load(planes, jitter->before, rgb, pixels);
    saturate(planes, jitter->saturation);
    map_plane(planes->red, jitter->after);
    map_plane(planes->green, jitter->after);
    map_plane(planes->blue, jitter->after);
}

static size_t block_at(size_t start, size_t pixels)
{
    return pixels - start < BLOCK ? pixels - start : BLOCK;
}

/* Mean grey of the picture after the operations prepared so far, rounded half up. */
static int32_t mean_grey(const beit__jitter_t *jitter, const uint8_t *rgb, size_t pixels)
{
    planes_t planes = {.red = {0}};
    double sum = 0; /* of integers, exact */
    for (size_t start = 0; start < pixels; start += BLOCK) {
        const size_t count = block_at(start, pixels);
        run_block(jitter, &planes, rgb + 3 * start, count);
        find_grey(&planes);
        float part = 0; /* at most 64 * 255, exact in any order */
        for (size_t i = 0; i < count; i++)
            part += planes.grey[i];
        sum += (double)part;
    }
    return (int32_t)(sum / (double)pixels + 0.5);
}

void beit__jitter_prepare(beit__jitter_t *jitter, const beit_view_draw_t *draw,
                          const uint8_t *rgb, /* (pixels,3): the whole picture */
                          size_t pixels)
{
    table_identity(jitter->before);
    table_identity(jitter->after);
    jitter->saturation = 1;
    jitter->active = draw->brightness != 1 || draw->contrast != 1 || draw->saturation != 1;
    uint8_t *table = jitter->before;
    for (int32_t i = 0; i < 3; i++) {
        switch (draw->jitter_order[i]) {
        case BRIGHTNESS:
            table_blend(table, 0, draw->brightness);
            break;
        case CONTRAST:
            if (draw->contrast != 1)
                table_blend(table, mean_grey(jitter, rgb, pixels), draw->contrast);
            break;
        case SATURATION:
            jitter->saturation = draw->saturation;
            table = jitter->after;
            break;
        }
    }
}

void beit__jitter_apply(const beit__jitter_t *jitter, const uint8_t *restrict src, /* (pixels,3) */
                        uint8_t *restrict dst,                                     /* (pixels,3) */
                        size_t pixels)
{
    planes_t planes = {.red = {0}};
    for (size_t start = 0; start < pixels; start += BLOCK) {
        const size_t count = block_at(start, pixels);
        run_block(jitter, &planes, src + 3 * start, count);
        for (size_t i = 0; i < count; i++) {
            uint8_t *pixel = dst + 3 * (start + i);
            pixel[0] = (uint8_t)planes.red[i];
            pixel[1] = (uint8_t)planes.green[i];
            pixel[2] = (uint8_t)planes.blue[i];
        }
    }
}
