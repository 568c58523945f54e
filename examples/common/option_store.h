/* What the files behind options.h share. */
#ifndef EXAMPLES_OPTION_STORE_H
#define EXAMPLES_OPTION_STORE_H

#include "common/options.h"

/* Set a field from text, which must live as long as the settings. False, with the field changed or
 * not, when the option does not accept it. */
bool option_store(const option_t *option, void *settings, const char *text);

#endif
