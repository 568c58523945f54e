/* Bytes, stack and memo of the pickle machine, and the bounds on all of them. Memory is taken for
 * what is there, never for what a length claims. */
#include "io/torch_machine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

#define LARGEST_OBJECTS ((size_t)64 << 20)  /* bytes; a large model with its moments takes 4 MiB */
#define MOST_STEPS      (UINT64_C(1) << 24) /* opcodes and items */
#define DEEPEST_STACK   ((size_t)1 << 20)   /* entries, likewise of the memo */

beit__object_t beit__machine_mark;

typedef beit__unpickler_t unpickler_t;

beit_status_t beit__pickle_broken(const unpickler_t *u, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return beit__fail(BEIT_E_FORMAT, "%s: byte %" PRIu64 ", in its pickle: %s", u->source->name,
                      u->opcode_at, reason);
}

beit_status_t beit__unpickler_work(unpickler_t *u, uint64_t n)
{
    if (n > MOST_STEPS - u->steps)
        return beit__pickle_broken(u, "more than %" PRIu64 " steps, which no file of weights needs",
                                   MOST_STEPS);
    u->steps += n;
    return BEIT_OK;
}

/* ---- bytes ---- */

beit_status_t beit__machine_check_left(const unpickler_t *u, uint64_t n)
{
    if (n > u->end - u->at)
        return beit__pickle_broken(u,
                                   "%" PRIu64 " bytes are wanted, %" PRIu64
                                   " are left: it was truncated, or is no pickle",
                                   n, u->end - u->at);
    return BEIT_OK;
}

beit_status_t beit__machine_read_bytes(unpickler_t *u, void *dst, size_t n)
{
    BEIT__TRY(beit__machine_check_left(u, n));
    for (unsigned char *to = dst; n > 0;) {
        if (u->at < u->window_at || u->at - u->window_at >= u->window_bytes) {
            const uint64_t left = u->end - u->at;
            const size_t fill = left < sizeof u->window ? (size_t)left : sizeof u->window;
            u->window_bytes = 0;
            BEIT__TRY(beit__source_read(u->source, u->at, u->window, fill));
            u->window_at = u->at;
            u->window_bytes = fill;
        }
        const size_t from = (size_t)(u->at - u->window_at), have = u->window_bytes - from;
        const size_t part = n < have ? n : have;
        memcpy(to, u->window + from, part);
        to += part;
        u->at += part;
        n -= part;
    }
    return BEIT_OK;
}

beit_status_t beit__machine_read_natural(unpickler_t *u, size_t width, uint64_t *value)
{
    unsigned char bytes[8];
    BEIT__TRY(beit__machine_read_bytes(u, bytes, width));
    *value = 0;
    while (width-- > 0)
        *value = *value << 8 | bytes[width];
    return BEIT_OK;
}

beit_status_t beit__machine_read_line(unpickler_t *u, char line[BEIT__LONGEST_NAME + 1])
{
    for (size_t n = 0; n <= BEIT__LONGEST_NAME; n++) {
        BEIT__TRY(beit__machine_read_bytes(u, line + n, 1));
        if (line[n] == '\n') {
            line[n] = '\0';
            return BEIT_OK;
        }
        if (line[n] < 0x20 || line[n] > 0x7e)
            break;
    }
    return beit__pickle_broken(u, "the name of a class is too long or not printable");
}

/* ---- objects ---- */

beit__object_t *beit__object_new(unpickler_t *u, beit__object_kind_t kind)
{
    beit__object_t *object = beit__pieces_take(&u->pieces, sizeof *object);
    if (object)
        object->kind = (int32_t)kind;
    return object;
}

beit_status_t beit__object_append(unpickler_t *u, beit__object_t *container,
                                  const beit__object_t *key, const beit__object_t *value)
{
    beit__cell_t *cell = beit__pieces_take(&u->pieces, sizeof *cell);
    if (!cell)
        return u->pieces.status;
    cell->key = key;
    cell->value = value;
    if (container->last)
        container->last->next = cell;
    else
        container->items = cell;
    container->last = cell;
    container->count++;
    return BEIT_OK;
}

/* ---- stack and memo ---- */

/* Room for one more pointer in a table of `used`; *room counts pointers. */
static beit_status_t make_room(unpickler_t *u, beit__object_t ***table, size_t used, size_t *room,
                               const char *what)
{
    if (used < *room)
        return BEIT_OK;
    if (used >= DEEPEST_STACK)
        return beit__pickle_broken(u, "its %s has more than %zu entries", what, DEEPEST_STACK);
    const size_t larger = *room ? 2 * *room : 256;
    beit__object_t **grown = beit__calloc(u->ctx, larger, sizeof *grown);
    if (!grown)
        return BEIT_E_NOMEM;
    if (*room)
        memcpy(grown, *table, *room * sizeof *grown);
    beit__free(u->ctx, *table, *room * sizeof *grown);
    *table = grown;
    *room = larger;
    return BEIT_OK;
}

beit_status_t beit__machine_push(unpickler_t *u, beit__object_t *object)
{
    if (!object) /* not created */
        return u->pieces.status;
    BEIT__TRY(make_room(u, &u->stack, u->depth, &u->stack_room, "stack"));
    u->stack[u->depth++] = object;
    return BEIT_OK;
}

beit_status_t beit__machine_pop(unpickler_t *u, beit__object_t **object)
{
    if (u->depth == 0 || u->stack[u->depth - 1] == &beit__machine_mark)
        return beit__pickle_broken(u, "its stack lacks a value");
    *object = u->stack[--u->depth];
    return BEIT_OK;
}

beit_status_t beit__machine_find_mark(const unpickler_t *u, size_t *first)
{
    for (size_t i = u->depth; i-- > 0;)
        if (u->stack[i] == &beit__machine_mark) {
            *first = i + 1;
            return BEIT_OK;
        }
    return beit__pickle_broken(u, "its stack lacks a mark");
}

/* Writers number what they remember from 0 (Python 2: from 1) on, without gaps. */
beit_status_t beit__machine_put(unpickler_t *u, uint64_t index)
{
    if (index > u->memo_size + 1)
        return beit__pickle_broken(u, "memo entry %" PRIu64 " after %zu others", index,
                                   u->memo_size);
    if (u->depth == 0 || u->stack[u->depth - 1] == &beit__machine_mark)
        return beit__pickle_broken(u, "its stack lacks a value");
    BEIT__TRY(make_room(u, &u->memo, (size_t)index, &u->memo_room, "memo"));
    u->memo[index] = u->stack[u->depth - 1];
    if (index >= u->memo_size)
        u->memo_size = (size_t)index + 1;
    return BEIT_OK;
}

beit_status_t beit__machine_get(unpickler_t *u, uint64_t index)
{
    if (index >= u->memo_size || !u->memo[index])
        return beit__pickle_broken(u, "memo entry %" PRIu64 " was never made", index);
    return beit__machine_push(u, u->memo[index]);
}

beit_status_t beit__machine_container_below(const unpickler_t *u, size_t first,
                                            beit__object_kind_t kind, beit__object_t **container)
{
    beit__object_t *object = first > 0 ? u->stack[first - 1] : &beit__machine_mark;
    char found[128];
    if (object == &beit__machine_mark)
        return beit__pickle_broken(u, "its stack lacks a container");
    if (object->kind != (int32_t)kind && object->kind != BEIT__OBJECT_BAG)
        return beit__pickle_broken(u, "items are added to %s",
                                   beit__object_describe(object, found, sizeof found));
    *container = object;
    return BEIT_OK;
}

/* ---- life ---- */

void beit__unpickler_open(unpickler_t *u, beit_context_t *ctx, const beit__source_t *source,
                          uint64_t at, uint64_t end)
{
    *u = (unpickler_t){.ctx = ctx, .source = source, .at = at, .end = end};
    u->pieces = (beit__pieces_t){.ctx = ctx, .owner = source->name, .limit = LARGEST_OBJECTS};
    u->last_storage = &u->storages;
}

void beit__unpickler_close(unpickler_t *u)
{
    beit__free(u->ctx, u->stack, u->stack_room * sizeof *u->stack);
    beit__free(u->ctx, u->memo, u->memo_room * sizeof *u->memo);
    beit__pieces_free(&u->pieces);
    u->stack = u->memo = NULL;
}
