/* Feature maps between convolutions: layout, activation, resampling. */
#include <math.h>

#include "backend/cblas/cblas.h"

/* ---- layout ---- */

/* Pixel map of OpenAI's dVAE: v -> (v - OFFSET) / SPAN, clamped. */
static const float LOGIT_OFFSET = 0.1f, LOGIT_SPAN = 0.8f;

static float unmap(float v)
{
    const float x = (1.0f / (1.0f + expf(-v)) - LOGIT_OFFSET) / LOGIT_SPAN;
    return fminf(fmaxf(x, 0.0f), 1.0f);
}

typedef struct layout {
    const beit_layout_args_t *a;
    size_t channels, keep, height, width;
} layout_t;

/* One row of pixels of one image; `source` and `target` strides are those of channel and pixel. */
static void layout_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const layout_t *l = arg;
    const beit_layout_args_t *a = l->a;
    const size_t image = index / l->height, row = index % l->height, W = l->width;
    const size_t plane = l->height * W, C = l->channels;
    const bool to_nhwc = a->to_nhwc;
    const size_t count = to_nhwc ? C : l->keep;
    const float *x = a->x + image * plane * C + row * W * (to_nhwc ? 1 : C);
    float *y = a->y + image * plane * count + row * W * (to_nhwc ? C : 1);
    for (size_t i = 0; i < W; i++)
        for (size_t c = 0; c < count; c++) {
            const float v = x[to_nhwc ? c * plane + i : i * C + c];
            y[to_nhwc ? i * C + c : c * plane + i] =
                a->scale * (a->unmap_logit ? unmap(v) : v) + a->shift;
        }
}

beit_status_t beit__cblas_layout(void *instance, const beit_layout_args_t *a)
{
    layout_t l = {a, (size_t)a->channels, (size_t)a->keep, (size_t)a->height, (size_t)a->width};
    return beit__cblas_tasks(instance, (size_t)a->batch * l.height, layout_task, &l);
}

/* ---- activation ---- */

typedef struct elements {
    const beit__cblas_t *self;
    const beit_relu_args_t *relu;
    const beit_gelu_forward_args_t *gelu;
    size_t count;
} elements_t;

static void relu_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const elements_t *e = arg;
    const beit_relu_args_t *a = e->relu;
    const beit__span_t s = beit__span(e->count, BEIT__TASK_FLOATS, index);
    const size_t at = s.first, n = s.end - s.first;
    if (a->dy)
        e->self->k.relu_backward(n, a->x + at, a->dy + at, a->y + at);
    else
        e->self->k.relu(n, a->x + at, a->y + at);
}

beit_status_t beit__cblas_relu(void *instance, const beit_relu_args_t *a)
{
    elements_t e = {instance, a, NULL, (size_t)a->count};
    return beit__cblas_tasks(e.self, beit__pieces(e.count, BEIT__TASK_FLOATS), relu_task, &e);
}

static void gelu_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const elements_t *e = arg;
    const beit__span_t s = beit__span(e->count, BEIT__TASK_FLOATS, index);
    e->self->k.gelu(s.end - s.first, e->gelu->x + s.first, e->gelu->y + s.first);
}

beit_status_t beit__cblas_gelu_forward(void *instance, const beit_gelu_forward_args_t *a)
{
    elements_t e = {instance, NULL, a, (size_t)a->count};
    return beit__cblas_tasks(e.self, beit__pieces(e.count, BEIT__TASK_FLOATS), gelu_task, &e);
}

/* ---- resampling ---- */

typedef struct resample {
    const beit__cblas_t *self;
    const beit_resample_args_t *a;
    size_t height, width, channels; /* of the result */
    size_t source_height, source_width;
} resample_t;

/* One row of the result. */
static void resample_task(void *arg, size_t index, unsigned worker)
{
    (void)worker;
    const resample_t *r = arg;
    const beit__kernels_t *k = &r->self->k;
    const size_t C = r->channels, image = index / r->height, row = index % r->height;
    const size_t ldx = r->source_width * C;
    const float *x = r->a->x + image * r->source_height * ldx;
    float *y = r->a->y + index * r->width * C;
    for (size_t i = 0; i < r->width; i++, y += C) {
        if (r->a->up) {
            k->affine(C, 1.0f, 0.0f, x + (row / 2) * ldx + (i / 2) * C, y);
            continue;
        }
        const float *corner = x + 2 * row * ldx + 2 * i * C;
        k->affine(C, 1.0f, 0.0f, corner, y);
        k->maximum(C, corner + C, y);
        k->maximum(C, corner + ldx, y);
        k->maximum(C, corner + ldx + C, y);
    }
}

beit_status_t beit__cblas_resample(void *instance, const beit_resample_args_t *a)
{
    const size_t h = (size_t)a->height, w = (size_t)a->width;
    resample_t r = {instance, a, a->up ? 2 * h : h / 2, a->up ? 2 * w : w / 2, (size_t)a->channels,
                    h,        w};
    return beit__cblas_tasks(r.self, (size_t)a->batch * r.height, resample_task, &r);
}
