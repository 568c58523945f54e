/* Defaults and checks of the two views' settings; every field's range stands in a table. */
#include "data/views_config.h"

#include <stddef.h>
#include <string.h>

#include "core/abi.h"
#include "core/status.h"
#include "data/rgb.h"

enum { OLDEST_CONFIG = 104 }; /* sizeof in 0.1 */

static const beit_views_config_t defaults = {.struct_size = sizeof defaults,
                                             .pixels_height = 224,
                                             .pixels_width = 224,
                                             .tokens_height = 112,
                                             .tokens_width = 112,
                                             .tokens_scaling = BEIT_TOKENS_SYMMETRIC,
                                             .pixels_filter = BEIT_FILTER_BICUBIC,
                                             .tokens_filter = BEIT_FILTER_LANCZOS,
                                             .min_scale = 0.08f,
                                             .max_scale = 1,
                                             .min_ratio = 3.0f / 4,
                                             .max_ratio = 4.0f / 3,
                                             .flip = 0.5f,
                                             .brightness = 0.4f,
                                             .contrast = 0.4f,
                                             .saturation = 0.4f,
                                             .mean = {0.5f, 0.5f, 0.5f},
                                             .std = {0.5f, 0.5f, 0.5f}};

void beit_views_config_init(beit_views_config_t *cfg, size_t size)
{
    beit__abi_init(cfg, size, &defaults, sizeof defaults);
}

typedef struct int_range {
    const char *name;
    size_t offset;
    int32_t low, high;
} int_range_t;

typedef struct float_range {
    const char *name;
    size_t offset;
    float low, high;
} float_range_t;

#define FIELD(name) #name, offsetof(beit_views_config_t, name)

static const int_range_t int_ranges[] = {
    {FIELD(pixels_height), 1, BEIT__MAX_SIDE},
    {FIELD(pixels_width), 1, BEIT__MAX_SIDE},
    {FIELD(tokens_height), 1, BEIT__MAX_SIDE},
    {FIELD(tokens_width), 1, BEIT__MAX_SIDE},
    {FIELD(tokens_scaling), BEIT_TOKENS_SYMMETRIC, BEIT_TOKENS_UNIT},
    {FIELD(pixels_filter), BEIT_FILTER_BILINEAR, BEIT_FILTER_LANCZOS},
    {FIELD(tokens_filter), BEIT_FILTER_BILINEAR, BEIT_FILTER_LANCZOS},
    {FIELD(reserved), 0, 0},
};

static const float_range_t float_ranges[] = {
    {FIELD(min_scale), 1e-6f, 1},    {FIELD(max_scale), 1e-6f, 1},  {FIELD(min_ratio), 1e-3f, 1e3f},
    {FIELD(max_ratio), 1e-3f, 1e3f}, {FIELD(flip), 0, 1},           {FIELD(brightness), 0, 100},
    {FIELD(contrast), 0, 100},       {FIELD(saturation), 0, 100},   {FIELD(mean[0]), -1e3f, 1e3f},
    {FIELD(mean[1]), -1e3f, 1e3f},   {FIELD(mean[2]), -1e3f, 1e3f}, {FIELD(std[0]), 1e-6f, 1e6f},
    {FIELD(std[1]), 1e-6f, 1e6f},    {FIELD(std[2]), 1e-6f, 1e6f},  {FIELD(reserved2[0]), 0, 0},
    {FIELD(reserved2[1]), 0, 0},
};

static beit_status_t check_ints(const beit_views_config_t *cfg)
{
    for (size_t i = 0; i < sizeof int_ranges / sizeof *int_ranges; i++) {
        const int_range_t *range = &int_ranges[i];
        int32_t value;
        memcpy(&value, (const char *)cfg + range->offset, sizeof value);
        if (value < range->low || value > range->high)
            return beit__fail(BEIT_E_ARGUMENT, "views config: %s is %d, allowed are %d to %d",
                              range->name, value, range->low, range->high);
    }
    return BEIT_OK;
}

static beit_status_t check_floats(const beit_views_config_t *cfg)
{
    for (size_t i = 0; i < sizeof float_ranges / sizeof *float_ranges; i++) {
        const float_range_t *range = &float_ranges[i];
        float value;
        memcpy(&value, (const char *)cfg + range->offset, sizeof value);
        if (!(value >= range->low && value <= range->high))
            return beit__fail(BEIT_E_ARGUMENT, "views config: %s is %g, allowed are %g to %g",
                              range->name, (double)value, (double)range->low, (double)range->high);
    }
    return BEIT_OK;
}

static beit_status_t check_order(const char *name, float min, float max)
{
    if (min <= max)
        return BEIT_OK;
    return beit__fail(BEIT_E_ARGUMENT, "views config: min_%s is %g, more than max_%s, which is %g",
                      name, (double)min, name, (double)max);
}

beit_status_t beit__views_config_in(beit_views_config_t *ours, const beit_views_config_t *theirs)
{
    *ours = defaults;
    if (!theirs)
        return BEIT_OK;
    BEIT__TRY(beit__abi_in(ours, sizeof *ours, OLDEST_CONFIG, theirs, "beit_views_config"));
    BEIT__TRY(check_ints(ours));
    BEIT__TRY(check_floats(ours));
    BEIT__TRY(check_order("scale", ours->min_scale, ours->max_scale));
    return check_order("ratio", ours->min_ratio, ours->max_ratio);
}
