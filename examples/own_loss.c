/* Forward and backward as calls of their own, for hosts with a loss and an optimizer of their own:
 * cross-entropy with label smoothing, and plain gradient descent through the named tensors. */
#include <math.h>
#include <stdio.h>

#include "common/descend.h"
#include "common/noise_model.h"

enum { STEPS = 40 };
#define RATE      0.1f
#define SMOOTHING 0.1

/* Mean loss of rows of logits; grad receives its derivative. */
static double smoothed_cross_entropy(const float *logits, const int32_t *labels, int64_t rows,
                                     float *grad)
{
    double loss = 0;
    for (int64_t r = 0; r < rows; r++) {
        const float *z = logits + r * NOISE_VOCAB;
        double sum = 0;
        for (int v = 0; v < NOISE_VOCAB; v++)
            sum += exp((double)z[v]);
        for (int v = 0; v < NOISE_VOCAB; v++) {
            const double target = (v == labels[r] ? 1 - SMOOTHING : 0) + SMOOTHING / NOISE_VOCAB;
            loss += target * (log(sum) - (double)z[v]);
            grad[r * NOISE_VOCAB + v] = (float)((exp((double)z[v]) / sum - target) / (double)rows);
        }
    }
    return loss / (double)rows;
}

static beit_status_t step(beit_model_t *model, const beit_batch_t *batch, double *loss)
{
    static float logits[NOISE_BATCH * NOISE_PATCHES * NOISE_VOCAB];
    static float grad[NOISE_BATCH * NOISE_PATCHES * NOISE_VOCAB];
    int32_t labels[NOISE_BATCH * NOISE_PATCHES];
    int64_t masked = 0;
    for (int i = 0; i < NOISE_BATCH * NOISE_PATCHES; i++) /* in the order of the logits' rows */
        if (((const uint8_t *)batch->mask.data)[i])
            labels[masked++] = ((const int32_t *)batch->tokens.data)[i];
    const int64_t shape[] = {masked, NOISE_VOCAB};
    const beit_tensor_t out = beit_tensor_make(logits, BEIT_F32, 2, shape);
    const beit_tensor_t back = beit_tensor_make(grad, BEIT_F32, 2, shape);
    beit_status_t status = beit_model_forward(model, &batch->pixels, &batch->mask, NULL, &out);
    if (status)
        return status;
    *loss = smoothed_cross_entropy(logits, labels, masked, grad);
    if (!(status = beit_model_backward(model, &back)))
        status = descend(model, RATE);
    return status;
}

int main(void)
{
    beit_model_t *model = NULL;
    beit_batch_t batch;
    double first = 0, last = 0;
    noise_batch(&batch);
    beit_status_t status = noise_model_create(&model, NULL);
    for (int i = 0; i < STEPS && !status; i++)
        status = step(model, &batch, i == 0 ? &first : &last);
    if (status)
        fprintf(stderr, "%s\n", beit_last_error());
    else
        printf("loss %.3f at the first step, %.3f at the last\n", first, last);
    beit_model_destroy(model);
    return status || !(last < 0.9 * first);
}
