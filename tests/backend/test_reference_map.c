/* Reference operations on feature maps: convolution in its three directions, layout, sampling. */
#include "reference_op.h"

#define COPY(to, from, count) memcpy((to), (from), (size_t)(count) * sizeof *(to))

/* The shapes of the tokenizers: stride-2 stages (forward and transposed), 3x3, 1x1, 7x7, and a
 * map whose last column no tap reaches. */
static const ref64_conv_t shapes[] = {
    {.B = 2, .H = 6, .W = 4, .I = 3, .O = 2, .k = 4, .stride = 2, .pad = 1},
    {.B = 1, .H = 5, .W = 4, .I = 2, .O = 3, .k = 3, .stride = 1, .pad = 1},
    {.B = 2, .H = 3, .W = 2, .I = 3, .O = 4, .k = 1, .stride = 1, .pad = 0},
    {.B = 1, .H = 5, .W = 6, .I = 2, .O = 2, .k = 7, .stride = 1, .pad = 3},
    {.B = 1, .H = 6, .W = 7, .I = 1, .O = 2, .k = 3, .stride = 2, .pad = 0},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct counts {
    int64_t large, small, weight;
} counts_t;

static counts_t count(const ref64_conv_t *c)
{
    return (counts_t){.large = c->B * c->H * c->W * c->I,
                      .small = c->B * ref64_conv_side(c, c->H) * ref64_conv_side(c, c->W) * c->O,
                      .weight = c->O * c->I * c->k * c->k};
}

static beit_conv_args_t conv_args(const ref64_conv_t *c)
{
    return (beit_conv_args_t){.batch = c->B,
                              .height = c->H,
                              .width = c->W,
                              .in_channels = c->I,
                              .out_channels = c->O,
                              .kernel = c->k,
                              .stride = c->stride,
                              .pad = c->pad,
                              .alpha = 1};
}

static void relu_all(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* act(alpha v + beta old), v already with bias. */
static void finish(double *v, const double *old, int64_t n, double alpha, double beta, int relu)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = alpha * v[i] + beta * old[i];
    if (relu)
        relu_all(v, n);
}

/* Every combination of bias, beta, relu_input and relu_output, both directions. */
static void check_values(const ref64_conv_t *c, int variant)
{
    const counts_t n = count(c);
    const int with_bias = variant & 1, with_beta = variant >> 1 & 1;
    float *large = numbers(n.large, 1), *small = numbers(n.small, 1);
    const float *w = numbers(n.weight, 1), *bias_o = numbers(c->O, 1), *bias_i = numbers(c->I, 1);
    beit_conv_args_t a = conv_args(c);
    a.weight = w, a.alpha = 0.5f, a.beta = with_beta ? -1.5f : 0.0f;
    a.relu_input = variant >> 2 & 1, a.relu_output = variant >> 3 & 1;

    double *f_large = widened(large, n.large), *wanted = room(n.small);
    if (a.relu_input)
        relu_all(f_large, n.large);
    ref64_conv(c, f_large, widened(w, n.weight), with_bias ? widened(bias_o, c->O) : NULL, wanted);
    finish(wanted, widened(small, n.small), n.small, 0.5, (double)a.beta, a.relu_output);
    float *out = zeros(n.small);
    if (with_beta)
        COPY(out, small, n.small);
    else
        for (int64_t i = 0; i < n.small; i++)
            out[i] = NAN; /* must not be read */
    a.large = large, a.small = out, a.bias = with_bias ? bias_o : NULL;
    RUN(conv_forward, CONV_FORWARD, a);
    check_all_near("conv", out, wanted, n.small, ROUNDING);

    wanted = room(n.large);
    ref64_conv_transpose(c, widened(small, n.small), widened(w, n.weight),
                         with_bias ? widened(bias_i, c->I) : NULL, wanted);
    finish(wanted, widened(large, n.large), n.large, 0.5, (double)a.beta, a.relu_output);
    a.small = small, a.bias = with_bias ? bias_i : NULL;
    if (!with_beta)
        for (int64_t i = 0; i < n.large; i++)
            large[i] = NAN;
    RUN(conv_transpose, CONV_TRANSPOSE, a);
    check_all_near("transposed conv", large, wanted, n.large, ROUNDING);
}

static void convolutions(void **state)
{
    for (int shape = 0; shape < SHAPES; shape++)
        for (int variant = 0; variant < 16; variant++) {
            check_values(&shapes[shape], variant);
            release_numbers(state);
        }
}

/* Loss = <d, layer(x)> of a convolution over f(large), or of a transposed one over small. */
typedef struct layer {
    const ref64_conv_t *c;
    double *x, *weight;
    const float *d;
    int transposed, relu_input;
} layer_t;

static double layer_loss(const void *user)
{
    const layer_t *s = user;
    const counts_t n = count(s->c);
    double *y = malloc((size_t)(n.large + n.small) * sizeof *y), *x = y + n.small, loss;
    if (s->transposed) {
        ref64_conv_transpose(s->c, s->x, s->weight, NULL, x);
        loss = dot(s->d, x, n.large);
    } else {
        memcpy(x, s->x, (size_t)n.large * sizeof *x);
        if (s->relu_input)
            relu_all(x, n.large);
        ref64_conv(s->c, x, s->weight, NULL, y);
        loss = dot(s->d, y, n.small);
    }
    free(y);
    return loss;
}

/* Away from 0, where ReLU has no derivative. */
static float *numbers_off_zero(int64_t count)
{
    float *x = numbers(count, 1);
    for (int64_t i = 0; i < count; i++)
        x[i] += x[i] > 0 ? 0.1f : -0.1f;
    return x;
}

static void check_layer(const ref64_conv_t *c, int transposed, int32_t relu_input)
{
    const counts_t n = count(c);
    float *large = numbers_off_zero(n.large), *small = numbers(n.small, 1);
    const float *w = numbers(n.weight, 1);
    float *dweight = numbers(n.weight, 1), *before = zeros(n.weight);
    COPY(before, dweight, n.weight);
    layer_t s = {.c = c, .weight = widened(w, n.weight), .transposed = transposed};
    s.relu_input = relu_input;
    s.x = transposed ? widened(small, n.small) : widened(large, n.large);
    s.d = transposed ? large : small;

    beit_conv_args_t a = conv_args(c);
    a.large = large, a.small = small, a.dweight = dweight, a.relu_input = relu_input;
    RUN(conv_weight_gradient, CONV_WEIGHT_GRADIENT, a);
    check_gradient("dweight", layer_loss, &s, s.weight, dweight, before, n.weight);
    if (relu_input)
        return; /* the rest of its input gradient is the relu operation */
    a.weight = w;
    if (transposed) {
        float *dx = a.small = zeros(n.small);
        RUN(conv_forward, CONV_FORWARD, a);
        check_gradient("dx of transposed", layer_loss, &s, s.x, dx, NULL, n.small);
    } else {
        float *dx = a.large = zeros(n.large);
        RUN(conv_transpose, CONV_TRANSPOSE, a);
        check_gradient("dx", layer_loss, &s, s.x, dx, NULL, n.large);
    }
}

static void convolution_gradients(void **state)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        check_layer(&shapes[shape], 0, 0);
        check_layer(&shapes[shape], 0, 1);
        check_layer(&shapes[shape], 1, 0);
        release_numbers(state);
    }
}

static void weight_gradient_is_scaled(void **state)
{
    (void)state;
    float large = 3, small = 5, dweight = 1;
    beit_conv_args_t a = conv_args(&(ref64_conv_t){1, 1, 1, 1, 1, 1, 1, 0});
    a.large = &large, a.small = &small, a.dweight = &dweight, a.alpha = 0.5f;
    RUN(conv_weight_gradient, CONV_WEIGHT_GRADIENT, a);
    check_near((double)dweight, 8.5, 0);
}

/* ---- layout and sampling ---- */

static void layout_there_and_back(void **state)
{
    (void)state;
    enum { B = 2, C = 3, H = 2, W = 5, N = B * C * H * W };
    const float *x = numbers(N, 1);
    float *y = zeros(N), *z = zeros(N);
    beit_layout_args_t a = {.batch = B, .channels = C, .height = H, .width = W};
    a.x = x, a.y = y, a.scale = 2, a.shift = -1, a.to_nhwc = 1;
    RUN(layout, LAYOUT, a);
    for (int i = 0; i < N; i++) {
        const int b = i / (C * H * W), c = i / (H * W) % C, p = i % (H * W);
        check_near((double)y[(b * H * W + p) * C + c], 2 * (double)x[i] - 1, 2e-7);
    }
    a.x = y, a.y = z, a.scale = 0.5f, a.shift = 0.5f, a.to_nhwc = 0, a.keep = 2;
    RUN(layout, LAYOUT, a);
    for (int i = 0; i < B * 2 * H * W; i++) {
        const int b = i / (2 * H * W), c = i / (H * W) % 2, p = i % (H * W);
        check_near((double)z[i], (double)x[(b * C + c) * H * W + p], 2e-7);
    }
}

static void logits_become_pixels(void **state)
{
    (void)state;
    const float x[4] = {-10, 0, 1, 10};
    const double sigmoid1 = 1 / (1 + exp(-1.0));
    const double wanted[4] = {0, 0.5, (sigmoid1 - 0.1) / 0.8, 1};
    float y[4];
    beit_layout_args_t a = {.batch = 1, .channels = 1, .height = 2, .width = 2, .keep = 1};
    a.x = x, a.y = y, a.scale = 1, a.unmap_logit = 1;
    RUN(layout, LAYOUT, a);
    check_all_near("pixels", y, wanted, 4, 1e-7);
}

static void sampling_by_two(void **state)
{
    (void)state;
    /* 3 x 5, two channels: the last row and column are left out */
    float x[30], half[4], twice[120];
    for (int i = 0; i < 30; i++)
        x[i] = (float)((i * 7) % 11);
    beit_resample_args_t a = {.batch = 1, .height = 3, .width = 5, .channels = 2, .x = x};
    a.y = half;
    RUN(resample, RESAMPLE, a);
    for (int p = 0; p < 2; p++)
        for (int c = 0; c < 2; c++) {
            float max = -1;
            for (int k = 0; k < 4; k++)
                max = fmaxf(max, x[((k / 2) * 5 + 2 * p + k % 2) * 2 + c]);
            assert_true(half[p * 2 + c] == max);
        }
    a.y = twice, a.up = 1;
    RUN(resample, RESAMPLE, a);
    for (int y = 0; y < 6; y++)
        for (int i = 0; i < 20; i++)
            assert_true(twice[y * 20 + i] == x[(y / 2 * 5 + i / 4) * 2 + i % 2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        reference_test(convolutions),
        reference_test(convolution_gradients),
        reference_test(weight_gradient_is_scaled),
        reference_test(layout_there_and_back),
        reference_test(logits_become_pixels),
        reference_test(sampling_by_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
