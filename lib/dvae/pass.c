/* Planning and running a pass. The block of maps holds the four slots, then what is kept. */
#include "dvae/pass.h"

#include <assert.h>
#include <string.h>

#include "core/alloc.h"
#include "core/status.h"

float *beit__pass_slot(beit__pass_t *pass, beit__slot_t slot, int64_t rows, int64_t cols)
{
    size_t floats = 0;
    if (beit__mul_overflow((size_t)rows, (size_t)cols, &floats))
        pass->maps.overflow = true;
    if (floats > pass->slot_floats[slot]) {
        assert(pass->run->planning);
        pass->slot_floats[slot] = floats;
    }
    return pass->slots[slot];
}

float *beit__pass_keep(beit__pass_t *pass, int64_t rows, int64_t cols)
{
    size_t floats = 0;
    if (beit__mul_overflow((size_t)rows, (size_t)cols, &floats))
        pass->maps.overflow = true;
    return beit__arena_take(&pass->maps, floats, sizeof(float));
}

int32_t *beit__pass_indices(beit__pass_t *pass, int64_t count)
{
    return beit__arena_take(&pass->host, (size_t)count, sizeof(int32_t));
}

beit_status_t beit__pass_upload(beit__pass_t *pass, float *dst, const float *src, int64_t floats)
{
    if (pass->run->planning)
        return BEIT_OK;
    return beit__upload(pass->run->ctx, dst, src, (size_t)floats * sizeof(float));
}

beit_status_t beit__pass_download(beit__pass_t *pass, float *dst, const float *src, int64_t floats)
{
    if (pass->run->planning)
        return BEIT_OK;
    return beit__download(pass->run->ctx, dst, src, (size_t)floats * sizeof(float));
}

/* Hand out the slots; `arena` is the whole block, or measures. */
static void take_slots(beit__arena_t *arena, const size_t floats[BEIT__SLOTS],
                       float *slots[BEIT__SLOTS])
{
    for (int i = 0; i < BEIT__SLOTS; i++)
        slots[i] = beit__arena_take(arena, floats[i], sizeof(float));
}

/* Larger blocks are allocated before smaller ones are freed, so that a failure leaves the handle
 * as it was: what fitted still fits. */
static beit_status_t grow_maps(beit__pass_memory_t *memory, size_t bytes)
{
    if (bytes <= memory->maps_bytes)
        return BEIT_OK;
    void *block = NULL;
    BEIT__TRY(beit__backend_alloc(memory->run.ctx, bytes, &block));
    beit__backend_free(memory->run.ctx, memory->maps, memory->maps_bytes);
    memory->maps = block;
    memory->maps_bytes = bytes;
    return BEIT_OK;
}

static beit_status_t grow_host(beit__pass_memory_t *memory, size_t bytes)
{
    if (bytes <= memory->host_bytes)
        return BEIT_OK;
    void *block = beit__alloc(memory->run.ctx, bytes);
    if (!block)
        return BEIT_E_NOMEM;
    beit__free(memory->run.ctx, memory->host, memory->host_bytes);
    memory->host = block;
    memory->host_bytes = bytes;
    return BEIT_OK;
}

/* Measure the pass, grow, and lay it out in `pass`, ready to run. */
static beit_status_t prepare(beit__pass_memory_t *memory, beit__pass_fn fn, void *job,
                             beit__pass_t *pass)
{
    beit__run_t planner = {.ctx = memory->run.ctx, .planning = true};
    beit__pass_t plan = {.run = &planner};
    BEIT__TRY(fn(&plan, job));

    beit__arena_t block = plan.maps; /* goes on counting behind what is kept */
    take_slots(&block, plan.slot_floats, plan.slots);
    if (block.overflow || plan.host.overflow)
        return beit__fail(BEIT_E_NOMEM, "dvae: the working memory does not fit this machine's "
                                        "address space");
    BEIT__TRY(grow_maps(memory, block.used));
    BEIT__TRY(grow_host(memory, plan.host.used));
    BEIT__TRY(beit__run_commit(&memory->run, planner.workspace_bytes));

    *pass = (beit__pass_t){.run = &memory->run,
                           .maps = {.base = memory->maps, .size = memory->maps_bytes},
                           .host = {.base = memory->host, .size = memory->host_bytes}};
    memcpy(pass->slot_floats, plan.slot_floats, sizeof pass->slot_floats);
    take_slots(&pass->maps, pass->slot_floats, pass->slots);
    return BEIT_OK;
}

beit_status_t beit__pass_reserve(beit__pass_memory_t *memory, beit__pass_fn fn, void *job)
{
    beit__pass_t pass;
    return prepare(memory, fn, job, &pass);
}

beit_status_t beit__pass_perform(beit__pass_memory_t *memory, beit__pass_fn fn, void *job)
{
    beit__pass_t pass;
    BEIT__TRY(prepare(memory, fn, job, &pass));
    return fn(&pass, job);
}

void beit__pass_release(beit__pass_memory_t *memory)
{
    beit__run_release(&memory->run);
    beit__backend_free(memory->run.ctx, memory->maps, memory->maps_bytes);
    beit__free(memory->run.ctx, memory->host, memory->host_bytes);
    memory->maps = memory->host = NULL;
    memory->maps_bytes = memory->host_bytes = 0;
}
