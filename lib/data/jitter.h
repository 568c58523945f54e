/* Brightness, contrast and saturation of packed RGB bytes. */
#ifndef BEIT_DATA_JITTER_H
#define BEIT_DATA_JITTER_H

#include <beit/image.h>
#include <stdbool.h>

/* Brightness and contrast look at one byte at a time and so become tables, those before the
 * saturation merged into one, those after it into another. */
typedef struct beit__jitter {
    uint8_t before[256], after[256];
    float saturation; /* factor */
    bool active;      /* false: bytes stay as they are */
} beit__jitter_t;

/* Prepare what `draw` prescribes for one picture, whose mean grey the contrast depends on. */
void beit__jitter_prepare(beit__jitter_t *jitter, const beit_view_draw_t *draw,
                          const uint8_t *rgb, /* (pixels,3): the whole picture */
                          size_t pixels);

void beit__jitter_apply(const beit__jitter_t *jitter, const uint8_t *restrict src, /* (pixels,3) */
                        uint8_t *restrict dst,                                     /* (pixels,3) */
                        size_t pixels);

#endif
