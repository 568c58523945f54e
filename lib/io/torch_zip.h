/* The directory of a ZIP archive whose entries are stored as they are, as torch.save writes. */
#ifndef BEIT_IO_TORCH_ZIP_H
#define BEIT_IO_TORCH_ZIP_H

#include "io/file.h"

/* One entry: where its bytes lie. */
typedef struct beit__zip_entry {
    const char *name;
    uint64_t header;    /* of its local header */
    uint64_t at, bytes; /* of its data */
} beit__zip_entry_t;

typedef struct beit__zip {
    beit_context_t *ctx;          /* borrowed */
    const beit__source_t *source; /* borrowed */
    beit__zip_entry_t *entries;   /* sorted by name */
    size_t count;
    char *directory; /* owns the names */
    size_t directory_bytes;
} beit__zip_t;

/* BEIT_E_FORMAT unless every entry is stored, lies inside the file and shares no byte with another
 * one; so what the directory claims is there. */
beit_status_t beit__zip_open(beit__zip_t *zip, beit_context_t *ctx, const beit__source_t *source);
void beit__zip_close(beit__zip_t *zip);

const beit__zip_entry_t *beit__zip_find(const beit__zip_t *zip, const char *name);

#endif
