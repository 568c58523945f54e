/* A recursive walk; a chain of symbolic links cannot trap it, because it stops at a depth that no
 * sensible collection has. */
#include "common/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/image_file.h"

enum { DEEPEST = 32 };

typedef struct entry {
    char *name; /* relative */
    uint64_t size;
} entry_t;

typedef struct walk {
    const char *root;
    entry_t *entries;
    size_t count, room;
    bool excepts;
    dev_t except_device; /* the folder that is left out */
    ino_t except_number;
    char *reason;
} walk_t;

/* "a/b", or "b" when a is empty. */
static char *join(const char *a, const char *b)
{
    const size_t size = strlen(a) + strlen(b) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s%s%s", a, *a ? "/" : "", b);
    return path;
}

static bool no_memory(walk_t *walk)
{
    snprintf(walk->reason, FOLDER_REASON, "%s: no memory for the list of files", walk->root);
    return false;
}

static bool add(walk_t *walk, const char *name, uint64_t size)
{
    if (walk->count == walk->room) {
        const size_t room = walk->room ? walk->room * 2 : 256;
        entry_t *entries = realloc(walk->entries, room * sizeof *entries);
        if (!entries)
            return no_memory(walk);
        walk->entries = entries;
        walk->room = room;
    }
    char *copy = strdup(name);
    if (!copy)
        return no_memory(walk);
    walk->entries[walk->count++] = (entry_t){copy, size};
    return true;
}

static bool walk_into(walk_t *walk, const char *relative, int depth);

/* One name in a folder: descend, take it, or pass it over. */
static bool visit(walk_t *walk, const char *relative, const char *full, int depth)
{
    struct stat status;
    if (stat(full, &status) != 0)
        return true; /* a dangling link, or gone meanwhile */
    if (walk->excepts && status.st_dev == walk->except_device &&
        status.st_ino == walk->except_number)
        return true;
    if (S_ISDIR(status.st_mode))
        return depth >= DEEPEST || walk_into(walk, relative, depth + 1);
    if (S_ISREG(status.st_mode) && image_name_fits(relative))
        return add(walk, relative, (uint64_t)status.st_size);
    return true;
}

static bool walk_into(walk_t *walk, const char *relative, int depth)
{
    char *folder = *relative ? join(walk->root, relative) : strdup(walk->root);
    if (!folder)
        return no_memory(walk);
    DIR *dir = opendir(folder);
    bool done = dir != NULL;
    if (!dir)
        snprintf(walk->reason, FOLDER_REASON, "%s: %s", folder, strerror(errno));
    const struct dirent *item;
    while (done && (item = readdir(dir))) {
        if (item->d_name[0] == '.')
            continue;
        char *name = join(relative, item->d_name), *full = join(folder, item->d_name);
        done = name && full ? visit(walk, name, full, depth) : no_memory(walk);
        free(name);
        free(full);
    }
    if (dir)
        (void)closedir(dir);
    free(folder);
    return done;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry_t *)a)->name, ((const entry_t *)b)->name);
}

/* FNV-1a. */
static uint64_t hash(uint64_t state, const void *data, size_t size)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++)
        state = (state ^ byte[i]) * 0x100000001b3u;
    return state;
}

static bool collect(walk_t *walk, folder_t *folder)
{
    folder->root = strdup(walk->root);
    folder->files = malloc((walk->count + 1) * sizeof *folder->files);
    if (!folder->root || !folder->files)
        return no_memory(walk);
    if (walk->count > 0)
        qsort(walk->entries, walk->count, sizeof *walk->entries, by_name);
    folder->fingerprint = 0xcbf29ce484222325u;
    for (size_t i = 0; i < walk->count; i++) {
        entry_t *entry = &walk->entries[i];
        folder->fingerprint = hash(folder->fingerprint, entry->name, strlen(entry->name) + 1);
        folder->fingerprint = hash(folder->fingerprint, &entry->size, sizeof entry->size);
        folder->files[folder->count++] = entry->name;
        entry->name = NULL;
    }
    return true;
}

bool folder_scan(const char *root, const char *except, folder_t *folder, char reason[FOLDER_REASON])
{
    walk_t walk = {.root = root, .reason = reason};
    struct stat status;
    if (except && stat(except, &status) == 0) {
        walk.excepts = true;
        walk.except_device = status.st_dev;
        walk.except_number = status.st_ino;
    }
    *folder = (folder_t){0};
    const bool done = walk_into(&walk, "", 0) && collect(&walk, folder);
    for (size_t i = 0; i < walk.count; i++)
        free(walk.entries[i].name);
    free(walk.entries);
    if (!done)
        folder_free(folder);
    return done;
}

void folder_free(folder_t *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->files[i]);
    free(folder->files);
    free(folder->root);
    *folder = (folder_t){0};
}

char *folder_path(const folder_t *folder, size_t index)
{
    return join(folder->root, folder->files[index]);
}
