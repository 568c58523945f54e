/* Log lines through the context. */
#ifndef BEIT_CORE_LOG_H
#define BEIT_CORE_LOG_H

#include <beit/base.h>

/* Formats into a fixed buffer; nothing happens when the level is not wanted. ctx not NULL. */
void beit__log(beit_context_t *ctx, beit_log_level_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
