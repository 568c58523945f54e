/* Pixels as tokenizers take and give them, to [0, 1] and back to bytes. */
#ifndef PRETRAIN_UNIT_PIXELS_H
#define PRETRAIN_UNIT_PIXELS_H

#include <beit/dvae.h>
#include <beit/image.h>
#include <stdint.h>

typedef struct affine {
    double scale, shift; /* unit value = scale * x + shift */
} affine_t;

/* Of token views that were scaled in this way. */
static inline affine_t unit_of_view(int32_t tokens_scaling)
{
    switch (tokens_scaling) {
    case BEIT_TOKENS_SYMMETRIC:
        return (affine_t){0.5, 0.5};
    case BEIT_TOKENS_LOGIT:
        return (affine_t){1.25, -0.125};
    default:
        return (affine_t){1, 0};
    }
}

/* Of what beit_dvae_decode() gives: a DiscreteVAE trained by this program works in [-1, 1], whether
 * it normalises inside or not; OpenAI's dVAE decodes to [0, 1]. */
static inline affine_t unit_of_decoded(int32_t arch)
{
    return arch == BEIT_DVAE_DALLE ? (affine_t){1, 0} : (affine_t){0.5, 0.5};
}

static inline double to_unit(affine_t affine, float x)
{
    return affine.scale * (double)x + affine.shift;
}

static inline uint8_t to_byte(affine_t affine, float x)
{
    const double unit = to_unit(affine, x);
    return unit <= 0 ? 0 : unit >= 1 ? 255 : (uint8_t)(unit * 255 + 0.5);
}

#endif
