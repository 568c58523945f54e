/* Ctrl-C and SIGTERM: the first one asks the run to finish its step and save; a second one ends the
 * process at once. */
#ifndef EXAMPLES_SIGNALS_H
#define EXAMPLES_SIGNALS_H

/* Install the handlers. Also makes a full disk or file-size limit an error of write(), instead of
 * a signal that ends the process. */
void signals_install(void);

/* The signal that asked to stop, or 0. */
int signals_received(void);

/* The exit status that says which signal ended a process: 130, 143. */
int signals_exit_status(int signal);

#endif
