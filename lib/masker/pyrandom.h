/* Python's generator as a source of draws. */
#ifndef BEIT_MASKER_PYRANDOM_H
#define BEIT_MASKER_PYRANDOM_H

#include <beit/masker.h>

#include "masker/draw_source.h"

beit__draw_source_t beit__pyrandom_source(beit_pyrandom_t *rng);

#endif
