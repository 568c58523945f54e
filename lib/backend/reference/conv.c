/* Convolution, its adjoint and its weight gradient: one sum over (small pixel, tap) pairs, read
 * in three directions. The larger map has H x W pixels of I channels, the smaller one H' x W'
 * pixels of O channels; the tap (ky,kx) of small pixel (y,x) falls on large pixel
 * (y stride + ky - pad, x stride + kx - pad), and counts only inside the map. Weights are copied
 * to (ky,kx,O,I) first, so that a tap is one matrix. */
#include "reference.h"
#include "sums.h"

static int64_t small_side(int64_t large, const beit_conv_args_t *a)
{
    return (large + 2 * a->pad - a->kernel) / a->stride + 1;
}

static int64_t weight_count(const beit_conv_args_t *a)
{
    return a->kernel * a->kernel * a->out_channels * a->in_channels;
}

static const float *pack_weight(const beit_conv_args_t *a, float *packed) /* (k,k,O,I) */
{
    const int64_t taps = a->kernel * a->kernel, pairs = a->out_channels * a->in_channels;
    for (int64_t pair = 0; pair < pairs; pair++)
        for (int64_t tap = 0; tap < taps; tap++)
            packed[tap * pairs + pair] = a->weight[pair * taps + tap];
    return packed;
}

/* v -> act(alpha (v + bias) + beta old), for one pixel. */
static void store(const beit_conv_args_t *a, const double *sums, float *out, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        double v = sums[c] + (a->bias ? (double)a->bias[c] : 0.0);
        v *= (double)a->alpha;
        if (a->beta != 0.0f)
            v += (double)a->beta * (double)out[c];
        out[c] = a->relu_output ? beit__relu_at((float)v) : (float)v;
    }
}

/* A pixel of the large map through f. `scratch` holds I values. */
static const float *large_pixel(const beit_conv_args_t *a, int64_t b, int64_t y, int64_t x,
                                float *scratch)
{
    const float *pixel = a->large + ((b * a->height + y) * a->width + x) * a->in_channels;
    if (!a->relu_input)
        return pixel;
    for (int64_t i = 0; i < a->in_channels; i++)
        scratch[i] = beit__relu_at(pixel[i]);
    return scratch;
}

/* Sums of a small pixel, packed weights, one large pixel. */
size_t beit__reference_conv_forward_workspace(const beit_op_t *args)
{
    const beit_conv_args_t *a = (const beit_conv_args_t *)args;
    return (size_t)a->out_channels * sizeof(double) +
           (size_t)(weight_count(a) + a->in_channels) * sizeof(float);
}

beit_status_t beit__reference_conv_forward(void *self, const beit_conv_args_t *a)
{
    (void)self;
    const int64_t I = a->in_channels, O = a->out_channels, K = a->kernel;
    const int64_t rows = small_side(a->height, a), cols = small_side(a->width, a);
    double *sums = a->op.workspace;      /* (O) */
    float *packed = (float *)(sums + O); /* (k,k,O,I) */
    float *scratch = packed + weight_count(a);
    const float *weight = pack_weight(a, packed);
    for (int64_t at = 0; at < a->batch * rows * cols; at++) {
        const int64_t b = at / (rows * cols), y0 = at / cols % rows, x0 = at % cols;
        beit__zero(sums, O);
        for (int64_t tap = 0; tap < K * K; tap++) {
            const int64_t y = y0 * a->stride + tap / K - a->pad;
            const int64_t x = x0 * a->stride + tap % K - a->pad;
            if (y < 0 || y >= a->height || x < 0 || x >= a->width)
                continue;
            const float *pixel = large_pixel(a, b, y, x, scratch);
            for (int64_t o = 0; o < O; o++)
                sums[o] += beit__dot(pixel, weight + (tap * O + o) * I, I);
        }
        store(a, sums, a->small + at * O, O);
    }
    return BEIT_OK;
}

/* Sums of a large pixel, packed weights. */
size_t beit__reference_conv_transpose_workspace(const beit_op_t *args)
{
    const beit_conv_args_t *a = (const beit_conv_args_t *)args;
    return (size_t)a->in_channels * sizeof(double) + (size_t)weight_count(a) * sizeof(float);
}

beit_status_t beit__reference_conv_transpose(void *self, const beit_conv_args_t *a)
{
    (void)self;
    const int64_t I = a->in_channels, O = a->out_channels, K = a->kernel, s = a->stride;
    const int64_t rows = small_side(a->height, a), cols = small_side(a->width, a);
    double *sums = a->op.workspace; /* (I) */
    const float *weight = pack_weight(a, (float *)(sums + I));
    for (int64_t at = 0; at < a->batch * a->height * a->width; at++) {
        const int64_t b = at / (a->height * a->width);
        const int64_t y0 = at / a->width % a->height, x0 = at % a->width;
        beit__zero(sums, I);
        for (int64_t tap = 0; tap < K * K; tap++) {
            const int64_t y = y0 + a->pad - tap / K, x = x0 + a->pad - tap % K; /* times stride */
            if (y < 0 || y % s || y / s >= rows || x < 0 || x % s || x / s >= cols)
                continue;
            const float *pixel = a->small + ((b * rows + y / s) * cols + x / s) * O;
            for (int64_t o = 0; o < O; o++)
                beit__axpy(sums, (double)pixel[o], weight + (tap * O + o) * I, I);
        }
        store(a, sums, a->large + at * I, I);
    }
    return BEIT_OK;
}

/* Sums of the packed weights' gradient, one large pixel. */
size_t beit__reference_conv_weight_gradient_workspace(const beit_op_t *args)
{
    const beit_conv_args_t *a = (const beit_conv_args_t *)args;
    return (size_t)weight_count(a) * sizeof(double) + (size_t)a->in_channels * sizeof(float);
}

beit_status_t beit__reference_conv_weight_gradient(void *self, const beit_conv_args_t *a)
{
    (void)self;
    const int64_t I = a->in_channels, O = a->out_channels, K = a->kernel, taps = K * K;
    const int64_t rows = small_side(a->height, a), cols = small_side(a->width, a);
    double *sums = a->op.workspace; /* (k,k,O,I) */
    float *scratch = (float *)(sums + weight_count(a));
    beit__zero(sums, weight_count(a));
    for (int64_t at = 0; at < a->batch * rows * cols; at++) {
        const int64_t b = at / (rows * cols), y0 = at / cols % rows, x0 = at % cols;
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t y = y0 * a->stride + tap / K - a->pad;
            const int64_t x = x0 * a->stride + tap % K - a->pad;
            if (y < 0 || y >= a->height || x < 0 || x >= a->width)
                continue;
            const float *pixel = large_pixel(a, b, y, x, scratch);
            for (int64_t o = 0; o < O; o++)
                beit__axpy(sums + (tap * O + o) * I, (double)a->small[at * O + o], pixel, I);
        }
    }
    for (int64_t pair = 0; pair < O * I; pair++)
        for (int64_t tap = 0; tap < taps; tap++) {
            float *dweight = a->dweight + pair * taps + tap;
            *dweight = (float)((double)*dweight + (double)a->alpha * sums[tap * O * I + pair]);
        }
    return BEIT_OK;
}
