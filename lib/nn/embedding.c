/* Token embedding: class token first, masked patches replaced by the mask token, absolute
 * positions, dropout. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__embedding_add(beit__embedding_t *layer, beit__param_list_t *list,
                                  beit__param_t init, bool masks, bool positions)
{
    const int64_t token[3] = {1, 1, layer->dim}, tokens[3] = {1, layer->patches + 1, layer->dim};
    layer->mask_token = layer->pos_embed = BEIT__NO_PARAM;
    BEIT__TRY(beit__param_add(list, &layer->cls_token, init, 3, token, "cls_token"));
    if (masks)
        BEIT__TRY(beit__param_add(list, &layer->mask_token, init, 3, token, "mask_token"));
    return positions ? beit__param_add(list, &layer->pos_embed, init, 3, tokens, "pos_embed")
                     : BEIT_OK;
}

static const beit__row_set_t all_rows = {0};

beit_status_t beit__embedding_forward(const beit__pass_t *pass, const beit__embedding_t *layer,
                                      const float *x, const uint8_t *mask, float *y)
{
    BEIT__TRY(beit__embed_forward(
        pass->run, &(beit_embed_forward_args_t){
                       .batch = pass->batch,
                       .patches = layer->patches,
                       .cols = layer->dim,
                       .x = x,
                       .mask = mask,
                       .cls_token = beit__params_at(pass->weights, layer->cls_token),
                       .mask_token = beit__param_or_null(pass->weights, layer->mask_token),
                       .pos_embed = beit__param_or_null(pass->weights, layer->pos_embed),
                       .y = y,
                   }));
    return beit__rows_dropout(pass, all_rows, layer->dim, layer->place, y, NULL);
}

beit_status_t beit__embedding_backward(const beit__pass_t *pass, const beit__embedding_t *layer,
                                       const uint8_t *mask, float *dy, float *dx)
{
    BEIT__TRY(beit__rows_dropout(pass, all_rows, layer->dim, layer->place, dy, NULL));
    return beit__embed_backward(
        pass->run, &(beit_embed_backward_args_t){
                       .batch = pass->batch,
                       .patches = layer->patches,
                       .cols = layer->dim,
                       .dy = dy,
                       .mask = mask,
                       .dx = dx,
                       .dcls_token = beit__params_at(pass->gradients, layer->cls_token),
                       .dmask_token = beit__param_or_null(pass->gradients, layer->mask_token),
                       .dpos_embed = beit__param_or_null(pass->gradients, layer->pos_embed),
                   });
}
