/* The one check of structs that cross the ABI (the rule is in doc/explain/abi.md):
 * a shorter struct is an older caller's, its missing tail reads as zero; a longer one is a newer
 * caller's and is accepted only if the tail that this library does not know is zero. */
#ifndef BEIT_CORE_ABI_H
#define BEIT_CORE_ABI_H

#include <beit/base.h>

/* Refuse NULL, sizes below `oldest` or above 4096: for structs that are written later. */
beit_status_t beit__abi_check(const void *theirs, size_t oldest, const char *name);

/* Copy the caller's struct into ours. `name` appears in the message; `oldest` is the size that
 * the struct had in its first release. Checks as above. */
beit_status_t beit__abi_in(void *ours, size_t ours_size, size_t oldest, const void *theirs,
                           const char *name);

/* Copy ours out into the caller's struct, whose struct_size the caller has set: never writes past
 * it, zeroes an unknown tail, keeps struct_size. */
beit_status_t beit__abi_out(void *theirs, const void *ours, size_t ours_size, size_t oldest,
                            const char *name);

/* For `_init` functions: write defaults (ours) into a struct of `size` bytes and set its
 * struct_size; zeroes the rest. NULL or size < sizeof(size_t) does nothing. */
void beit__abi_init(void *theirs, size_t size, const void *ours, size_t ours_size);

#endif
