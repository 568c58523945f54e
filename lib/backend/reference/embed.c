/* From pixels to tokens: patches, gathered rows, and the embedding with its mask. */
#include "reference.h"
#include "sums.h"

beit_status_t beit__reference_rows(void *self, const beit_rows_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->rows; i++) {
        const float *x = a->x + (a->scatter ? i : a->index[i]) * a->ldx;
        float *y = a->y + (a->scatter ? a->index[i] : i) * a->ldy;
        for (int64_t c = 0; c < a->cols; c++)
            y[c] = a->scatter ? y[c] + x[c] : x[c];
    }
    return BEIT_OK;
}

beit_status_t beit__reference_patchify(void *self, const beit_patchify_args_t *a)
{
    (void)self;
    const int64_t P = a->patch, rows = a->height / P, cols = a->width / P;
    float *y = a->y;
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t py = 0; py < rows; py++)
            for (int64_t px = 0; px < cols; px++)
                for (int64_t c = 0; c < a->channels; c++)
                    for (int64_t ky = 0; ky < P; ky++) {
                        const int64_t row = (b * a->channels + c) * a->height + py * P + ky;
                        const float *x = a->x + row * a->width + px * P;
                        for (int64_t kx = 0; kx < P; kx++)
                            *y++ = x[kx];
                    }
    return BEIT_OK;
}

static int masked(const uint8_t *mask, int64_t patches, int64_t b, int64_t n)
{
    return mask && mask[b * patches + n];
}

beit_status_t beit__reference_embed_forward(void *self, const beit_embed_forward_args_t *a)
{
    (void)self;
    const int64_t N = a->patches, D = a->cols;
    for (int64_t b = 0; b < a->batch; b++)
        for (int64_t t = 0; t <= N; t++) {
            const float *x = a->cls_token;
            if (t > 0)
                x = masked(a->mask, N, b, t - 1) ? a->mask_token : a->x + (b * N + t - 1) * D;
            float *y = a->y + (b * (N + 1) + t) * D;
            for (int64_t d = 0; d < D; d++)
                y[d] = a->pos_embed ? x[d] + a->pos_embed[t * D + d] : x[d];
        }
    return BEIT_OK;
}

/* Sums of one position, then of the mask token. */
size_t beit__reference_embed_backward_workspace(const beit_op_t *args)
{
    return 2 * (size_t)((const beit_embed_backward_args_t *)args)->cols * sizeof(double);
}

beit_status_t beit__reference_embed_backward(void *self, const beit_embed_backward_args_t *a)
{
    (void)self;
    const int64_t N = a->patches, D = a->cols;
    double *position = a->op.workspace, *mask_token = position + D; /* (D) each */
    beit__zero(mask_token, D);
    for (int64_t t = 0; t <= N; t++) {
        beit__zero(position, D);
        for (int64_t b = 0; b < a->batch; b++) {
            const float *dy = a->dy + (b * (N + 1) + t) * D;
            beit__axpy(position, 1.0, dy, D);
            if (t == 0)
                continue;
            const int hidden = masked(a->mask, N, b, t - 1);
            if (hidden)
                beit__axpy(mask_token, 1.0, dy, D);
            for (int64_t d = 0; d < D; d++)
                a->dx[(b * N + t - 1) * D + d] = hidden ? 0.0f : dy[d];
        }
        if (t == 0)
            beit__add_to(a->dcls_token, position, D);
        if (a->dpos_embed)
            beit__add_to(a->dpos_embed + t * D, position, D);
    }
    if (a->mask)
        beit__add_to(a->dmask_token, mask_token, D);
    return BEIT_OK;
}
