/* A ring of slots: batch k lives in slot k modulo the ring's size. A thread claims the lowest batch
 * that nobody makes yet, as soon as its slot has been given back. */
#include "common/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum { ALIGNMENT = 64 };

typedef struct slot {
    void *data;
    bool ready, failed;
    char reason[LOADER_REASON];
} slot_t;

struct loader {
    loader_config_t config;
    slot_t *slots;
    pthread_t *threads;
    unsigned started;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t made, given_back;
    uint64_t claimed;  /* the next batch to make */
    uint64_t consumed; /* the next batch to hand out */
    bool holding;      /* the consumer still uses batch consumed - 1 */
    bool stopping;
    double waited;
};

static slot_t *slot_of(loader_t *loader, uint64_t batch)
{
    return &loader->slots[batch % loader->config.ahead];
}

/* May the next batch be made now? Its slot is free once the batch before in it was given back. */
static bool claimable(const loader_t *loader)
{
    const uint64_t oldest = loader->consumed - (loader->holding ? 1 : 0);
    return loader->claimed < loader->config.end && loader->claimed < oldest + loader->config.ahead;
}

static void *work(void *argument)
{
    loader_t *loader = argument;
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->stopping && !claimable(loader) && loader->claimed < loader->config.end)
            pthread_cond_wait(&loader->given_back, &loader->lock);
        if (loader->stopping || loader->claimed >= loader->config.end)
            break;
        const uint64_t batch = loader->claimed++;
        slot_t *slot = slot_of(loader, batch);
        pthread_mutex_unlock(&loader->lock);
        const bool done = loader->config.make(loader->config.user, batch, slot->data, slot->reason);
        pthread_mutex_lock(&loader->lock);
        slot->failed = !done;
        slot->ready = true;
        pthread_cond_broadcast(&loader->made);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static bool allocate(loader_t *loader)
{
    const loader_config_t *config = &loader->config;
    const size_t bytes = (config->slot_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    loader->slots = calloc(config->ahead, sizeof *loader->slots);
    loader->threads = calloc(config->threads, sizeof *loader->threads);
    if (!loader->slots || !loader->threads)
        return false;
    for (size_t i = 0; i < config->ahead; i++)
        if (!(loader->slots[i].data = aligned_alloc(ALIGNMENT, bytes)))
            return false;
    return true;
}

loader_t *loader_start(const loader_config_t *config)
{
    loader_t *loader = calloc(1, sizeof *loader);
    if (!loader)
        return NULL;
    loader->config = *config;
    loader->claimed = loader->consumed = config->first;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->made, NULL);
    pthread_cond_init(&loader->given_back, NULL);
    if (!allocate(loader)) {
        loader_stop(loader);
        return NULL;
    }
    for (; loader->started < config->threads; loader->started++)
        if (pthread_create(&loader->threads[loader->started], NULL, work, loader) != 0)
            break;
    if (loader->started == 0) { /* fewer threads than asked for will do */
        loader_stop(loader);
        return NULL;
    }
    return loader;
}

void *loader_next(loader_t *loader, char reason[LOADER_REASON])
{
    pthread_mutex_lock(&loader->lock);
    loader->holding = false;
    pthread_cond_broadcast(&loader->given_back);
    slot_t *slot = slot_of(loader, loader->consumed);
    const double start = clock_seconds();
    while (!slot->ready)
        pthread_cond_wait(&loader->made, &loader->lock);
    loader->waited += clock_seconds() - start;
    slot->ready = false;
    loader->consumed++;
    loader->holding = true;
    if (slot->failed)
        memcpy(reason, slot->reason, LOADER_REASON);
    void *data = slot->failed ? NULL : slot->data;
    pthread_mutex_unlock(&loader->lock);
    return data;
}

double loader_waited(const loader_t *loader)
{
    return loader->waited; /* written by the consumer's thread only */
}

void loader_stop(loader_t *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->given_back);
    pthread_mutex_unlock(&loader->lock);
    for (unsigned i = 0; i < loader->started; i++)
        pthread_join(loader->threads[i], NULL);
    for (size_t i = 0; loader->slots && i < loader->config.ahead; i++)
        free(loader->slots[i].data);
    free(loader->slots);
    free(loader->threads);
    pthread_cond_destroy(&loader->given_back);
    pthread_cond_destroy(&loader->made);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}
