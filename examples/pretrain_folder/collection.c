/* Unreadable files that are found while the first pictures are read are left out before anything is
 * decided by numbers of pictures, so that they do not matter. Only in collections larger than that
 * can one turn up later: then its neighbour stands in (view_source.c). */
#include "collection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/signals.h"
#include "out_folder.h"

enum { FEWEST_TO_HOLD_OUT = 50, HELD_OUT_OF = 10 };

outcome_t collection_find(collection_t *collection, const settings_t *settings)
{
    char reason[FOLDER_REASON];
    /* The run's own folder may lie among the pictures, and it holds pictures too. */
    if (!folder_scan(settings->images, settings->out, &collection->folder, reason))
        return fail(OUTCOME_DATA, "%s", reason);
    if (collection->folder.count == 0)
        return fail(OUTCOME_DATA, "%s: holds no JPEG or PNG file, neither here nor further down",
                    settings->images);
    collection->store = picture_store_create(&collection->folder, (int32_t)settings->cache_side,
                                             (size_t)settings->cache_mb << 20);
    if (!collection->store)
        return fail(OUTCOME_FAILURE, "no memory for a list of %zu pictures",
                    collection->folder.count);
    return OUTCOME_DONE;
}

typedef struct reading {
    progress_t *progress;
    size_t count;
} reading_t;

static bool note_reading(void *user, size_t done)
{
    const reading_t *reading = user;
    progress_note(reading->progress, "reading pictures: %zu of %zu", done, reading->count);
    return !signals_received();
}

/* Every tenth readable picture is held out, if there are enough. */
static void divide(collection_t *collection, size_t readable)
{
    const bool hold_out = readable >= FEWEST_TO_HOLD_OUT;
    size_t seen = 0;
    for (size_t i = 0; i < collection->folder.count; i++) {
        if (picture_store_reason(collection->store, i))
            continue;
        const bool held = hold_out && seen++ % HELD_OUT_OF == HELD_OUT_OF - 1;
        subset_t *subset = held ? &collection->held : &collection->train;
        subset->pictures[subset->count++] = i;
    }
}

outcome_t collection_read(collection_t *collection, unsigned threads, size_t most,
                          progress_t *progress)
{
    const size_t count = collection->folder.count;
    reading_t reading = {progress, count < most ? count : most};
    picture_store_preload(collection->store, reading.count, threads, note_reading, &reading);
    progress_end(progress);
    if (signals_received())
        return OUTCOME_STOPPED;
    collection->train.pictures = malloc(count * sizeof *collection->train.pictures);
    collection->held.pictures = malloc(count * sizeof *collection->held.pictures);
    if (!collection->train.pictures || !collection->held.pictures)
        return fail(OUTCOME_FAILURE, "no memory for a list of %zu pictures", count);
    const size_t readable = count - picture_store_bad(collection->store);
    if (readable == 0)
        return fail(OUTCOME_DATA, "%s: none of %zu pictures can be read; %s: %s",
                    collection->folder.root, count, collection->folder.files[0],
                    picture_store_reason(collection->store, 0));
    divide(collection, readable);
    return OUTCOME_DONE;
}

void collection_close(collection_t *collection)
{
    picture_store_destroy(collection->store);
    folder_free(&collection->folder);
    free(collection->train.pictures);
    free(collection->held.pictures);
    *collection = (collection_t){0};
}

outcome_t collection_list_bad(collection_t *collection, const char *out)
{
    const size_t bad = picture_store_bad(collection->store);
    if (bad == collection->listed_bad)
        return OUTCOME_DONE;
    char *path = out_path(out, "bad_files.txt");
    FILE *file = path ? fopen(path, "w") : NULL;
    bool done = file != NULL;
    for (size_t i = 0; file && i < collection->folder.count; i++) {
        const char *reason = picture_store_reason(collection->store, i);
        if (reason && fprintf(file, "%s: %s\n", collection->folder.files[i], reason) < 0)
            done = false;
    }
    if (file && fclose(file) != 0)
        done = false;
    const outcome_t outcome =
        done ? OUTCOME_DONE : fail(OUTCOME_FAILURE, "%s/bad_files.txt: %s", out, strerror(errno));
    collection->listed_bad = bad;
    free(path);
    return outcome;
}
