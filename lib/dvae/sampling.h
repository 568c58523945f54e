/* The relaxed choice of codes during training, and its way back. */
#ifndef BEIT_DVAE_SAMPLING_H
#define BEIT_DVAE_SAMPLING_H

#include "dvae/handle.h"

/* Maps of one pass; rows = samples * positions. */
typedef struct beit__sampling {
    int64_t samples, positions;
    float *logits;   /* (rows,V) */
    float *dlogits;  /* (rows,V) added to on the way back */
    float *y, *dy;   /* (rows,V) soft choice and gradient */
    int32_t *choice; /* host (rows), of the hard modes */
    float *z;        /* (rows, codebook_dim), what the decoder gets */
} beit__sampling_t;

beit_status_t beit__sampling_forward(beit__pass_t *pass, const beit_dvae_t *dvae,
                                     const beit__dvae_batch_t *batch, beit__sampling_t *s);

/* From dz: the codebook's gradient and the choice's part of dlogits. */
beit_status_t beit__sampling_backward(beit__pass_t *pass, beit_dvae_t *dvae,
                                      const beit__dvae_batch_t *batch, beit__sampling_t *s,
                                      const float *dz);

#endif
