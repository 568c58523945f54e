/* Self-attention: one product makes query, key and value of all heads; attention over them is one
 * operation of the backend. Keys have no bias: the product's bias is the query's, zeros, the
 * value's. Probabilities are not kept; the operation recomputes them from the log-sum-exp. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__self_attention_add(beit__self_attention_t *layer, beit__param_list_t *list,
                                       const char *prefix, beit__param_t init, bool bias,
                                       const beit__position_bias_t *positions)
{
    const beit__param_t zero = {.init = BEIT__INIT_ZERO};
    const int64_t inner = layer->heads * layer->width;
    layer->q_bias = layer->v_bias = layer->table = BEIT__NO_PARAM;
    if (bias) {
        BEIT__TRY(beit__param_add(list, &layer->q_bias, zero, 1, &inner, "%sq_bias", prefix));
        BEIT__TRY(beit__param_add(list, &layer->v_bias, zero, 1, &inner, "%sv_bias", prefix));
    }
    if (positions->own)
        BEIT__TRY(beit__position_bias_add(positions, list, &layer->table, prefix));
    return beit__linear_add(&layer->qkv, list, prefix, "qkv", init, false);
}

static beit_status_t copy(const beit__pass_t *pass, int64_t count, const float *x, float *y)
{
    return beit__scale_add(
        pass->run,
        &(beit_scale_add_args_t){.rows = 1, .cols = count, .rows_per_sample = 1, .x = x, .y = y});
}

/* Query bias, zeros, value bias; NULL when the configuration has none. */
static beit_status_t join_bias(const beit__pass_t *pass, const beit__self_attention_t *layer,
                               float *joined, const float **bias)
{
    *bias = NULL;
    if (layer->q_bias == BEIT__NO_PARAM)
        return BEIT_OK;
    const int64_t inner = layer->heads * layer->width;
    BEIT__TRY(copy(pass, inner, beit__params_at(pass->weights, layer->q_bias), joined));
    BEIT__TRY(beit__fill(pass->run, &(beit_fill_args_t){.count = inner, .x = joined + inner}));
    BEIT__TRY(copy(pass, inner, beit__params_at(pass->weights, layer->v_bias), joined + 2 * inner));
    *bias = joined;
    return BEIT_OK;
}

static beit_op_random_t randomness(const beit__pass_t *pass, const beit__self_attention_t *layer)
{
    return (beit_op_random_t){
        .key = pass->dropout_key, .sample_ids = pass->sample_ids, .place = layer->place};
}

beit_status_t beit__self_attention_forward(const beit__pass_t *pass,
                                           const beit__self_attention_t *layer,
                                           const beit__position_bias_t *positions, const float *x,
                                           const beit__attention_maps_t *maps,
                                           const beit__scratch_t *scratch)
{
    const int64_t rows = pass->batch * pass->tokens;
    const float *bias;
    BEIT__TRY(join_bias(pass, layer, scratch->qkv_bias, &bias));
    BEIT__TRY(beit__linear_forward(pass, &layer->qkv, rows, x, bias, maps->qkv));
    BEIT__TRY(beit__position_bias_forward(pass, positions, layer->table, scratch));
    return beit__attention_forward(pass->run, &(beit_attention_forward_args_t){
                                                  .batch = pass->batch,
                                                  .tokens = pass->tokens,
                                                  .heads = layer->heads,
                                                  .width = layer->width,
                                                  .ldqkv = layer->qkv.out,
                                                  .qkv = maps->qkv,
                                                  .bias = scratch->bias,
                                                  .o = maps->o,
                                                  .lse = maps->lse,
                                                  .scale = layer->scale,
                                                  .drop_rate = pass->attn_drop_rate,
                                                  .random = randomness(pass, layer),
                                              });
}

static beit_status_t bias_gradient(const beit__pass_t *pass, const beit__self_attention_t *layer,
                                   const float *dqkv, size_t param)
{
    return beit__column_sum(pass->run, &(beit_column_sum_args_t){
                                           .rows = pass->batch * pass->tokens,
                                           .cols = layer->heads * layer->width,
                                           .ldx = layer->qkv.out,
                                           .x = dqkv,
                                           .out = beit__params_at(pass->gradients, param),
                                       });
}

beit_status_t beit__self_attention_backward(const beit__pass_t *pass,
                                            const beit__self_attention_t *layer,
                                            const beit__position_bias_t *positions, const float *x,
                                            const beit__attention_maps_t *maps, float *dx,
                                            const beit__scratch_t *scratch)
{
    const int64_t rows = pass->batch * pass->tokens, inner = layer->heads * layer->width;
    float *dqkv = scratch->dqkv;
    BEIT__TRY(beit__position_bias_forward(pass, positions, layer->table, scratch));
    BEIT__TRY(beit__attention_backward(pass->run, &(beit_attention_backward_args_t){
                                                      .batch = pass->batch,
                                                      .tokens = pass->tokens,
                                                      .heads = layer->heads,
                                                      .width = layer->width,
                                                      .ldqkv = layer->qkv.out,
                                                      .qkv = maps->qkv,
                                                      .bias = scratch->bias,
                                                      .o = maps->o,
                                                      .lse = maps->lse,
                                                      .dout = scratch->heads,
                                                      .dqkv = dqkv,
                                                      .dbias = scratch->dbias,
                                                      .scale = layer->scale,
                                                      .drop_rate = pass->attn_drop_rate,
                                                      .random = randomness(pass, layer),
                                                  }));
    BEIT__TRY(beit__position_bias_backward(pass, positions, layer->table, scratch));
    if (layer->q_bias != BEIT__NO_PARAM) {
        BEIT__TRY(bias_gradient(pass, layer, dqkv, layer->q_bias));
        BEIT__TRY(bias_gradient(pass, layer, dqkv + 2 * inner, layer->v_bias));
    }
    BEIT__TRY(beit__linear_backward_weight(pass, &layer->qkv, rows, x, dqkv));
    return beit__linear_backward_input(pass, &layer->qkv, rows, dqkv, NULL, dx);
}
