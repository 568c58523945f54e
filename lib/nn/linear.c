/* Linear layers, y = x W^T + b with W (out,in): three products of a backend, and the column sum
 * that is the bias's gradient. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__linear_add(beit__linear_t *layer, beit__param_list_t *list, const char *prefix,
                               const char *name, beit__param_t init, bool bias)
{
    const int64_t shape[2] = {layer->out, layer->in};
    layer->bias = BEIT__NO_PARAM;
    BEIT__TRY(beit__param_add(list, &layer->weight, init, 2, shape, "%s%s.weight", prefix, name));
    if (!bias)
        return BEIT_OK;
    const beit__param_t zero = {.init = BEIT__INIT_ZERO};
    return beit__param_add(list, &layer->bias, zero, 1, &layer->out, "%s%s.bias", prefix, name);
}

static beit_gemm_args_t forward_args(const beit__pass_t *pass, const beit__linear_t *layer,
                                     int64_t rows, const float *x, const float *bias, float *y)
{
    return (beit_gemm_args_t){.m = rows,
                              .n = layer->out,
                              .k = layer->in,
                              .a = x,
                              .lda = layer->in,
                              .b = beit__params_at(pass->weights, layer->weight),
                              .ldb = layer->in,
                              .trans_b = 1,
                              .c = y,
                              .ldc = layer->out,
                              .bias = bias,
                              .batch = 1,
                              .alpha = 1.0f};
}

beit_status_t beit__linear_forward(const beit__pass_t *pass, const beit__linear_t *layer,
                                   int64_t rows, const float *x, const float *bias, float *y)
{
    beit_gemm_args_t args = forward_args(pass, layer, rows, x, bias, y);
    return beit__gemm(pass->run, &args);
}

beit_status_t beit__linear_gelu_forward(const beit__pass_t *pass, const beit__linear_t *layer,
                                        int64_t rows, const float *x, float *z, float *y)
{
    const float *bias = beit__param_or_null(pass->weights, layer->bias);
    beit_gemm_args_t args = forward_args(pass, layer, rows, x, bias, y);
    args.epilogue = BEIT_EPILOGUE_GELU;
    args.aux = z;
    return beit__gemm(pass->run, &args);
}

beit_status_t beit__linear_backward_input(const beit__pass_t *pass, const beit__linear_t *layer,
                                          int64_t rows, const float *dy, const float *z, float *dx)
{
    return beit__gemm(pass->run,
                      &(beit_gemm_args_t){
                          .m = rows,
                          .n = layer->in,
                          .k = layer->out,
                          .a = dy,
                          .lda = layer->out,
                          .b = beit__params_at(pass->weights, layer->weight),
                          .ldb = layer->in,
                          .c = dx,
                          .ldc = layer->in,
                          .batch = 1,
                          .alpha = 1.0f,
                          .epilogue = z ? BEIT_EPILOGUE_GELU_BACKWARD : BEIT_EPILOGUE_NONE,
                          .aux = (float *)z,
                      });
}

beit_status_t beit__linear_backward_weight(const beit__pass_t *pass, const beit__linear_t *layer,
                                           int64_t rows, const float *x, const float *dy)
{
    if (layer->bias != BEIT__NO_PARAM)
        BEIT__TRY(
            beit__column_sum(pass->run, &(beit_column_sum_args_t){
                                            .rows = rows,
                                            .cols = layer->out,
                                            .ldx = layer->out,
                                            .x = dy,
                                            .out = beit__params_at(pass->gradients, layer->bias),
                                        }));
    return beit__gemm(pass->run, &(beit_gemm_args_t){
                                     .m = layer->out,
                                     .n = layer->in,
                                     .k = rows,
                                     .a = dy,
                                     .lda = layer->out,
                                     .trans_a = 1,
                                     .b = x,
                                     .ldb = layer->in,
                                     .c = beit__params_at(pass->gradients, layer->weight),
                                     .ldc = layer->in,
                                     .batch = 1,
                                     .alpha = 1.0f,
                                     .beta = 1.0f,
                                 });
}
