/* Convolutions of one pixel as products: small = large W^T, large = small W, dW = small^T large. */
#include "backend/cblas/pointwise.h"

#include "backend/cblas/gemm.h"

/* Weights from which on a gradient has tiles enough for several workers. */
#define MIN_WEIGHTS 65536

bool beit__pointwise_fits(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    return self->own_gemm && a->kernel == 1 && a->stride == 1 && a->pad == 0;
}

/* The gradient's right operand is the larger map, which the product cannot pass through ReLU. */
bool beit__pointwise_gradient_fits(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    return beit__pointwise_fits(self, a) && !a->relu_input &&
           a->in_channels * a->out_channels >= MIN_WEIGHTS;
}

static int64_t pixels_of(const beit_conv_args_t *a)
{
    return a->batch * a->height * a->width;
}

static beit_gemm_args_t forward_product(const beit_conv_args_t *a)
{
    return (beit_gemm_args_t){.op = a->op,
                              .m = pixels_of(a),
                              .n = a->out_channels,
                              .k = a->in_channels,
                              .lda = a->in_channels,
                              .ldb = a->in_channels,
                              .ldc = a->out_channels,
                              .batch = 1,
                              .a = a->large,
                              .b = a->weight,
                              .c = a->small,
                              .alpha = a->alpha,
                              .beta = a->beta,
                              .trans_b = 1,
                              .epilogue = a->relu_output ? BEIT_EPILOGUE_RELU : BEIT_EPILOGUE_NONE};
}

static beit_gemm_args_t transpose_product(const beit_conv_args_t *a)
{
    beit_gemm_args_t product = forward_product(a);
    product.n = a->in_channels;
    product.k = a->out_channels;
    product.lda = a->out_channels;
    product.ldc = a->in_channels;
    product.a = a->small;
    product.c = a->large;
    product.trans_b = 0;
    return product;
}

static beit_gemm_args_t gradient_product(const beit_conv_args_t *a)
{
    return (beit_gemm_args_t){.op = a->op,
                              .m = a->out_channels,
                              .n = a->in_channels,
                              .k = pixels_of(a),
                              .lda = a->out_channels,
                              .ldb = a->in_channels,
                              .ldc = a->in_channels,
                              .batch = 1,
                              .a = a->small,
                              .b = a->large,
                              .c = a->dweight,
                              .alpha = a->alpha,
                              .beta = 1.0f,
                              .trans_a = 1};
}

/* Of the product, in front of which stands the bias times alpha. */
static size_t bias_floats(const beit_conv_args_t *a)
{
    return beit__line_floats((size_t)(a->in_channels + a->out_channels));
}

size_t beit__pointwise_space(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    const beit_gemm_args_t products[] = {forward_product(a), transpose_product(a),
                                         gradient_product(a)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        most = beit__max(most, beit__cblas_gemm_space(self, &products[i]));
    return most + bias_floats(a) * sizeof(float);
}

beit_status_t beit__pointwise_conv(const beit__cblas_t *self, const beit_conv_args_t *a,
                                   bool transpose)
{
    beit_gemm_args_t product = transpose ? transpose_product(a) : forward_product(a);
    float *bias = a->op.workspace;
    product.op.workspace = bias + bias_floats(a);
    if (a->bias) {
        self->k.affine((size_t)product.n, a->alpha, 0.0f, a->bias, bias);
        product.bias = bias;
    }
    return beit__own_gemm(self, &product, a->relu_input && !transpose);
}

beit_status_t beit__pointwise_gradient(const beit__cblas_t *self, const beit_conv_args_t *a)
{
    const beit_gemm_args_t product = gradient_product(a);
    return beit__own_gemm(self, &product, false);
}
