/* The two views of one crop. Jitter works pixel by pixel once the contrast's mean is known, so
 * only the crop is jittered, one row at a time; each row goes through both views' horizontal
 * passes while it is in cache, and the vertical passes then write normalised planes. */
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"
#include "core/tensor.h"
#include "data/jitter.h"
#include "data/resample.h"
#include "data/rgb.h"
#include "data/view_draw.h"
#include "data/views_config.h"

/* One output and how it is made. */
typedef struct view {
    float *planes;      /* (3,height,width), NULL = not wanted */
    int32_t extents[2]; /* height, width */
    beit_filter_t filter;
    float values[BEIT__RGB][256]; /* normalised value of each byte */
    beit__resample_t resample;
    uint8_t *line; /* (width,3) */
} view_t;

/* Everything of one call. */
typedef struct job {
    const beit_tensor_t *rgb;
    const beit_view_draw_t *draw;
    view_t views[2]; /* patch view, token view */
    beit__jitter_t jitter;
    uint8_t *line;     /* (crop width,3): one row of the crop, jittered */
    uint8_t *mirrored; /* (crop width,3): the same, flipped */
} job_t;

static beit_status_t check_output(const beit_tensor_t *output, const char *name, int32_t height,
                                  int32_t width, view_t *view)
{
    view->extents[0] = height;
    view->extents[1] = width;
    view->planes = NULL;
    if (!output)
        return BEIT_OK;
    const int64_t shape[3] = {BEIT__RGB, height, width};
    BEIT__TRY(beit__tensor_check(output, name, BEIT_F32, 3, shape));
    view->planes = output->data;
    return BEIT_OK;
}

static float scale_token(int32_t scaling, float x)
{
    switch (scaling) {
    case BEIT_TOKENS_SYMMETRIC:
        return (x - 0.5f) / 0.5f;
    case BEIT_TOKENS_LOGIT:
        return 0.8f * x + 0.1f;
    default:
        return x;
    }
}

static void fill_values(job_t *job, const beit_views_config_t *cfg)
{
    for (int32_t c = 0; c < BEIT__RGB; c++)
        for (int32_t v = 0; v < 256; v++) {
            const float x = (float)v / 255.0f;
            job->views[0].values[c][v] = (x - cfg->mean[c]) / cfg->std[c];
            job->views[1].values[c][v] = scale_token(cfg->tokens_scaling, x);
        }
}

static void plan(job_t *job, beit__arena_t *arena)
{
    const int32_t crop[2] = {job->draw->height, job->draw->width};
    job->line = beit__arena_take(arena, (size_t)crop[1], BEIT__RGB);
    job->mirrored = beit__arena_take(arena, (size_t)crop[1], BEIT__RGB);
    for (int32_t i = 0; i < 2; i++) {
        view_t *view = &job->views[i];
        if (!view->planes)
            continue;
        beit__resample_plan(&view->resample, arena, view->filter, crop, view->extents);
        view->line = beit__arena_take(arena, (size_t)view->extents[1], BEIT__RGB);
    }
}

static void mirror(const uint8_t *restrict src, uint8_t *restrict dst, int32_t pixels)
{
    for (int32_t x = 0; x < pixels; x++)
        for (int32_t c = 0; c < BEIT__RGB; c++)
            dst[x * BEIT__RGB + c] = src[(pixels - 1 - x) * BEIT__RGB + c];
}

/* Row y of the crop as it is after jitter and flip. The crop box lies in the flipped picture. */
static const uint8_t *crop_row(const job_t *job, int32_t y)
{
    const beit_view_draw_t *draw = job->draw;
    const int32_t picture_width = (int32_t)job->rgb->shape[1];
    const int32_t left = draw->flip ? picture_width - draw->left - draw->width : draw->left;
    const uint8_t *row = beit__rgb_at(job->rgb, draw->top + y, left);
    if (job->jitter.active) {
        beit__jitter_apply(&job->jitter, row, job->line, (size_t)draw->width);
        row = job->line;
    }
    if (draw->flip) {
        mirror(row, job->mirrored, draw->width);
        row = job->mirrored;
    }
    return row;
}

static void store_row(const view_t *view, int32_t y)
{
    const int32_t width = view->extents[1];
    for (int32_t c = 0; c < BEIT__RGB; c++) {
        float *restrict out =
            view->planes + ((size_t)c * (size_t)view->extents[0] + (size_t)y) * (size_t)width;
        const float *restrict values = view->values[c];
        for (int32_t x = 0; x < width; x++)
            out[x] = values[view->line[x * BEIT__RGB + c]];
    }
}

static void run(job_t *job)
{
    const size_t pixels = (size_t)job->rgb->shape[0] * (size_t)job->rgb->shape[1];
    beit__jitter_prepare(&job->jitter, job->draw, job->rgb->data, pixels);
    for (int32_t y = 0; y < job->draw->height; y++) {
        const uint8_t *row = crop_row(job, y);
        for (int32_t i = 0; i < 2; i++)
            if (job->views[i].planes)
                beit__resample_push(&job->views[i].resample, y, row);
    }
    for (int32_t i = 0; i < 2; i++) {
        const view_t *view = &job->views[i];
        for (int32_t y = 0; view->planes && y < view->extents[0]; y++) {
            beit__resample_pull(&view->resample, y, view->line);
            store_row(view, y);
        }
    }
}

/* cfg and draw were checked. */
static beit_status_t make_views(beit_context_t *ctx, const beit_views_config_t *cfg,
                                const beit_view_draw_t *draw, const beit_tensor_t *rgb,
                                const beit_tensor_t *pixels, const beit_tensor_t *token_pixels)
{
    job_t job = {.rgb = rgb, .draw = draw};
    BEIT__TRY(check_output(pixels, "pixels", cfg->pixels_height, cfg->pixels_width, &job.views[0]));
    BEIT__TRY(check_output(token_pixels, "token_pixels", cfg->tokens_height, cfg->tokens_width,
                           &job.views[1]));
    job.views[0].filter = (beit_filter_t)cfg->pixels_filter;
    job.views[1].filter = (beit_filter_t)cfg->tokens_filter;
    fill_values(&job, cfg);

    beit__arena_t arena = {0};
    plan(&job, &arena);
    if (arena.overflow)
        return beit__fail(BEIT_E_NOMEM, "views: the picture exceeds the address space");
    const size_t bytes = arena.peak;
    arena = (beit__arena_t){.base = beit__alloc(ctx, bytes), .size = bytes};
    if (!arena.base)
        return BEIT_E_NOMEM;
    plan(&job, &arena);
    run(&job);
    beit__free(ctx, arena.base, bytes);
    return BEIT_OK;
}

beit_status_t beit_views_apply(beit_context_t *ctx, const beit_views_config_t *cfg,
                               const beit_view_draw_t *draw, const beit_tensor_t *rgb,
                               const beit_tensor_t *pixels, const beit_tensor_t *token_pixels)
{
    beit_views_config_t our_cfg;
    beit_view_draw_t our_draw;
    int32_t extents[2];
    BEIT__TRY(beit__views_config_in(&our_cfg, cfg));
    BEIT__TRY(beit__rgb_check(rgb, "rgb", extents));
    BEIT__TRY(beit__view_draw_in(&our_draw, draw, extents[0], extents[1]));
    return make_views(ctx, &our_cfg, &our_draw, rgb, pixels, token_pixels);
}

beit_status_t beit_views_make(beit_context_t *ctx, const beit_views_config_t *cfg, uint64_t seed,
                              uint64_t epoch, uint64_t sample_id, const beit_tensor_t *rgb,
                              const beit_tensor_t *pixels, const beit_tensor_t *token_pixels)
{
    beit_views_config_t our_cfg;
    beit_view_draw_t draw;
    int32_t extents[2];
    BEIT__TRY(beit__views_config_in(&our_cfg, cfg));
    BEIT__TRY(beit__rgb_check(rgb, "rgb", extents));
    beit__view_draw(&our_cfg, seed, epoch, sample_id, extents[0], extents[1], &draw);
    return make_views(ctx, &our_cfg, &draw, rgb, pixels, token_pixels);
}
