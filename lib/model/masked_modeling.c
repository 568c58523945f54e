/* The trainer's pass: masked image modeling with its own loss, without a way over the host. */
#include "core/context.h"
#include "core/status.h"
#include "model/handle.h"

beit_status_t beit__model_mim(beit_model_t *model, const beit__mim_batch_t *batch, double *loss,
                              int64_t *correct)
{
    const beit__model_input_t input = {.batch = batch->batch,
                                       .pixels = batch->pixels,
                                       .mask = batch->mask,
                                       .sample_ids = batch->sample_ids,
                                       .seed = batch->seed,
                                       .step = batch->step,
                                       .training = batch->training};
    if (batch->masked == 0)
        return BEIT_OK;
    const beit__storage_t storage = batch->backward || batch->training ? BEIT__KEPT : BEIT__SHARED;
    BEIT__TRY(beit__model_logits(model, &input, storage, BEIT__MASKED));
    const beit__choices_t *choices = &model->plan.storage[storage].choices;
    const beit__pass_t pass = beit__model_pass(model, &model->run, choices, false);
    const beit__head_loss_t objective = {.rows = batch->masked,
                                         .labels = batch->labels,
                                         .grad_scale = 1.0f,
                                         .backward = batch->backward};
    BEIT__TRY(
        beit__head_loss(&model->vit, &pass, &objective, &model->plan.transients, loss, correct));
    return batch->backward ? beit__model_gradient(model) : BEIT_OK;
}
