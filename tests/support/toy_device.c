/* See toy_device.h. A device address is the host's with a tag that no valid pointer has. An
 * operation copies its argument struct, takes the tag off every word that carries it, and runs
 * the reference. */
#include "toy_device.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h" /* the list of operations */

#define TAG      0x5a00000000000000u
#define TAG_MASK 0xffff000000000000u

enum { LARGEST_ARGS = 512 };

toy_device_counts_t toy_device_counts;

static void *to_device(void *host)
{
    return (void *)((uintptr_t)host | TAG);
}

static void *to_host(const void *device)
{
    if (((uintptr_t)device & TAG_MASK) != TAG)
        abort(); /* host memory where the device's was expected */
    return (void *)((uintptr_t)device & ~TAG);
}

/* The struct with host addresses. Words that are no addresses do not look like the tag: it would
 * be an extent beyond 2^62, or a double near 1e127. */
static void untag(uint64_t *to, const beit_op_t *args)
{
    const size_t words = args->struct_size / sizeof *to;
    if (words * sizeof *to > LARGEST_ARGS)
        abort();
    memcpy(to, args, words * sizeof *to);
    for (size_t i = 1; i < words; i++)
        if ((to[i] & TAG_MASK) == TAG)
            to[i] &= ~TAG;
}

#define DEFINE_OP(name, args, ID)                                                                  \
    static beit_status_t toy_##name(void *self, const beit_##args##_args_t *a)                     \
    {                                                                                              \
        (void)self;                                                                                \
        uint64_t host_args[LARGEST_ARGS / sizeof(uint64_t)];                                       \
        untag(host_args, &a->op);                                                                  \
        toy_device_counts.calls++;                                                                 \
        return beit_backend_builtin("reference")                                                   \
            ->name(NULL, (const beit_##args##_args_t *)(void *)host_args);                         \
    }
BEIT__OPS(DEFINE_OP)

static size_t toy_workspace(void *self, beit_op_id_t op, const beit_op_t *args)
{
    (void)self;
    return beit_backend_builtin("reference")->workspace(NULL, op, args);
}

static beit_status_t toy_open(void **self, const beit_backend_host_t *host, const char *options)
{
    if (options && options[0]) {
        host->set_error("toy device: knows no options");
        return BEIT_E_ARGUMENT;
    }
    *self = NULL;
    toy_device_counts.open++;
    return BEIT_OK;
}

static void toy_close(void *self)
{
    (void)self;
    toy_device_counts.open--;
}

static const char *toy_describe(void *self)
{
    (void)self;
    return "tagged addresses";
}

static beit_status_t toy_alloc(void *self, size_t bytes, void **ptr)
{
    (void)self;
    void *host = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!host)
        return BEIT_E_NOMEM;
    memset(host, 0x5c, bytes); /* zeroing is the library's task */
    toy_device_counts.live_bytes += bytes;
    toy_device_counts.allocations++;
    *ptr = to_device(host);
    return BEIT_OK;
}

static void toy_free(void *self, void *ptr, size_t bytes)
{
    (void)self;
    toy_device_counts.live_bytes -= bytes;
    free(to_host(ptr));
}

static beit_status_t toy_upload(void *self, void *dst, const void *src, size_t bytes)
{
    (void)self;
    memcpy(to_host(dst), src, bytes);
    return BEIT_OK;
}

static beit_status_t toy_download(void *self, void *dst, const void *src, size_t bytes)
{
    (void)self;
    memcpy(dst, to_host(src), bytes);
    return BEIT_OK;
}

static beit_status_t toy_copy(void *self, void *dst, const void *src, size_t bytes)
{
    (void)self;
    memmove(to_host(dst), to_host(src), bytes);
    return BEIT_OK;
}

#define ENTRY(name, args, ID) .name = toy_##name,

const beit_backend_ops_t toy_device_ops = {.struct_size = sizeof(beit_backend_ops_t),
                                           .abi = BEIT_BACKEND_ABI,
                                           .flags = BEIT_BACKEND_DETERMINISTIC,
                                           .name = "toy device",
                                           .open = toy_open,
                                           .close = toy_close,
                                           .describe = toy_describe,
                                           .alloc = toy_alloc,
                                           .free = toy_free,
                                           .upload = toy_upload,
                                           .download = toy_download,
                                           .copy = toy_copy,
                                           .workspace = toy_workspace,
                                           BEIT__OPS(ENTRY)};
