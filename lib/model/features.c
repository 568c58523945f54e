/* Inference: features of any block, predictions for every patch, classes. Shared storage, so that a
 * forward pass waiting for its backward pass is not disturbed. */
#include "core/status.h"
#include "core/tensor.h"
#include "model/handle.h"

static beit_status_t check_block(const beit_model_t *model, int32_t block)
{
    const int64_t last = model->vit.depth - 1;
    if (block != BEIT_FEATURES_NORMED && (block < 0 || block > last))
        return beit__fail(BEIT_E_ARGUMENT, "block is %d, expected 0 to %lld, or %d (normed)", block,
                          (long long)last, BEIT_FEATURES_NORMED);
    return BEIT_OK;
}

/* Run up to the map that was asked for. */
static beit_status_t find_features(beit_model_t *model, const beit__model_input_t *input,
                                   int32_t block, const float **features)
{
    const beit__vit_t *vit = &model->vit;
    const bool last = block == BEIT_FEATURES_NORMED;
    const bool normed = last && !vit->averages; /* there the norm comes after the mean */
    const int64_t blocks = last ? vit->depth : block + 1;
    BEIT__TRY(beit__model_trunk(model, input, BEIT__SHARED, BEIT__ALL_TOKENS, blocks));
    const beit__storage_plan_t *shared = &model->plan.storage[BEIT__SHARED];
    *features = blocks == vit->depth ? shared->maps.tail : shared->maps.blocks[blocks].x;
    if (!normed)
        return BEIT_OK;
    const beit__pass_t pass = beit__model_pass(model, &model->run, &shared->choices, false);
    *features = model->plan.transients.normed;
    return beit__norm_forward(&pass, &vit->norm, input->batch * vit->tokens, shared->maps.tail,
                              shared->maps.norm_stats, model->plan.transients.normed);
}

beit_status_t beit_model_encode(beit_model_t *model, const beit_tensor_t *pixels,
                                const beit_tensor_t *mask, int32_t block,
                                const beit_tensor_t *features)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    beit__model_input_t input = {0};
    BEIT__TRY(beit__model_input_check(model, pixels, mask, &input));
    BEIT__TRY(check_block(model, block));
    const int64_t shape[3] = {input.batch, model->vit.tokens, model->vit.dim};
    BEIT__TRY(beit__tensor_check(features, "features", BEIT_F32, 3, shape));
    const float *found;
    BEIT__TRY(find_features(model, &input, block, &found));
    return beit__download(model->ctx, features->data, found,
                          (size_t)beit__tensor_count(features) * sizeof(float));
}

beit_status_t beit_model_predict(beit_model_t *model, const beit_tensor_t *pixels,
                                 const beit_tensor_t *mask, const beit_tensor_t *logits)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    beit__model_input_t input = {0};
    BEIT__TRY(beit__model_expect(model, false));
    BEIT__TRY(beit__model_input_check(model, pixels, mask, &input));
    const int64_t shape[3] = {input.batch, model->vit.patches, model->vit.head.out};
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 3, shape));
    BEIT__TRY(beit__model_logits(model, &input, BEIT__SHARED, BEIT__ALL_PATCHES));
    return beit__download(model->ctx, logits->data, model->plan.transients.logits,
                          (size_t)beit__tensor_count(logits) * sizeof(float));
}

beit_status_t beit_model_classify(beit_model_t *model, const beit_tensor_t *pixels,
                                  const beit_tensor_t *logits)
{
    if (!model)
        return beit__fail(BEIT_E_ARGUMENT, "model is NULL");
    beit__model_input_t input = {0};
    BEIT__TRY(beit__model_expect(model, true));
    BEIT__TRY(beit__model_input_check(model, pixels, NULL, &input));
    const int64_t shape[2] = {input.batch, model->vit.head.out};
    BEIT__TRY(beit__tensor_check(logits, "logits", BEIT_F32, 2, shape));
    BEIT__TRY(beit__model_logits(model, &input, BEIT__SHARED, beit__model_pooled(model)));
    return beit__download(model->ctx, logits->data, model->plan.transients.logits,
                          (size_t)beit__tensor_count(logits) * sizeof(float));
}
