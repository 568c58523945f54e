/* Telling what a file is that is not what was asked for. */
#ifndef BEIT_IO_SNIFF_H
#define BEIT_IO_SNIFF_H

#include <stddef.h>

#define BEIT__SNIFF_BYTES 64

/* What a file with these first bytes is, with what to do about it, or NULL when unknown. */
const char *beit__sniff(const unsigned char *bytes, size_t n);

#endif
