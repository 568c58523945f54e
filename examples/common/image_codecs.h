/* The decoders behind image_read(). Each takes a file positioned at its start. */
#ifndef EXAMPLES_IMAGE_CODECS_H
#define EXAMPLES_IMAGE_CODECS_H

#include <stdio.h>

#include "common/image_file.h"

bool image_decode_jpeg(FILE *file, int32_t enough, image_t *image, char reason[IMAGE_REASON]);
bool image_decode_png(FILE *file, image_t *image, char reason[IMAGE_REASON]);

#endif
