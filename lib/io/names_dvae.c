/* Names of the tokenizers' tensors. DiscreteVAE has ours; OpenAI's halves are told apart by
 * names.c, as both have the same names; FLAVA's codebook has them with two more modules in between
 * and PyTorch's names for weights. */
#include <stdio.h>
#include <string.h>

#include "io/names.h"

/* Modules that wrap a tokenizer; those by which larger checkpoints of mmpretrain and FLAVA hold one
 * come last. */
static const char *const wrappers[] = {"module.", "_orig_mod.", "model.", "target_generator.",
                                       "image_codebook."};
#define FIRST_INNER 3

/* Pieces of FLAVA's names that OpenAI's lack; and the ends. */
static const char *const additions[] = {".group.", ".path."};

static const struct {
    const char *theirs, *ours;
} ends[] = {{".weight", ".w"}, {".bias", ".b"}};

static const char *unwrap(const char *name, bool *inner)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers;) {
        const size_t n = strlen(wrappers[i]);
        const bool wrapped = strncmp(name, wrappers[i], n) == 0;
        *inner = *inner || (wrapped && i >= FIRST_INNER);
        name += wrapped ? n : 0;
        i = wrapped ? 0 : i + 1;
    }
    return name;
}

static void remove_additions(char *name)
{
    for (size_t i = 0; i < sizeof additions / sizeof *additions; i++) {
        char *at = strstr(name, additions[i]);
        const size_t n = strlen(additions[i]) - 1; /* one dot stays */
        if (at)
            memmove(at, at + n, strlen(at + n) + 1);
    }
}

static void shorten_end(char *name)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t n = strlen(name), tail = strlen(ends[i].theirs);
        if (n > tail && strcmp(name + n - tail, ends[i].theirs) == 0)
            memcpy(name + n - tail, ends[i].ours, strlen(ends[i].ours) + 1); /* shorter */
    }
}

void beit__names_dvae(const char *stored, beit__translation_t *translation)
{
    *translation = (beit__translation_t){.row = 0};
    char *name = translation->name;
    const int n =
        snprintf(name, sizeof translation->name, "%s", unwrap(stored, &translation->inner));
    translation->known = (size_t)n < sizeof translation->name;
    if (strstr(name, "blocks.input.") || strstr(name, "blocks.output.") ||
        strstr(name, "blocks.group_")) {
        remove_additions(name);
        shorten_end(name);
    }
}
