/* The handler stores a number and, the second time, leaves; both are allowed in a handler. */
#include "common/signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t received;

static void on_signal(int number)
{
    if (received)
        _exit(signals_exit_status(number));
    received = number;
}

void signals_install(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

int signals_received(void)
{
    return received;
}

int signals_exit_status(int number)
{
    return 128 + number;
}
