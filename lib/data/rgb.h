/* Packed RGB pictures that come from outside. */
#ifndef BEIT_DATA_RGB_H
#define BEIT_DATA_RGB_H

#include <beit/image.h>

enum {
    BEIT__RGB = 3,           /* bytes of a pixel */
    BEIT__MAX_SIDE = 1 << 20 /* of a picture: keeps every index within a row in int32_t */
};

/* Check a (height,width,3) u8 view and give its extents. */
beit_status_t beit__rgb_check(const beit_tensor_t *view, const char *name, int32_t extents[2]);

static inline uint8_t *beit__rgb_at(const beit_tensor_t *view, int32_t row, int32_t column)
{
    return (uint8_t *)view->data +
           ((size_t)row * (size_t)view->shape[1] + (size_t)column) * BEIT__RGB;
}

#endif
