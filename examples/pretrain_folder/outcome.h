/* How a run ends. The values are the program's exit status, except for stopping, whose status tells
 * the signal. */
#ifndef PRETRAIN_OUTCOME_H
#define PRETRAIN_OUTCOME_H

#include <beit/base.h>

typedef enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_FAILURE = 1,    /* storage, memory, threads */
    OUTCOME_USAGE = 2,      /* the command makes no sense */
    OUTCOME_DATA = 3,       /* no usable pictures */
    OUTCOME_CHECKPOINT = 4, /* a checkpoint or tokenizer is damaged or does not fit */
    OUTCOME_DIVERGED = 5,   /* loss or gradient is not finite */
    OUTCOME_STOPPED = 6     /* by a signal; everything is saved */
} outcome_t;

/* Leave the calling function unless all is well. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const outcome_t try_outcome = (call);                                                      \
        if (try_outcome != OUTCOME_DONE)                                                           \
            return try_outcome;                                                                    \
    } while (0)

/* Say on standard error what is wrong, in one line, and return `outcome`. */
outcome_t fail(outcome_t outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a call of the library that returned `status`: "doing: what the library says". For
 * BEIT_OK nothing is said and OUTCOME_DONE returned. */
outcome_t check(beit_status_t status, const char *doing);

/* A line that is no reason to end. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
