/* Files and host storage behind one pair of types. A save must never cost an older file its life:
 * bytes go to a temporary in the same directory, which is synced and then renamed over the
 * destination, and the directory is synced. After a failed step nothing further is tried and the
 * temporary is removed. A destination that is a symbolic link is replaced, not followed. */
#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/abi.h"
#include "core/status.h"

/* Some systems cut longer transfers short anyway (Linux at 2 GiB - 4 KiB). */
#define LARGEST_TRANSFER   ((size_t)1 << 30)
#define TEMPORARY_ATTEMPTS 1000

static beit_status_t system_failure(const char *name, const char *what)
{
    return beit__fail(BEIT_E_IO, "%s: %s: %s", name, what, strerror(errno));
}

/* Statuses of host functions are passed on, anything that is none becomes BEIT_E_IO. */
static beit_status_t host_failure(const char *name, const char *what, beit_status_t status)
{
    if (status > BEIT_OK || status < BEIT_E_ABI)
        status = BEIT_E_IO;
    return beit__fail(status, "%s: the host's %s failed: %s", name, what,
                      beit_status_string(status));
}

static beit_status_t check_name(const char **name, const char *path, const beit_io_t *io)
{
    if (!path && !io)
        return beit__fail(BEIT_E_ARGUMENT, "path and io are both NULL, expected one of them");
    *name = path ? path : "host storage";
    return BEIT_OK;
}

/* ---- reading ---- */

static beit_status_t open_file(beit__source_t *source, const char *path)
{
    /* O_NONBLOCK: opening a pipe must not hang the host; regular files do not mind. */
    source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->fd < 0)
        return system_failure(path, "cannot open");
    struct stat info;
    beit_status_t status = BEIT_OK;
    if (fstat(source->fd, &info) != 0)
        status = system_failure(path, "cannot ask for its size");
    else if (!S_ISREG(info.st_mode))
        status = beit__fail(BEIT_E_IO, "%s: %s, expected a regular file", path,
                            S_ISDIR(info.st_mode) ? "is a directory" : "is a device or pipe");
    else
        source->bytes = (uint64_t)info.st_size;
    if (status != BEIT_OK)
        beit__source_close(source);
    return status;
}

beit_status_t beit__source_open(beit__source_t *source, const char *path, const beit_io_t *io)
{
    *source = (beit__source_t){.fd = -1};
    BEIT__TRY(check_name(&source->name, path, io));
    if (!io)
        return open_file(source, path);
    BEIT__TRY(beit__abi_in(&source->io, sizeof source->io, sizeof source->io, io, "beit_io"));
    if (!source->io.size || !source->io.read_at)
        return beit__fail(BEIT_E_ARGUMENT, "beit_io: %s is NULL, needed for reading",
                          !source->io.size ? "size" : "read_at");
    beit_status_t status = source->io.size(source->io.user, &source->bytes);
    return status == BEIT_OK ? BEIT_OK : host_failure(source->name, "size", status);
}

static beit_status_t read_file(const beit__source_t *source, uint64_t offset, unsigned char *dst,
                               size_t n)
{
    while (n > 0) {
        size_t want = n < LARGEST_TRANSFER ? n : LARGEST_TRANSFER;
        ssize_t got = pread(source->fd, dst, want, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_failure(source->name, "cannot read");
        if (got == 0)
            return beit__fail(BEIT_E_IO, "%s: ended at byte %llu, it became shorter while read",
                              source->name, (unsigned long long)offset);
        dst += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return BEIT_OK;
}

beit_status_t beit__source_read(const beit__source_t *source, uint64_t offset, void *dst, size_t n)
{
    assert(offset <= source->bytes && n <= source->bytes - offset);
    if (n == 0)
        return BEIT_OK;
    if (source->fd >= 0)
        return read_file(source, offset, dst, n);
    beit_status_t status = source->io.read_at(source->io.user, offset, dst, n);
    return status == BEIT_OK ? BEIT_OK : host_failure(source->name, "read_at", status);
}

void beit__source_close(beit__source_t *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

/* ---- writing ---- */

/* Bytes of `path` up to and including the last slash. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static beit_status_t open_directory(beit__sink_t *sink)
{
    size_t length = directory_length(sink->name);
    char directory[BEIT__PATH_MAX] = ".";
    if (length > 0) {
        memcpy(directory, sink->name, length);
        directory[length] = '\0';
    }
    sink->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return sink->directory >= 0 ? BEIT_OK : system_failure(sink->name, "cannot open its directory");
}

/* A new file beside the destination. The name is unique in this process and O_EXCL settles it
 * among processes; its length does not depend on that of the destination's name. */
static beit_status_t open_temporary(beit__sink_t *sink)
{
    static atomic_uint serial;
    char name[sizeof sink->temporary];
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS; attempt++) {
        int length =
            snprintf(name, sizeof name, "%.*s.beit-%ld-%u.tmp", (int)directory_length(sink->name),
                     sink->name, (long)getpid(), atomic_fetch_add(&serial, 1));
        if (length < 0 || (size_t)length >= sizeof name)
            return beit__fail(BEIT_E_ARGUMENT, "path has %zu bytes, which is too long",
                              strlen(sink->name));
        sink->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (sink->fd >= 0) {
            memcpy(sink->temporary, name, (size_t)length + 1);
            return BEIT_OK;
        }
        if (errno != EEXIST)
            break;
    }
    return system_failure(sink->name, "cannot create a temporary file in its directory");
}

beit_status_t beit__sink_open(beit__sink_t *sink, const char *path, const beit_io_t *io)
{
    *sink = (beit__sink_t){.fd = -1, .directory = -1};
    BEIT__TRY(check_name(&sink->name, path, io));
    if (io) {
        BEIT__TRY(beit__abi_in(&sink->io, sizeof sink->io, sizeof sink->io, io, "beit_io"));
        if (!sink->io.append || !sink->io.commit)
            return beit__fail(BEIT_E_ARGUMENT, "beit_io: %s is NULL, needed for writing",
                              !sink->io.append ? "append" : "commit");
        return BEIT_OK;
    }
    size_t length = strlen(path);
    if (length == 0 || length >= BEIT__PATH_MAX)
        return beit__fail(BEIT_E_ARGUMENT, "path has %zu bytes, expected 1 to %u", length,
                          BEIT__PATH_MAX - 1);
    beit_status_t status = open_directory(sink);
    if (status == BEIT_OK)
        status = open_temporary(sink);
    if (status != BEIT_OK)
        beit__sink_close(sink);
    return status;
}

beit_status_t beit__sink_append(beit__sink_t *sink, const void *src, size_t n)
{
    if (sink->fd < 0) {
        beit_status_t status = n > 0 ? sink->io.append(sink->io.user, src, n) : BEIT_OK;
        return status == BEIT_OK ? BEIT_OK : host_failure(sink->name, "append", status);
    }
    const unsigned char *bytes = src;
    while (n > 0) {
        size_t want = n < LARGEST_TRANSFER ? n : LARGEST_TRANSFER;
        ssize_t put = write(sink->fd, bytes, want);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return system_failure(sink->name, "cannot write");
        bytes += put;
        n -= (size_t)put;
    }
    return BEIT_OK;
}

static int sync_descriptor(int fd)
{
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result;
}

beit_status_t beit__sink_commit(beit__sink_t *sink)
{
    if (sink->fd < 0) {
        beit_status_t status = sink->io.commit(sink->io.user);
        return status == BEIT_OK ? BEIT_OK : host_failure(sink->name, "commit", status);
    }
    if (sync_descriptor(sink->fd) != 0)
        return system_failure(sink->name, "cannot sync");
    int closed = close(sink->fd); /* network file systems report late write errors here */
    sink->fd = -1;
    if (closed != 0 && errno != EINTR)
        return system_failure(sink->name, "cannot close");
    if (rename(sink->temporary, sink->name) != 0)
        return system_failure(sink->name, "cannot put in place");
    sink->temporary[0] = '\0';
    /* EINVAL: a file system on which directories cannot be synced has done what it can. */
    if (sync_descriptor(sink->directory) != 0 && errno != EINVAL)
        return system_failure(sink->name, "is in place, but its directory cannot be synced");
    return BEIT_OK;
}

void beit__sink_close(beit__sink_t *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    if (sink->temporary[0] != '\0' && sink->directory >= 0)
        unlink(sink->temporary);
    if (sink->directory >= 0)
        close(sink->directory);
    sink->fd = sink->directory = -1;
    sink->temporary[0] = '\0';
}
