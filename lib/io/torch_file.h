/* Files of torch.save, in both containers: the tensors of a state dict or of a pickled module, by
 * name. */
#ifndef BEIT_IO_TORCH_FILE_H
#define BEIT_IO_TORCH_FILE_H

#include "io/entry.h"
#include "io/torch_pickle.h"

typedef struct beit__torch {
    beit_context_t *ctx;  /* borrowed */
    beit__pieces_t names; /* owns the texts */
    beit__entry_t *entries;
    size_t count, room;
    beit__setting_t *settings; /* "hparams", where the file has them */
    size_t setting_count;
} beit__torch_t;

/* Whether a file that begins with these bytes is one of either container. */
bool beit__torch_is_zip(const unsigned char *first, size_t n);
bool beit__torch_is_pickle(const unsigned char *first, size_t n);

/* Look for the weights where files have them: under `model`, `module`, `state_dict` or `weights`,
 * or at the top. Entries are in the order of the file. */
beit_status_t beit__torch_open(beit__torch_t *torch, beit_context_t *ctx,
                               const beit__source_t *source, bool zip);
void beit__torch_close(beit__torch_t *torch);

/* For torch_file.c: read a container's object and find the place of every storage that it names.
 * The unpickler is to be closed whatever the outcome. */
beit_status_t beit__torch_load_zip(beit__unpickler_t *unpickler, beit_context_t *ctx,
                                   const beit__source_t *source, const beit__object_t **root);
beit_status_t beit__torch_load_legacy(beit__unpickler_t *unpickler, beit_context_t *ctx,
                                      const beit__source_t *source, const beit__object_t **root);

#endif
