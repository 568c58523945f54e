/* Statuses as text, and the one line per thread that says what exactly was wrong. The line lives
 * in a fixed buffer, so that running out of memory can be reported too. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_SIZE 512

static _Thread_local char last_error[LINE_SIZE];

static const char *const status_text[] = {
    [-BEIT_OK] = "success",
    [-BEIT_E_ARGUMENT] = "argument not acceptable",
    [-BEIT_E_NOMEM] = "out of memory",
    [-BEIT_E_STATE] = "not allowed in this state",
    [-BEIT_E_SHAPE] = "tensor has the wrong shape or type",
    [-BEIT_E_IO] = "storage failed",
    [-BEIT_E_FORMAT] = "file is damaged or of another format",
    [-BEIT_E_MISMATCH] = "file or object is for another configuration",
    [-BEIT_E_UNSUPPORTED] = "not supported by this build or backend",
    [-BEIT_E_NUMERIC] = "loss or gradient is not finite",
    [-BEIT_E_CANCELLED] = "stopped on request",
    [-BEIT_E_BACKEND] = "backend or device failed",
    [-BEIT_E_ABI] = "struct_size or ABI number not acceptable",
};

beit_status_t beit__fail(beit_status_t status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

void beit__set_error(const char *line)
{
    snprintf(last_error, sizeof last_error, "%s", line ? line : "");
}

const char *beit_status_string(beit_status_t status)
{
    const long count = sizeof status_text / sizeof *status_text;
    const long index = -(long)status;
    return index >= 0 && index < count ? status_text[index] : "unknown status";
}

const char *beit_last_error(void)
{
    return last_error;
}
