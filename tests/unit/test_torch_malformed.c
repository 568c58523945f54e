/* Malformed files of torch.save: each is refused with a reason, within bounds of memory and work
 * that do not depend on what it claims. */
#include "torch_case.h"

/* What a small file may take whatever it claims, and what no file may exceed. */
#define SMALL ((size_t)256 << 10)
#define LARGE ((size_t)100 << 20)

/* ---- malformed pickles ---- */

typedef struct malformed {
    const char *what, *words, *reason;
} malformed_t;

#define CYCLE "@my:Module ) =81 =7100 } ( '_parameters' } '_modules' } 'a' "

static const malformed_t pickles[] = {
    {"empty", "", "1 bytes are wanted, 0 are left"},
    {"protocol alone", "=80", "1 bytes are wanted"},
    {"newer protocol", "=8006 } .", "protocol 6"},
    {"no end", PROTOCOL "}", "1 bytes are wanted"},
    {"nothing on the stack", PROTOCOL ".", "lacks a value"},
    {"a mark on the stack", PROTOCOL "( .", "lacks a value"},
    {"too much on the stack", PROTOCOL "N N .", "1 values left"},
    {"no opcode", PROTOCOL "=ff .", "0xff is no opcode"},
    {"text opcode", PROTOCOL "I=310a .", "opcode INT"},
    {"INST", PROTOCOL "( i=6f730a73797374656d0a .", "opcode INST"},
    {"OBJ", PROTOCOL "( @os:system 'rm' o .", "opcode OBJ"},
    {"EXT1", PROTOCOL "=8201 .", "opcode EXT1"},
    {"PERSID", PROTOCOL "P=310a .", "opcode PERSID"},
    {"NEXT_BUFFER", PROTOCOL "=97 .", "opcode NEXT_BUFFER"},
    {"text of 4 GiB", PROTOCOL "X=ffffffff .", "4294967295 bytes are wanted"},
    {"text of 16 EiB", PROTOCOL "=8dffffffffffffffff .", "18446744073709551615 bytes are wanted"},
    {"bytes of 16 EiB", PROTOCOL "=8effffffffffffffff .", "bytes are wanted"},
    {"integer of 2 GiB", PROTOCOL "=8bffffff7f .", "an integer of 2147483647 bytes"},
    {"frame beyond the end", "=8004 =95ffffffff00000000 } .", "bytes are wanted"},
    {"real cut short", PROTOCOL "G=3ff0 .", "8 bytes are wanted, 3 are left"},
    {"POP of nothing", PROTOCOL "0 .", "lacks a value"},
    {"POP_MARK without mark", PROTOCOL "N 1 .", "lacks a mark"},
    {"DUP of nothing", PROTOCOL "2 .", "lacks a value"},
    {"TUPLE without mark", PROTOCOL "N t .", "lacks a mark"},
    {"TUPLE2 of one", PROTOCOL "N =86 .", "lacks a value"},
    {"TUPLE1 of a mark", PROTOCOL "( =85 .", "lacks a value"},
    {"APPEND to nothing", PROTOCOL "N a .", "lacks a container"},
    {"APPEND to a dict", PROTOCOL "} N a .", "items are added to a dict"},
    {"APPENDS to an integer", PROTOCOL "K=01 ( N e .", "items are added to an integer"},
    {"APPENDS without mark", PROTOCOL "] N e .", "lacks a mark"},
    {"APPENDS to a mark", PROTOCOL "( ( e .", "lacks a container"},
    {"SETITEM to None", PROTOCOL "N N N s .", "items are added to None"},
    {"SETITEM to True", PROTOCOL "=88 N N s .", "items are added to a truth value"},
    {"SETITEMS of three", PROTOCOL "} ( N N N u .", "a key without a value"},
    {"SETITEMS to a list", PROTOCOL "] ( N N u .", "items are added to a list"},
    {"memo of what is not there", PROTOCOL "=7100 .", "lacks a value"},
    {"memo of a mark", PROTOCOL "( =7100 .", "lacks a value"},
    {"memo far ahead", PROTOCOL "N =7102 .", "memo entry 2 after 0 others"},
    {"memo at 4 Gi", PROTOCOL "N =72ffffffff .", "memo entry 4294967295"},
    {"memo never made", PROTOCOL "=6800 .", "memo entry 0 was never made"},
    {"memo skipped", PROTOCOL "N =7101 =6800 .", "memo entry 0 was never made"},
    {"memo at 4 Gi asked for", PROTOCOL "=6affffffff .", "was never made"},
    {"class without end", PROTOCOL "c=6f73", "1 bytes are wanted"},
    {"class with escape", PROTOCOL "c=6f1b0a610a .", "not printable"},
    {"class from numbers", PROTOCOL "K=01 K=02 =93 .", "not printable"},
    {"REDUCE of an integer", PROTOCOL "K=01 ) R .", "an integer is called"},
    {"REDUCE with a list", PROTOCOL "@a:b ] R .", "a.b is called without a tuple"},
    {"REDUCE of nothing", PROTOCOL ") R .", "lacks a value"},
    {"NEWOBJ of a text", PROTOCOL "'a' ) =81 .", "a text is called"},
    {"NEWOBJ_EX of two", PROTOCOL "@a:b ) =92 .", "lacks a value"},
    {"BUILD of nothing", PROTOCOL "} b .", "lacks a value"},
    {"indirection to nothing", PROTOCOL "@torch._tensor:_rebuild_from_type_v2 ) R .",
     "nothing is called"},
    {"OrderedDict of numbers", PROTOCOL "@collections:OrderedDict ] ( K=01 e =85 R .",
     "something else than pairs"},
    {"OrderedDict of a dict", PROTOCOL "@collections:OrderedDict } 'a' N N =86 s =85 R .",
     "something else than pairs"},
    {"parameter of nothing", PROTOCOL "@torch._utils:_rebuild_parameter ) R .", "of nothing"},
    {"tensor of nothing", PROTOCOL REBUILD ") R .", "built on nothing"},
    {"tensor on a placeholder", PROTOCOL REBUILD "( @my:Data ) R #0 " FOUR ONE "t R .",
     "a placeholder for my.Data, expected a storage"},
    {"tensor without stride", PROTOCOL REBUILD "( " FLOATS "#0 " FOUR "t R .",
     "no sensible offset"},
    {"tensor before its storage", W("-1", FOUR, ONE), "no sensible offset"},
    {"more extents than strides", W("0", "#2 #2 =86 ", ONE), "no sensible offset"},
    {"negative extent", W("0", "#-4 =85 ", ONE), "not natural numbers"},
    {"negative stride", W("3", FOUR, "#-1 =85 "), "not natural numbers"},
    {"extent that is a text", W("0", "'4' =85 ", ONE), "not natural numbers"},
    {"tensor longer than its storage", W("0", "#5 =85 ", ONE), "reaches to element 0 + 4"},
    {"tensor beyond its storage", W("1", FOUR, ONE), "reaches to element 1 + 3"},
    {"empty tensor beyond its storage", W("5", "#0 =85 ", ONE), "reaches to element 5"},
    {"stride beyond the storage", W("0", "#2 #2 =86 ", "#1 #4 =86 "), "reaches to element 0 + 5"},
    {"size that overflows", W("0", "=8a08ffffffffffffff7f #3 =86 ", "#0 #0 =86 "),
     "size and stride overflow"},
    {"stride that overflows", W("0", FOUR, "=8a08ffffffffffffff7f =85 "),
     "size and stride overflow"},
    {"persistent id that is a text", PROTOCOL "'storage' Q .", "none of PyTorch's"},
    {"unknown persistent id", PROTOCOL "( 'file' @a:b t Q .", "none of PyTorch's"},
    {"module that is no class", PROTOCOL "( 'module' 'a' t Q .", "none of PyTorch's"},
    {"storage without key", PROTOCOL "( 'storage' @torch:FloatStorage t Q .", "without key"},
    {"storage of negative length", PROTOCOL STORAGE("FloatStorage", "0", "-1") ".", "without key"},
    {"storage of unknown type", PROTOCOL STORAGE("Float128Storage", "0", "4") ".",
     "'torch.Float128Storage' is no type of storage"},
    {"storage of another's type", PROTOCOL "( 'storage' @my:FloatStorage '0' 'cpu' #4 t Q .",
     "'my.FloatStorage' is no type"},
    {"storage with a view outside",
     PROTOCOL "( 'storage' @torch:FloatStorage '0' 'cpu' #4 ( '1' #2 #3 t t Q .", "view outside"},
    {"storage that is not there", PROTOCOL "} 'w' " TENSOR("7", "0", FOUR, ONE) "s .",
     "no entry 'w/data/7'"},
    {"storage with a path", PROTOCOL "} 'w' " TENSOR("../version", "0", FOUR, ONE) "s .",
     "no entry 'w/data/../version'"},
    {"storage of another length",
     PROTOCOL "} 'w' " REBUILD "( " STORAGE("FloatStorage", "0", "5") "#0 " FOUR ONE "t R s .",
     "has 16 bytes, its pickle says 5 elements"},
    {"storage of another width",
     PROTOCOL "} 'w' " REBUILD "( " STORAGE("DoubleStorage", "0", "4") "#0 " FOUR ONE "t R s .",
     "has 16 bytes, its pickle says 4 elements of 8"},
    {"no dict", PROTOCOL "K=01 .", "holds an integer, expected tensors by name"},
    {"a list", PROTOCOL "] .", "holds a list"},
    {"a class", PROTOCOL "@os:system .", "holds the class os.system"},
    {"a placeholder", PROTOCOL "@os:system 'rm' =85 R .", "holds a placeholder for os.system"},
    {"a model that is a placeholder", PROTOCOL "} 'model' @my:Net ) =81 s .",
     "holds a placeholder for my.Net"},
    {"an empty dict", PROTOCOL "} .", "holds a dict, expected"},
    {"other things", PROTOCOL "} ( 'epoch' K=03 'loss' N u .", "a dict with 'epoch', 'loss'"},
    {"name with escape", PROTOCOL "} X=020000001b41 " W1234 "s .", "not printable"},
    {"name with a terminator", PROTOCOL "} X=020000007700 " W1234 "s .", "not printable"},
    {"name that is a number", PROTOCOL "} K=01 " W1234 "s .", "not printable"},
    {"two of a name", PROTOCOL "} ( 'w' " W1234 "'w' " TENSOR("1", "0", FOUR, ONE) "u .",
     "two tensors 'w'"},
    {"model in a model in a model ...", PROTOCOL "} =7100 'model' =6800 s .", "holds a dict"},
    {"module within itself", PROTOCOL CYCLE "=6800 s u b .", "nest more than 32 deep"},
};

static void malformed_pickles_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++) {
        bytes_t bytes = zip_of(pickles[i].words);
        check_refused(&bytes, pickles[i].what, pickles[i].reason, SMALL);
        free_bytes(&bytes);
    }
}

/* `count` times the same words, between others. */
static bytes_t zip_of_many(const char *before, size_t count, const char *repeated,
                           const char *after)
{
    bytes_t pickle = {0};
    zip_case_t zip;
    assemble(&pickle, before);
    for (size_t i = 0; i < count; i++)
        assemble(&pickle, repeated);
    assemble(&pickle, after);
    zip_whole(&zip, pickle.data, pickle.size, false);
    free_bytes(&pickle);
    return zip.bytes;
}

static const struct {
    const char *what, *before, *repeated, *after, *reason;
    size_t count;
} floods[] = {
    {"marks", PROTOCOL, "(", "", "stack has more than 1048576", 1100000},
    {"lists", PROTOCOL, "] 0", "] .", "objects take more than 64 MiB", 1200000},
    {"tuples within tuples", PROTOCOL ")", "=85", ".", "holds a tuple", 500000},
    {"memo entries", PROTOCOL "N", "=94", ".", "memo has more than 1048576", 1100000},
    {"steps", PROTOCOL, "N 0 N 0 N 0 N 0 N 0 N 0 N 0 N 0", "N .", "more than 16777216 steps",
     1050000},
    /* Each dict is built of all pairs again: squared work from linear length. */
    {"pairs taken again and again",
     PROTOCOL "] =7100 ( N N =86 N N =86 N N =86 N N =86 N N =86 N N =86 N N =86 N N =86 e "
              "@collections:OrderedDict =7101 0",
     "=6800 ( N N =86 2 2 2 2 2 2 2 e 0 =6801 =6800 =85 R 0", "N .", "more than", 3000},
};

static void floods_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        bytes_t bytes =
            zip_of_many(floods[i].before, floods[i].count, floods[i].repeated, floods[i].after);
        check_refused(&bytes, floods[i].what, floods[i].reason, LARGE);
        free_bytes(&bytes);
    }
}

/* Thirty modules, each of which has the previous one as two children: 2^30 paths. */
static void shared_modules_do_not_explode(void **state)
{
    (void)state;
    bytes_t bytes = zip_of_many(
        PROTOCOL "@my:Module =7100 0 =6800 ) =81 } ( '_parameters' } '_modules' } u b =7101 0", 30,
        "=6800 ) =81 } ( '_parameters' } '_modules' } ( 'a' =6801 'b' =6801 u u b =7101 0",
        "=6801 .");
    check_refused(&bytes, "shared modules", "more than 16777216 steps", LARGE);
    free_bytes(&bytes);
}

/* Tensors repeated by stride 0 take no room in a file: their shapes are no promise of weights. */
static const struct {
    bool tokenizer; /* of which the tensor is one */
    const char *name, *shape, *stride;
} claims[] = {
    {true, "codebook.weight", "( #50 #65536 t ", "( #0 #0 t "},
    {true, "encoder.0.0.weight", "( #1 #3 #4 #4 t ", "( #0 #0 #0 #0 t "},
    {false, "lm_head.weight", "( #9000000 #4 t ", "( #0 #0 t "},
    {false, "patch_embed.proj.weight", "( #4 #3 #2 #2 t ", "( #0 #0 #0 #0 t "},
    {false, "blocks.0.mlp.fc1.weight", "( #4 #4 t ", "( #0 #0 t "},
    {false, "blocks.0.attn.qkv.weight", "( #12 #4 t ", "( #0 #0 t "},
    {false, "rel_pos_bias.relative_position_bias_table", "( #28 #2 t ", "( #0 #0 t "},
};

static bytes_t claiming(bool tokenizer)
{
    bytes_t pickle = {0};
    zip_case_t zip;
    assemble(&pickle, PROTOCOL "} (");
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        char words[512];
        (void)snprintf(words, sizeof words, "'%s' " REBUILD "( " FLOATS "#0 %s%s=89 ) t R",
                       claims[i].name, claims[i].shape, claims[i].stride);
        if (claims[i].tokenizer == tokenizer)
            assemble(&pickle, words);
    }
    assemble(&pickle, "u .");
    zip_whole(&zip, pickle.data, pickle.size, false);
    free_bytes(&pickle);
    return zip.bytes;
}

static void claims_by_stride_0_are_refused(void **state)
{
    (void)state;
    for (int tokenizer = 0; tokenizer < 2; tokenizer++) {
        bytes_t bytes = claiming(tokenizer);
        const beit_io_t io = bytes_io(&bytes);
        failing_alloc_t memory = {0};
        beit_context_t *ctx;
        beit_model_t *model;
        beit_dvae_t *dvae;
        size_t now, peak;
        check_ok(failing_context(&ctx, &memory, "reference", 1));
        check_status(tokenizer ? beit_dvae_load(&dvae, ctx, "claim", &io)
                               : beit_model_load(&model, ctx, "claim", &io),
                     BEIT_E_FORMAT);
        check_error_has("asks for at least");
        beit_context_memory(ctx, &now, &peak);
        assert_true(peak < 2 * SMALL);
        beit_context_unref(ctx);
        free_bytes(&bytes);
    }
}

/* ---- malformed archives ---- */

typedef enum part { LOCAL, CENTRAL, RECORD64, LOCATOR, END } part_t;

/* `width` bytes at `offset` of a part become `value`; of two such changes the second may be left
 * out. */
typedef struct change {
    part_t part;
    size_t member, offset, width;
    uint64_t value;
} change_t;

typedef struct damaged {
    const char *what;
    bool wide; /* ZIP64 */
    change_t changes[2];
    const char *reason;
} damaged_t;

enum { PICKLE, ORDER, DATA0, DATA1 }; /* members */

static const damaged_t archives[] = {
    {"compressed", false, {{CENTRAL, DATA0, 10, 2, 8}}, "'w/data/0' is compressed (method 8)"},
    {"encrypted", false, {{CENTRAL, DATA0, 8, 2, 1}}, "'w/data/0' is encrypted"},
    {"two sizes", false, {{CENTRAL, DATA0, 20, 4, 15}}, "has two sizes: 15 and 16"},
    {"size beyond the next entry",
     false,
     {{CENTRAL, DATA0, 20, 4, 17}, {CENTRAL, DATA0, 24, 4, 17}},
     "'w/data/0' claims 17 bytes, its place has room for 16"},
    {"size of 4 GiB",
     false,
     {{CENTRAL, DATA0, 20, 4, 0xfffffffe}, {CENTRAL, DATA0, 24, 4, 0xfffffffe}},
     "claims 4294967294 bytes"},
    {"shorter than its tensor",
     false,
     {{CENTRAL, DATA0, 20, 4, 12}, {CENTRAL, DATA0, 24, 4, 12}},
     "'w/data/0' has 12 bytes, its pickle says 4 elements"},
    {"the same place twice", false, {{CENTRAL, DATA0, 42, 4, 0}}, "inside another entry"},
    {"inside another entry", false, {{CENTRAL, DATA0, 42, 4, 45}}, "claims"},
    {"beyond the end", false, {{CENTRAL, DATA0, 42, 4, 0x7fffffff}}, "lies outside the archive"},
    {"no header", false, {{LOCAL, DATA0, 0, 4, 0}}, "does not begin with a header"},
    {"long name in the header", false, {{LOCAL, DATA0, 26, 2, 0xffff}}, "room for 0"},
    {"long name", false, {{CENTRAL, DATA0, 28, 2, 0xffff}}, "directory ends early"},
    {"long note", false, {{CENTRAL, DATA0, 32, 2, 0xffff}}, "directory ends early"},
    {"no directory entry", false, {{CENTRAL, DATA0, 0, 4, 0}}, "directory ends early"},
    {"name with escape", false, {{CENTRAL, DATA0, 46, 1, 0x1b}}, "not printable"},
    {"name with a terminator", false, {{CENTRAL, DATA0, 46, 1, 0}}, "not printable"},
    {"two of a name", false, {{CENTRAL, DATA1, 53, 1, '0'}}, "two entries 'w/data/0'"},
    {"no pickle", false, {{CENTRAL, PICKLE, 46, 1, '/'}}, "without data.pkl"},
    {"big-endian", false, {{LOCAL, ORDER, 41, 2, 'i' << 8 | 'b'}}, "byte order"},
    {"no end", false, {{END, 0, 0, 4, 0}}, "its end is missing"},
    {"end with a note", false, {{END, 0, 20, 2, 1}}, "its end is missing"},
    {"too few entries", false, {{END, 0, 10, 2, 1}}, "no entry 'w/data/0'"},
    {"no entries", false, {{END, 0, 10, 2, 0}}, "without data.pkl ('' and 0 other"},
    {"too many entries", false, {{END, 0, 10, 2, 7}}, "make no sense"},
    {"large directory", false, {{END, 0, 12, 4, 0xfffffffe}}, "directory lies outside"},
    {"directory beyond the end", false, {{END, 0, 16, 4, 0xfffffffe}}, "directory lies outside"},
    {"directory elsewhere", false, {{END, 0, 16, 4, 0}}, "directory ends early"},
    {"ZIP64: record beyond the end", true, {{LOCATOR, 0, 8, 8, UINT64_MAX}}, "record lies outside"},
    {"ZIP64: record elsewhere", true, {{LOCATOR, 0, 8, 8, 0}}, "record is none"},
    {"ZIP64: directory of 16 EiB", true, {{RECORD64, 0, 40, 8, UINT64_MAX}}, "lies outside"},
    {"ZIP64: 2^60 entries", true, {{RECORD64, 0, 32, 8, UINT64_C(1) << 60}}, "make no sense"},
    {"ZIP64: no locator", true, {{LOCATOR, 0, 0, 4, 0}}, "directory lies outside"},
    {"ZIP64: short field", true, {{CENTRAL, DATA0, 56, 2, 8}}, "extra field"},
    {"ZIP64: long field", true, {{CENTRAL, DATA0, 56, 2, 25}}, "extra field"},
    {"ZIP64: no field", true, {{CENTRAL, DATA0, 54, 2, 2}}, "lies outside"},
    {"ZIP64: size of 16 EiB",
     true,
     {{CENTRAL, DATA0, 58, 8, UINT64_MAX}, {CENTRAL, DATA0, 66, 8, UINT64_MAX}},
     "claims 18446744073709551615 bytes"},
};

static void apply(zip_case_t *zip, const change_t *change)
{
    const size_t base[] = {zip->local[change->member], zip->central[change->member], zip->record64,
                           zip->locator, zip->end};
    memcpy(zip->bytes.data + base[change->part] + change->offset, &change->value, change->width);
}

static void malformed_archives_are_refused(void **state)
{
    (void)state;
    bytes_t pickle = {0};
    assemble(&pickle, SOUND);
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        zip_case_t zip;
        zip_whole(&zip, pickle.data, pickle.size, archives[i].wide);
        apply(&zip, &archives[i].changes[0]);
        apply(&zip, &archives[i].changes[1]);
        check_refused(&zip.bytes, archives[i].what, archives[i].reason, SMALL);
        free_bytes(&zip.bytes);
    }
    zip_case_t zip = {.members = 0};
    zip_add(&zip, "w/data.pkl", pickle.data, pickle.size);
    zip_add(&zip, "w/constants.pkl", "", 0);
    zip_end(&zip, false);
    check_refused(&zip.bytes, "TorchScript", "a TorchScript program", SMALL);
    free_bytes(&zip.bytes);
    free_bytes(&pickle);
}

/* ---- malformed legacy files ---- */

static const struct {
    const char *what;
    legacy_case_t parts;
    const char *reason;
} legacies[] = {
    {"another pickle", {.magic = PROTOCOL "} ."}, "magic number is missing"},
    {"another number",
     {.magic = PROTOCOL "=8a0a00fc9c46f9206aa85019 ."},
     "magic number is missing"},
    {"another protocol", {.version = PROTOCOL "K=01 ."}, "protocol 1001"},
    {"no protocol", {.version = PROTOCOL "N ."}, "protocol 1001"},
    {"big-endian", {.machine = PROTOCOL "} 'little_endian' =89 s ."}, "byte order"},
    {"no byte order", {.machine = PROTOCOL "} ."}, "byte order"},
    {"no machine", {.machine = PROTOCOL "N ."}, "byte order"},
    {"no keys", {.keys = PROTOCOL "N ."}, "no list of storages"},
    {"key that is a number", {.keys = PROTOCOL "] ( K=00 e ."}, "names one that no tensor uses"},
    {"key that is not used", {.keys = PROTOCOL "] ( '0' '1' e ."}, "names one that no tensor uses"},
    {"storage left out", {.keys = PROTOCOL "] ."}, "'0' is not in its list"},
    {"keys cut off", {.keys = PROTOCOL "] (", .storages = ""}, "bytes are wanted"},
    {"no storages", {.storages = ""}, "it ends before storage '0'"},
    {"count cut off", {.storages = "=04000000"}, "it ends before storage '0'"},
    {"elements cut off", {.storages = "=0400000000000000 =000000"}, "claims 4 elements"},
    {"2^60 elements", {.storages = "=0000000000000010"}, "claims 1152921504606846976 elements"},
    {"elements that overflow", {.storages = "=ffffffffffffffff"}, "claims 18446744073709551615"},
    {"fewer elements",
     {.storages = "=0300000000000000 =000000000000000000000000"},
     "has 3 elements of 4 bytes, its pickle says 4"},
    {"two types for one storage",
     {.object = PROTOCOL "} ( 'a' " W1234 "'b' " REBUILD
                         "( " STORAGE("DoubleStorage", "0", "4") "#0 " FOUR ONE "t R u ."},
     "its pickle says 4 of 8"},
};

static void malformed_legacy_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof legacies / sizeof *legacies; i++) {
        bytes_t bytes = legacy_whole(&legacies[i].parts);
        check_refused(&bytes, legacies[i].what, legacies[i].reason, SMALL);
        free_bytes(&bytes);
    }
}

/* ---- every truncation, every flipped byte ---- */

static bytes_t sound_file(int kind)
{
    return kind == 0 ? zip_of(SOUND) : legacy_whole(&(legacy_case_t){0});
}

static void truncated_files_are_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bytes_t bytes = sound_file(kind);
        const size_t whole = bytes.size;
        for (size_t n = 0; n < whole; n++) {
            bytes_t cut = {malloc(n ? n : 1), n, n}; /* so that a read beyond is seen */
            assert_non_null(cut.data);
            memcpy(cut.data, bytes.data, n);
            check_refused(&cut, "truncated", "test.pth", SMALL);
            free_bytes(&cut);
        }
        free_bytes(&bytes);
    }
}

/* Whatever comes out is a status: no crash, no read outside, no leak. Values may well be wrong. */
static void changed_bytes_do_no_harm(void **state)
{
    (void)state;
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    for (int kind = 0; kind < 2; kind++) {
        bytes_t bytes = sound_file(kind);
        for (size_t i = 0; i < bytes.size * sizeof masks; i++) {
            unsigned char *byte = &bytes.data[i / sizeof masks];
            *byte ^= masks[i % sizeof masks];
            opened_t opened;
            float values[4];
            const beit_status_t status = open_bytes(&opened, &bytes);
            assert_true(status == BEIT_OK || status == BEIT_E_FORMAT);
            const beit__entry_t *entry = beit__archive_find(&opened.archive, "w");
            if (status == BEIT_OK && entry && entry->count == 4 && entry->dtype == BEIT_F32)
                check_ok(beit__archive_read(entry, values));
            close_bytes(&opened);
            *byte ^= masks[i % sizeof masks];
        }
        free_bytes(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_pickles_are_refused),
        cmocka_unit_test(floods_end),
        cmocka_unit_test(shared_modules_do_not_explode),
        cmocka_unit_test(claims_by_stride_0_are_refused),
        cmocka_unit_test(malformed_archives_are_refused),
        cmocka_unit_test(malformed_legacy_files_are_refused),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
