/* The live line is rewritten in place a few times a second and never longer than the terminal is
 * wide. */
#include "common/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"

#define LIVE_SECONDS  0.2
#define PLAIN_SECONDS 10.0
enum { LONGEST = 256, USUAL_WIDTH = 80, BAR = 16 };

static bool set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

void progress_begin(progress_t *progress, FILE *out, bool quiet)
{
    const char *term = getenv("TERM");
    const bool terminal = isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
    *progress = (progress_t){.out = out,
                             .quiet = quiet,
                             .live = terminal,
                             .colour = terminal && !set("NO_COLOR"),
                             .last_time = -HUGE_VAL};
}

void progress_duration(double seconds, char text[DURATION_TEXT])
{
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(text, DURATION_TEXT, "?");
        return;
    }
    const long all = lround(seconds), hours = all / 3600;
    if (hours >= 48)
        snprintf(text, DURATION_TEXT, "%ld days", lround(seconds / 86400));
    else if (hours > 0)
        snprintf(text, DURATION_TEXT, "%ld:%02ld:%02ld", hours, all / 60 % 60, all % 60);
    else
        snprintf(text, DURATION_TEXT, "%ld:%02ld", all / 60, all % 60);
}

static void append(char line[LONGEST], const char *format, ...)
{
    const size_t length = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + length, LONGEST - length, format, arguments);
    va_end(arguments);
}

static void append_bar(char line[LONGEST], uint64_t step, uint64_t total)
{
    const int done = total > 0 ? (int)(step * BAR / total) : 0;
    append(line, " [%.*s%.*s]", done, "################", BAR - done, "................");
}

static void compose(const progress_t *progress, const progress_figures_t *figures,
                    char line[LONGEST])
{
    char eta[DURATION_TEXT];
    line[0] = '\0';
    append(line, "%s", figures->phase);
    if (progress->live)
        append_bar(line, figures->step, figures->total);
    append(line, " %llu/%llu", (unsigned long long)figures->step,
           (unsigned long long)figures->total);
    if (isfinite(figures->loss))
        append(line, "  loss %.3f", figures->loss);
    if (isfinite(figures->accuracy))
        append(line, "  acc %.3f", figures->accuracy);
    if (isfinite(figures->images_per_second))
        append(line, "  %.*f img/s", figures->images_per_second < 10, figures->images_per_second);
    if (isfinite(figures->waiting))
        append(line, "  wait %.0f%%", 100 * figures->waiting);
    progress_duration(figures->eta, eta);
    append(line, "  eta %s", eta);
}

static int width(const progress_t *progress)
{
    struct winsize size;
    if (ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return USUAL_WIDTH;
}

static void rewrite(progress_t *progress, const char *line)
{
    const char *dim = progress->colour ? "\x1b[36m" : "",
               *plain = progress->colour ? "\x1b[0m" : "";
    fprintf(progress->out, "\r%s%.*s%s\x1b[K", dim, width(progress) - 1, line, plain);
    fflush(progress->out);
    progress->line_open = true;
}

static bool time_to_write(progress_t *progress, bool last)
{
    const double now = clock_seconds();
    if (progress->quiet ||
        (!last && now - progress->last_time < (progress->live ? LIVE_SECONDS : PLAIN_SECONDS)))
        return false;
    progress->last_time = now;
    return true;
}

void progress_show(progress_t *progress, const progress_figures_t *figures)
{
    if (!time_to_write(progress, figures->step == figures->total))
        return;
    char line[LONGEST];
    compose(progress, figures, line);
    if (progress->live) {
        rewrite(progress, line);
    } else {
        fprintf(progress->out, "%s\n", line);
        fflush(progress->out);
    }
}

void progress_note(progress_t *progress, const char *format, ...)
{
    if (!progress->live || !time_to_write(progress, false))
        return;
    char line[LONGEST];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    rewrite(progress, line);
}

void progress_end(progress_t *progress)
{
    if (progress->line_open)
        fputs("\r\x1b[K", progress->out);
    progress->line_open = false;
    fflush(progress->out);
}

void progress_say(progress_t *progress, const char *format, ...)
{
    if (progress->quiet)
        return;
    progress_end(progress);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(progress->out, format, arguments);
    va_end(arguments);
    fputc('\n', progress->out);
    fflush(progress->out);
}
