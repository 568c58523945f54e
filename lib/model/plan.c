/* Planning of memory: one layout, run once without addresses to measure and once with them, and a
 * planning run of the very passes that will be made, in which each operation names the workspace
 * it wants. Stages of a pass that do not overlap in time share addresses. */
#include "model/plan.h"

#include "core/alloc.h"
#include "core/arena.h"
#include "core/context.h"
#include "core/log.h"
#include "core/status.h"
#include "model/handle.h"

/* No product of the extents that config.c admits exceeds 63 bits. */
static float *floats(beit__arena_t *arena, int64_t rows, int64_t cols)
{
    return beit__arena_take(arena, (size_t)(rows * cols), sizeof(float));
}

static beit__norm_stats_t statistics(beit__arena_t *arena, int64_t rows)
{
    beit__norm_stats_t stats;
    stats.mean = floats(arena, rows, 1);
    stats.rstd = floats(arena, rows, 1);
    return stats;
}

/* ---- layout ---- */

/* The most rows that the tail of `batch` images has: the last block's from proj on. */
static int64_t tail_rows(const beit__vit_t *vit, int64_t batch)
{
    return vit->classifies && !vit->averages ? batch : batch * vit->patches;
}

static int64_t head_rows(const beit__vit_t *vit, int64_t batch)
{
    return beit__head_rows(vit, batch, tail_rows(vit, batch));
}

static void lay_out_host(const beit__vit_t *vit, beit__arena_t *arena,
                         beit__storage_plan_t *storage, bool draws)
{
    const int64_t B = storage->batch, N = vit->patches, depth = vit->depth;
    beit__choices_t *choices = &storage->choices;
    storage->maps.blocks = beit__arena_take(arena, (size_t)depth, sizeof *storage->maps.blocks);
    choices->keep = beit__arena_take(arena, (size_t)depth, sizeof *choices->keep);
    choices->sample_ids = beit__arena_take(arena, (size_t)B, sizeof *choices->sample_ids);
    choices->mask = beit__arena_take(arena, (size_t)(B * N), sizeof *choices->mask);
    choices->row_index = beit__arena_take(arena, (size_t)(B * N), sizeof *choices->row_index);
    choices->factors = floats(arena, draws ? 2 * B : 0, depth + N);
}

/* While host memory is only measured there is no array to write to. */
static beit__block_maps_t *block_maps(const beit__maps_t *maps, int64_t i,
                                      beit__block_maps_t *nowhere)
{
    return maps->blocks ? &maps->blocks[i] : nowhere;
}

static void lay_out_kept(const beit__vit_t *vit, beit__arena_t *arena,
                         beit__storage_plan_t *storage)
{
    const int64_t B = storage->batch, T = vit->tokens, D = vit->dim, tail = tail_rows(vit, B);
    beit__maps_t *maps = &storage->maps;
    for (int64_t i = 0; i < vit->depth; i++) {
        const beit__block_t *block = &vit->blocks[i];
        const int64_t rows = i == vit->depth - 1 ? tail : B * T; /* from proj on */
        beit__block_maps_t nowhere, *kept = block_maps(maps, i, &nowhere);
        kept->x = floats(arena, B * T, D);
        kept->stats1 = statistics(arena, B * T);
        kept->attention.qkv = floats(arena, B * T, block->attention.qkv.out);
        kept->attention.o = floats(arena, B * T, block->proj.linear.in);
        kept->attention.lse = floats(arena, B * T, block->attention.heads);
        kept->x2 = floats(arena, rows, D);
        kept->stats2 = statistics(arena, rows);
        kept->z = floats(arena, rows, block->mlp.fc1.out);
    }
    maps->patches = floats(arena, B * vit->patches, vit->patch_embed.proj.in);
    maps->tail = floats(arena, tail, D);
    maps->pooled = floats(arena, vit->averages ? B : 0, D);
    maps->norm_stats = statistics(arena, head_rows(vit, B));
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The middle stage: what the blocks use one after the other. */
static float *lay_out_blocks(const beit__vit_t *vit, beit__arena_t *arena, int64_t rows,
                             int64_t backward_rows, bool dropout, beit__scratch_t *scratch)
{
    const beit__block_t *block = &vit->blocks[0]; /* all have the same extents */
    const int64_t D = vit->dim, A = block->proj.linear.in, F = block->mlp.fc1.out;
    scratch->norm = floats(arena, rows, D);
    scratch->branch = floats(arena, rows, D);
    scratch->product = floats(arena, backward_rows ? D : 0, larger(A, F));
    scratch->column = floats(arena, D, 1);
    scratch->spread = floats(arena, dropout ? backward_rows : 0, D);
    const size_t mark = beit__arena_mark(arena);
    scratch->hidden = floats(arena, rows, F);
    beit__arena_rewind(arena, mark);
    scratch->heads = floats(arena, rows, A);
    scratch->dqkv = floats(arena, rows, 3 * A);
    return floats(arena, rows, A); /* attention output of shared storage */
}

/* Shared storage: every block reads and writes the same maps, the last one ends in the tail. */
static void share_maps(const beit__vit_t *vit, const beit__transients_t *transients,
                       float *attention, beit__norm_stats_t stats, beit__maps_t *maps)
{
    for (int64_t i = 0; i < vit->depth; i++) {
        beit__block_maps_t nowhere;
        *block_maps(maps, i, &nowhere) = (beit__block_maps_t){
            .x = transients->stream,
            .stats1 = stats,
            .attention = {.qkv = transients->blocks.dqkv, .o = attention},
            .x2 = i == vit->depth - 1 ? transients->tail : transients->stream,
            .stats2 = stats,
        };
    }
    maps->tail = transients->tail;
    maps->norm_stats = stats;
}

static void lay_out_scratch(const beit_model_t *model, beit__arena_t *arena, beit__plan_t *plan)
{
    const beit__vit_t *vit = &model->vit;
    const int64_t N = vit->patches, T = vit->tokens, D = vit->dim;
    const int64_t trained = plan->storage[BEIT__KEPT].batch; /* images of a backward pass */
    const int64_t B = larger(trained, plan->storage[BEIT__SHARED].batch);
    const bool biased = vit->positions.own || vit->positions.shared != BEIT__NO_PARAM;
    const int64_t bias_rows = biased ? vit->positions.heads * T : 0;
    beit__transients_t *t = &plan->transients;

    t->blocks.qkv_bias = floats(arena, vit->blocks[0].attention.qkv.out, 1);
    t->blocks.bias = floats(arena, bias_rows, T);
    t->blocks.dbias = floats(arena, trained ? bias_rows : 0, T);
    if (!biased)
        t->blocks.bias = t->blocks.dbias = NULL;
    t->stream = floats(arena, B * T, D);
    t->tail = floats(arena, B * T, D);
    const beit__norm_stats_t stats = statistics(arena, B * T);
    const size_t mark = beit__arena_mark(arena);

    const int64_t patch = vit->patch_embed.proj.in;
    t->pixels = floats(arena, B * N, patch);
    t->projected = floats(arena, B * N, D);
    plan->storage[BEIT__SHARED].maps.patches = floats(arena, B * N, patch);
    beit__arena_rewind(arena, mark);

    float *attention =
        lay_out_blocks(vit, arena, B * T, trained * T, model->cfg.drop_rate > 0, &t->blocks);
    beit__arena_rewind(arena, mark);

    t->normed = floats(arena, B * T, D);
    t->dnormed = floats(arena, head_rows(vit, trained), D);
    t->factors = floats(arena, vit->averages ? N : 0, 1);
    t->dpooled = floats(arena, vit->averages ? trained : 0, D);
    t->logits = floats(arena, head_rows(vit, B), vit->head.out);
    plan->storage[BEIT__SHARED].maps.pooled = floats(arena, vit->averages ? B : 0, D);
    share_maps(vit, t, attention, stats, &plan->storage[BEIT__SHARED].maps);
}

static beit__arena_t arena_of(const beit__memory_t *memory)
{
    return (beit__arena_t){.base = memory->data, .size = memory->bytes};
}

/* Hand out the addresses of plan->memory, or, where that is empty, only measure. */
static bool lay_out(const beit_model_t *model, beit__plan_t *plan, size_t bytes[BEIT__REGIONS])
{
    beit__arena_t arenas[BEIT__REGIONS];
    for (int i = 0; i < BEIT__REGIONS; i++)
        arenas[i] = arena_of(&plan->memory[i]);
    beit__storage_plan_t *kept = &plan->storage[BEIT__KEPT];
    if (kept->batch) {
        lay_out_host(&model->vit, &arenas[BEIT__KEPT_HOST], kept, true);
        lay_out_kept(&model->vit, &arenas[BEIT__KEPT_MAPS], kept);
    }
    if (plan->storage[BEIT__SHARED].batch)
        lay_out_host(&model->vit, &arenas[BEIT__SHARED_HOST], &plan->storage[BEIT__SHARED], false);
    lay_out_scratch(model, &arenas[BEIT__SCRATCH], plan);
    bool fits = true;
    for (int i = 0; i < BEIT__REGIONS; i++) {
        fits &= !arenas[i].overflow;
        bytes[i] = arenas[i].peak;
    }
    return fits;
}

/* ---- workspace ---- */

/* Every operation of a pass in this storage, with the most rows it can have. */
static beit_status_t rehearse(const beit_model_t *model, beit__plan_t *plan,
                              beit__storage_t storage, bool all_tokens, beit__run_t *run)
{
    const beit__vit_t *vit = &model->vit;
    const beit__storage_plan_t *stored = &plan->storage[storage];
    const bool backward = storage == BEIT__KEPT;
    beit__choices_t choices = stored->choices;
    choices.batch = stored->batch;
    choices.training = backward;
    choices.masked = !vit->classifies;
    const int64_t tail = tail_rows(vit, stored->batch);
    choices.rows.count = all_tokens ? stored->batch * vit->tokens : tail;
    choices.rows.index = all_tokens ? NULL : choices.row_index;
    for (int64_t i = 0; i < vit->depth; i++)
        for (int branch = 0; branch < 2; branch++)
            choices.keep[i][branch] = (beit__keep_t){.scale = choices.factors, .rows_per_scale = 1};
    double loss = 0;
    int64_t correct = 0;
    const beit__head_loss_t objective = {.rows = head_rows(vit, stored->batch),
                                         .labels = choices.row_index,
                                         .grad_scale = 1.0f,
                                         .backward = backward};
    beit__pass_t pass = beit__model_pass(model, run, &choices, false);
    BEIT__TRY(
        beit__vit_forward(vit, &pass, &choices, &stored->maps, &plan->transients, vit->depth));
    BEIT__TRY(beit__head_forward(vit, &pass, tail, &stored->maps, &plan->transients));
    BEIT__TRY(beit__head_loss(vit, &pass, &objective, &plan->transients, &loss, &correct));
    if (!backward)
        return BEIT_OK;
    pass = beit__model_pass(model, run, &choices, true);
    BEIT__TRY(beit__head_backward(vit, &pass, tail, &stored->maps, &plan->transients));
    return beit__vit_backward(vit, &pass, &choices, &stored->maps, &plan->transients);
}

/* The workspace never shrinks, so that the other storage's passes still have theirs. */
static beit_status_t plan_workspace(const beit_model_t *model, beit__plan_t *plan,
                                    beit__storage_t storage, size_t *bytes)
{
    beit__run_t run = {.ctx = model->ctx, .planning = true};
    BEIT__TRY(rehearse(model, plan, storage, false, &run));
    if (storage == BEIT__SHARED)
        BEIT__TRY(rehearse(model, plan, storage, true, &run));
    *bytes = run.workspace_bytes;
    return BEIT_OK;
}

/* ---- memory ---- */

static bool on_host(int region)
{
    return region == BEIT__KEPT_HOST || region == BEIT__SHARED_HOST;
}

static beit_status_t allocate(beit_context_t *ctx, int region, size_t bytes, beit__memory_t *memory)
{
    beit__memory_t fresh = {.bytes = bytes};
    if (bytes <= memory->bytes)
        return BEIT_OK;
    if (!on_host(region))
        BEIT__TRY(beit__backend_alloc(ctx, bytes, &fresh.data));
    else if (!(fresh.data = beit__calloc(ctx, bytes, 1)))
        return BEIT_E_NOMEM;
    *memory = fresh;
    return BEIT_OK;
}

/* Free what `plan` holds and `other` does not. */
static void release(beit_context_t *ctx, const beit__plan_t *plan, const beit__plan_t *other)
{
    for (int i = 0; i < BEIT__REGIONS; i++) {
        const beit__memory_t *memory = &plan->memory[i];
        if (memory->data == other->memory[i].data)
            continue;
        if (on_host(i))
            beit__free(ctx, memory->data, memory->bytes);
        else
            beit__backend_free(ctx, memory->data, memory->bytes);
    }
}

static beit_status_t measure(const beit_model_t *model, const beit__plan_t *plan,
                             size_t bytes[BEIT__REGIONS])
{
    beit__plan_t unplaced = *plan;
    for (int i = 0; i < BEIT__REGIONS; i++)
        unplaced.memory[i] = (beit__memory_t){0};
    if (!lay_out(model, &unplaced, bytes))
        return beit__fail(BEIT_E_NOMEM, "out of memory: this batch exceeds the address space");
    return BEIT_OK;
}

static beit_status_t carry_out(beit_model_t *model, beit__plan_t *next, beit__storage_t storage)
{
    size_t bytes[BEIT__REGIONS], workspace;
    BEIT__TRY(measure(model, next, bytes));
    for (int i = 0; i < BEIT__REGIONS; i++)
        BEIT__TRY(allocate(model->ctx, i, bytes[i], &next->memory[i]));
    if (storage == BEIT__KEPT && !model->gradients.data)
        BEIT__TRY(beit__params_alloc(&model->gradients, &model->vit.list));
    lay_out(model, next, bytes);
    BEIT__TRY(plan_workspace(model, next, storage, &workspace));
    return beit__run_commit(&model->run, workspace);
}

static beit_status_t check_batch(const beit_model_t *model, int64_t batch)
{
    const int64_t most = INT32_MAX / model->vit.tokens; /* rows are numbered in 32 bits */
    if (batch < 1 || batch > most)
        return beit__fail(BEIT_E_ARGUMENT, "batch is %lld, expected 1 to %lld", (long long)batch,
                          (long long)most);
    return BEIT_OK;
}

beit_status_t beit__model_plan(beit_model_t *model, int64_t batch, beit__storage_t storage)
{
    beit__plan_t *plan = &model->plan, next = *plan;
    BEIT__TRY(check_batch(model, batch));
    if (batch <= plan->storage[storage].batch)
        return BEIT_OK;
    const bool had_gradients = model->gradients.data != NULL;
    next.storage[storage].batch = batch;
    const beit_status_t status = carry_out(model, &next, storage);
    if (status == BEIT_OK) {
        if (storage == BEIT__KEPT)
            model->pending = 0;
        release(model->ctx, plan, &next);
        *plan = next;
        beit__log(model->ctx, BEIT_LOG_DEBUG, "model: %.1f MB for %lld images%s",
                  (double)beit__model_plan_bytes(model) / 1e6, (long long)batch,
                  storage == BEIT__KEPT ? " in training" : "");
        return BEIT_OK;
    }
    release(model->ctx, &next, plan);
    if (!had_gradients)
        beit__params_free(&model->gradients);
    size_t bytes[BEIT__REGIONS];
    lay_out(model, plan, bytes); /* both plans may have written to the same host memory */
    return status;
}

void beit__model_plan_release(beit_model_t *model)
{
    const beit__plan_t nothing = {0};
    release(model->ctx, &model->plan, &nothing);
    beit__params_free(&model->gradients);
    beit__run_release(&model->run);
    model->plan = nothing;
}

uint64_t beit__model_plan_bytes(const beit_model_t *model)
{
    uint64_t bytes = model->run.workspace ? model->run.workspace_bytes : 0;
    for (int i = 0; i < BEIT__REGIONS; i++)
        bytes += model->plan.memory[i].bytes;
    return bytes;
}
