/* Pictures stay where they are once stored, so a loan needs no count: only the table of entries is
 * guarded. Two threads may decode the same file at once; the second result is dropped. */
#include "common/picture_store.h"

#include <beit/image.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TICK_NANOSECONDS = 20000000 };

typedef struct entry {
    image_t image; /* rgb NULL: not held */
    char *reason;  /* NULL: not known to be unreadable */
} entry_t;

struct picture_store {
    const folder_t *folder;
    int32_t side;
    size_t max_bytes;
    pthread_mutex_t lock; /* guards all below */
    entry_t *entries;
    size_t bytes, bad;
};

picture_store_t *picture_store_create(const folder_t *folder, int32_t side, size_t max_bytes)
{
    picture_store_t *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->folder = folder;
    store->side = side;
    store->max_bytes = max_bytes;
    pthread_mutex_init(&store->lock, NULL);
    store->entries = calloc(folder->count + 1, sizeof *store->entries);
    if (!store->entries) {
        picture_store_destroy(store);
        return NULL;
    }
    return store;
}

void picture_store_destroy(picture_store_t *store)
{
    if (!store)
        return;
    for (size_t i = 0; store->entries && i < store->folder->count; i++) {
        image_free(&store->entries[i].image);
        free(store->entries[i].reason);
    }
    free(store->entries);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* Shrink so that the shorter side is store->side; smaller pictures stay. */
static bool shrink(const picture_store_t *store, image_t *image, char reason[IMAGE_REASON])
{
    const int32_t shorter = image->width < image->height ? image->width : image->height;
    if (store->side == 0 || shorter <= store->side)
        return true;
    const int64_t width = ((int64_t)image->width * store->side + shorter / 2) / shorter;
    const int64_t height = ((int64_t)image->height * store->side + shorter / 2) / shorter;
    image_t small = {0};
    if (!image_allocate(&small, (uint64_t)width, (uint64_t)height, reason))
        return false;
    const int64_t from[] = {image->height, image->width, 3}, to[] = {height, width, 3};
    const beit_tensor_t src = beit_tensor_make(image->rgb, BEIT_U8, 3, from);
    const beit_tensor_t dst = beit_tensor_make(small.rgb, BEIT_U8, 3, to);
    if (beit_image_resize(NULL, &src, NULL, BEIT_FILTER_BICUBIC, &dst) != BEIT_OK) {
        snprintf(reason, IMAGE_REASON, "%s", beit_last_error());
        image_free(&small);
        return false;
    }
    image_free(image);
    *image = small;
    return true;
}

static bool read_file(const picture_store_t *store, size_t index, image_t *image,
                      char reason[IMAGE_REASON])
{
    char *path = folder_path(store->folder, index);
    snprintf(reason, IMAGE_REASON, "no memory");
    bool done = path && image_read(path, store->side, image, reason);
    free(path);
    if (done && !shrink(store, image, reason)) {
        image_free(image);
        done = false;
    }
    return done;
}

/* Remember a failure; the lock is held. */
static void mark_bad(picture_store_t *store, entry_t *entry, const char *reason)
{
    if (entry->reason)
        return;
    entry->reason = strdup(reason);
    store->bad += entry->reason != NULL;
}

/* Keep a freshly read picture if there is room; the lock is held. */
static void keep(picture_store_t *store, entry_t *entry, picture_t *picture)
{
    const size_t bytes = (size_t)picture->image.width * (size_t)picture->image.height * 3;
    if (entry->image.rgb || store->bytes + bytes > store->max_bytes)
        return;
    entry->image = picture->image;
    store->bytes += bytes;
    picture->own = false;
}

bool picture_store_get(picture_store_t *store, size_t index, picture_t *picture)
{
    entry_t *entry = &store->entries[index];
    pthread_mutex_lock(&store->lock);
    const bool known = entry->image.rgb || entry->reason;
    const bool readable = entry->image.rgb != NULL;
    *picture = (picture_t){.image = entry->image};
    pthread_mutex_unlock(&store->lock);
    if (known)
        return readable;

    char reason[IMAGE_REASON] = "";
    const bool done = read_file(store, index, &picture->image, reason);
    picture->own = done;
    pthread_mutex_lock(&store->lock);
    if (done)
        keep(store, entry, picture);
    else
        mark_bad(store, entry, reason);
    pthread_mutex_unlock(&store->lock);
    return done;
}

void picture_return(picture_t *picture)
{
    if (picture->own)
        image_free(&picture->image);
    *picture = (picture_t){0};
}

const char *picture_store_reason(picture_store_t *store, size_t index)
{
    pthread_mutex_lock(&store->lock);
    const char *reason = store->entries[index].reason; /* never changes once set */
    pthread_mutex_unlock(&store->lock);
    return reason;
}

size_t picture_store_bad(picture_store_t *store)
{
    pthread_mutex_lock(&store->lock);
    const size_t bad = store->bad;
    pthread_mutex_unlock(&store->lock);
    return bad;
}

size_t picture_store_bytes(picture_store_t *store)
{
    pthread_mutex_lock(&store->lock);
    const size_t bytes = store->bytes;
    pthread_mutex_unlock(&store->lock);
    return bytes;
}

/* ---- reading everything beforehand ---- */

typedef struct preload {
    picture_store_t *store;
    size_t count, next, done; /* guarded by the store's lock */
    bool stop;
} preload_t;

static void *preload_some(void *argument)
{
    preload_t *preload = argument;
    picture_store_t *store = preload->store;
    for (;;) {
        pthread_mutex_lock(&store->lock);
        const size_t index = preload->stop ? preload->count : preload->next++;
        pthread_mutex_unlock(&store->lock);
        if (index >= preload->count)
            return NULL;
        picture_t picture;
        if (picture_store_get(store, index, &picture))
            picture_return(&picture);
        pthread_mutex_lock(&store->lock);
        preload->done++;
        pthread_mutex_unlock(&store->lock);
    }
}

/* Report until all is done or the caller has enough. */
static void watch(preload_t *preload, bool (*keep_on)(void *user, size_t done), void *user)
{
    picture_store_t *store = preload->store;
    for (size_t done = 0; done < preload->count;) {
        (void)nanosleep(&(struct timespec){.tv_nsec = TICK_NANOSECONDS}, NULL);
        pthread_mutex_lock(&store->lock);
        done = preload->done;
        pthread_mutex_unlock(&store->lock);
        if (!keep_on(user, done)) {
            pthread_mutex_lock(&store->lock);
            preload->stop = true;
            pthread_mutex_unlock(&store->lock);
            return;
        }
    }
}

void picture_store_preload(picture_store_t *store, size_t count, unsigned threads,
                           bool (*keep_on)(void *user, size_t done), void *user)
{
    preload_t preload = {.store = store, .count = count};
    pthread_t *ids = calloc(threads, sizeof *ids);
    unsigned started = 0;
    while (ids && started < threads &&
           pthread_create(&ids[started], NULL, preload_some, &preload) == 0)
        started++;
    if (started > 0)
        watch(&preload, keep_on, user);
    for (unsigned i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}
