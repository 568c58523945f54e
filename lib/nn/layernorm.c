/* LayerNorm. Its output is not kept for the backward pass: it is made once more from the input
 * and two statistics per row, which costs less than one percent of a block. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__norm_add(beit__norm_t *layer, beit__param_list_t *list, const char *prefix,
                             const char *name)
{
    const beit__param_t one = {.init = BEIT__INIT_CONSTANT, .a = 1.0f};
    const beit__param_t zero = {.init = BEIT__INIT_ZERO};
    BEIT__TRY(
        beit__param_add(list, &layer->weight, one, 1, &layer->width, "%s%s.weight", prefix, name));
    return beit__param_add(list, &layer->bias, zero, 1, &layer->width, "%s%s.bias", prefix, name);
}

static beit_status_t normalise(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                               const float *x, beit__norm_stats_t stats, float *y, bool given)
{
    return beit__layernorm_forward(pass->run,
                                   &(beit_layernorm_forward_args_t){
                                       .rows = rows,
                                       .cols = layer->width,
                                       .x = x,
                                       .weight = beit__params_at(pass->weights, layer->weight),
                                       .bias = beit__params_at(pass->weights, layer->bias),
                                       .y = y,
                                       .mean = stats.mean,
                                       .rstd = stats.rstd,
                                       .eps = layer->eps,
                                       .normalize = given,
                                   });
}

beit_status_t beit__norm_forward(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                 const float *x, beit__norm_stats_t stats, float *y)
{
    return normalise(pass, layer, rows, x, stats, y, false);
}

beit_status_t beit__norm_repeat(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                const float *x, beit__norm_stats_t stats, float *y)
{
    return normalise(pass, layer, rows, x, stats, y, true);
}

beit_status_t beit__norm_backward(const beit__pass_t *pass, const beit__norm_t *layer, int64_t rows,
                                  const float *x, beit__norm_stats_t stats, const float *dy,
                                  float *dx)
{
    return beit__layernorm_backward(pass->run,
                                    &(beit_layernorm_backward_args_t){
                                        .rows = rows,
                                        .cols = layer->width,
                                        .dy = dy,
                                        .x = x,
                                        .weight = beit__params_at(pass->weights, layer->weight),
                                        .mean = stats.mean,
                                        .rstd = stats.rstd,
                                        .dx = dx,
                                        .dweight = beit__params_at(pass->gradients, layer->weight),
                                        .dbias = beit__params_at(pass->gradients, layer->bias),
                                    });
}
