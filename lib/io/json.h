/* JSON values to text in the context's memory. Jansson itself allocates from the C library; its
 * allocator belongs to the whole process and is left alone. */
#ifndef BEIT_IO_JSON_H
#define BEIT_IO_JSON_H

#include <beit/base.h>
#include <jansson.h>
#include <stdbool.h>

/* Compact, in order of insertion, reals as short as they read back exactly as float. NULL on lack
 * of memory or when json is NULL. Free with beit__free(ctx, text, *bytes). */
char *beit__json_text(beit_context_t *ctx, const json_t *json, size_t *bytes);

/* Whether parsing failed for lack of memory. Jansson says so in some places and leaves the error's
 * text empty in others; what is wrong with the input it always says. */
bool beit__json_is_nomem(const json_error_t *error);

/* The real with the fewest digits that reads back as this float: 0.05, not 0.0500000007. */
double beit__json_shortest(float value);
json_t *beit__json_float(float value);

/* Natural numbers that jansson's signed integers cannot hold become decimal strings. */
json_t *beit__json_u64(uint64_t value);
int beit__json_get_u64(const json_t *json, uint64_t *value); /* 0, or -1 when it is none */

#endif
