/* The tokenizer's handle: creation, references, configuration, parameters, figures. */
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "dvae/config.h"
#include "dvae/handle.h"
#include "dvae/networks.h"

beit__map_size_t beit__dvae_grid(const beit_dvae_t *dvae, beit__map_size_t pixels)
{
    const int64_t stride = beit__dvae_stride(&dvae->cfg);
    return (beit__map_size_t){pixels.batch, pixels.height / stride, pixels.width / stride};
}

/* ---- life ---- */

static beit_status_t add_discrete(beit_dvae_t *dvae, bool encoder, bool decoder)
{
    const beit_dvae_config_t *cfg = &dvae->cfg;
    const int64_t shape[2] = {cfg->vocab_size, cfg->codebook_dim};
    const beit__param_t normal = {.init = BEIT__INIT_NORMAL, .a = 1.0f};
    if (decoder)
        BEIT__TRY(
            beit__param_add(&dvae->list, &dvae->codebook, normal, 2, shape, "codebook.weight"));
    if (encoder)
        BEIT__TRY(beit__discrete_encoder(&dvae->encoder, &dvae->list, cfg));
    return decoder ? beit__discrete_decoder(&dvae->decoder, &dvae->list, cfg) : BEIT_OK;
}

static beit_status_t add_dalle(beit_dvae_t *dvae, bool encoder, bool decoder)
{
    const beit_dvae_config_t *cfg = &dvae->cfg;
    if (encoder)
        BEIT__TRY(beit__dalle_encoder(&dvae->encoder, &dvae->list, cfg));
    return decoder ? beit__dalle_decoder(&dvae->decoder, &dvae->list, cfg, &dvae->entry) : BEIT_OK;
}

static beit_status_t build(beit_dvae_t *dvae)
{
    const bool encoder = dvae->cfg.parts != BEIT_DVAE_DECODER_ONLY;
    const bool decoder = dvae->cfg.parts != BEIT_DVAE_ENCODER_ONLY;
    dvae->list.ctx = dvae->ctx;
    dvae->memory.run.ctx = dvae->ctx;
    if (dvae->cfg.arch == BEIT_DVAE_DALLE)
        BEIT__TRY(add_dalle(dvae, encoder, decoder));
    else
        BEIT__TRY(add_discrete(dvae, encoder, decoder));
    BEIT__TRY(beit__param_seal(&dvae->list));
    BEIT__TRY(beit__params_alloc(&dvae->weights, &dvae->list));
    return beit__params_init(&dvae->weights, dvae->cfg.init_seed);
}

static void free_all(beit_dvae_t *dvae)
{
    beit_context_t *ctx = dvae->ctx;
    beit__pass_release(&dvae->memory);
    beit__network_free(&dvae->decoder);
    beit__network_free(&dvae->encoder);
    beit__params_free(&dvae->gradients);
    beit__params_free(&dvae->weights);
    beit__param_list_free(&dvae->list);
    beit__free(ctx, dvae, sizeof *dvae);
    beit_context_unref(ctx);
}

beit_status_t beit_dvae_create(beit_dvae_t **out, beit_context_t *ctx,
                               const beit_dvae_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "dvae: out is NULL");
    *out = NULL;
    beit_dvae_config_t ours;
    BEIT__TRY(beit__dvae_config_take(&ours, cfg));
    beit_context_t *owned = NULL;
    BEIT__TRY(beit__context_acquire(&owned, ctx));
    beit_dvae_t *dvae = beit__calloc(owned, 1, sizeof *dvae);
    if (!dvae) {
        beit_context_unref(owned);
        return BEIT_E_NOMEM;
    }
    atomic_init(&dvae->references, 1);
    dvae->ctx = owned;
    dvae->cfg = ours;
    const beit_status_t status = build(dvae);
    if (status != BEIT_OK) {
        free_all(dvae);
        return status;
    }
    *out = dvae;
    return BEIT_OK;
}

beit_dvae_t *beit__dvae_ref(beit_dvae_t *dvae)
{
    atomic_fetch_add(&dvae->references, 1);
    return dvae;
}

void beit_dvae_destroy(beit_dvae_t *dvae)
{
    if (dvae && atomic_fetch_sub(&dvae->references, 1) == 1)
        free_all(dvae);
}

/* ---- questions ---- */

beit_status_t beit_dvae_config(const beit_dvae_t *dvae, beit_dvae_config_t *cfg)
{
    if (!dvae)
        return beit__fail(BEIT_E_ARGUMENT, "dvae: the dvae is NULL");
    return beit__dvae_config_give(cfg, &dvae->cfg);
}

beit_params_t *beit_dvae_params(beit_dvae_t *dvae)
{
    return dvae ? &dvae->weights : NULL;
}

beit_params_t *beit__dvae_gradients(beit_dvae_t *dvae)
{
    return dvae->gradients.data ? &dvae->gradients : NULL;
}

beit_context_t *beit__dvae_context(beit_dvae_t *dvae)
{
    return dvae->ctx;
}

const beit_dvae_config_t *beit__dvae_config(const beit_dvae_t *dvae)
{
    return &dvae->cfg;
}

beit__run_t *beit__dvae_run(beit_dvae_t *dvae)
{
    return &dvae->memory.run;
}

void beit__dvae_memory(const beit_dvae_t *dvae, uint64_t *weights, uint64_t *gradients,
                       uint64_t *activations)
{
    const size_t set = dvae->list.floats * sizeof(float);
    *weights = set;
    *gradients = dvae->gradients.data ? set : 0;
    *activations =
        dvae->memory.maps_bytes + dvae->memory.host_bytes + dvae->memory.run.workspace_bytes;
}
