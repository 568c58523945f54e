/* Where bytes come from and go to: a file, or the host's beit_io_t. A source is read at offsets; a
 * sink is appended to and becomes visible as a whole on commit, or not at all. */
#ifndef BEIT_IO_FILE_H
#define BEIT_IO_FILE_H

#include <beit/checkpoint.h>

#define BEIT__PATH_MAX 4096

/* Something to read from. */
typedef struct beit__source {
    beit_io_t io;     /* the host's functions, or those of a file */
    const char *name; /* borrowed, for messages */
    uint64_t bytes;   /* size of the whole */
    int fd;           /* -1 when the host's functions are used */
    int reserved;
} beit__source_t;

/* Open `path`, or `io` when it is not NULL (path is then used in messages only and may be NULL).
 * Anything but a regular file is refused. */
beit_status_t beit__source_open(beit__source_t *source, const char *path, const beit_io_t *io);

/* Exactly n bytes. The range must lie inside the source. */
beit_status_t beit__source_read(const beit__source_t *source, uint64_t offset, void *dst, size_t n);
void beit__source_close(beit__source_t *source);

/* Something to write to. A file is written beside its destination under a temporary name. */
typedef struct beit__sink {
    beit_io_t io;
    const char *name;               /* borrowed: the destination */
    int fd;                         /* of the temporary; -1 when the host's functions are used */
    int directory;                  /* opened early, so that its sync cannot lack a descriptor */
    char temporary[BEIT__PATH_MAX]; /* empty when there is none to remove */
} beit__sink_t;

beit_status_t beit__sink_open(beit__sink_t *sink, const char *path, const beit_io_t *io);
beit_status_t beit__sink_append(beit__sink_t *sink, const void *src, size_t n);

/* Sync, rename over the destination, sync the directory. */
beit_status_t beit__sink_commit(beit__sink_t *sink);

/* Release everything; without a commit before, the temporary is removed and the destination is as
 * it was. */
void beit__sink_close(beit__sink_t *sink);

#endif
