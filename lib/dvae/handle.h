/* The tokenizer's insides, for the files of this folder. */
#ifndef BEIT_DVAE_HANDLE_H
#define BEIT_DVAE_HANDLE_H

#include <stdatomic.h>

#include "dvae/dvae.h"
#include "dvae/network.h"
#include "dvae/pass.h"

struct beit_dvae {
    atomic_size_t references;
    beit_context_t *ctx;
    beit_dvae_config_t cfg; /* resolved */
    beit__param_list_t list;
    beit_params_t weights, gradients; /* gradients: without data until training is planned */
    beit__network_t encoder, decoder; /* one of them empty when cfg.parts says so */
    size_t codebook;                  /* DISCRETE: index of (V, codebook_dim) */
    beit__conv_layer_t entry;         /* DALLE: the decoder's input layer */
    beit__pass_memory_t memory;
};

/* ---- steps of a pass ---- */

/* Tokens along the sides of a picture. */
beit__map_size_t beit__dvae_grid(const beit_dvae_t *dvae, beit__map_size_t pixels);

/* In what follows `size` is that of the pictures, `grid` that of their tokens.
 * Host pixels (B,C,H,W) to the network's input map (B,H,W,C), normalised where cfg says so. */
beit_status_t beit__encoder_input(beit__pass_t *pass, const beit_dvae_t *dvae,
                                  beit__map_size_t size, const float *pixels, float *x);

/* Host pixels to host tokens (B*h*w). With a mask (B*h*w), only the positions of 1 go through the
 * head; the others get -1. */
beit_status_t beit__encoder_tokens(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t size, const float *pixels, const uint8_t *mask,
                                   int32_t *tokens);

/* Host pixels to host logits (B,V,h,w). */
beit_status_t beit__encoder_logits(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t size, const float *pixels, float *logits);

/* Codebook rows of host tokens, z (B*h*w, decoder.in). */
beit_status_t beit__decoder_lookup(beit__pass_t *pass, const beit_dvae_t *dvae, int64_t rows,
                                   const int32_t *tokens, float *z);

/* Host tokens (B*h*w) to host pixels (B,C,H,W). */
beit_status_t beit__decoder_pixels(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t grid, const int32_t *tokens, float *pixels);

#endif
