/* The end of a branch: y = add + s gamma dropout(W x + b), with LayerScale gamma and the keep
 * factor s of stochastic depth.
 *
 * The backward pass wants gamma's gradient without having kept W x + b. With d the gradient at
 * gamma (W x + b), that is s dropout(dy), and G = d^T x, t = column sum of d:
 *   dgamma_n = <W_n, G_n> + b_n t_n,   dW_n = gamma_n G_n,   db_n = gamma_n t_n,
 * so that the product for the weight gradient, which is needed anyway, serves all three. Dropout
 * commutes with gamma, hence d may be taken after it. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__residual_forward(const beit__pass_t *pass, const beit__residual_t *layer,
                                     beit__row_set_t rows, beit__keep_t keep, const float *x,
                                     const float *add, float *y, const beit__scratch_t *scratch)
{
    const int64_t width = layer->linear.out;
    BEIT__TRY(beit__linear_forward(pass, &layer->linear, rows.count, x,
                                   beit__param_or_null(pass->weights, layer->linear.bias),
                                   scratch->branch));
    BEIT__TRY(
        beit__rows_dropout(pass, rows, width, layer->place, scratch->branch, scratch->spread));
    return beit__scale_add(pass->run,
                           &(beit_scale_add_args_t){
                               .rows = rows.count,
                               .cols = width,
                               .rows_per_sample = keep.rows_per_scale,
                               .x = scratch->branch,
                               .add = add,
                               .col_scale = beit__param_or_null(pass->weights, layer->gamma),
                               .sample_scale = keep.scale,
                               .y = y,
                           });
}

/* d = s dropout(dy); dy itself when there is neither. */
static beit_status_t branch_gradient(const beit__pass_t *pass, const beit__residual_t *layer,
                                     beit__row_set_t rows, beit__keep_t keep, const float *dy,
                                     const beit__scratch_t *scratch, const float **d)
{
    *d = dy;
    if (!keep.scale && pass->drop_rate <= 0)
        return BEIT_OK;
    *d = scratch->branch;
    BEIT__TRY(beit__scale_add(pass->run, &(beit_scale_add_args_t){
                                             .rows = rows.count,
                                             .cols = layer->linear.out,
                                             .rows_per_sample = keep.rows_per_scale,
                                             .x = dy,
                                             .sample_scale = keep.scale,
                                             .y = scratch->branch,
                                         }));
    return beit__rows_dropout(pass, rows, layer->linear.out, layer->place, scratch->branch,
                              scratch->spread);
}

/* Parameter gradients with LayerScale, and *d times gamma into scratch->branch. */
static beit_status_t scaled_backward(const beit__pass_t *pass, const beit__residual_t *layer,
                                     int64_t rows, const float *x, const beit__scratch_t *scratch,
                                     const float **d)
{
    const beit__linear_t *linear = &layer->linear;
    BEIT__TRY(
        beit__fill(pass->run, &(beit_fill_args_t){.count = linear->out, .x = scratch->column}));
    BEIT__TRY(beit__column_sum(pass->run, &(beit_column_sum_args_t){.rows = rows,
                                                                    .cols = linear->out,
                                                                    .ldx = linear->out,
                                                                    .x = *d,
                                                                    .out = scratch->column}));
    BEIT__TRY(beit__gemm(pass->run, &(beit_gemm_args_t){.m = linear->out,
                                                        .n = linear->in,
                                                        .k = rows,
                                                        .a = *d,
                                                        .lda = linear->out,
                                                        .trans_a = 1,
                                                        .b = x,
                                                        .ldb = linear->in,
                                                        .c = scratch->product,
                                                        .ldc = linear->in,
                                                        .batch = 1,
                                                        .alpha = 1.0f}));
    const float *gamma = beit__params_at(pass->weights, layer->gamma);
    BEIT__TRY(beit__layer_scale_backward(
        pass->run, &(beit_layer_scale_backward_args_t){
                       .n = linear->out,
                       .k = linear->in,
                       .w = beit__params_at(pass->weights, linear->weight),
                       .bias = beit__params_at(pass->weights, linear->bias),
                       .gamma = gamma,
                       .g = scratch->product,
                       .t = scratch->column,
                       .dgamma = beit__params_at(pass->gradients, layer->gamma),
                       .dw = beit__params_at(pass->gradients, linear->weight),
                       .dbias = beit__params_at(pass->gradients, linear->bias),
                   }));
    const float *unscaled = *d;
    *d = scratch->branch;
    return beit__scale_add(pass->run, &(beit_scale_add_args_t){.rows = rows,
                                                               .cols = linear->out,
                                                               .rows_per_sample = rows,
                                                               .x = unscaled,
                                                               .col_scale = gamma,
                                                               .y = scratch->branch});
}

beit_status_t beit__residual_backward(const beit__pass_t *pass, const beit__residual_t *layer,
                                      beit__row_set_t rows, beit__keep_t keep, const float *x,
                                      const float *dy, const float *z, float *dx,
                                      const beit__scratch_t *scratch)
{
    const float *d;
    BEIT__TRY(branch_gradient(pass, layer, rows, keep, dy, scratch, &d));
    if (layer->gamma == BEIT__NO_PARAM)
        BEIT__TRY(beit__linear_backward_weight(pass, &layer->linear, rows.count, x, d));
    else
        BEIT__TRY(scaled_backward(pass, layer, rows.count, x, scratch, &d));
    return beit__linear_backward_input(pass, &layer->linear, rows.count, d, z, dx);
}
