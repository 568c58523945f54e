/* Feature maps: change of layout, and resampling by two. */
#include "reference.h"
#include "sums.h"

/* Of a decoder that predicts logits of pixels in [0.1, 0.9]. */
static double unmap(double logit)
{
    const double v = (1.0 / (1.0 + exp(-logit)) - 0.1) / 0.8;
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

beit_status_t beit__reference_layout(void *self, const beit_layout_args_t *a)
{
    (void)self;
    const int64_t pixels = a->height * a->width, C = a->channels;
    const int64_t kept = a->to_nhwc ? C : a->keep;
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t c = 0; c < kept; c++)
            for (int64_t p = 0; p < pixels; p++) {
                const int64_t planar = (b * kept + c) * pixels + p;
                const int64_t interleaved = (b * pixels + p) * C + c;
                double v = (double)a->x[a->to_nhwc ? planar : interleaved];
                if (a->unmap_logit)
                    v = unmap(v);
                a->y[a->to_nhwc ? interleaved : planar] =
                    (float)((double)a->scale * v + (double)a->shift);
            }
    return BEIT_OK;
}

static void halve(const beit_resample_args_t *a)
{
    const int64_t rows = a->height / 2, cols = a->width / 2, C = a->channels;
    float *y = a->y;
    for (int64_t at = 0; at < a->batch * rows * cols; at++) {
        const int64_t b = at / (rows * cols), r = at / cols % rows, c = at % cols;
        const float *upper = a->x + ((b * a->height + 2 * r) * a->width + 2 * c) * C;
        const float *lower = upper + a->width * C;
        for (int64_t i = 0; i < C; i++)
            *y++ = fmaxf(fmaxf(upper[i], upper[C + i]), fmaxf(lower[i], lower[C + i]));
    }
}

static void redouble(const beit_resample_args_t *a)
{
    const int64_t rows = 2 * a->height, cols = 2 * a->width, C = a->channels;
    float *y = a->y;
    for (int64_t at = 0; at < a->batch * rows * cols; at++) {
        const int64_t b = at / (rows * cols), r = at / cols % rows / 2, c = at % cols / 2;
        const float *x = a->x + ((b * a->height + r) * a->width + c) * C;
        for (int64_t i = 0; i < C; i++)
            *y++ = x[i];
    }
}

beit_status_t beit__reference_resample(void *self, const beit_resample_args_t *a)
{
    (void)self;
    if (a->up)
        redouble(a);
    else
        halve(a);
    return BEIT_OK;
}
