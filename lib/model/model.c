/* The handle: creation, life, parameters, memory. */
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "model/handle.h"

/* Also takes apart what creation left unfinished. */
static void destroy(beit_model_t *model)
{
    beit_context_t *ctx = model->ctx;
    beit__model_plan_release(model);
    beit__params_free(&model->weights);
    beit__vit_destroy(&model->vit);
    beit__free(ctx, model, sizeof *model);
    beit_context_unref(ctx);
}

static beit_status_t build(beit_model_t *model, const beit_model_config_t *cfg)
{
    model->cfg = *cfg;
    beit__model_config_resolve(&model->cfg);
    model->run.ctx = model->ctx;
    BEIT__TRY(beit__vit_create(&model->vit, model->ctx, &model->cfg));
    BEIT__TRY(beit__params_alloc(&model->weights, &model->vit.list));
    return beit__params_init(&model->weights, model->cfg.init_seed);
}

beit_status_t beit_model_create(beit_model_t **out, beit_context_t *ctx,
                                const beit_model_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    beit_model_config_t ours;
    BEIT__TRY(beit__model_config_read(&ours, cfg));
    BEIT__TRY(beit__model_config_check(&ours));
    beit_context_t *held;
    BEIT__TRY(beit__context_acquire(&held, ctx));
    beit_model_t *model = beit__calloc(held, 1, sizeof *model);
    if (!model) {
        beit_context_unref(held);
        return BEIT_E_NOMEM;
    }
    atomic_init(&model->references, 1);
    model->ctx = held;
    const beit_status_t status = build(model, &ours);
    if (status != BEIT_OK) {
        destroy(model);
        return status;
    }
    *out = model;
    return BEIT_OK;
}

void beit_model_destroy(beit_model_t *model)
{
    if (model && atomic_fetch_sub(&model->references, 1) == 1)
        destroy(model);
}

beit_model_t *beit__model_ref(beit_model_t *model)
{
    atomic_fetch_add(&model->references, 1);
    return model;
}

/* ---- parameters and memory ---- */

beit_params_t *beit_model_params(beit_model_t *model)
{
    return model ? &model->weights : NULL;
}

beit_params_t *beit_model_gradients(beit_model_t *model)
{
    return model && model->gradients.data ? &model->gradients : NULL;
}

beit_status_t beit_model_zero_gradients(beit_model_t *model)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    if (!model->gradients.data)
        return beit__fail(BEIT_E_STATE, "there are no gradients before training was planned");
    return beit__fill(&model->run, &(beit_fill_args_t){.count = (int64_t)model->vit.list.floats,
                                                       .x = model->gradients.data});
}

beit_status_t beit_model_reserve(beit_model_t *model, int64_t batch, int training)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    BEIT__TRY(beit__model_plan(model, batch, BEIT__SHARED));
    return training ? beit__model_plan(model, batch, BEIT__KEPT) : BEIT_OK;
}

void beit__model_memory(const beit_model_t *model, uint64_t *weights, uint64_t *gradients,
                        uint64_t *activations)
{
    const uint64_t set = model->vit.list.floats * sizeof(float);
    *weights = set;
    *gradients = model->gradients.data ? set : 0;
    *activations = beit__model_plan_bytes(model);
}

/* ---- for the trainer ---- */

beit_context_t *beit__model_context(beit_model_t *model)
{
    return model->ctx;
}

const beit_model_config_t *beit__model_config(const beit_model_t *model)
{
    return &model->cfg;
}

beit__run_t *beit__model_run(beit_model_t *model)
{
    return &model->run;
}
