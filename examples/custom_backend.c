/* A backend of one's own: a table with a matrix product in it and nothing else. Whatever a table
 * leaves out comes from the reference backend, as long as its memory is the host's. This one counts
 * its calls; training with it must give the loss that the built-in reference gives. */
#include <assert.h>
#include <beit/backend.h>
#include <math.h>
#include <stdio.h>

#include "common/noise_model.h"

enum { STEPS = 5 };

typedef struct counter {
    uint64_t calls;
    double multiplications;
} counter_t;

static counter_t counter; /* of the one instance that this program opens */

static beit_status_t counting_open(void **self, const beit_backend_host_t *host,
                                   const char *options)
{
    if (options) {
        host->set_error("the counting backend has no options");
        return BEIT_E_ARGUMENT;
    }
    *self = &counter;
    return BEIT_OK;
}

static void counting_close(void *self)
{
    (void)self;
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x * sqrt(0.5)));
}

static double gelu_slope(double x)
{
    return 0.5 * (1 + erf(x * sqrt(0.5))) + x * exp(-0.5 * x * x) * 0.3989422804014327;
}

/* What is done to an element before it is stored; aux is its twin, or NULL. */
static double finish(int32_t epilogue, double value, float *aux)
{
    switch (epilogue) {
    case BEIT_EPILOGUE_GELU:
        if (aux)
            *aux = (float)value;
        return gelu(value);
    case BEIT_EPILOGUE_GELU_BACKWARD:
        assert(aux);
        return value * gelu_slope((double)*aux);
    case BEIT_EPILOGUE_RELU:
        return value > 0 ? value : 0;
    default:
        return value;
    }
}

/* Element (i, j) of op(A) op(B) of one batch item. */
static double dot(const beit_gemm_args_t *g, const float *a, const float *b, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < g->k; k++) {
        const float x = g->trans_a ? a[k * g->lda + i] : a[i * g->lda + k];
        const float y = g->trans_b ? b[j * g->ldb + k] : b[k * g->ldb + j];
        sum += (double)x * (double)y;
    }
    return sum;
}

static beit_status_t counting_gemm(void *self, const beit_gemm_args_t *g)
{
    counter_t *count = self;
    count->calls++;
    count->multiplications += (double)g->batch * (double)g->m * (double)g->n * (double)g->k;
    for (int64_t item = 0; item < g->batch; item++) {
        const float *a = g->a + item * g->stride_a, *b = g->b + item * g->stride_b;
        float *c = g->c + item * g->stride_c;
        float *aux = g->aux ? g->aux + item * g->stride_c : NULL;
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < g->n; j++) {
                const int64_t at = i * g->ldc + j;
                double value = (double)g->alpha * dot(g, a, b, i, j);
                if (g->beta != 0)
                    value += (double)g->beta * (double)c[at];
                if (g->bias)
                    value += (double)g->bias[j];
                c[at] = (float)finish(g->epilogue, value, aux ? aux + at : NULL);
            }
    }
    return BEIT_OK;
}

static const beit_backend_ops_t counting = {.struct_size = sizeof counting,
                                            .abi = BEIT_BACKEND_ABI,
                                            .flags = BEIT_BACKEND_HOST_MEMORY |
                                                     BEIT_BACKEND_DETERMINISTIC,
                                            .name = "counting",
                                            .open = counting_open,
                                            .close = counting_close,
                                            .gemm = counting_gemm};

static beit_status_t train_on(const beit_backend_ops_t *backend, double *loss)
{
    beit_context_config_t cfg;
    beit_context_t *ctx = NULL;
    beit_context_config_init(&cfg, sizeof cfg);
    cfg.backend = backend;
    beit_status_t status = beit_context_create(&ctx, &cfg);
    if (!status)
        status = noise_train(ctx, STEPS, loss);
    if (!status)
        printf("%s: loss %.6f after %d steps\n", backend->name, *loss, STEPS);
    beit_context_unref(ctx);
    return status;
}

int main(void)
{
    double ours, reference;
    if (train_on(&counting, &ours) || train_on(beit_backend_builtin("reference"), &reference)) {
        fprintf(stderr, "%s\n", beit_last_error());
        return 1;
    }
    printf("%llu products, %.1f million multiplications\n", (unsigned long long)counter.calls,
           counter.multiplications / 1e6);
    /* Sums in another order differ in the last bits of a float, five steps of training amplify. */
    return counter.calls == 0 || !(fabs(ours - reference) < 1e-4);
}
