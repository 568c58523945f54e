/* The pair of calls for hosts that bring their own loss, and the usual loss for those that do not.
 */
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

/* The rows that get logits, and how many. */
static beit_status_t choose_wanted(const beit_model_t *model, const beit__model_input_t *input,
                                   beit__wanted_t *wanted, int64_t *rows)
{
    if (model->vit.classifies) {
        *wanted = beit__model_pooled(model);
        *rows = input->batch;
        return BEIT_OK;
    }
    if (!input->mask)
        return beit__fail(BEIT_E_ARGUMENT, "mask is NULL");
    *wanted = BEIT__MASKED;
    *rows = beit__model_count_masked(model, input);
    if (*rows == 0)
        return beit__fail(BEIT_E_ARGUMENT,
                          "mask: none of %lld patches is masked, expected at least 1",
                          (long long)(input->batch * model->vit.patches));
    return BEIT_OK;
}

beit_status_t beit_model_forward(beit_model_t *model, const beit_tensor_t *pixels,
                                 const beit_tensor_t *mask, const beit_forward_options_t *options,
                                 const beit_tensor_t *logits)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    beit__model_input_t input = {0};
    beit__wanted_t wanted;
    int64_t rows;
    BEIT__TRY(beit__model_input_check(model, pixels, mask, &input));
    BEIT__TRY(read_options(options, &input));
    BEIT__TRY(choose_wanted(model, &input, &wanted, &rows));
    const int64_t shape[2] = {rows, model->vit.head.out};
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 2, shape));
    BEIT__TRY(beit__model_logits(model, &input, BEIT__KEPT, wanted));
    BEIT__TRY(beit__download(model->ctx, logits->data, model->plan.transients.logits,
                             (size_t)beit__tensor_count(logits) * sizeof(float)));
    model->pending = rows;
    return BEIT_OK;
}

/* ---- loss ---- */

static beit_status_t check_loss(const beit_model_t *model, const beit_tensor_t *logits,
                                const beit_tensor_t *labels, float smoothing,
                                const beit_tensor_t *logits_grad)
{
    const int64_t shape[2] = {model->pending, model->vit.head.out};
    if (!model->pending)
        return beit__fail(BEIT_E_STATE, "the loss needs a forward pass before it");
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 2, shape));
    BEIT__TRY(beit__tensor_check(labels, "labels", BEIT_I32, 1, shape));
    if (logits_grad)
        BEIT__TRY(beit__tensor_check(logits_grad, "logits_grad", BEIT_F32, 2, shape));
    if (!(smoothing >= 0 && smoothing < 1))
        return beit__fail(BEIT_E_ARGUMENT, "smoothing is %g, expected at least 0 and less than 1",
                          (double)smoothing);
    const int32_t *label = labels->data;
    for (int64_t r = 0; r < shape[0]; r++)
        if (label[r] < 0 || label[r] >= shape[1])
            return beit__fail(BEIT_E_ARGUMENT, "labels: number %lld is %d, expected 0 to %lld",
                              (long long)r, label[r], (long long)shape[1] - 1);
    return BEIT_OK;
}

beit_status_t beit_model_loss(beit_model_t *model, const beit_tensor_t *logits,
                              const beit_tensor_t *labels, float smoothing, double *loss,
                              int64_t *correct, const beit_tensor_t *logits_grad)
{
    if (!model || !loss)
        return beit__fail(BEIT_E_ARGUMENT, "%s is NULL", model ? "loss" : "model");
    BEIT__TRY(check_loss(model, logits, labels, smoothing, logits_grad));
    const size_t bytes = (size_t)beit__tensor_count(logits) * sizeof(float);
    const beit__transients_t *transients = &model->plan.transients;
    const beit__head_loss_t objective = {.rows = model->pending,
                                         .labels = labels->data,
                                         .smoothing = smoothing,
                                         .grad_scale = 1 / (float)model->pending,
                                         .backward = logits_grad != NULL};
    const beit__pass_t pass =
        beit__model_pass(model, &model->run, &model->plan.storage[BEIT__KEPT].choices, false);
    double sum = 0;
    int64_t hits = 0;
    BEIT__TRY(beit__upload(model->ctx, transients->logits, logits->data, bytes));
    BEIT__TRY(beit__head_loss(&model->vit, &pass, &objective, transients, &sum, &hits));
    if (logits_grad)
        BEIT__TRY(beit__download(model->ctx, logits_grad->data, transients->logits, bytes));
    *loss = sum / (double)model->pending;
    if (correct)
        *correct = hits;
    return BEIT_OK;
}

beit_status_t beit_model_backward(beit_model_t *model, const beit_tensor_t *logits_grad)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    if (!model->pending)
        return beit__fail(BEIT_E_STATE, "backward needs a forward pass before it");
    const int64_t shape[2] = {model->pending, model->vit.head.out};
    BEIT__TRY(beit__tensor_check(logits_grad, "logits_grad", BEIT_F32, 2, shape));
    BEIT__TRY(beit__upload(model->ctx, model->plan.transients.logits, logits_grad->data,
                           (size_t)beit__tensor_count(logits_grad) * sizeof(float)));
    return beit__model_gradient(model);
}
