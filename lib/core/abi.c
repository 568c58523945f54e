/* The struct_size rule, in one place: copy what both sides know, read what the caller lacks as
 * zero, and refuse what the library does not know unless it is zero. */
#include "core/abi.h"

#include <string.h>

#include "core/status.h"

/* A struct_size beyond this is an uninitialised field, not a newer release. */
#define LARGEST_STRUCT 4096u

static size_t struct_size_of(const void *theirs)
{
    size_t size;
    memcpy(&size, theirs, sizeof size);
    return size;
}

beit_status_t beit__abi_check(const void *theirs, size_t oldest, const char *name)
{
    if (!theirs)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", name);
    const size_t size = struct_size_of(theirs);
    if (size < oldest || size > LARGEST_STRUCT || size % sizeof size)
        return beit__fail(BEIT_E_ABI,
                          "%s: struct_size is %zu, expected a sizeof of %zu to %u bytes; set it by "
                          "the _init function or to sizeof",
                          name, size, oldest, LARGEST_STRUCT);
    return BEIT_OK;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

beit_status_t beit__abi_in(void *ours, size_t ours_size, size_t oldest, const void *theirs,
                           const char *name)
{
    BEIT__TRY(beit__abi_check(theirs, oldest, name));
    const size_t size = struct_size_of(theirs);
    const unsigned char *bytes = theirs;
    for (size_t i = ours_size; i < size; i++)
        if (bytes[i])
            return beit__fail(BEIT_E_ABI,
                              "%s: byte %zu is set, but this library knows only %zu bytes; the "
                              "program needs a newer libbeit",
                              name, i, ours_size);
    memset(ours, 0, ours_size);
    memcpy(ours, theirs, smaller(size, ours_size));
    memcpy(ours, &ours_size, sizeof ours_size);
    return BEIT_OK;
}

beit_status_t beit__abi_out(void *theirs, const void *ours, size_t ours_size, size_t oldest,
                            const char *name)
{
    BEIT__TRY(beit__abi_check(theirs, oldest, name));
    beit__abi_init(theirs, struct_size_of(theirs), ours, ours_size);
    return BEIT_OK;
}

void beit__abi_init(void *theirs, size_t size, const void *ours, size_t ours_size)
{
    if (!theirs || size < sizeof size)
        return;
    memset(theirs, 0, size);
    memcpy(theirs, ours, smaller(size, ours_size));
    memcpy(theirs, &size, sizeof size);
}
