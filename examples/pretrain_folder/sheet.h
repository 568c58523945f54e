/* A sheet of equal tiles with gaps, for pictures of a report. */
#ifndef PRETRAIN_SHEET_H
#define PRETRAIN_SHEET_H

#include "common/image_file.h"
#include "outcome.h"
#include "unit_pixels.h"

typedef struct sheet {
    image_t image;
    int32_t tile;   /* side of a tile as drawn */
    int32_t source; /* side of the pictures that are put in; tile is a multiple of it */
} sheet_t;

/* A white sheet for pictures of side `source`; small ones are magnified. False without memory. */
bool sheet_open(sheet_t *sheet, int32_t columns, int32_t rows, int32_t source);
void sheet_close(sheet_t *sheet);

/* Draw a picture (3, source, source). hidden: (grid, grid) patches with 1 are greyed; NULL = none.
 */
void sheet_put(sheet_t *sheet, int32_t column, int32_t row, const float *picture, affine_t unit,
               const uint8_t *hidden, int32_t grid);

/* Write as PNG. */
outcome_t image_save_png(const image_t *image, const char *path);

#endif
