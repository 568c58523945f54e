/* Small RGB pictures by formula, the same as in tests/golden/make_views.py, and how results are
 * compared with what that script wrote. */
#ifndef TESTS_PICTURE_H
#define TESTS_PICTURE_H

#include <beit/image.h>
#include <stdlib.h>

#include "../golden/views.h"
#include "check.h"

static inline uint8_t picture_byte(int32_t formula, int32_t y, int32_t x, int32_t c)
{
    switch (formula) {
    case 1:
        c = 0; /* grey */
        /* fall through */
    case 0:
        return (uint8_t)((x * x * 3 + y * y * 5 + x * y * (c + 1) + c * 85) / 16 % 256);
    case 2: {
        uint32_t value =
            (uint32_t)y * 73856093u ^ (uint32_t)x * 19349663u ^ (uint32_t)c * 83492791u;
        value = (value ^ value >> 15) * 0x2C1B3C6Du;
        return (uint8_t)(value >> 24);
    }
    default:
        return (uint8_t)((x / 3 + y / 2 + c) % 2 * 255);
    }
}

static inline beit_tensor_t bytes_view(uint8_t *data, int32_t height, int32_t width)
{
    const int64_t shape[3] = {height, width, 3};
    return beit_tensor_make(data, BEIT_U8, 3, shape);
}

/* A new picture; free its data. */
static inline beit_tensor_t picture(int32_t formula, int32_t height, int32_t width)
{
    uint8_t *data = malloc((size_t)height * (size_t)width * 3);
    assert_non_null(data);
    uint8_t *byte = data;
    for (int32_t y = 0; y < height; y++)
        for (int32_t x = 0; x < width; x++)
            for (int32_t c = 0; c < 3; c++)
                *byte++ = picture_byte(formula, y, x, c);
    return bytes_view(data, height, width);
}

static inline uint32_t crc32_of(const uint8_t *data, size_t bytes)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* (height,width,3) bytes against what Pillow made. */
static inline void check_golden(const uint8_t *data, int32_t height, int32_t width,
                                const golden_t *golden, size_t number)
{
    const uint8_t *middle = data + (size_t)(height / 2) * (size_t)width * 3;
    const int32_t shown = width < 4 ? 3 * width : 12;
    for (int32_t i = 0; i < shown; i++)
        if (middle[i] != golden->middle[i])
            fail_msg("case %zu: byte %d of the middle row is %d, Pillow's is %d", number, i,
                     middle[i], golden->middle[i]);
    const uint32_t crc = crc32_of(data, (size_t)height * (size_t)width * 3);
    if (crc != golden->crc)
        fail_msg("case %zu: crc is %08x, Pillow's is %08x", number, crc, golden->crc);
}

#endif
