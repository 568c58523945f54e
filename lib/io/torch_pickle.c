/* One handler for each opcode that PyTorch's files use (protocols 2 to 5). The opcodes of text
 * pickles and those that reach outside are known by name and refused. Containers of any depth are
 * built without recursion. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"
#include "io/torch_machine.h"

#define LONGEST_TEXT    4096u /* longer ones (source code) are passed over */
#define NEWEST_PROTOCOL 5u

typedef beit__unpickler_t unpickler_t;

/* Constants that all pickles share; nothing writes to them. */
static beit__object_t none = {.kind = BEIT__OBJECT_NONE};
static beit__object_t truths[] = {{.kind = BEIT__OBJECT_BOOL},
                                  {.kind = BEIT__OBJECT_BOOL, .integer = 1}};

/* ---- handlers ---- */

typedef beit_status_t (*handler_fn)(unpickler_t *u, uint32_t argument);

static beit_status_t op_protocol(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    uint64_t version;
    BEIT__TRY(beit__machine_read_natural(u, 1, &version));
    if (version > NEWEST_PROTOCOL)
        return beit__pickle_broken(u, "protocol %" PRIu64 ", expected at most %u", version,
                                   NEWEST_PROTOCOL);
    return BEIT_OK;
}

static beit_status_t op_frame(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    uint64_t bytes;
    BEIT__TRY(beit__machine_read_natural(u, 8, &bytes));
    return beit__machine_check_left(u, bytes);
}

static beit_status_t op_mark(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    return beit__machine_push(u, &beit__machine_mark);
}

static beit_status_t op_pop(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    if (u->depth == 0)
        return beit__pickle_broken(u, "its stack lacks a value");
    u->depth--; /* marks too */
    return BEIT_OK;
}

static beit_status_t op_pop_mark(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    size_t first;
    BEIT__TRY(beit__machine_find_mark(u, &first));
    u->depth = first - 1;
    return BEIT_OK;
}

static beit_status_t op_dup(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *object;
    BEIT__TRY(beit__machine_pop(u, &object));
    BEIT__TRY(beit__machine_push(u, object));
    return beit__machine_push(u, object);
}

static beit_status_t op_none(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    return beit__machine_push(u, &none);
}

static beit_status_t op_bool(unpickler_t *u, uint32_t argument)
{
    return beit__machine_push(u, &truths[argument]);
}

static beit_status_t push_integer(unpickler_t *u, int64_t value)
{
    beit__object_t *object = beit__object_new(u, BEIT__OBJECT_INT);
    if (object)
        object->integer = value;
    return beit__machine_push(u, object);
}

/* 1, 2 or 4 bytes; only those of 4 have a sign. */
static beit_status_t op_int(unpickler_t *u, uint32_t width)
{
    uint64_t value;
    BEIT__TRY(beit__machine_read_natural(u, width, &value));
    return push_integer(u, width == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

/* Two's complement of any length, which stands in `width` bytes before it. */
static beit_status_t op_long(unpickler_t *u, uint32_t width)
{
    unsigned char bytes[BEIT__LONGEST_NAME];
    uint64_t n, value = 0;
    BEIT__TRY(beit__machine_read_natural(u, width, &n));
    if (n > sizeof bytes)
        return beit__pickle_broken(u, "an integer of %" PRIu64 " bytes", n);
    BEIT__TRY(beit__machine_read_bytes(u, bytes, (size_t)n));
    if (n > sizeof value) {
        beit__object_t *object = beit__object_new(u, BEIT__OBJECT_BIG);
        if (object) {
            object->text = beit__pieces_text(&u->pieces, (const char *)bytes, (size_t)n);
            object->count = (uint32_t)n;
        }
        return beit__machine_push(u, object && object->text ? object : NULL);
    }
    for (size_t i = sizeof value; i-- > 0;)
        value = value << 8 | (i < n ? bytes[i] : n > 0 && bytes[n - 1] & 0x80 ? 0xffu : 0);
    return push_integer(u, (int64_t)value);
}

/* Big-endian, unlike everything else. */
static beit_status_t op_float(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    unsigned char bytes[8];
    BEIT__TRY(beit__machine_read_bytes(u, bytes, sizeof bytes));
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bits = bits << 8 | bytes[i];
    beit__object_t *object = beit__object_new(u, BEIT__OBJECT_REAL);
    if (object)
        memcpy(&object->real, &bits, sizeof bits);
    return beit__machine_push(u, object);
}

static beit_status_t op_bytes(unpickler_t *u, uint32_t width)
{
    uint64_t n;
    BEIT__TRY(beit__machine_read_natural(u, width, &n));
    BEIT__TRY(beit__machine_check_left(u, n));
    u->at += n;
    return beit__machine_push(u, beit__object_new(u, BEIT__OBJECT_BYTES));
}

static beit_status_t op_text(unpickler_t *u, uint32_t width)
{
    uint64_t n;
    BEIT__TRY(beit__machine_read_natural(u, width, &n));
    BEIT__TRY(beit__machine_check_left(u, n));
    if (n > LONGEST_TEXT) {
        u->at += n;
        return beit__machine_push(u, beit__object_new(u, BEIT__OBJECT_BYTES));
    }
    char text[LONGEST_TEXT];
    BEIT__TRY(beit__machine_read_bytes(u, text, (size_t)n));
    beit__object_t *object = beit__object_new(u, BEIT__OBJECT_TEXT);
    if (object) {
        object->text = beit__pieces_text(&u->pieces, text, (size_t)n);
        object->count = (uint32_t)n;
    }
    return beit__machine_push(u, object && object->text ? object : NULL);
}

static beit_status_t op_empty(unpickler_t *u, uint32_t kind)
{
    return beit__machine_push(u, beit__object_new(u, (beit__object_kind_t)kind));
}

/* Move everything from `first` on into `container`. */
static beit_status_t take_items(unpickler_t *u, beit__object_t *container, size_t first)
{
    for (size_t i = first; i < u->depth; i++)
        BEIT__TRY(beit__object_append(u, container, NULL, u->stack[i]));
    u->depth = first;
    return BEIT_OK;
}

/* A tuple or frozen set of everything above the mark. */
static beit_status_t op_marked(unpickler_t *u, uint32_t kind)
{
    size_t first;
    BEIT__TRY(beit__machine_find_mark(u, &first));
    beit__object_t *object = beit__object_new(u, (beit__object_kind_t)kind);
    if (!object)
        return u->pieces.status;
    BEIT__TRY(take_items(u, object, first));
    u->depth--; /* the mark */
    return beit__machine_push(u, object);
}

static beit_status_t op_tuple(unpickler_t *u, uint32_t count)
{
    beit__object_t *items[3], *tuple = beit__object_new(u, BEIT__OBJECT_TUPLE);
    if (!tuple)
        return u->pieces.status;
    for (uint32_t i = count; i-- > 0;)
        BEIT__TRY(beit__machine_pop(u, &items[i]));
    for (uint32_t i = 0; i < count; i++)
        BEIT__TRY(beit__object_append(u, tuple, NULL, items[i]));
    return beit__machine_push(u, tuple);
}

static beit_status_t op_append(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *list, *value;
    BEIT__TRY(beit__machine_pop(u, &value));
    BEIT__TRY(beit__machine_container_below(u, u->depth, BEIT__OBJECT_LIST, &list));
    return beit__object_append(u, list, NULL, value);
}

static beit_status_t op_appends(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    size_t first;
    beit__object_t *list;
    BEIT__TRY(beit__machine_find_mark(u, &first));
    BEIT__TRY(beit__machine_container_below(u, first - 1, BEIT__OBJECT_LIST, &list));
    BEIT__TRY(take_items(u, list, first));
    u->depth--;
    return BEIT_OK;
}

static beit_status_t op_set_item(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *dict, *key, *value;
    BEIT__TRY(beit__machine_pop(u, &value));
    BEIT__TRY(beit__machine_pop(u, &key));
    BEIT__TRY(beit__machine_container_below(u, u->depth, BEIT__OBJECT_DICT, &dict));
    return beit__object_append(u, dict, key, value);
}

static beit_status_t op_set_items(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    size_t first;
    beit__object_t *dict;
    BEIT__TRY(beit__machine_find_mark(u, &first));
    BEIT__TRY(beit__machine_container_below(u, first - 1, BEIT__OBJECT_DICT, &dict));
    if ((u->depth - first) % 2 != 0)
        return beit__pickle_broken(u, "a key without a value");
    for (size_t i = first; i < u->depth; i += 2)
        BEIT__TRY(beit__object_append(u, dict, u->stack[i], u->stack[i + 1]));
    u->depth = first - 1;
    return BEIT_OK;
}

static beit_status_t op_put(unpickler_t *u, uint32_t width)
{
    uint64_t index;
    BEIT__TRY(beit__machine_read_natural(u, width, &index));
    return beit__machine_put(u, index);
}

static beit_status_t op_memoize(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    return beit__machine_put(u, u->memo_size);
}

static beit_status_t op_get(unpickler_t *u, uint32_t width)
{
    uint64_t index;
    BEIT__TRY(beit__machine_read_natural(u, width, &index));
    return beit__machine_get(u, index);
}

static beit_status_t push_class(unpickler_t *u, const char *module, const char *name)
{
    char text[2 * BEIT__LONGEST_NAME + 2];
    const int n = snprintf(text, sizeof text, "%s.%s", module, name);
    beit__object_t *object = beit__object_new(u, BEIT__OBJECT_CLASS);
    if (object)
        object->text = beit__pieces_text(&u->pieces, text, (size_t)n);
    return beit__machine_push(u, object && object->text ? object : NULL);
}

static beit_status_t op_global(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    char module[BEIT__LONGEST_NAME + 1], name[BEIT__LONGEST_NAME + 1];
    BEIT__TRY(beit__machine_read_line(u, module));
    BEIT__TRY(beit__machine_read_line(u, name));
    return push_class(u, module, name);
}

static bool is_name(const beit__object_t *object)
{
    if (object->kind != BEIT__OBJECT_TEXT || object->count > BEIT__LONGEST_NAME)
        return false;
    for (uint32_t i = 0; i < object->count; i++)
        if (object->text[i] < 0x20 || object->text[i] > 0x7e)
            return false;
    return true;
}

static beit_status_t op_stack_global(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *module, *name;
    BEIT__TRY(beit__machine_pop(u, &name));
    BEIT__TRY(beit__machine_pop(u, &module));
    if (!is_name(module) || !is_name(name))
        return beit__pickle_broken(u, "the name of a class is too long or not printable");
    return push_class(u, module->text, name->text);
}

/* REDUCE, NEWOBJ and NEWOBJ_EX, whose `dropped` topmost value are keyword arguments. */
static beit_status_t op_call(unpickler_t *u, uint32_t dropped)
{
    beit__object_t *callable, *args, *result;
    if (dropped)
        BEIT__TRY(beit__machine_pop(u, &args));
    BEIT__TRY(beit__machine_pop(u, &args));
    BEIT__TRY(beit__machine_pop(u, &callable));
    BEIT__TRY(beit__torch_build(u, callable, args, &result));
    return beit__machine_push(u, result);
}

/* Placeholders keep their state; what else has one (an OrderedDict's attributes) is whole without.
 */
static beit_status_t op_build(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *state, *object;
    BEIT__TRY(beit__machine_pop(u, &state));
    BEIT__TRY(beit__machine_pop(u, &object));
    if (object->kind == BEIT__OBJECT_BAG)
        object->state = state;
    return beit__machine_push(u, object);
}

static beit_status_t op_persistent(unpickler_t *u, uint32_t argument)
{
    (void)argument;
    beit__object_t *id, *result;
    BEIT__TRY(beit__machine_pop(u, &id));
    BEIT__TRY(beit__torch_persistent(u, id, &result));
    return beit__machine_push(u, result);
}

static const struct {
    const char *name;
    handler_fn handler; /* NULL: refused */
    uint32_t argument;
} opcodes[UCHAR_MAX + 1] = {
    [0x80] = {"PROTO", op_protocol, 0},
    [0x95] = {"FRAME", op_frame, 0},
    ['('] = {"MARK", op_mark, 0},
    ['0'] = {"POP", op_pop, 0},
    ['1'] = {"POP_MARK", op_pop_mark, 0},
    ['2'] = {"DUP", op_dup, 0},
    ['N'] = {"NONE", op_none, 0},
    [0x88] = {"NEWTRUE", op_bool, 1},
    [0x89] = {"NEWFALSE", op_bool, 0},
    ['J'] = {"BININT", op_int, 4},
    ['K'] = {"BININT1", op_int, 1},
    ['M'] = {"BININT2", op_int, 2},
    [0x8a] = {"LONG1", op_long, 1},
    [0x8b] = {"LONG4", op_long, 4},
    ['G'] = {"BINFLOAT", op_float, 0},
    ['T'] = {"BINSTRING", op_text, 4},
    ['U'] = {"SHORT_BINSTRING", op_text, 1},
    ['X'] = {"BINUNICODE", op_text, 4},
    [0x8c] = {"SHORT_BINUNICODE", op_text, 1},
    [0x8d] = {"BINUNICODE8", op_text, 8},
    ['B'] = {"BINBYTES", op_bytes, 4},
    ['C'] = {"SHORT_BINBYTES", op_bytes, 1},
    [0x8e] = {"BINBYTES8", op_bytes, 8},
    [0x96] = {"BYTEARRAY8", op_bytes, 8},
    [')'] = {"EMPTY_TUPLE", op_empty, BEIT__OBJECT_TUPLE},
    [']'] = {"EMPTY_LIST", op_empty, BEIT__OBJECT_LIST},
    ['}'] = {"EMPTY_DICT", op_empty, BEIT__OBJECT_DICT},
    [0x8f] = {"EMPTY_SET", op_empty, BEIT__OBJECT_LIST},
    ['t'] = {"TUPLE", op_marked, BEIT__OBJECT_TUPLE},
    [0x91] = {"FROZENSET", op_marked, BEIT__OBJECT_LIST},
    [0x85] = {"TUPLE1", op_tuple, 1},
    [0x86] = {"TUPLE2", op_tuple, 2},
    [0x87] = {"TUPLE3", op_tuple, 3},
    ['a'] = {"APPEND", op_append, 0},
    ['e'] = {"APPENDS", op_appends, 0},
    [0x90] = {"ADDITEMS", op_appends, 0},
    ['s'] = {"SETITEM", op_set_item, 0},
    ['u'] = {"SETITEMS", op_set_items, 0},
    ['q'] = {"BINPUT", op_put, 1},
    ['r'] = {"LONG_BINPUT", op_put, 4},
    [0x94] = {"MEMOIZE", op_memoize, 0},
    ['h'] = {"BINGET", op_get, 1},
    ['j'] = {"LONG_BINGET", op_get, 4},
    ['c'] = {"GLOBAL", op_global, 0},
    [0x93] = {"STACK_GLOBAL", op_stack_global, 0},
    ['R'] = {"REDUCE", op_call, 0},
    [0x81] = {"NEWOBJ", op_call, 0},
    [0x92] = {"NEWOBJ_EX", op_call, 1},
    ['b'] = {"BUILD", op_build, 0},
    ['Q'] = {"BINPERSID", op_persistent, 0},
    ['P'] = {"PERSID", NULL, 0},
    ['I'] = {"INT", NULL, 0},
    ['L'] = {"LONG", NULL, 0},
    ['F'] = {"FLOAT", NULL, 0},
    ['S'] = {"STRING", NULL, 0},
    ['V'] = {"UNICODE", NULL, 0},
    ['d'] = {"DICT", NULL, 0},
    ['l'] = {"LIST", NULL, 0},
    ['p'] = {"PUT", NULL, 0},
    ['g'] = {"GET", NULL, 0},
    ['i'] = {"INST", NULL, 0},
    ['o'] = {"OBJ", NULL, 0},
    [0x82] = {"EXT1", NULL, 0},
    [0x83] = {"EXT2", NULL, 0},
    [0x84] = {"EXT4", NULL, 0},
    [0x97] = {"NEXT_BUFFER", NULL, 0},
    [0x98] = {"READONLY_BUFFER", NULL, 0},
};

#define STOP '.'

static beit_status_t execute(unpickler_t *u, unsigned char code)
{
    if (!opcodes[code].name)
        return beit__pickle_broken(u, "0x%02x is no opcode", code);
    if (!opcodes[code].handler)
        return beit__pickle_broken(u, "opcode %s, which torch.save does not use, is not allowed",
                                   opcodes[code].name);
    return opcodes[code].handler(u, opcodes[code].argument);
}

beit_status_t beit__unpickle(unpickler_t *u, const beit__object_t **object)
{
    u->depth = u->memo_size = 0;
    if (u->memo_room)
        memset(u->memo, 0, u->memo_room * sizeof *u->memo);
    for (;;) {
        unsigned char code;
        u->opcode_at = u->at;
        BEIT__TRY(beit__unpickler_work(u, 1));
        BEIT__TRY(beit__machine_read_bytes(u, &code, 1));
        if (code == STOP)
            break;
        BEIT__TRY(execute(u, code));
    }
    beit__object_t *result;
    BEIT__TRY(beit__machine_pop(u, &result));
    if (u->depth != 0)
        return beit__pickle_broken(u, "it ends with %zu values left on its stack", u->depth);
    *object = result;
    return BEIT_OK;
}
