/* Pillow's resize (`src/libImaging/Resample.c`), bit for bit: a separable filter whose support
 * grows with the reduction, weights normalised in double precision and then rounded to 22-bit
 * fixed point, bytes between the horizontal pass, which comes first, and the vertical one. The
 * order of operations in the weights is Pillow's, because the rounding shows in the pixels. Checked
 * against 9.4 to 12.0; releases from 12.3 on go vertically first where that is less work, which
 * moves some bytes by a few units. */
#include "data/resample.h"

#include <math.h>
#include <string.h>

#include "data/rgb.h"

enum { PRECISION = 22 }; /* bits after the point: 8 for the byte, 2 for overshoot remain */

#define PI 3.14159265358979323846

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x)
{
    if (x == 0)
        return 1;
    x *= PI;
    return sin(x) / x;
}

static double lanczos(double x)
{
    return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

typedef struct filter {
    double (*weight)(double x);
    double support; /* half-width at scale 1 */
} filter_t;

static const filter_t filters[] = {
    [BEIT_FILTER_BILINEAR] = {bilinear, 1},
    [BEIT_FILTER_BICUBIC] = {bicubic, 2},
    [BEIT_FILTER_LANCZOS] = {lanczos, 3},
};

/* Inputs per output unit, and the factor by which a reduction widens the filter. */
static double axis_scale(const beit__resample_axis_t *axis)
{
    return (double)axis->in / axis->out;
}

static double axis_support(const beit__resample_axis_t *axis, const filter_t *filter)
{
    return filter->support * fmax(axis_scale(axis), 1);
}

static int32_t to_fixed(double weight)
{
    const double scaled = weight * (1 << PRECISION);
    return (int32_t)(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* Window and weights of output index i; `exact` holds axis->taps doubles. */
static void fill_window(beit__resample_axis_t *axis, const filter_t *filter, int32_t i,
                        double *exact)
{
    const double scale = axis_scale(axis), support = axis_support(axis, filter);
    const double centre = (i + 0.5) * scale, shrink = 1 / fmax(scale, 1);
    const int32_t first = (int32_t)fmax(centre - support + 0.5, 0);
    const int32_t end = (int32_t)fmin(centre + support + 0.5, axis->in);
    axis->windows[i] = (beit__window_t){.first = first, .count = end - first};

    double sum = 0;
    for (int32_t k = 0; k < end - first; k++) {
        exact[k] = filter->weight((k + first - centre + 0.5) * shrink);
        sum += exact[k];
    }
    int32_t *weights = axis->weights + (size_t)i * (size_t)axis->taps;
    for (int32_t k = 0; k < end - first; k++)
        weights[k] = to_fixed(sum != 0 ? exact[k] / sum : exact[k]);
}

static void plan_axis(beit__resample_axis_t *axis, beit__arena_t *arena, const filter_t *filter,
                      int32_t in, int32_t out)
{
    *axis = (beit__resample_axis_t){.in = in, .out = out};
    if (in == out)
        return;
    axis->taps = (int32_t)ceil(axis_support(axis, filter)) * 2 + 1;
    const size_t taps = (size_t)axis->taps;
    axis->windows = beit__arena_take(arena, (size_t)out, sizeof *axis->windows);
    axis->weights = beit__arena_take(arena, (size_t)out, taps * sizeof *axis->weights);
    const size_t mark = beit__arena_mark(arena);
    double *exact = beit__arena_take(arena, taps, sizeof *exact);
    for (int32_t i = 0; exact && i < out; i++)
        fill_window(axis, filter, i, exact);
    beit__arena_rewind(arena, mark);
}

void beit__resample_plan(beit__resample_t *plan, beit__arena_t *arena, beit_filter_t filter,
                         const int32_t in[2], const int32_t out[2]) /* height, width */
{
    plan_axis(&plan->y, arena, &filters[filter], in[0], out[0]);
    plan_axis(&plan->x, arena, &filters[filter], in[1], out[1]);
    plan->rows = beit__arena_take(arena, (size_t)in[0], (size_t)out[1] * BEIT__RGB);
    plan->sums = beit__arena_take(arena, (size_t)out[1], BEIT__RGB * sizeof *plan->sums);
}

static inline uint8_t to_byte(int32_t sum)
{
    const int32_t value = sum >> PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void beit__resample_push(const beit__resample_t *plan, int32_t y,
                         const uint8_t *restrict line) /* (x.in,3) */
{
    const beit__resample_axis_t *axis = &plan->x;
    const size_t bytes = (size_t)axis->out * BEIT__RGB;
    uint8_t *restrict out = plan->rows + (size_t)y * bytes;
    if (axis->in == axis->out) {
        memcpy(out, line, bytes);
        return;
    }
    for (int32_t x = 0; x < axis->out; x++) {
        const beit__window_t window = axis->windows[x];
        const int32_t *restrict weights = axis->weights + (size_t)x * (size_t)axis->taps;
        const uint8_t *restrict pixel = line + (size_t)window.first * BEIT__RGB;
        int32_t red = 1 << (PRECISION - 1), green = red, blue = red;
        for (int32_t k = 0; k < window.count; k++, pixel += BEIT__RGB) {
            red += weights[k] * pixel[0];
            green += weights[k] * pixel[1];
            blue += weights[k] * pixel[2];
        }
        out[x * BEIT__RGB] = to_byte(red);
        out[x * BEIT__RGB + 1] = to_byte(green);
        out[x * BEIT__RGB + 2] = to_byte(blue);
    }
}

void beit__resample_pull(const beit__resample_t *plan, int32_t y,
                         uint8_t *restrict line) /* (x.out,3) */
{
    const beit__resample_axis_t *axis = &plan->y;
    const size_t bytes = (size_t)plan->x.out * BEIT__RGB;
    if (axis->in == axis->out) {
        memcpy(line, plan->rows + (size_t)y * bytes, bytes);
        return;
    }
    const beit__window_t window = axis->windows[y];
    const int32_t *restrict weights = axis->weights + (size_t)y * (size_t)axis->taps;
    int32_t *restrict sums = plan->sums;
    for (size_t i = 0; i < bytes; i++)
        sums[i] = 1 << (PRECISION - 1);
    for (int32_t k = 0; k < window.count; k++) {
        const uint8_t *restrict row = plan->rows + (size_t)(window.first + k) * bytes;
        const int32_t weight = weights[k];
        for (size_t i = 0; i < bytes; i++)
            sums[i] += weight * row[i];
    }
    for (size_t i = 0; i < bytes; i++)
        line[i] = to_byte(sums[i]);
}
