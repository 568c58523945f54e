/* The pictures below a folder, at any depth, in the byte order of their relative names: the order
 * does not depend on the file system. A folder of classes is read like a flat one. */
#ifndef EXAMPLES_FOLDER_H
#define EXAMPLES_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FOLDER_REASON = 512 };

typedef struct folder {
    char *root;
    char **files; /* relative to root */
    size_t count;
    uint64_t fingerprint; /* of names and sizes: tells whether it is the same collection */
} folder_t;

/* Collect pictures by their names; names that start with a dot are passed over, symbolic links are
 * followed, the folder `except` (NULL = none; it need not exist) is left out. An empty result is no
 * failure. On failure `reason` says why. */
bool folder_scan(const char *root, const char *except, folder_t *folder,
                 char reason[FOLDER_REASON]);

void folder_free(folder_t *folder);

/* "root/files[index]", from malloc; NULL when memory is short. */
char *folder_path(const folder_t *folder, size_t index);

#endif
