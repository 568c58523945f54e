/* Log lines: formatted into a fixed buffer, handed to the host's function, never printed. */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/context.h"

#define LINE_SIZE 512

void beit__log(beit_context_t *ctx, beit_log_level_t level, const char *format, ...)
{
    if (!ctx->log || (int32_t)level > ctx->log_level)
        return;
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    ctx->log(ctx->log_user, level, line);
}
