/* Layer normalisation over the last axis. The output is made from the statistics as stored, in
 * single precision, so that recomputing it in the backward pass gives the same bits. */
#include "reference.h"
#include "sums.h"

static void statistics(const beit_layernorm_forward_args_t *a, int64_t r)
{
    const float *x = a->x + r * a->cols;
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < a->cols; c++)
        sum += (double)x[c];
    const double mean = sum / (double)a->cols;
    for (int64_t c = 0; c < a->cols; c++) {
        const double d = (double)x[c] - mean;
        squares += d * d;
    }
    a->mean[r] = (float)mean;
    a->rstd[r] = (float)(1.0 / sqrt(squares / (double)a->cols + (double)a->eps));
}

beit_status_t beit__reference_layernorm_forward(void *self, const beit_layernorm_forward_args_t *a)
{
    (void)self;
    for (int64_t r = 0; r < a->rows; r++) {
        if (!a->normalize)
            statistics(a, r);
        if (!a->y)
            continue;
        const double mean = (double)a->mean[r], rstd = (double)a->rstd[r];
        for (int64_t c = 0; c < a->cols; c++) {
            const double normed = ((double)a->x[r * a->cols + c] - mean) * rstd;
            a->y[r * a->cols + c] = (float)(normed * (double)a->weight[c] + (double)a->bias[c]);
        }
    }
    return BEIT_OK;
}

/* Sums of the two parameter gradients. */
size_t beit__reference_layernorm_backward_workspace(const beit_op_t *args)
{
    return 2 * (size_t)((const beit_layernorm_backward_args_t *)args)->cols * sizeof(double);
}

/* With n the normalised row and g = dy * weight: dx += rstd (g - mean(g) - n mean(g n)). */
static void input_gradient(const beit_layernorm_backward_args_t *a, int64_t r)
{
    const int64_t cols = a->cols;
    const float *dy = a->dy + r * cols, *x = a->x + r * cols;
    float *dx = a->dx + r * cols;
    const double mean = (double)a->mean[r], rstd = (double)a->rstd[r];
    double sum_g = 0, sum_gn = 0;
    for (int64_t c = 0; c < cols; c++) {
        const double g = (double)dy[c] * (double)a->weight[c];
        sum_g += g;
        sum_gn += g * ((double)x[c] - mean) * rstd;
    }
    for (int64_t c = 0; c < cols; c++) {
        const double g = (double)dy[c] * (double)a->weight[c];
        const double n = ((double)x[c] - mean) * rstd;
        dx[c] =
            (float)((double)dx[c] + rstd * (g - sum_g / (double)cols - n * sum_gn / (double)cols));
    }
}

beit_status_t beit__reference_layernorm_backward(void *self,
                                                 const beit_layernorm_backward_args_t *a)
{
    (void)self;
    double *dweight = a->op.workspace, *dbias = dweight + a->cols; /* (cols) each */
    beit__zero(dweight, a->cols);
    beit__zero(dbias, a->cols);
    for (int64_t r = 0; r < a->rows; r++) {
        if (a->dx)
            input_gradient(a, r);
        for (int64_t c = 0; c < a->cols; c++) {
            const double dy = (double)a->dy[r * a->cols + c];
            const double x = (double)a->x[r * a->cols + c];
            dweight[c] += dy * (x - (double)a->mean[r]) * (double)a->rstd[r];
            dbias[c] += dy;
        }
    }
    beit__add_to(a->dweight, dweight, a->cols);
    beit__add_to(a->dbias, dbias, a->cols);
    return BEIT_OK;
}
