/* Operations that treat every element by itself. */
#include "draws.h"
#include "reference.h"
#include "sums.h"

beit_status_t beit__reference_gelu_forward(void *self, const beit_gelu_forward_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = (float)beit__gelu_at((double)a->x[i]);
    return BEIT_OK;
}

beit_status_t beit__reference_relu(void *self, const beit_relu_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->count; i++) {
        if (a->dy)
            a->y[i] = a->x[i] > 0.0f ? a->dy[i] : 0.0f;
        else
            a->y[i] = beit__relu_at(a->x[i]);
    }
    return BEIT_OK;
}

beit_status_t beit__reference_scale_add(void *self, const beit_scale_add_args_t *a)
{
    (void)self;
    for (int64_t r = 0; r < a->rows; r++) {
        const double sample = a->sample_scale ? (double)a->sample_scale[r / a->rows_per_sample] : 1;
        for (int64_t c = 0; c < a->cols; c++) {
            const int64_t at = r * a->cols + c;
            const double scale = a->col_scale ? sample * (double)a->col_scale[c] : sample;
            double v = a->add ? (double)a->add[at] : 0;
            if (sample != 0) /* 0 times a NaN would be one */
                v += scale * (double)a->x[at];
            a->y[at] = (float)v;
        }
    }
    return BEIT_OK;
}

beit_status_t beit__reference_dropout(void *self, const beit_dropout_args_t *a)
{
    (void)self;
    const double keep_scale = 1.0 / (1.0 - (double)a->rate);
    for (int64_t s = 0; s < a->samples; s++) {
        beit__element_draws_t draws = beit__element_draws(&a->random, s);
        for (int64_t e = 0; e < a->per_sample; e++) {
            const int64_t at = s * a->per_sample + e;
            const int keep = beit__element_unit(&draws, e) >= a->rate;
            a->y[at] = keep ? (float)((double)a->x[at] * keep_scale) : 0.0f;
        }
    }
    return BEIT_OK;
}

beit_status_t beit__reference_fill(void *self, const beit_fill_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->count; i++)
        a->x[i] = a->value;
    return BEIT_OK;
}
