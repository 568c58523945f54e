/* What a long run tells its user: a live line on a terminal, a plain line every few seconds
 * elsewhere, and messages in between. NO_COLOR and TERM=dumb are honoured. */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { DURATION_TEXT = 32 };

typedef struct progress {
    FILE *out;
    bool quiet, live, colour;
    bool line_open;   /* the live line is on the screen */
    double last_time; /* when the last line was written */
} progress_t;

/* What the line shows. Numbers that are not finite are left out. */
typedef struct progress_figures {
    const char *phase;
    uint64_t step, total;
    double loss, accuracy;
    double images_per_second;
    double waiting; /* share of time spent waiting for data, 0..1 */
    double eta;     /* seconds to the end of the whole run */
} progress_figures_t;

void progress_begin(progress_t *progress, FILE *out, bool quiet);

/* Show figures, now or when it is time. */
void progress_show(progress_t *progress, const progress_figures_t *figures);

/* A line of its own. Nothing when quiet is asked for. */
void progress_say(progress_t *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A live line without figures, e.g. "reading pictures 120 of 236"; nothing off a terminal. */
void progress_note(progress_t *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Wipe the live line. */
void progress_end(progress_t *progress);

/* "1:05", "2:03:04", "3 days". */
void progress_duration(double seconds, char text[DURATION_TEXT]);

#endif
