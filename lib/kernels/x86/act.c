/* Activations. GELU is x Phi(x) with the normal distribution from math.h. */
#include <beit/backend.h>

#include "kernels/levels.h"
#include "kernels/x86/math.h"

#define INV_ROOT_2PI 0.39894228040143267794f

V_INLINE vec_t gelu_of(vec_t x)
{
    vec_t density;
    return v_mul(x, v_normal(x, &density));
}

V_INLINE vec_t gelu_slope(vec_t x)
{
    vec_t density;
    const vec_t phi = v_normal(x, &density);
    return v_fma(v_mul(x, v_set(INV_ROOT_2PI)), density, phi);
}

V_INLINE vec_t biased(const float *bias, const float *c, size_t i, size_t lanes)
{
    const vec_t v = v_get(c + i, lanes);
    return bias ? v_add(v, v_get(bias + i, lanes)) : v;
}

static void epilogue_none(size_t n, const float *bias, float *aux, float *c)
{
    (void)aux;
    V_EACH(i, lanes, n, { v_put(c + i, biased(bias, c, i, lanes), lanes); });
}

static void epilogue_gelu(size_t n, const float *bias, float *aux, float *c)
{
    V_EACH(i, lanes, n, {
        const vec_t v = biased(bias, c, i, lanes);
        if (aux)
            v_put(aux + i, v, lanes);
        v_put(c + i, gelu_of(v), lanes);
    });
}

static void epilogue_gelu_backward(size_t n, const float *bias, float *aux, float *c)
{
    V_EACH(i, lanes, n, {
        const vec_t slope = gelu_slope(v_get(aux + i, lanes));
        v_put(c + i, v_mul(biased(bias, c, i, lanes), slope), lanes);
    });
}

static void epilogue_relu(size_t n, const float *bias, float *aux, float *c)
{
    (void)aux;
    V_EACH(i, lanes, n, { v_put(c + i, v_relu(biased(bias, c, i, lanes)), lanes); });
}

static void gelu(size_t n, const float *x, float *y)
{
    V_EACH(i, lanes, n, { v_put(y + i, gelu_of(v_get(x + i, lanes)), lanes); });
}

static void relu(size_t n, const float *x, float *y)
{
    V_EACH(i, lanes, n, { v_put(y + i, v_relu(v_get(x + i, lanes)), lanes); });
}

static void relu_backward(size_t n, const float *x, const float *dy, float *y)
{
    const vec_t zero = v_set(0.0f);
    V_EACH(i, lanes, n, {
        const vec_t slope = v_get(dy + i, lanes);
        v_put(y + i, v_select_less(zero, v_get(x + i, lanes), slope, zero), lanes);
    });
}

void V_LEVEL(beit__fill_act)(beit__kernels_t *k)
{
    k->epilogue[BEIT_EPILOGUE_NONE] = epilogue_none;
    k->epilogue[BEIT_EPILOGUE_GELU] = epilogue_gelu;
    k->epilogue[BEIT_EPILOGUE_GELU_BACKWARD] = epilogue_gelu_backward;
    k->epilogue[BEIT_EPILOGUE_RELU] = epilogue_relu;
    k->gelu = gelu;
    k->relu = relu;
    k->relu_backward = relu_backward;
}
