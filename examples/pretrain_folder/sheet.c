/* Tiles are at least LEAST_TILE pixels wide, so that tiny pictures can be looked at. */
#include "sheet.h"

#include <stdlib.h>
#include <string.h>

#include "common/png_write.h"
#include "out_folder.h"

enum { GAP = 2, LEAST_TILE = 96, WHITE = 255, GREY = 128 };

bool sheet_open(sheet_t *sheet, int32_t columns, int32_t rows, int32_t source)
{
    const int32_t tile = source * (source < LEAST_TILE ? (LEAST_TILE + source - 1) / source : 1);
    char reason[IMAGE_REASON];
    *sheet = (sheet_t){.tile = tile, .source = source};
    if (!image_allocate(&sheet->image, (uint64_t)(columns * (tile + GAP) - GAP),
                        (uint64_t)(rows * (tile + GAP) - GAP), reason))
        return false;
    memset(sheet->image.rgb, WHITE, (size_t)sheet->image.width * (size_t)sheet->image.height * 3);
    return true;
}

void sheet_close(sheet_t *sheet)
{
    image_free(&sheet->image);
}

void sheet_put(sheet_t *sheet, int32_t column, int32_t row, const float *picture, affine_t unit,
               const uint8_t *hidden, int32_t grid)
{
    const int32_t tile = sheet->tile, source = sheet->source, factor = tile / source;
    const int32_t left = column * (tile + GAP), top = row * (tile + GAP);
    for (int32_t y = 0; y < tile; y++) {
        uint8_t *rgb =
            sheet->image.rgb + ((size_t)(top + y) * (size_t)sheet->image.width + (size_t)left) * 3;
        for (int32_t x = 0; x < tile; x++, rgb += 3) {
            const int32_t sy = y / factor, sx = x / factor;
            const bool grey = hidden && hidden[sy * grid / source * grid + sx * grid / source];
            for (int32_t c = 0; c < 3; c++)
                rgb[c] = grey ? GREY : to_byte(unit, picture[(c * source + sy) * source + sx]);
        }
    }
}

outcome_t image_save_png(const image_t *image, const char *path)
{
    bytes_t png;
    if (!png_encode(image, &png))
        return fail(OUTCOME_FAILURE, "%s: no memory", path);
    const outcome_t outcome = out_write_file(path, png.data, png.size);
    free(png.data);
    return outcome;
}
