/* The pickle machine below its opcodes. */
#ifndef BEIT_IO_TORCH_MACHINE_H
#define BEIT_IO_TORCH_MACHINE_H

#include "io/torch_pickle.h"

#define BEIT__LONGEST_NAME 255u /* of a module or class */

extern beit__object_t beit__machine_mark; /* a mark on the stack; never seen outside it */

/* ---- bytes ---- */

beit_status_t beit__machine_check_left(const beit__unpickler_t *u, uint64_t n);
beit_status_t beit__machine_read_bytes(beit__unpickler_t *u, void *dst, size_t n);
beit_status_t beit__machine_read_natural(beit__unpickler_t *u, size_t width, uint64_t *value);

/* A line of printable characters, without its end. */
beit_status_t beit__machine_read_line(beit__unpickler_t *u, char line[BEIT__LONGEST_NAME + 1]);

/* ---- stack and memo ---- */

/* `object` NULL: it could not be created. */
beit_status_t beit__machine_push(beit__unpickler_t *u, beit__object_t *object);

/* BEIT_E_FORMAT also at a mark. */
beit_status_t beit__machine_pop(beit__unpickler_t *u, beit__object_t **object);

/* Index of the first value above the topmost mark. */
beit_status_t beit__machine_find_mark(const beit__unpickler_t *u, size_t *first);

/* The container of this kind just below index `first`. Placeholders take items like the class that
 * they stand for. */
beit_status_t beit__machine_container_below(const beit__unpickler_t *u, size_t first,
                                            beit__object_kind_t kind, beit__object_t **container);

/* Remember the topmost value, and push what was remembered. */
beit_status_t beit__machine_put(beit__unpickler_t *u, uint64_t index);
beit_status_t beit__machine_get(beit__unpickler_t *u, uint64_t index);

#endif
