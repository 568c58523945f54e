/* Errors go to standard error, also when quiet was asked for. */
#include "outcome.h"

#include <stdarg.h>
#include <stdio.h>

static void complain(const char *prefix, const char *format, va_list arguments)
{
    fflush(stdout);
    fprintf(stderr, "pretrain_folder: %s", prefix);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

outcome_t fail(outcome_t outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain("", format, arguments);
    va_end(arguments);
    return outcome;
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain("warning: ", format, arguments);
    va_end(arguments);
}

/* What a status of the library means to the user of the program. */
static outcome_t outcome_of(beit_status_t status)
{
    switch (status) {
    case BEIT_OK:
        return OUTCOME_DONE;
    case BEIT_E_ARGUMENT:
    case BEIT_E_UNSUPPORTED:
        return OUTCOME_USAGE;
    case BEIT_E_FORMAT:
    case BEIT_E_MISMATCH:
        return OUTCOME_CHECKPOINT;
    case BEIT_E_NUMERIC:
        return OUTCOME_DIVERGED;
    default:
        return OUTCOME_FAILURE;
    }
}

outcome_t check(beit_status_t status, const char *doing)
{
    if (status == BEIT_OK)
        return OUTCOME_DONE;
    const char *detail = beit_last_error();
    return fail(outcome_of(status), "%s: %s", doing, *detail ? detail : beit_status_string(status));
}
