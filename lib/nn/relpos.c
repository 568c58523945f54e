/* Relative position bias. In pre-training one table serves all blocks: its (H,T,T) bias is made
 * once per pass and its gradient scattered once. A block's own table makes the bias anew for each
 * block, on top of which the shared one is added. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__position_bias_add(const beit__position_bias_t *layer, beit__param_list_t *list,
                                      size_t *table, const char *prefix)
{
    const int64_t special = 3; /* class to patch, patch to class, class to class */
    const int64_t shape[2] = {(2 * layer->rows - 1) * (2 * layer->cols - 1) + special,
                              layer->heads};
    const beit__param_t zero = {.init = BEIT__INIT_ZERO};
    return beit__param_add(list, table, zero, 2, shape, "%srelative_position_bias_table", prefix);
}

static beit_status_t expand(const beit__pass_t *pass, const beit__position_bias_t *layer,
                            size_t table, float *bias, bool accumulate)
{
    return beit__relpos_forward(pass->run, &(beit_relpos_args_t){
                                               .rows = layer->rows,
                                               .cols = layer->cols,
                                               .heads = layer->heads,
                                               .table = beit__params_at(pass->weights, table),
                                               .bias = bias,
                                               .accumulate = accumulate,
                                           });
}

static beit_status_t scatter(const beit__pass_t *pass, const beit__position_bias_t *layer,
                             size_t table, const float *dbias)
{
    return beit__relpos_backward(pass->run, &(beit_relpos_args_t){
                                                .rows = layer->rows,
                                                .cols = layer->cols,
                                                .heads = layer->heads,
                                                .dbias = dbias,
                                                .dtable = beit__params_at(pass->gradients, table),
                                            });
}

static beit_status_t clear(const beit__pass_t *pass, const beit__position_bias_t *layer,
                           float *dbias)
{
    return beit__fill(
        pass->run,
        &(beit_fill_args_t){.count = layer->heads * pass->tokens * pass->tokens, .x = dbias});
}

static bool has_shared(const beit__position_bias_t *layer)
{
    return layer->shared != BEIT__NO_PARAM;
}

beit_status_t beit__position_bias_begin(const beit__pass_t *pass,
                                        const beit__position_bias_t *layer,
                                        const beit__scratch_t *scratch)
{
    if (has_shared(layer) && !layer->own)
        BEIT__TRY(expand(pass, layer, layer->shared, scratch->bias, false));
    if (pass->gradients && (has_shared(layer) || layer->own))
        return clear(pass, layer, scratch->dbias);
    return BEIT_OK;
}

beit_status_t beit__position_bias_forward(const beit__pass_t *pass,
                                          const beit__position_bias_t *layer, size_t own,
                                          const beit__scratch_t *scratch)
{
    if (!layer->own)
        return BEIT_OK;
    BEIT__TRY(expand(pass, layer, own, scratch->bias, false));
    return has_shared(layer) ? expand(pass, layer, layer->shared, scratch->bias, true) : BEIT_OK;
}

beit_status_t beit__position_bias_backward(const beit__pass_t *pass,
                                           const beit__position_bias_t *layer, size_t own,
                                           const beit__scratch_t *scratch)
{
    if (!layer->own)
        return BEIT_OK;
    BEIT__TRY(scatter(pass, layer, own, scratch->dbias));
    if (has_shared(layer))
        BEIT__TRY(scatter(pass, layer, layer->shared, scratch->dbias));
    return clear(pass, layer, scratch->dbias);
}

beit_status_t beit__position_bias_end(const beit__pass_t *pass, const beit__position_bias_t *layer,
                                      const beit__scratch_t *scratch)
{
    if (layer->own || !has_shared(layer))
        return BEIT_OK;
    return scatter(pass, layer, layer->shared, scratch->dbias);
}
