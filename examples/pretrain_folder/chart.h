/* Line charts as inline SVG, coloured by the page's style sheet. */
#ifndef PRETRAIN_CHART_H
#define PRETRAIN_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct curve {
    double *x, *y; /* x ascending */
    size_t count, room;
} curve_t;

/* Append a point; values that are not finite are passed over. False without memory. */
bool curve_add(curve_t *curve, double x, double y);
void curve_free(curve_t *curve);

typedef struct chart_line {
    const curve_t *curve;
    const char *label; /* in the legend */
    const char *style; /* class in the style sheet */
    bool points; /* draw every value as a dot too; else values are averaged to about a hundred */
} chart_line_t;

typedef struct chart_level {
    const char *label; /* at the right end */
    double y;          /* not finite: left out */
} chart_level_t;

typedef struct chart {
    const char *title, *y_label;
    const chart_line_t *lines;
    size_t line_count;
    const chart_level_t *levels;
    size_t level_count;
} chart_t;

/* Write a figure; nothing when no line has a point. */
void chart_write(FILE *out, const chart_t *chart);

#endif
