/* Coordinates: a fixed canvas that the page scales. The range of y leaves out the first few percent
 * of a curve, where a loss often starts far above everything else; what lies outside is clipped. */
#include "chart.h"

#include <math.h>
#include <stdlib.h>

enum {
    WIDTH = 560,
    HEIGHT = 320,
    LEFT = 46,
    RIGHT = 122, /* room for the levels' labels */
    TOP = 10,
    BOTTOM = 40,
    MOST_POINTS = 120,
    LABEL_HEIGHT = 15,
    MOST_LEVELS = 8,
    TICKS = 5,
    DOT = 3 /* radius */
};
#define SETTLING 0.03 /* share of a curve that does not decide the range */
#define MARGIN   0.05 /* of the range, above and below */

typedef struct range {
    double low, high;
} range_t;

typedef struct plot {
    FILE *out;
    range_t x, y;
} plot_t;

bool curve_add(curve_t *curve, double x, double y)
{
    if (!isfinite(x) || !isfinite(y))
        return true;
    if (curve->count == curve->room) {
        const size_t room = curve->room ? 2 * curve->room : 256;
        double *xs = realloc(curve->x, room * sizeof *xs);
        if (xs)
            curve->x = xs;
        double *ys = realloc(curve->y, room * sizeof *ys);
        if (ys)
            curve->y = ys;
        if (!xs || !ys)
            return false;
        curve->room = room;
    }
    curve->x[curve->count] = x;
    curve->y[curve->count++] = y;
    return true;
}

void curve_free(curve_t *curve)
{
    free(curve->x);
    free(curve->y);
    *curve = (curve_t){0};
}

static void widen(range_t *range, double value)
{
    range->low = fmin(range->low, value);
    range->high = fmax(range->high, value);
}

static double place_x(const plot_t *plot, double x)
{
    return LEFT + (x - plot->x.low) / (plot->x.high - plot->x.low) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const plot_t *plot, double y)
{
    return HEIGHT - BOTTOM -
           (y - plot->y.low) / (plot->y.high - plot->y.low) * (HEIGHT - TOP - BOTTOM);
}

static void find_ranges(plot_t *plot, const chart_t *chart)
{
    plot->x = (range_t){0, 1};
    plot->y = (range_t){HUGE_VAL, -HUGE_VAL};
    for (size_t l = 0; l < chart->line_count; l++) {
        const curve_t *curve = chart->lines[l].curve;
        const size_t settled = (size_t)(SETTLING * (double)curve->count);
        for (size_t i = 0; i < curve->count; i++) {
            widen(&plot->x, curve->x[i]);
            if (i >= settled)
                widen(&plot->y, curve->y[i]);
        }
    }
    for (size_t i = 0; i < chart->level_count; i++)
        if (isfinite(chart->levels[i].y))
            widen(&plot->y, chart->levels[i].y);
    const double extent = plot->y.high - plot->y.low, margin = extent > 0 ? MARGIN * extent : 0.5;
    plot->y.low -= margin;
    plot->y.high += margin;
}

/* 1, 2 or 5 times a power of ten, so that about `TICKS` steps fit. */
static double tick_step(range_t range)
{
    const double rough = (range.high - range.low) / TICKS, unit = pow(10, floor(log10(rough)));
    const double in_units = rough / unit;
    return unit * (in_units > 5 ? 10 : in_units > 2 ? 5 : in_units > 1 ? 2 : 1);
}

static void write_axes(const plot_t *plot, const char *y_label)
{
    const double dx = tick_step(plot->x), dy = tick_step(plot->y);
    const long last_x = (long)floor(plot->x.high / dx), last_y = (long)floor(plot->y.high / dy);
    for (long i = (long)ceil(plot->y.low / dy); i <= last_y; i++) {
        const double y = (double)i * dy, at = place_y(plot, y);
        fprintf(plot->out,
                "<line class='grid' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>"
                "<text x='%d' y='%.1f' text-anchor='end'>%.4g</text>\n",
                LEFT, WIDTH - RIGHT, at, at, LEFT - 5, at + 4, y);
    }
    for (long i = (long)ceil(plot->x.low / dx); i <= last_x; i++)
        fprintf(plot->out, "<text x='%.1f' y='%d' text-anchor='middle'>%.10g</text>\n",
                place_x(plot, (double)i * dx), HEIGHT - BOTTOM + 15, (double)i * dx);
    fprintf(plot->out,
            "<line class='axis' x1='%d' x2='%d' y1='%d' y2='%d'/>"
            "<text x='%d' y='%d' text-anchor='middle'>steps</text>"
            "<text transform='translate(12 %d) rotate(-90)' text-anchor='middle'>%s</text>\n",
            LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 6, (TOP + HEIGHT - BOTTOM) / 2, y_label);
}

static int by_height(const void *a, const void *b)
{
    const double x = ((const chart_level_t *)a)->y, y = ((const chart_level_t *)b)->y;
    return (x < y) - (x > y);
}

/* Lines across, with labels pushed apart where they would overlap. */
static void write_levels(const plot_t *plot, const chart_t *chart)
{
    chart_level_t levels[MOST_LEVELS];
    size_t count = 0;
    for (size_t i = 0; i < chart->level_count && count < MOST_LEVELS; i++)
        if (isfinite(chart->levels[i].y))
            levels[count++] = chart->levels[i];
    if (count > 1)
        qsort(levels, count, sizeof *levels, by_height);
    double lowest = -HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
        const double at = place_y(plot, levels[i].y);
        lowest = fmax(at, lowest + LABEL_HEIGHT);
        fprintf(plot->out,
                "<line class='level' x1='%d' x2='%d' y1='%.1f' y2='%.1f'/>"
                "<text x='%d' y='%.1f'>%s %.3g</text>\n",
                LEFT, WIDTH - RIGHT, at, at, WIDTH - RIGHT + 5, lowest + 4, levels[i].label,
                levels[i].y);
    }
}

static void write_line(const plot_t *plot, const chart_line_t *line)
{
    const curve_t *curve = line->curve;
    const size_t points = line->points || curve->count < MOST_POINTS ? curve->count : MOST_POINTS;
    if (points == 0)
        return;
    fprintf(plot->out, "<polyline class='%s' points='", line->style);
    for (size_t p = 0; p < points; p++) {
        const size_t from = p * curve->count / points, to = (p + 1) * curve->count / points;
        double x = 0, y = 0;
        for (size_t i = from; i < to; i++) {
            x += curve->x[i] / (double)(to - from);
            y += curve->y[i] / (double)(to - from);
        }
        fprintf(plot->out, "%.1f,%.1f ", place_x(plot, x), place_y(plot, y));
    }
    fputs("'/>\n", plot->out);
    for (size_t i = 0; line->points && i < curve->count; i++)
        fprintf(plot->out, "<circle class='%s' cx='%.1f' cy='%.1f' r='%d'/>\n", line->style,
                place_x(plot, curve->x[i]), place_y(plot, curve->y[i]), DOT);
}

static void write_legend(FILE *out, const chart_t *chart)
{
    fputs("<figcaption>", out);
    for (size_t i = 0; i < chart->line_count; i++)
        if (chart->lines[i].curve->count > 0)
            fprintf(out, "<span><i class='%s'></i>%s</span> ", chart->lines[i].style,
                    chart->lines[i].label);
    fputs("</figcaption>\n", out);
}

void chart_write(FILE *out, const chart_t *chart)
{
    size_t points = 0;
    for (size_t i = 0; i < chart->line_count; i++)
        points += chart->lines[i].curve->count;
    if (points == 0)
        return;
    plot_t plot = {.out = out};
    find_ranges(&plot, chart);
    fprintf(out,
            "<figure><h3>%s</h3>\n<svg viewBox='0 0 %d %d' role='img' aria-label='%s'>\n"
            "<clipPath id='inside'><rect x='%d' y='%d' width='%d' height='%d'/></clipPath>\n",
            chart->title, WIDTH, HEIGHT, chart->title, LEFT - DOT, TOP,
            WIDTH - LEFT - RIGHT + 2 * DOT, HEIGHT - TOP - BOTTOM);
    write_axes(&plot, chart->y_label);
    write_levels(&plot, chart);
    fputs("<g clip-path='url(#inside)'>\n", out);
    for (size_t i = 0; i < chart->line_count; i++)
        write_line(&plot, &chart->lines[i]);
    fputs("</g></svg>\n", out);
    write_legend(out, chart);
    fputs("</figure>\n", out);
}
