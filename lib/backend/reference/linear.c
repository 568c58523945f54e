/* Matrix products and the sums that go with a linear layer's gradient. */
#include "reference.h"
#include "sums.h"

/* One row of op(A) when A is stored transposed, then one row of sums. */
size_t beit__reference_gemm_workspace(const beit_op_t *args)
{
    const beit_gemm_args_t *a = (const beit_gemm_args_t *)args;
    return (size_t)a->n * sizeof(double) + (a->trans_a ? (size_t)a->k * sizeof(float) : 0);
}

/* What is stored for the value v of one element. */
static void store(const beit_gemm_args_t *a, double v, float *c, float *aux)
{
    switch ((beit_epilogue_t)a->epilogue) {
    case BEIT_EPILOGUE_NONE:
        *c = (float)v;
        break;
    case BEIT_EPILOGUE_GELU:
        if (aux)
            *aux = (float)v;
        *c = (float)beit__gelu_at(v);
        break;
    case BEIT_EPILOGUE_GELU_BACKWARD:
        *c = (float)(v * beit__gelu_slope_at((double)*aux));
        break;
    case BEIT_EPILOGUE_RELU:
        *c = beit__relu_at((float)v);
        break;
    }
}

static void product(const beit_gemm_args_t *args, const float *a, /* (m,k), or (k,m) */
                    const float *b,                               /* (k,n), or (n,k) */
                    float *c, float *aux)                         /* (m,n) */
{
    const int64_t m = args->m, n = args->n, k = args->k;
    double *sums = args->op.workspace;     /* (n) */
    float *gathered = (float *)(sums + n); /* (k) */
    for (int64_t i = 0; i < m; i++) {
        const float *row = a + i * args->lda;
        if (args->trans_a) {
            for (int64_t p = 0; p < k; p++)
                gathered[p] = a[p * args->lda + i];
            row = gathered;
        }
        if (args->trans_b) {
            for (int64_t j = 0; j < n; j++)
                sums[j] = beit__dot(row, b + j * args->ldb, k);
        } else {
            beit__zero(sums, n);
            for (int64_t p = 0; p < k; p++)
                beit__axpy(sums, (double)row[p], b + p * args->ldb, n);
        }
        for (int64_t j = 0; j < n; j++) {
            const int64_t at = i * args->ldc + j;
            double v = (double)args->alpha * sums[j];
            if (args->beta != 0.0f)
                v += (double)args->beta * (double)c[at];
            if (args->bias)
                v += (double)args->bias[j];
            store(args, v, c + at, aux ? aux + at : NULL);
        }
    }
}

beit_status_t beit__reference_gemm(void *self, const beit_gemm_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->batch; i++)
        product(a, a->a + i * a->stride_a, a->b + i * a->stride_b, a->c + i * a->stride_c,
                a->aux ? a->aux + i * a->stride_c : NULL);
    return BEIT_OK;
}

size_t beit__reference_column_sum_workspace(const beit_op_t *args)
{
    return (size_t)((const beit_column_sum_args_t *)args)->cols * sizeof(double);
}

beit_status_t beit__reference_column_sum(void *self, const beit_column_sum_args_t *a)
{
    (void)self;
    double *sums = a->op.workspace; /* (cols) */
    beit__zero(sums, a->cols);
    for (int64_t r = 0; r < a->rows; r++)
        beit__axpy(sums, 1.0, a->x + r * a->ldx, a->cols);
    beit__add_to(a->out, sums, a->cols);
    return BEIT_OK;
}

beit_status_t beit__reference_layer_scale_backward(void *self,
                                                   const beit_layer_scale_backward_args_t *a)
{
    (void)self;
    for (int64_t n = 0; n < a->n; n++) {
        const float *w = a->w + n * a->k, *g = a->g + n * a->k;
        float *dw = a->dw + n * a->k;
        const double gamma = (double)a->gamma[n], t = (double)a->t[n];
        a->dgamma[n] =
            (float)((double)a->dgamma[n] + beit__dot(w, g, a->k) + (double)a->bias[n] * t);
        for (int64_t k = 0; k < a->k; k++)
            dw[k] = (float)((double)dw[k] + gamma * (double)g[k]);
        a->dbias[n] = (float)((double)a->dbias[n] + gamma * t);
    }
    return BEIT_OK;
}
