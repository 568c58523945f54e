/* A pass: take over the host's input, draw what is random, choose rows, walk the network. */
#include <assert.h>

#include "core/context.h"
#include "core/philox.h"
#include "core/status.h"
#include "core/tensor.h"
#include "model/handle.h"

beit_status_t beit__model_input_check(const beit_model_t *model, const beit_tensor_t *pixels,
                                      const beit_tensor_t *mask, beit__model_input_t *input)
{
    const beit_model_config_t *cfg = &model->cfg;
    const int64_t pixel_shape[4] = {BEIT__ANY, cfg->channels, cfg->image_height, cfg->image_width};
    BEIT__TRY(beit__tensor_check(pixels, "pixels", BEIT_F32, 4, pixel_shape));
    const int64_t mask_shape[2] = {pixels->shape[0], model->vit.patches};
    if (mask && model->vit.classifies)
        return beit__fail(BEIT_E_ARGUMENT, "mask is not NULL: a classifier has no mask token");
    if (mask)
        BEIT__TRY(beit__tensor_check(mask, "mask", BEIT_U8, 2, mask_shape));
    input->batch = pixels->shape[0];
    input->pixels = pixels->data;
    input->mask = mask ? mask->data : NULL;
    return BEIT_OK;
}

int64_t beit__model_count_masked(const beit_model_t *model, const beit__model_input_t *input)
{
    int64_t masked = 0;
    for (int64_t i = 0; i < input->batch * model->vit.patches; i++)
        masked += input->mask[i] != 0;
    return masked;
}

beit__wanted_t beit__model_pooled(const beit_model_t *model)
{
    return model->vit.averages ? BEIT__ALL_PATCHES : BEIT__CLASS_TOKENS;
}

beit_status_t beit__model_expect(const beit_model_t *model, bool classifier)
{
    if (model->vit.classifies == classifier)
        return BEIT_OK;
    return classifier
               ? beit__fail(BEIT_E_STATE, "the model has no classes (num_classes is 0)")
               : beit__fail(BEIT_E_STATE, "the model is a classifier: it predicts no tokens");
}

/* ---- choices ---- */

static void choose_samples(const beit__model_input_t *input, int64_t patches,
                           beit__choices_t *choices)
{
    choices->batch = input->batch;
    choices->training = input->training;
    choices->dropout_key = beit__stream_key(input->seed, BEIT__STREAM_DROPOUT, input->step);
    for (int64_t b = 0; b < input->batch; b++)
        choices->sample_ids[b] = input->sample_ids ? input->sample_ids[b] : (uint64_t)b;
    choices->masked = input->mask != NULL;
    for (int64_t i = 0; input->mask && i < input->batch * patches; i++)
        choices->mask[i] = input->mask[i] != 0;
}

static void choose_rows(const beit__vit_t *vit, beit__wanted_t wanted, beit__choices_t *choices)
{
    const int64_t N = vit->patches, T = vit->tokens;
    if (wanted == BEIT__ALL_TOKENS) {
        choices->rows = (beit__row_set_t){.count = choices->batch * T};
        return;
    }
    int64_t count = 0;
    for (int64_t b = 0; wanted == BEIT__CLASS_TOKENS && b < choices->batch; b++)
        choices->row_index[count++] = (int32_t)(b * T);
    for (int64_t i = 0; wanted != BEIT__CLASS_TOKENS && i < choices->batch * N; i++)
        if (wanted == BEIT__ALL_PATCHES || choices->mask[i])
            choices->row_index[count++] = (int32_t)(i / N * T + 1 + i % N);
    choices->rows = (beit__row_set_t){.count = count, .index = choices->row_index};
}

/* Factors of one branch per sample, and for a row set per row. */
static beit__keep_t draw_branch(const beit_model_t *model, uint64_t key, int64_t block, int branch,
                                beit__choices_t *choices)
{
    const beit__vit_t *vit = &model->vit;
    const int64_t B = choices->batch, depth = vit->depth, N = vit->patches;
    const float rate = beit__droppath_rate(model->cfg.drop_path, block, depth);
    if (!choices->training || rate <= 0)
        return (beit__keep_t){.rows_per_scale = 1};
    float *per_sample = choices->factors + (2 * block + branch) * B;
    beit__droppath_draw(per_sample, B, rate, key, choices->sample_ids, block, branch);
    if (block < depth - 1 || !choices->rows.index)
        return (beit__keep_t){.scale = per_sample, .rows_per_scale = vit->tokens};
    float *per_row = choices->factors + 2 * depth * B + branch * B * N;
    for (int64_t r = 0; r < choices->rows.count; r++)
        per_row[r] = per_sample[choices->rows.index[r] / vit->tokens];
    return (beit__keep_t){.scale = per_row, .rows_per_scale = 1};
}

static void choose(const beit_model_t *model, const beit__model_input_t *input,
                   beit__wanted_t wanted, beit__choices_t *choices)
{
    choose_samples(input, model->vit.patches, choices);
    choose_rows(&model->vit, wanted, choices);
    const uint64_t key = beit__stream_key(input->seed, BEIT__STREAM_DROP_PATH, input->step);
    for (int64_t i = 0; i < model->vit.depth; i++)
        for (int branch = 0; branch < 2; branch++)
            choices->keep[i][branch] = draw_branch(model, key, i, branch, choices);
}

/* ---- walks ---- */

beit__pass_t beit__model_pass(const beit_model_t *model, beit__run_t *run,
                              const beit__choices_t *choices, bool backward)
{
    return (beit__pass_t){
        .run = run,
        .weights = &model->weights,
        .gradients = backward ? &model->gradients : NULL,
        .batch = choices->batch,
        .tokens = model->vit.tokens,
        .sample_ids = choices->sample_ids,
        .dropout_key = choices->dropout_key,
        .drop_rate = choices->training ? model->cfg.drop_rate : 0.0f,
        .attn_drop_rate = choices->training ? model->cfg.attn_drop_rate : 0.0f,
    };
}

beit_status_t beit__model_trunk(beit_model_t *model, const beit__model_input_t *input,
                                beit__storage_t storage, beit__wanted_t wanted, int64_t blocks)
{
    const beit__vit_t *vit = &model->vit;
    assert(!input->training || storage == BEIT__KEPT);
    BEIT__TRY(beit__model_plan(model, input->batch, storage));
    beit__storage_plan_t *stored = &model->plan.storage[storage];
    const beit__transients_t *transients = &model->plan.transients;
    if (storage == BEIT__KEPT)
        model->pending = 0;
    choose(model, input, wanted, &stored->choices);
    const int64_t pixels = input->batch * vit->patches * vit->patch_embed.proj.in;
    BEIT__TRY(beit__upload(model->ctx, transients->pixels, input->pixels,
                           (size_t)pixels * sizeof(float)));
    const beit__pass_t pass = beit__model_pass(model, &model->run, &stored->choices, false);
    return beit__vit_forward(vit, &pass, &stored->choices, &stored->maps, transients, blocks);
}

beit_status_t beit__model_logits(beit_model_t *model, const beit__model_input_t *input,
                                 beit__storage_t storage, beit__wanted_t wanted)
{
    BEIT__TRY(beit__model_trunk(model, input, storage, wanted, model->vit.depth));
    const beit__storage_plan_t *stored = &model->plan.storage[storage];
    const beit__pass_t pass = beit__model_pass(model, &model->run, &stored->choices, false);
    return beit__head_forward(&model->vit, &pass, stored->choices.rows.count, &stored->maps,
                              &model->plan.transients);
}

beit_status_t beit__model_gradient(beit_model_t *model)
{
    const beit__storage_plan_t *kept = &model->plan.storage[BEIT__KEPT];
    const beit__transients_t *transients = &model->plan.transients;
    const beit__pass_t pass = beit__model_pass(model, &model->run, &kept->choices, true);
    BEIT__TRY(
        beit__head_backward(&model->vit, &pass, kept->choices.rows.count, &kept->maps, transients));
    return beit__vit_backward(&model->vit, &pass, &kept->choices, &kept->maps, transients);
}
