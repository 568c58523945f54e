/* Relative position bias: a table row for each displacement between two patches, and three rows
 * for the pairs with the class token. */
#include "reference.h"
#include "sums.h"

static int64_t table_rows(const beit_relpos_args_t *a)
{
    return (2 * a->rows - 1) * (2 * a->cols - 1) + 3;
}

/* Table row of the pair (query token i, key token j); token 0 is the class token. */
static int64_t table_index(const beit_relpos_args_t *a, int64_t i, int64_t j)
{
    const int64_t R = table_rows(a);
    if (i == 0)
        return j == 0 ? R - 1 : R - 3;
    if (j == 0)
        return R - 2;
    const int64_t dy = (i - 1) / a->cols - (j - 1) / a->cols;
    const int64_t dx = (i - 1) % a->cols - (j - 1) % a->cols;
    return (dy + a->rows - 1) * (2 * a->cols - 1) + dx + a->cols - 1;
}

beit_status_t beit__reference_relpos_forward(void *self, const beit_relpos_args_t *a)
{
    (void)self;
    const int64_t T = a->rows * a->cols + 1;
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < T; j++) {
            const float *row = a->table + table_index(a, i, j) * a->heads;
            for (int64_t h = 0; h < a->heads; h++) {
                float *bias = a->bias + (h * T + i) * T + j;
                *bias = a->accumulate ? *bias + row[h] : row[h];
            }
        }
    return BEIT_OK;
}

/* Sums of the whole table. */
size_t beit__reference_relpos_backward_workspace(const beit_op_t *args)
{
    const beit_relpos_args_t *a = (const beit_relpos_args_t *)args;
    return (size_t)(table_rows(a) * a->heads) * sizeof(double);
}

beit_status_t beit__reference_relpos_backward(void *self, const beit_relpos_args_t *a)
{
    (void)self;
    const int64_t T = a->rows * a->cols + 1, count = table_rows(a) * a->heads;
    double *sums = a->op.workspace; /* (R,heads) */
    beit__zero(sums, count);
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j < T; j++) {
            double *row = sums + table_index(a, i, j) * a->heads;
            for (int64_t h = 0; h < a->heads; h++)
                row[h] += (double)a->dbias[(h * T + i) * T + j];
        }
    beit__add_to(a->dtable, sums, count);
    return BEIT_OK;
}
