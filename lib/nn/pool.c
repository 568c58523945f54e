/* Mean over the rows of each sample, as products with a row of equal factors: one batched product
 * forward, one of rank one backward, so that no backend needs another operation. */
#include "core/status.h"
#include "nn/transformer.h"

static beit_status_t fill_factors(const beit__pass_t *pass, const beit__mean_pool_t *layer,
                                  float *factors)
{
    return beit__fill(
        pass->run,
        &(beit_fill_args_t){.count = layer->rows, .x = factors, .value = 1 / (float)layer->rows});
}

beit_status_t beit__mean_pool_forward(const beit__pass_t *pass, const beit__mean_pool_t *layer,
                                      const float *x, float *factors, float *y)
{
    BEIT__TRY(fill_factors(pass, layer, factors));
    return beit__gemm(pass->run, &(beit_gemm_args_t){.m = 1,
                                                     .n = layer->width,
                                                     .k = layer->rows,
                                                     .a = factors,
                                                     .lda = layer->rows,
                                                     .b = x,
                                                     .ldb = layer->width,
                                                     .c = y,
                                                     .ldc = layer->width,
                                                     .batch = pass->batch,
                                                     .stride_b = layer->rows * layer->width,
                                                     .stride_c = layer->width,
                                                     .alpha = 1.0f});
}

beit_status_t beit__mean_pool_backward(const beit__pass_t *pass, const beit__mean_pool_t *layer,
                                       const float *dy, float *factors, float *dx)
{
    BEIT__TRY(fill_factors(pass, layer, factors));
    return beit__gemm(pass->run, &(beit_gemm_args_t){.m = layer->rows,
                                                     .n = layer->width,
                                                     .k = 1,
                                                     .a = factors,
                                                     .lda = 1,
                                                     .b = dy,
                                                     .ldb = layer->width,
                                                     .c = dx,
                                                     .ldc = layer->width,
                                                     .batch = pass->batch,
                                                     .stride_b = layer->width,
                                                     .stride_c = layer->rows * layer->width,
                                                     .alpha = 1.0f});
}
