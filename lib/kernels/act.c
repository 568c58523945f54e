/* Activations and what a product does to each row before it leaves the cache. */
#include <math.h>

#include <beit/backend.h>

#include "kernels/levels.h"

static const float ROOT_HALF = 0.70710678118654752440f;
static const float INV_ROOT_2PI = 0.39894228040143267794f;

static float gelu(float x)
{
    return 0.5f * x * (1.0f + erff(x * ROOT_HALF));
}

static float gelu_slope(float x)
{
    return 0.5f * (1.0f + erff(x * ROOT_HALF)) + x * INV_ROOT_2PI * expf(-0.5f * x * x);
}

static float biased(const float *bias, const float *c, size_t i)
{
    return bias ? c[i] + bias[i] : c[i];
}

static void epilogue_none_c(size_t n, const float *bias, float *aux, float *c)
{
    (void)aux;
    for (size_t i = 0; i < n; i++)
        c[i] = biased(bias, c, i);
}

static void epilogue_gelu_c(size_t n, const float *bias, float *aux, float *c)
{
    for (size_t i = 0; i < n; i++) {
        const float v = biased(bias, c, i);
        if (aux)
            aux[i] = v;
        c[i] = gelu(v);
    }
}

static void epilogue_gelu_backward_c(size_t n, const float *bias, float *aux, float *c)
{
    for (size_t i = 0; i < n; i++)
        c[i] = biased(bias, c, i) * gelu_slope(aux[i]);
}

static void epilogue_relu_c(size_t n, const float *bias, float *aux, float *c)
{
    (void)aux;
    for (size_t i = 0; i < n; i++) {
        const float v = biased(bias, c, i);
        c[i] = v < 0.0f ? 0.0f : v;
    }
}

static void gelu_c(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu(x[i]);
}

static void relu_c(size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

static void relu_backward_c(size_t n, const float *x, const float *dy, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > 0.0f ? dy[i] : 0.0f;
}

void beit__fill_act_c(beit__kernels_t *k)
{
    k->epilogue[BEIT_EPILOGUE_NONE] = epilogue_none_c;
    k->epilogue[BEIT_EPILOGUE_GELU] = epilogue_gelu_c;
    k->epilogue[BEIT_EPILOGUE_GELU_BACKWARD] = epilogue_gelu_backward_c;
    k->epilogue[BEIT_EPILOGUE_RELU] = epilogue_relu_c;
    k->gelu = gelu_c;
    k->relu = relu_c;
    k->relu_backward = relu_backward_c;
}
