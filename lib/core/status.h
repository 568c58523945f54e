/* Error reporting: a status plus one thread-local line. Nothing here allocates. */
#ifndef BEIT_CORE_STATUS_H
#define BEIT_CORE_STATUS_H

#include <beit/base.h>

/* Record what was wrong and return `status`, so that `return beit__fail(...)` is the idiom. The
 * line says what was found and what would be right. Lower layers' lines are not overwritten:
 * callers that merely pass a status on do not call this again. */
beit_status_t beit__fail(beit_status_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Record a finished line (for backends). */
void beit__set_error(const char *line);

/* Return early with a status that is not BEIT_OK. */
#define BEIT__TRY(expression)                                                                      \
    do {                                                                                           \
        beit_status_t try_status_ = (expression);                                                  \
        if (try_status_ != BEIT_OK)                                                                \
            return try_status_;                                                                    \
    } while (0)

/* The same with a `goto fail`; needs a variable `status` in scope. */
#define BEIT__TRY_GOTO(expression)                                                                 \
    do {                                                                                           \
        status = (expression);                                                                     \
        if (status != BEIT_OK)                                                                     \
            goto fail;                                                                             \
    } while (0)

#endif
