/* The pictures of a folder, decoded when first needed, shrunk to a chosen shorter side and kept in
 * memory up to a limit; what no longer fits is decoded again each time. Unreadable files are
 * remembered with the reason. Thread-safety: all functions may run concurrently. */
#ifndef EXAMPLES_PICTURE_STORE_H
#define EXAMPLES_PICTURE_STORE_H

#include "common/folder.h"
#include "common/image_file.h"

typedef struct picture_store picture_store_t;

/* A picture on loan. */
typedef struct picture {
    image_t image;
    bool own; /* to be freed by picture_return() */
} picture_t;

/* side 0 = keep pictures as they are. folder is borrowed. NULL when memory is short. */
picture_store_t *picture_store_create(const folder_t *folder, int32_t side, size_t max_bytes);

void picture_store_destroy(picture_store_t *store);

/* Read the first `count` pictures with `threads` threads, so that later calls find them in memory.
 * Ends early when keep_on, called from time to time on this thread with the number done so far,
 * says false. */
void picture_store_preload(picture_store_t *store, size_t count, unsigned threads,
                           bool (*keep_on)(void *user, size_t done), void *user);

/* Get picture `index`; false when it is unreadable. */
bool picture_store_get(picture_store_t *store, size_t index, picture_t *picture);

void picture_return(picture_t *picture);

/* Why a picture is unreadable; NULL when it is not, as far as is known. */
const char *picture_store_reason(picture_store_t *store, size_t index);

/* Unreadable files met so far, and bytes of pictures held. */
size_t picture_store_bad(picture_store_t *store);
size_t picture_store_bytes(picture_store_t *store);

#endif
