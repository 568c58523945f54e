/* See conform.h. */
#include "conform.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

enum {
    MAX_ARRAYS = 16,
    MAX_INSTANCES = 3,
    GUARD = 64, /* bytes on either side of every array */
    GUARD_BYTE = 0xa5,
    MISALIGN = 4, /* floats off a 64-byte line, drawn below this */
    SHOWN_FAILURES = 4
};

typedef struct array {
    size_t offset;      /* of the pointer in the argument struct */
    size_t bytes, size; /* of all, of one element */
    size_t shift;       /* bytes off alignment */
    conform_role_t role;
    bool host, is_real;
    int alias_of;  /* index, or -1 */
    int argmax_of; /* index of the array whose first maxima these are, or -1 */
    int64_t argmax_cols;
    unsigned char *given;  /* before the call */
    unsigned char *wanted; /* after the reference's */
    unsigned char *first;  /* after the first instance's */
    unsigned char *block;  /* during a call: guard, shift, contents, guard; backend memory */
} array_t;

typedef struct tally {
    int cases, failures;
    double worst;
} tally_t;

struct conform {
    instance_t reference, target[MAX_INSTANCES];
    int targets;
    uint64_t state;
    bool verbose;
    tally_t tally[BEIT_OP_COUNT];
    /* the case at hand */
    beit_op_id_t op;
    void *args;
    size_t args_size;
    array_t arrays[MAX_ARRAYS];
    int array_count;
    bool failed;
    char text[256];
};

conform_t *conform_open(const beit_backend_ops_t *ops, const char *options)
{
    static const unsigned workers[MAX_INSTANCES] = {1, 3, 8};
    conform_t *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    open_instance(&c->reference, beit_backend_builtin("reference"), 1, NULL);
    const int wanted = ops->flags & BEIT_BACKEND_DETERMINISTIC ? MAX_INSTANCES : 1;
    while (c->targets < wanted) {
        if (!open_instance(&c->target[c->targets], ops, workers[c->targets], options)) {
            conform_close(c);
            return NULL;
        }
        c->targets++;
    }
    return c;
}

void conform_close(conform_t *c)
{
    for (int i = 0; i < c->targets; i++)
        close_instance(&c->target[i]);
    close_instance(&c->reference);
    free(c);
}

/* ---- drawing ---- */

uint32_t conform_draw(conform_t *c, uint32_t below)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((c->state >> 33) % below);
}

bool conform_chance(conform_t *c, uint32_t one_in)
{
    return conform_draw(c, one_in) == 0;
}

int64_t conform_extent(conform_t *c, int64_t max)
{
    static const int64_t extents[] = {1,   2,   3,   4,   5,   6,   7,   8,   9,   10,
                                      12,  13,  15,  16,  17,  19,  24,  31,  32,  33,
                                      48,  63,  64,  65,  96,  100, 127, 128, 129, 192,
                                      197, 255, 256, 257, 384, 511, 512, 513, 768, 1025};
    uint32_t usable = 0;
    while (usable < sizeof extents / sizeof *extents && extents[usable] <= max)
        usable++;
    return extents[conform_draw(c, usable)];
}

int64_t conform_count(conform_t *c, int64_t max)
{
    return conform_chance(c, 12) ? 0 : conform_extent(c, max);
}

int conform_turn(const conform_t *c)
{
    return c->tally[c->op].cases;
}

/* ---- arrays ---- */

void conform_begin(conform_t *c, void *args, size_t size)
{
    c->args = args;
    c->args_size = size;
    c->array_count = 0;
    c->failed = false;
    ((beit_op_t *)args)->struct_size = size;
}

static int find(const conform_t *c, const void *field)
{
    const size_t offset = (size_t)((const char *)field - (const char *)c->args);
    for (int i = 0; i < c->array_count; i++)
        if (c->arrays[i].offset == offset)
            return i;
    abort(); /* a case that names a field it never gave */
}

static array_t *add(conform_t *c, const void *field, int64_t count, size_t size,
                    conform_role_t role)
{
    if (c->array_count == MAX_ARRAYS)
        abort();
    array_t *array = &c->arrays[c->array_count++];
    *array = (array_t){.offset = (size_t)((const char *)field - (const char *)c->args),
                       .bytes = (size_t)count * size,
                       .size = size,
                       .role = role,
                       .alias_of = -1,
                       .argmax_of = -1};
    array->given = calloc(array->bytes + 1, 1);
    array->wanted = malloc(array->bytes + 1);
    array->first = malloc(array->bytes + 1);
    if (!array->given || !array->wanted || !array->first)
        abort();
    memcpy((char *)c->args + array->offset, &array->given, sizeof array->given);
    return array;
}

float *conform_floats(conform_t *c, const void *field, int64_t count, conform_role_t role,
                      double scale)
{
    array_t *array = add(c, field, count, sizeof(float), role);
    array->is_real = true;
    array->shift = conform_draw(c, MISALIGN) * sizeof(float);
    float *x = (float *)array->given;
    for (int64_t i = 0; i < count; i++) {
        const double unit = ((double)conform_draw(c, 1u << 24) + 0.5) * 0x1p-23 - 1.0;
        x[i] = role == CONFORM_OUT ? NAN : (float)(unit * scale);
    }
    return x;
}

void conform_alias(conform_t *c, const void *field, const void *other)
{
    const int index = find(c, other);
    array_t *array = add(c, field, 0, sizeof(float), CONFORM_IN);
    array->alias_of = index;
    memcpy((char *)c->args + array->offset, &c->arrays[index].given, sizeof array->given);
}

void *conform_host(conform_t *c, const void *field, int64_t count, size_t size, conform_role_t role)
{
    array_t *array = add(c, field, count, size, role);
    array->host = true;
    return array->given;
}

double *conform_host_double(conform_t *c, const void *field, conform_role_t role)
{
    double *x = conform_host(c, field, 1, sizeof *x, role);
    c->arrays[c->array_count - 1].is_real = true;
    *x = role == CONFORM_OUT ? (double)NAN : 0.5;
    return x;
}

void conform_sample_ids(conform_t *c, beit_op_random_t *random, int64_t samples)
{
    random->key = (uint64_t)conform_draw(c, UINT32_MAX) << 32 | conform_draw(c, UINT32_MAX);
    random->place = conform_draw(c, 50);
    uint64_t *ids = conform_host(c, &random->sample_ids, samples, sizeof *ids, CONFORM_IN);
    for (int64_t i = 0; i < samples; i++)
        ids[i] = (uint64_t)conform_draw(c, UINT32_MAX) << conform_draw(c, 32);
}

void conform_argmax_of(conform_t *c, const void *index_field, const void *values_field,
                       int64_t cols)
{
    const int values = find(c, values_field);
    array_t *array = &c->arrays[find(c, index_field)];
    array->argmax_of = values;
    array->argmax_cols = cols;
}

static void free_arrays(conform_t *c)
{
    for (int i = 0; i < c->array_count; i++) {
        free(c->arrays[i].given);
        free(c->arrays[i].wanted);
        free(c->arrays[i].first);
    }
}

/* ---- one call ---- */

static void fail(conform_t *c, const instance_t *instance, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(conform_t *c, const instance_t *instance, const char *format, ...)
{
    const bool shown = c->verbose && c->tally[c->op].failures < SHOWN_FAILURES;
    c->failed = true;
    if (!shown)
        return;
    fprintf(stderr, "%s %s (%s, %u workers): ", op_name(c->op), c->text, instance->ops->name,
            instance->workers);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static size_t block_bytes(const array_t *array)
{
    return 2 * GUARD + array->shift + array->bytes;
}

static unsigned char *image_of(const array_t *array)
{
    unsigned char *image = malloc(block_bytes(array));
    if (!image)
        abort();
    memset(image, GUARD_BYTE, block_bytes(array));
    memcpy(image + GUARD + array->shift, array->given, array->bytes);
    return image;
}

static void place_arrays(conform_t *c, const instance_t *instance, unsigned char *args)
{
    for (int i = 0; i < c->array_count; i++) {
        array_t *array = &c->arrays[i];
        if (array->alias_of < 0) {
            unsigned char *image = image_of(array);
            array->block = block_alloc(instance, array->host, block_bytes(array));
            block_write(instance, array->host, array->block, image, block_bytes(array));
            free(image);
        }
        const array_t *source = array->alias_of < 0 ? array : &c->arrays[array->alias_of];
        unsigned char *pointer = source->block + GUARD + source->shift;
        memcpy(args + array->offset, &pointer, sizeof pointer);
    }
}

static bool all_guard(const unsigned char *x, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != GUARD_BYTE)
            return false;
    return true;
}

/* Reads every array back, into `wanted` or `into`, and looks at what must not have changed. */
static void collect_arrays(conform_t *c, const instance_t *instance, unsigned char *into[])
{
    for (int i = 0; i < c->array_count; i++) {
        array_t *array = &c->arrays[i];
        if (array->alias_of >= 0)
            continue;
        unsigned char *image = image_of(array);
        unsigned char *contents = image + GUARD + array->shift;
        block_read(instance, array->host, image, array->block, block_bytes(array));
        block_free(instance, array->host, array->block, block_bytes(array));
        if (!all_guard(image, GUARD + array->shift) || !all_guard(contents + array->bytes, GUARD))
            fail(c, instance, "writes beyond the array at offset %zu of its arguments",
                 array->offset);
        if (array->role == CONFORM_IN && memcmp(contents, array->given, array->bytes))
            fail(c, instance, "changes its input at offset %zu of its arguments", array->offset);
        memcpy(into[i], contents, array->bytes);
        free(image);
    }
}

static size_t workspace_of(const conform_t *c, const instance_t *instance, const void *args)
{
    return instance->ops->workspace
               ? instance->ops->workspace(instance->self, c->op, (const beit_op_t *)args)
               : 0;
}

static bool run_on(conform_t *c, const instance_t *instance, unsigned char *into[])
{
    unsigned char *args = malloc(c->args_size);
    memcpy(args, c->args, c->args_size);
    beit_op_t *op = (beit_op_t *)args;
    place_arrays(c, instance, args);
    array_t space = {.bytes = workspace_of(c, instance, c->args)};
    space.given = malloc(space.bytes + 1);
    memset(space.given, 0xff, space.bytes); /* NaN, as float and as double */
    unsigned char *image = image_of(&space);
    unsigned char *block = block_alloc(instance, false, block_bytes(&space));
    block_write(instance, false, block, image, block_bytes(&space));
    op->workspace = space.bytes ? block + GUARD : NULL;
    op->workspace_bytes = space.bytes;

    beit_status_t status = call_op(instance->ops, instance->self, c->op, op);
    if (status == BEIT_OK && instance->ops->synchronize)
        status = instance->ops->synchronize(instance->self);
    if (status != BEIT_OK)
        fail(c, instance, "returns %s", beit_status_string(status));

    block_read(instance, false, image, block, block_bytes(&space));
    if (!all_guard(image, GUARD) || !all_guard(image + GUARD + space.bytes, GUARD))
        fail(c, instance, "writes beyond the workspace of %zu bytes that it asked for",
             space.bytes);
    block_free(instance, false, block, block_bytes(&space));
    collect_arrays(c, instance, into);
    free(space.given);
    free(image);
    free(args);
    return status == BEIT_OK;
}

/* ---- comparison ---- */

static double real_at(const array_t *array, const unsigned char *x, size_t i)
{
    return array->size == sizeof(float) ? (double)((const float *)(const void *)x)[i]
                                        : ((const double *)(const void *)x)[i];
}

/* Normalised square error; two NaNs, and two equal infinities, agree. A host double is one number,
 * and may be small because terms of order 1 cancel (balance = ln V - H): it is measured by 1 at
 * least. */
static double nmse(const array_t *array, const unsigned char *found)
{
    double error = 0, power = array->host ? 1 : 0;
    for (size_t i = 0; i < array->bytes / array->size; i++) {
        const double wanted = real_at(array, array->wanted, i), x = real_at(array, found, i);
        if (wanted == x || (isnan(wanted) && isnan(x))) {
            power += isfinite(wanted) ? wanted * wanted : 0;
            continue;
        }
        error += (x - wanted) * (x - wanted);
        power += wanted * wanted;
    }
    if (error == 0)
        return 0;
    return isfinite(error) && power > 0 ? error / power : (double)INFINITY;
}

static void compare_argmax(conform_t *c, const instance_t *instance, const array_t *array,
                           const unsigned char *found, const unsigned char *values)
{
    const int32_t *index = (const int32_t *)(const void *)found;
    const float *x = (const float *)(const void *)values;
    for (size_t r = 0; r < array->bytes / sizeof *index; r++, x += array->argmax_cols) {
        int64_t best = 0;
        for (int64_t i = 1; i < array->argmax_cols; i++)
            if (x[i] > x[best])
                best = i;
        if (index[r] != best) {
            fail(c, instance, "row %zu: chose %d, but the first maximum of what it wrote is %lld",
                 r, index[r], (long long)best);
            return;
        }
    }
}

static void compare_with_reference(conform_t *c, const instance_t *instance, double limit)
{
    for (int i = 0; i < c->array_count; i++) {
        const array_t *array = &c->arrays[i];
        if (array->alias_of >= 0 || array->role == CONFORM_IN)
            continue;
        if (array->argmax_of >= 0) {
            compare_argmax(c, instance, array, array->first, c->arrays[array->argmax_of].first);
        } else if (!array->is_real) {
            if (memcmp(array->first, array->wanted, array->bytes))
                fail(c, instance, "integers at offset %zu of its arguments differ", array->offset);
        } else {
            const double error = nmse(array, array->first);
            if (error > c->tally[c->op].worst)
                c->tally[c->op].worst = error;
            if (!(error <= limit))
                fail(c, instance, "NMSE %.2g at offset %zu of its arguments, at most %.2g", error,
                     array->offset, limit);
        }
    }
}

/* Every other instance must give the first one's bits. */
static void compare_instances(conform_t *c, const instance_t *instance, unsigned char *found[])
{
    for (int i = 0; i < c->array_count; i++) {
        const array_t *array = &c->arrays[i];
        if (array->alias_of < 0 && array->role != CONFORM_IN &&
            memcmp(found[i], array->first, array->bytes))
            fail(c, instance, "bits at offset %zu of its arguments depend on the workers",
                 array->offset);
    }
}

/* ---- workspace of smaller extents ---- */

#define EXTENTS(args, first, count)                                                                \
    {                                                                                              \
        offsetof(beit_##args##_args_t, first), count, 1                                            \
    }
#define CONV_EXTENTS                                                                               \
    {                                                                                              \
        offsetof(beit_conv_args_t, batch), 3, 8                                                    \
    }

/* The extents that a run may make smaller than planned: consecutive int64_t fields. */
static const struct {
    size_t first, count;
    int64_t least; /* a map must stay larger than the kernels of the cases */
} extents[BEIT_OP_COUNT] = {
    [BEIT_OP_GEMM] = EXTENTS(gemm, m, 3),
    [BEIT_OP_LAYERNORM_FORWARD] = EXTENTS(layernorm_forward, rows, 2),
    [BEIT_OP_LAYERNORM_BACKWARD] = EXTENTS(layernorm_backward, rows, 2),
    [BEIT_OP_COLUMN_SUM] = EXTENTS(column_sum, rows, 2),
    [BEIT_OP_DROPOUT] = EXTENTS(dropout, samples, 2),
    [BEIT_OP_EMBED_BACKWARD] = EXTENTS(embed_backward, batch, 3),
    [BEIT_OP_RELPOS_BACKWARD] = EXTENTS(relpos, rows, 3),
    [BEIT_OP_ATTENTION_FORWARD] = EXTENTS(attention_forward, batch, 4),
    [BEIT_OP_ATTENTION_BACKWARD] = EXTENTS(attention_backward, batch, 4),
    [BEIT_OP_CROSS_ENTROPY] = EXTENTS(cross_entropy, rows, 2),
    [BEIT_OP_CONV_FORWARD] = CONV_EXTENTS,
    [BEIT_OP_CONV_TRANSPOSE] = CONV_EXTENTS,
    [BEIT_OP_CONV_WEIGHT_GRADIENT] = CONV_EXTENTS,
    [BEIT_OP_GUMBEL_FORWARD] = EXTENTS(gumbel, samples, 3),
    [BEIT_OP_GUMBEL_BACKWARD] = EXTENTS(gumbel, samples, 3),
    [BEIT_OP_CODE_PRIOR] = EXTENTS(code_prior, rows, 2),
    [BEIT_OP_RECON] = EXTENTS(recon, count, 1),
    [BEIT_OP_SQUARE_SUM] = EXTENTS(square_sum, count, 1),
};

static void check_workspace_shrinks(conform_t *c, const instance_t *instance)
{
    unsigned char *args = malloc(c->args_size);
    const size_t planned = workspace_of(c, instance, c->args);
    for (size_t i = 0; i < extents[c->op].count; i++) {
        memcpy(args, c->args, c->args_size);
        int64_t *extent = (int64_t *)(void *)(args + extents[c->op].first) + i;
        const int64_t full = *extent, tried[2] = {full - 1, full / 2};
        for (int k = 0; k < 2; k++) {
            *extent = tried[k];
            if (*extent < extents[c->op].least)
                continue;
            const size_t bytes = workspace_of(c, instance, args);
            if (bytes > planned)
                fail(c, instance,
                     "extent %zu: %zu bytes of workspace at %lld, more than %zu at %lld", i, bytes,
                     (long long)*extent, planned, (long long)full);
        }
    }
    free(args);
}

/* ---- a case ---- */

void conform_end(conform_t *c, double limit, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->text, sizeof c->text, format, arguments);
    va_end(arguments);
    unsigned char *wanted[MAX_ARRAYS], *first[MAX_ARRAYS], *again[MAX_ARRAYS];
    for (int i = 0; i < c->array_count; i++) {
        wanted[i] = c->arrays[i].wanted;
        first[i] = c->arrays[i].first;
        again[i] = malloc(c->arrays[i].bytes + 1);
    }
    run_on(c, &c->reference, wanted);
    if (run_on(c, &c->target[0], first))
        compare_with_reference(c, &c->target[0], limit);
    for (int k = 1; k < c->targets && !c->failed; k++)
        if (run_on(c, &c->target[k], again))
            compare_instances(c, &c->target[k], again);
    for (int k = 0; k < c->targets; k++)
        check_workspace_shrinks(c, &c->target[k]);
    for (int i = 0; i < c->array_count; i++)
        free(again[i]);
    free_arrays(c);
    c->tally[c->op].cases++;
    c->tally[c->op].failures += c->failed;
}

static const conform_cases_t *const families[] = {conform_dense_cases, conform_token_cases,
                                                  conform_map_cases, conform_code_cases};
#define FAMILIES (sizeof families / sizeof *families)

int conform_run_op(conform_t *c, beit_op_id_t op, bool verbose)
{
    c->verbose = verbose;
    c->op = op;
    c->state = (uint64_t)op + 1; /* its cases do not depend on those of other operations */
    c->tally[op] = (tally_t){0};
    for (size_t f = 0; has_op(c->target[0].ops, op) && f < FAMILIES; f++)
        for (const conform_cases_t *cases = families[f]; cases->times; cases++)
            for (int i = 0; cases->op == op && i < cases->times; i++)
                cases->run(c);
    return c->tally[op].failures;
}

int conform_run_all(conform_t *c, bool verbose)
{
    int failures = 0;
    for (int op = 0; op < BEIT_OP_COUNT; op++)
        failures += conform_run_op(c, (beit_op_id_t)op, verbose);
    return failures;
}

void conform_print_summary(const conform_t *c)
{
    printf("%-22s %6s %9s %11s\n", "operation", "cases", "failures", "worst NMSE");
    for (int op = 0; op < BEIT_OP_COUNT; op++) {
        const tally_t *tally = &c->tally[op];
        if (tally->cases)
            printf("%-22s %6d %9d %11.2g\n", op_name((beit_op_id_t)op), tally->cases,
                   tally->failures, tally->worst);
        else if (!has_op(c->target[0].ops, (beit_op_id_t)op))
            printf("%-22s   (not in the table: the reference stands in)\n",
                   op_name((beit_op_id_t)op));
    }
}
