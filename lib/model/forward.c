/* The pair of calls for hosts that bring their own loss. */
#include "core/abi.h"
#include "core/status.h"
#include "core/tensor.h"
#include "model/handle.h"

#define OLDEST_OPTIONS sizeof(beit_forward_options_t) /* of release 0.1 */

void beit_forward_options_init(beit_forward_options_t *options, size_t size)
{
    const beit_forward_options_t defaults = {.struct_size = sizeof defaults};
    beit__abi_init(options, size, &defaults, sizeof defaults);
}

static beit_status_t read_options(const beit_forward_options_t *theirs, beit__model_input_t *input)
{
    beit_forward_options_t ours;
    beit_forward_options_init(&ours, sizeof ours);
    if (theirs)
        BEIT__TRY(beit__abi_in(&ours, sizeof ours, OLDEST_OPTIONS, theirs, "forward options"));
    if (ours.training != 0 && ours.training != 1)
        return beit__fail(BEIT_E_ARGUMENT, "forward options: training is %d, expected 0 or 1",
                          ours.training);
    input->seed = ours.seed;
    input->step = ours.step;
    input->sample_ids = ours.sample_ids;
    input->training = ours.training == 1;
    return BEIT_OK;
}

beit_status_t beit_model_forward(beit_model_t *model, const beit_tensor_t *pixels,
                                 const beit_tensor_t *mask, const beit_forward_options_t *options,
                                 const beit_tensor_t *logits)
{
    if (!model || !mask)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", model ? "mask" : "model");
    beit__model_input_t input = {0};
    BEIT__TRY(beit__model_input_check(model, pixels, mask, &input));
    BEIT__TRY(read_options(options, &input));
    const int64_t shape[2] = {beit__model_count_masked(model, &input), model->vit.vocab};
    if (shape[0] == 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "mask: none of %lld patches is masked, expected at least 1",
                          (long long)beit__tensor_count(mask));
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 2, shape));
    BEIT__TRY(beit__model_logits(model, &input, BEIT__KEPT, BEIT__MASKED));
    BEIT__TRY(beit__download(model->ctx, logits->data, model->plan.transients.logits,
                             (size_t)beit__tensor_count(logits) * sizeof(float)));
    model->pending = shape[0];
    return BEIT_OK;
}

beit_status_t beit_model_backward(beit_model_t *model, const beit_tensor_t *logits_grad)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    if (!model->pending)
        return beit__fail(BEIT_E_STATE, "backward needs a forward pass before it");
    const int64_t shape[2] = {model->pending, model->vit.vocab};
    BEIT__TRY(beit__tensor_check(logits_grad, "logits_grad", BEIT_F32, 2, shape));
    BEIT__TRY(beit__upload(model->ctx, model->plan.transients.logits, logits_grad->data,
                           (size_t)beit__tensor_count(logits_grad) * sizeof(float)));
    return beit__model_gradient(model);
}
