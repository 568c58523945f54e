/* The trainer's handle: what it holds, and what it is asked about. Everything that a step needs is
 * allocated here. */
#include <string.h>

#include "core/abi.h"
#include "core/alloc.h"
#include "core/context.h"
#include "core/status.h"
#include "train/private.h"

/* The configuration and an empty trainer for it; cfg NULL = defaults. */
static beit_status_t allocate(beit_trainer_t **out, beit_context_t *ctx,
                              const beit_trainer_config_t *cfg)
{
    beit_trainer_config_t config;
    beit__trainer_config_defaults(&config);
    if (cfg)
        BEIT__TRY(beit__abi_in(&config, sizeof config, sizeof config, cfg, "beit_trainer_config"));
    BEIT__TRY(beit__trainer_config_check(&config));
    beit_trainer_t *trainer = beit__calloc(ctx, 1, sizeof *trainer);
    if (!trainer)
        return BEIT_E_NOMEM;
    trainer->ctx = beit_context_ref(ctx);
    trainer->config = config;
    atomic_init(&trainer->stop, 0);
    *out = trainer;
    return BEIT_OK;
}

static size_t cells(const beit_trainer_t *trainer)
{
    return (size_t)trainer->config.micro_batch * (size_t)trainer->positions;
}

static beit_status_t allocate_buffers(beit_trainer_t *trainer, int64_t positions)
{
    beit_context_t *ctx = trainer->ctx;
    trainer->positions = positions;
    trainer->ids = beit__calloc(ctx, (size_t)trainer->config.micro_batch, sizeof *trainer->ids);
    trainer->tokens = beit__calloc(ctx, cells(trainer), sizeof *trainer->tokens);
    if (trainer->model) {
        trainer->mask = beit__calloc(ctx, cells(trainer), sizeof *trainer->mask);
        trainer->labels = beit__calloc(ctx, cells(trainer), sizeof *trainer->labels);
    } else {
        const size_t vocab = (size_t)beit__dvae_config(trainer->dvae)->vocab_size;
        trainer->histograms = beit__calloc(ctx, 2 * vocab, sizeof *trainer->histograms);
    }
    const bool complete =
        trainer->ids && trainer->tokens &&
        (trainer->model ? trainer->mask && trainer->labels : trainer->histograms != NULL);
    return complete ? BEIT_OK : BEIT_E_NOMEM;
}

static void free_buffers(beit_trainer_t *trainer)
{
    beit_context_t *ctx = trainer->ctx;
    beit__free(ctx, trainer->ids, (size_t)trainer->config.micro_batch * sizeof *trainer->ids);
    beit__free(ctx, trainer->tokens, cells(trainer) * sizeof *trainer->tokens);
    beit__free(ctx, trainer->mask, cells(trainer) * sizeof *trainer->mask);
    beit__free(ctx, trainer->labels, cells(trainer) * sizeof *trainer->labels);
    if (trainer->histograms)
        beit__free(ctx, trainer->histograms,
                   2 * (size_t)beit__dvae_config(trainer->dvae)->vocab_size *
                       sizeof *trainer->histograms);
}

/* Moments, groups, buffers, workspace, once the network is planned and known. */
static beit_status_t complete(beit_trainer_t *trainer, int64_t positions)
{
    const beit__param_list_t *list = trainer->weights->list;
    BEIT__TRY(beit__params_alloc(&trainer->exp_avg, list));
    BEIT__TRY(beit__params_alloc(&trainer->exp_avg_sq, list));
    trainer->groups = beit__calloc(trainer->ctx, list->count, sizeof *trainer->groups);
    if (!trainer->groups)
        return BEIT_E_NOMEM;
    for (size_t i = 0; i < list->count; i++)
        trainer->groups[i] = beit__trainer_default_group(trainer, i);
    BEIT__TRY(allocate_buffers(trainer, positions));
    return beit__optimizer_plan(trainer);
}

beit_status_t beit_trainer_create_mim(beit_trainer_t **out, beit_model_t *model, beit_dvae_t *dvae,
                                      const beit_masker_t *masker, const beit_trainer_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    BEIT__TRY(beit__trainer_agree(model, dvae, masker));
    beit_trainer_t *trainer;
    BEIT__TRY(allocate(&trainer, beit__model_context(model), cfg));
    trainer->objective = &beit__objective_mim;
    trainer->model = beit__model_ref(model);
    trainer->dvae = dvae ? beit__dvae_ref(dvae) : NULL;
    trainer->masker = masker ? beit__masker_ref(masker) : NULL;
    trainer->weights = beit_model_params(model);

    const int32_t micro = trainer->config.micro_batch;
    const beit_model_config_t *config = beit__model_config(model);
    const int64_t rows = config->image_height / config->patch_size;
    const int64_t cols = config->image_width / config->patch_size;
    beit_status_t status;
    BEIT__TRY_GOTO(beit_model_reserve(model, micro, 1));
    if (dvae) {
        const int32_t stages = beit__dvae_config(dvae)->num_layers;
        BEIT__TRY_GOTO(beit__dvae_reserve_tokenize(dvae, micro, rows << stages, cols << stages));
    }
    BEIT__TRY_GOTO(complete(trainer, rows * cols));
    *out = trainer;
    return BEIT_OK;
fail:
    beit_trainer_destroy(trainer);
    return status;
}

static beit_status_t check_trainable(const beit_dvae_t *dvae)
{
    if (!dvae)
        return beit__fail(BEIT_E_ARGUMENT, "dvae is NULL");
    if (beit__dvae_config(dvae)->arch != BEIT_DVAE_DISCRETE)
        return beit__fail(BEIT_E_UNSUPPORTED, "OpenAI's dVAE cannot be trained, a DiscreteVAE can");
    if (beit__dvae_config(dvae)->parts != BEIT_DVAE_BOTH)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "training needs encoder and decoder, this dVAE holds only one of them");
    return BEIT_OK;
}

beit_status_t beit_trainer_create_dvae(beit_trainer_t **out, beit_dvae_t *dvae,
                                       const beit_trainer_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    BEIT__TRY(check_trainable(dvae));
    beit_trainer_t *trainer;
    BEIT__TRY(allocate(&trainer, beit__dvae_context(dvae), cfg));
    trainer->objective = &beit__objective_dvae;
    trainer->dvae = beit__dvae_ref(dvae);
    trainer->weights = beit_dvae_params(dvae);

    const beit_dvae_config_t *config = beit__dvae_config(dvae);
    const int64_t height = config->image_height, width = config->image_width;
    beit_status_t status;
    BEIT__TRY_GOTO(beit__dvae_reserve_training(dvae, trainer->config.micro_batch, height, width));
    BEIT__TRY_GOTO(
        complete(trainer, (height >> config->num_layers) * (width >> config->num_layers)));
    *out = trainer;
    return BEIT_OK;
fail:
    beit_trainer_destroy(trainer);
    return status;
}

void beit_trainer_destroy(beit_trainer_t *trainer)
{
    if (!trainer)
        return;
    beit_context_t *ctx = trainer->ctx;
    free_buffers(trainer);
    beit__run_release(&trainer->run);
    beit__free(ctx, trainer->groups, trainer->weights->list->count * sizeof *trainer->groups);
    beit__params_free(&trainer->exp_avg);
    beit__params_free(&trainer->exp_avg_sq);
    beit_masker_destroy((beit_masker_t *)trainer->masker);
    beit_dvae_destroy(trainer->dvae);
    beit_model_destroy(trainer->model);
    beit__free(ctx, trainer, sizeof *trainer);
    beit_context_unref(ctx);
}

beit_status_t beit_trainer_config(const beit_trainer_t *trainer, beit_trainer_config_t *cfg)
{
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    return beit__abi_out(cfg, &trainer->config, sizeof trainer->config, sizeof trainer->config,
                         "beit_trainer_config");
}

uint64_t beit_trainer_steps(const beit_trainer_t *trainer)
{
    return trainer ? trainer->step : 0;
}

beit_params_t *beit_trainer_gradients(beit_trainer_t *trainer)
{
    return trainer ? trainer->objective->gradients(trainer) : NULL;
}

beit_params_t *beit_trainer_moments(beit_trainer_t *trainer, int second)
{
    if (!trainer)
        return NULL;
    return second ? &trainer->exp_avg_sq : &trainer->exp_avg;
}

static uint64_t buffer_bytes(const beit_trainer_t *trainer)
{
    const size_t per_cell = sizeof *trainer->tokens +
                            (trainer->model ? sizeof *trainer->mask + sizeof *trainer->labels : 0);
    const size_t codes =
        trainer->histograms ? 2 * (size_t)beit__dvae_config(trainer->dvae)->vocab_size : 0;
    return trainer->run.workspace_bytes + cells(trainer) * per_cell +
           codes * sizeof *trainer->histograms +
           (size_t)trainer->config.micro_batch * sizeof *trainer->ids;
}

beit_status_t beit_trainer_memory(const beit_trainer_t *trainer, beit_memory_report_t *report)
{
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    beit_memory_report_t ours = {.struct_size = sizeof ours};
    ours.moments = 2 * trainer->weights->list->floats * sizeof(float);
    if (trainer->model) {
        beit__model_memory(trainer->model, &ours.weights, &ours.gradients, &ours.activations);
        if (trainer->dvae) {
            uint64_t weights, gradients, maps;
            beit__dvae_memory(trainer->dvae, &weights, &gradients, &maps);
            ours.tokenizer = weights + gradients + maps;
        }
    } else {
        beit__dvae_memory(trainer->dvae, &ours.weights, &ours.gradients, &ours.activations);
    }
    ours.activations += buffer_bytes(trainer);
    ours.total = ours.weights + ours.gradients + ours.moments + ours.activations + ours.tokenizer;
    return beit__abi_out(report, &ours, sizeof ours, sizeof ours, "beit_memory_report");
}
