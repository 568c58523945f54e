/* XXH3-64 over a stream of bytes: notices files that were damaged, not those that were forged. */
#ifndef BEIT_IO_CHECKSUM_H
#define BEIT_IO_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

typedef struct beit__checksum {
    _Alignas(64) unsigned char state[640];
} beit__checksum_t;

#define BEIT__CHECKSUM_TEXT 17 /* 16 hexadecimal digits and the terminator */

void beit__checksum_begin(beit__checksum_t *checksum);
void beit__checksum_add(beit__checksum_t *checksum, const void *src, size_t n);
void beit__checksum_text(const beit__checksum_t *checksum, char text[BEIT__CHECKSUM_TEXT]);

#endif
