/* What is random about two views: crop box, flip and jitter, each from its own stream, so that
 * changing or switching off one leaves the others' draws alone. The crop box is drawn as
 * upstream's `RandomResizedCropAndInterpolationWithTwoPic` does. */
#include "data/view_draw.h"

#include <math.h>

#include "core/abi.h"
#include "core/philox.h"
#include "core/status.h"
#include "data/rgb.h"
#include "data/views_config.h"

enum {
    CROP_ATTEMPTS = 10,
    OLDEST_DRAW = 56 /* sizeof in 0.1 */
};

/* On tiny pictures a side may round to 0; one pixel is the least that can be shown. */
static int32_t side(double length)
{
    return length < 1 ? 1 : (int32_t)rint(length);
}

/* The largest centred box of an allowed ratio. */
static void central_box(const beit_views_config_t *cfg, int32_t height, int32_t width,
                        beit_view_draw_t *draw)
{
    const double ratio = (double)width / height;
    draw->height = height;
    draw->width = width;
    if (ratio < (double)cfg->min_ratio)
        draw->height = side(width / (double)cfg->min_ratio);
    else if (ratio > (double)cfg->max_ratio)
        draw->width = side(height * (double)cfg->max_ratio);
    draw->top = (height - draw->height) / 2;
    draw->left = (width - draw->width) / 2;
}

static void draw_box(const beit_views_config_t *cfg, beit__draws_t draws, int32_t height,
                     int32_t width, beit_view_draw_t *draw)
{
    const double area = (double)height * width;
    const double log_min = log((double)cfg->min_ratio), log_max = log((double)cfg->max_ratio);
    for (int32_t attempt = 0; attempt < CROP_ATTEMPTS; attempt++) {
        const double target =
            beit__draw_uniform(&draws, (double)cfg->min_scale, (double)cfg->max_scale) * area;
        const double ratio = exp(beit__draw_uniform(&draws, log_min, log_max));
        draw->width = side(sqrt(target * ratio));
        draw->height = side(sqrt(target / ratio));
        if (draw->width > width || draw->height > height)
            continue;
        draw->top = (int32_t)beit__draw_below(&draws, (uint32_t)(height - draw->height + 1));
        draw->left = (int32_t)beit__draw_below(&draws, (uint32_t)(width - draw->width + 1));
        return;
    }
    central_box(cfg, height, width, draw);
}

/* Half-width 0 gives exactly 1. */
static float draw_factor(beit__draws_t *draws, float half_width)
{
    const double low = half_width < 1 ? 1 - (double)half_width : 0;
    return (float)beit__draw_uniform(draws, low, 1 + (double)half_width);
}

static void draw_jitter(const beit_views_config_t *cfg, beit__draws_t draws, beit_view_draw_t *draw)
{
    int32_t order[3] = {0, 1, 2};
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t j = i + beit__draw_below(&draws, 3 - i);
        const int32_t chosen = order[j];
        order[j] = order[i];
        order[i] = chosen;
    }
    for (int32_t i = 0; i < 3; i++)
        draw->jitter_order[i] = order[i];
    draw->brightness = draw_factor(&draws, cfg->brightness);
    draw->contrast = draw_factor(&draws, cfg->contrast);
    draw->saturation = draw_factor(&draws, cfg->saturation);
}

void beit__view_draw(const beit_views_config_t *cfg, uint64_t seed, uint64_t epoch,
                     uint64_t sample_id, int32_t height, int32_t width, beit_view_draw_t *draw)
{
    *draw = (beit_view_draw_t){.struct_size = sizeof *draw};
    draw_box(cfg, beit__draws(seed, BEIT__STREAM_CROP, epoch, sample_id, 0), height, width, draw);
    beit__draws_t flip = beit__draws(seed, BEIT__STREAM_FLIP, epoch, sample_id, 0);
    draw->flip = beit__draw_unit(&flip) < (double)cfg->flip;
    draw_jitter(cfg, beit__draws(seed, BEIT__STREAM_JITTER, epoch, sample_id, 0), draw);
}

beit_status_t beit__view_draw_in(beit_view_draw_t *ours, const beit_view_draw_t *theirs,
                                 int32_t height, int32_t width)
{
    BEIT__TRY(beit__abi_in(ours, sizeof *ours, OLDEST_DRAW, theirs, "beit_view_draw"));
    if (ours->left < 0 || ours->top < 0 || ours->width < 1 || ours->height < 1 ||
        ours->left > width - ours->width || ours->top > height - ours->height)
        return beit__fail(
            BEIT_E_ARGUMENT,
            "view draw: the box %d x %d at row %d, column %d is not within the picture "
            "of %d x %d",
            ours->height, ours->width, ours->top, ours->left, height, width);
    if (ours->flip != 0 && ours->flip != 1)
        return beit__fail(BEIT_E_ARGUMENT, "view draw: flip is %d, allowed are 0 and 1",
                          ours->flip);
    uint32_t seen = 0;
    for (int32_t i = 0; i < 3; i++)
        if (ours->jitter_order[i] >= 0 && ours->jitter_order[i] < 3)
            seen |= 1u << ours->jitter_order[i];
    if (seen != 7)
        return beit__fail(
            BEIT_E_ARGUMENT,
            "view draw: jitter_order is %d, %d, %d, which is no permutation of 0, 1, 2",
            ours->jitter_order[0], ours->jitter_order[1], ours->jitter_order[2]);
    const float factors[3] = {ours->brightness, ours->contrast, ours->saturation};
    static const char *const names[3] = {"brightness", "contrast", "saturation"};
    for (int32_t i = 0; i < 3; i++)
        if (!(factors[i] >= 0 && factors[i] <= BEIT__MAX_FACTOR))
            return beit__fail(BEIT_E_ARGUMENT, "view draw: %s is %g, allowed are 0 to %g", names[i],
                              (double)factors[i], (double)BEIT__MAX_FACTOR);
    return BEIT_OK;
}

beit_status_t beit_views_draw(const beit_views_config_t *cfg, uint64_t seed, uint64_t epoch,
                              uint64_t sample_id, int32_t height, int32_t width,
                              beit_view_draw_t *draw)
{
    beit_views_config_t ours;
    BEIT__TRY(beit__views_config_in(&ours, cfg));
    if (height < 1 || width < 1 || height > BEIT__MAX_SIDE || width > BEIT__MAX_SIDE)
        return beit__fail(BEIT_E_ARGUMENT, "views: the picture is %d x %d, sides must be 1 to %d",
                          height, width, BEIT__MAX_SIDE);
    beit_view_draw_t drawn;
    beit__view_draw(&ours, seed, epoch, sample_id, height, width, &drawn);
    return beit__abi_out(draw, &drawn, sizeof drawn, OLDEST_DRAW, "beit_view_draw");
}
