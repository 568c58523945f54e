/* Patch embedding: a convolution whose stride is its kernel, that is, a linear layer over patches
 * flattened in the weight's own order. Pixels have no gradient. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__patch_embed_add(beit__patch_embed_t *layer, beit__param_list_t *list,
                                    beit__param_t weight, beit__param_t bias)
{
    const int64_t shape[4] = {layer->proj.out, layer->channels, layer->patch, layer->patch};
    layer->proj.in = layer->channels * layer->patch * layer->patch;
    BEIT__TRY(
        beit__param_add(list, &layer->proj.weight, weight, 4, shape, "patch_embed.proj.weight"));
    return beit__param_add(list, &layer->proj.bias, bias, 1, shape, "patch_embed.proj.bias");
}

static int64_t patches_of(const beit__pass_t *pass)
{
    return pass->batch * (pass->tokens - 1);
}

beit_status_t beit__patch_embed_forward(const beit__pass_t *pass, const beit__patch_embed_t *layer,
                                        const float *pixels, float *patches, float *y)
{
    BEIT__TRY(beit__patchify(pass->run, &(beit_patchify_args_t){.batch = pass->batch,
                                                                .channels = layer->channels,
                                                                .height = layer->height,
                                                                .width = layer->width,
                                                                .patch = layer->patch,
                                                                .x = pixels,
                                                                .y = patches}));
    return beit__linear_forward(pass, &layer->proj, patches_of(pass), patches,
                                beit__params_at(pass->weights, layer->proj.bias), y);
}

beit_status_t beit__patch_embed_backward(const beit__pass_t *pass, const beit__patch_embed_t *layer,
                                         const float *patches, const float *dy)
{
    return beit__linear_backward_weight(pass, &layer->proj, patches_of(pass), patches, dy);
}
