/* The names that others give to the same tensors: unilm and timm (ours as well), Hugging Face
 * before and after its modules were renamed, mmpretrain, OpenAI's dall_e, FLAVA's codebook. */
#ifndef BEIT_IO_NAMES_H
#define BEIT_IO_NAMES_H

#include "io/archive.h"

typedef enum beit__names_kind {
    BEIT__NAMES_MODEL,
    BEIT__NAMES_DVAE,
} beit__names_kind_t;

/* Rename the archive's entries to ours and join what we keep as one (query, key and value). What
 * belongs to the other kind is left out; what is not known keeps its name. */
beit_status_t beit__names_translate(beit__archive_t *archive, beit__names_kind_t kind);

/* Our name for a tensor. */
typedef struct beit__translation {
    char name[BEIT__NAME_MAX];
    int32_t row; /* 0 = the whole tensor; 1, 2, 3 = its first, second, third block of rows */
    bool known;  /* otherwise it keeps its name */
    bool other;  /* it belongs to something else than what is asked for */
    bool inner;  /* it belongs to a tokenizer inside a larger checkpoint */
} beit__translation_t;

/* For names.c. */
void beit__names_model(const char *stored, beit__translation_t *translation);
void beit__names_dvae(const char *stored, beit__translation_t *translation);

#endif
