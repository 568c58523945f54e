/* The phases in their order. */
#ifndef PRETRAIN_PHASE_NAMES_H
#define PRETRAIN_PHASE_NAMES_H

#include <string.h>

#define PHASE_TOKENIZER "tokenizer"
#define PHASE_PRETRAIN  "pretrain"

static inline int phase_order(const char *name)
{
    return strcmp(name, PHASE_TOKENIZER) == 0 ? 0 : 1;
}

#endif
