/* The MLP of a block. Kept for the backward pass is what enters GELU; its output is made once
 * more, and the gradient before GELU then takes its place. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__mlp_add(beit__mlp_t *layer, beit__param_list_t *list, const char *prefix,
                            beit__param_t fc1, beit__param_t fc2)
{
    BEIT__TRY(beit__linear_add(&layer->fc1, list, prefix, "fc1", fc1, true));
    return beit__linear_add(&layer->fc2.linear, list, prefix, "fc2", fc2, true);
}

beit_status_t beit__mlp_forward(const beit__pass_t *pass, const beit__mlp_t *layer,
                                beit__row_set_t rows, beit__keep_t keep, const float *x, float *z,
                                const float *add, float *y, const beit__scratch_t *scratch)
{
    BEIT__TRY(beit__linear_gelu_forward(pass, &layer->fc1, rows.count, x, z, scratch->hidden));
    return beit__residual_forward(pass, &layer->fc2, rows, keep, scratch->hidden, add, y, scratch);
}

beit_status_t beit__mlp_backward(const beit__pass_t *pass, const beit__mlp_t *layer,
                                 beit__row_set_t rows, beit__keep_t keep, const float *x,
                                 const float *z, const float *dy, float *dx,
                                 const beit__scratch_t *scratch)
{
    float *hidden = scratch->hidden;
    BEIT__TRY(beit__gelu_forward(
        pass->run,
        &(beit_gelu_forward_args_t){.count = rows.count * layer->fc1.out, .x = z, .y = hidden}));
    BEIT__TRY(
        beit__residual_backward(pass, &layer->fc2, rows, keep, hidden, dy, z, hidden, scratch));
    BEIT__TRY(beit__linear_backward_weight(pass, &layer->fc1, rows.count, x, hidden));
    return beit__linear_backward_input(pass, &layer->fc1, rows.count, hidden, NULL, dx);
}
