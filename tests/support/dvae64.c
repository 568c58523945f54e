/* See dvae64.h. Clarity over everything; memory is not looked after beyond freeing it. */
#include "dvae64.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref64.h"

typedef struct tensor {
    int64_t shape[4];
    size_t count;
    double *value;
} tensor_t;

struct dvae64 {
    const beit_params_t *params; /* for names only */
    beit_dvae_config_t cfg;
    size_t tensors;
    tensor_t *tensor;
    /* The anchor, rows of V. */
    int32_t *choice;
    double *soft, *stopped;
};

/* Longest name, ending included. */
enum { NAME = 160 };

/* A map that owns its values, (B,H,W,C). */
typedef struct map {
    int64_t B, H, W, C;
    double *x;
} map_t;

static double *doubles(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

/* ---- weights ---- */

dvae64_t *dvae64_create(const beit_params_t *params, const beit_dvae_config_t *cfg)
{
    dvae64_t *d = calloc(1, sizeof *d);
    d->params = params;
    d->cfg = *cfg;
    d->tensors = beit_params_count(params);
    d->tensor = calloc(d->tensors, sizeof *d->tensor);
    for (size_t i = 0; i < d->tensors; i++) {
        tensor_t *t = &d->tensor[i];
        beit_param_info_t info = {.struct_size = sizeof info};
        beit_params_info(params, i, &info);
        t->count = 1;
        for (int32_t j = 0; j < info.value.ndim; j++) {
            t->shape[j] = info.value.shape[j];
            t->count *= (size_t)info.value.shape[j];
        }
        t->value = doubles((int64_t)t->count);
        for (size_t j = 0; j < t->count; j++)
            t->value[j] = (double)((const float *)info.value.data)[j];
    }
    return d;
}

void dvae64_destroy(dvae64_t *d)
{
    for (size_t i = 0; i < d->tensors; i++)
        free(d->tensor[i].value);
    free(d->tensor);
    free(d->choice);
    free(d->soft);
    free(d->stopped);
    free(d);
}

double *dvae64_tensor(dvae64_t *d, size_t index, size_t *count)
{
    *count = d->tensor[index].count;
    return d->tensor[index].value;
}

/* The tensor of that name, or NULL. */
static const tensor_t *find(const dvae64_t *d, const char *format, ...)
{
    char name[96];
    size_t index = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    return beit_params_find(d->params, name, &index) == BEIT_OK ? &d->tensor[index] : NULL;
}

/* ---- network ---- */

static void rectify(map_t *m)
{
    for (int64_t i = 0; i < m->B * m->H * m->W * m->C; i++)
        m->x[i] = fmax(m->x[i], 0);
}

/* Stride 1, k odd, same size. */
static map_t conv_same(const map_t *in, const tensor_t *w, const tensor_t *b)
{
    const int64_t k = w->shape[2];
    map_t out = {in->B, in->H, in->W, w->shape[0], NULL};
    const ref64_conv_t c = {in->B, in->H, in->W, in->C, out.C, k, 1, (k - 1) / 2};
    out.x = doubles(out.B * out.H * out.W * out.C);
    ref64_conv(&c, in->x, w->value, b->value, out.x);
    return out;
}

/* 4x4, stride 2, padding 1, then ReLU. */
static map_t halve(const map_t *in, const tensor_t *w, const tensor_t *b)
{
    map_t out = {in->B, in->H / 2, in->W / 2, w->shape[0], NULL};
    const ref64_conv_t c = {in->B, in->H, in->W, in->C, out.C, 4, 2, 1};
    out.x = doubles(out.B * out.H * out.W * out.C);
    ref64_conv(&c, in->x, w->value, b->value, out.x);
    rectify(&out);
    return out;
}

static map_t enlarge(const map_t *in, const tensor_t *w, const tensor_t *b)
{
    map_t out = {in->B, in->H * 2, in->W * 2, w->shape[1], NULL};
    const ref64_conv_t c = {in->B, out.H, out.W, out.C, in->C, 4, 2, 1};
    out.x = doubles(out.B * out.H * out.W * out.C);
    ref64_conv_transpose(&c, in->x, w->value, b->value, out.x);
    rectify(&out);
    return out;
}

static map_t residual(const dvae64_t *d, const char *part, int number, const map_t *in)
{
    map_t a = conv_same(in, find(d, "%s.%d.net.0.weight", part, number),
                        find(d, "%s.%d.net.0.bias", part, number));
    rectify(&a);
    map_t b = conv_same(&a, find(d, "%s.%d.net.2.weight", part, number),
                        find(d, "%s.%d.net.2.bias", part, number));
    rectify(&b);
    map_t out = conv_same(&b, find(d, "%s.%d.net.4.weight", part, number),
                          find(d, "%s.%d.net.4.bias", part, number));
    for (int64_t i = 0; i < in->B * in->H * in->W * in->C; i++)
        out.x[i] += in->x[i];
    free(a.x);
    free(b.x);
    return out;
}

/* Walk the numbered stages until there is no next; consumes `in`. */
static map_t run_discrete(const dvae64_t *d, const char *part, map_t in)
{
    const bool down = strcmp(part, "encoder") == 0;
    for (int n = 0;; n++) {
        const tensor_t *scaling = find(d, "%s.%d.0.weight", part, n);
        const tensor_t *block = find(d, "%s.%d.net.0.weight", part, n);
        const tensor_t *point = find(d, "%s.%d.weight", part, n);
        map_t out;
        if (scaling)
            out = (down ? halve : enlarge)(&in, scaling, find(d, "%s.%d.0.bias", part, n));
        else if (block)
            out = residual(d, part, n, &in);
        else if (point)
            out = conv_same(&in, point, find(d, "%s.%d.bias", part, n));
        else
            return in;
        free(in.x);
        in = out;
    }
}

/* ---- OpenAI's network ---- */

/* conv(relu(in)), or without relu. */
static map_t convolve(const dvae64_t *d, const map_t *in, bool relu, const char *name)
{
    map_t x = *in;
    x.x = doubles(in->B * in->H * in->W * in->C);
    memcpy(x.x, in->x, (size_t)(in->B * in->H * in->W * in->C) * sizeof *x.x);
    if (relu)
        rectify(&x);
    const map_t out = conv_same(&x, find(d, "%s.w", name), find(d, "%s.b", name));
    free(x.x);
    return out;
}

/* id(x) + res(x) / layers^2; consumes `in`. */
static map_t bottleneck(const dvae64_t *d, const char *block, map_t in)
{
    const double layers = 4 * d->cfg.blocks_per_group;
    char name[NAME];
    map_t res = in;
    for (int i = 1; i <= 4; i++) {
        snprintf(name, sizeof name, "%s.res_path.conv_%d", block, i);
        const map_t next = convolve(d, &res, true, name);
        if (i > 1)
            free(res.x);
        res = next;
    }
    snprintf(name, sizeof name, "%s.id_path", block);
    map_t out = in;
    if (find(d, "%s.w", name)) {
        out = convolve(d, &in, false, name);
        free(in.x);
    }
    for (int64_t i = 0; i < out.B * out.H * out.W * out.C; i++)
        out.x[i] += res.x[i] / (layers * layers);
    free(res.x);
    return out;
}

/* The largest of four, or each four times; consumes `in`. */
static map_t resample(map_t in, bool down)
{
    map_t out = {in.B, down ? in.H / 2 : in.H * 2, down ? in.W / 2 : in.W * 2, in.C, NULL};
    out.x = doubles(out.B * out.H * out.W * out.C);
#define AT(m, b, y, x_, c) (m).x[(((b) * (m).H + (y)) * (m).W + (x_)) * (m).C + (c)]
    for (int64_t b = 0; b < out.B; b++)
        for (int64_t y = 0; y < out.H; y++)
            for (int64_t x = 0; x < out.W; x++)
                for (int64_t c = 0; c < out.C; c++)
                    AT(out, b, y, x, c) =
                        !down
                            ? AT(in, b, y / 2, x / 2, c)
                            : fmax(fmax(AT(in, b, 2 * y, 2 * x, c), AT(in, b, 2 * y, 2 * x + 1, c)),
                                   fmax(AT(in, b, 2 * y + 1, 2 * x, c),
                                        AT(in, b, 2 * y + 1, 2 * x + 1, c)));
#undef AT
    free(in.x);
    return out;
}

static map_t run_dalle(const dvae64_t *d, const char *part, map_t in)
{
    char name[96];
    snprintf(name, sizeof name, "%s.blocks.input", part);
    map_t x = convolve(d, &in, false, name);
    free(in.x);
    for (int group = 1; group <= 4; group++) {
        for (int block = 1; block <= d->cfg.blocks_per_group; block++) {
            snprintf(name, sizeof name, "%s.blocks.group_%d.block_%d", part, group, block);
            x = bottleneck(d, name, x);
        }
        if (group < 4)
            x = resample(x, strcmp(part, "encoder") == 0);
    }
    snprintf(name, sizeof name, "%s.blocks.output.conv", part);
    const map_t out = convolve(d, &x, true, name);
    free(x.x);
    return out;
}

static map_t run_network(const dvae64_t *d, const char *part, map_t in)
{
    return (d->cfg.arch == BEIT_DVAE_DALLE ? run_dalle : run_discrete)(d, part, in);
}

/* ---- input and codes ---- */

static map_t input_map(const dvae64_t *d, int64_t B, int64_t H, int64_t W, const double *pixels)
{
    const bool inside = d->cfg.input_norm == BEIT_DVAE_NORM_SYMMETRIC;
    map_t in = {B, H, W, d->cfg.channels, doubles(B * H * W * d->cfg.channels)};
    for (int64_t b = 0; b < B; b++)
        for (int64_t c = 0; c < in.C; c++)
            for (int64_t p = 0; p < H * W; p++) {
                const double x = pixels[(b * in.C + c) * H * W + p];
                in.x[(b * H * W + p) * in.C + c] = inside ? (x - 0.5) / 0.5 : x;
            }
    return in;
}

/* z = choice codebook. */
static map_t embed(const dvae64_t *d, const map_t *grid, const double *choice)
{
    const int64_t V = d->cfg.vocab_size, D = d->cfg.codebook_dim;
    const double *codebook = find(d, "codebook.weight")->value;
    map_t z = {grid->B, grid->H, grid->W, D, doubles(grid->B * grid->H * grid->W * D)};
    for (int64_t r = 0; r < z.B * z.H * z.W; r++)
        for (int64_t v = 0; v < V; v++)
            for (int64_t c = 0; c < D; c++)
                z.x[r * D + c] += choice[r * V + v] * codebook[v * D + c];
    return z;
}

void dvae64_logits(const dvae64_t *d, int64_t B, int64_t H, int64_t W, const double *pixels,
                   double *logits)
{
    const map_t out = run_network(d, "encoder", input_map(d, B, H, W, pixels));
    memcpy(logits, out.x, (size_t)(out.B * out.H * out.W * out.C) * sizeof *logits);
    free(out.x);
}

/* sigmoid, then the inverse of x -> 0.8 x + 0.1. */
static double unmap(double v)
{
    return fmin(fmax((1 / (1 + exp(-v)) - 0.1) / 0.8, 0), 1);
}

void dvae64_decode(const dvae64_t *d, int64_t B, int64_t h, int64_t w, const int32_t *codes,
                   double *pixels)
{
    const int64_t V = d->cfg.vocab_size, C = d->cfg.channels;
    const bool dalle = d->cfg.arch == BEIT_DVAE_DALLE;
    const map_t chosen = {B, h, w, V, doubles(B * h * w * V)};
    for (int64_t r = 0; r < B * h * w; r++)
        chosen.x[r * V + codes[r]] = 1;
    const map_t z = dalle ? chosen : embed(d, &chosen, chosen.x);
    const map_t out = run_network(d, "decoder", z);
    for (int64_t i = 0; i < out.B * out.H * out.W; i++)
        for (int64_t c = 0; c < C; c++)
            pixels[i * C + c] = dalle ? unmap(out.x[i * out.C + c]) : out.x[i * out.C + c];
    if (!dalle)
        free(chosen.x);
    free(out.x);
}

/* ---- choice ---- */

/* y = softmax((logits + g) / tau) of one row. */
static void relax(const double *logits, const double *noise, double tau, int64_t V, double *y)
{
    double *z = doubles(V);
    for (int64_t v = 0; v < V; v++)
        z[v] = (logits[v] + noise[v]) / tau;
    ref64_softmax(z, V, y);
    free(z);
}

/* What ReinMax holds constant: ln max(pi1, 1e-20) - logits. */
static void reinmax_stop(const double *logits, double tau, int32_t choice, int64_t V,
                         double *stopped)
{
    double *z = doubles(V), *p = doubles(V);
    for (int64_t v = 0; v < V; v++)
        z[v] = logits[v] / tau;
    ref64_softmax(z, V, p);
    for (int64_t v = 0; v < V; v++)
        stopped[v] = log(fmax(((v == choice) + p[v]) / 2, 1e-20)) - logits[v];
    free(z);
    free(p);
}

/* pi2 = 2 softmax(stopped + logits) - softmax(logits) / 2. */
static void reinmax(const double *logits, const double *stopped, int64_t V, double *pi2)
{
    double *z = doubles(V), *p0 = doubles(V), *p1 = doubles(V);
    for (int64_t v = 0; v < V; v++)
        z[v] = stopped[v] + logits[v];
    ref64_softmax(logits, V, p0);
    ref64_softmax(z, V, p1);
    for (int64_t v = 0; v < V; v++)
        pi2[v] = 2 * p1[v] - p0[v] / 2;
    free(z);
    free(p0);
    free(p1);
}

/* What carries the gradient at row r: y, or pi2. */
static void soft_value(const dvae64_t *d, const dvae64_batch_t *batch, const map_t *logits,
                       int64_t r, double *soft)
{
    const int64_t V = d->cfg.vocab_size;
    if (d->cfg.sampling == BEIT_SAMPLING_REINMAX)
        reinmax(logits->x + r * V, d->stopped + r * V, V, soft);
    else
        relax(logits->x + r * V, batch->noise + r * V, batch->tau, V, soft);
}

void dvae64_anchor(dvae64_t *d, const dvae64_batch_t *batch)
{
    const map_t logits =
        run_network(d, "encoder", input_map(d, batch->B, batch->H, batch->W, batch->pixels));
    const int64_t V = d->cfg.vocab_size, rows = logits.B * logits.H * logits.W;
    free(d->choice);
    free(d->soft);
    free(d->stopped);
    d->choice = calloc((size_t)rows, sizeof *d->choice);
    d->soft = doubles(rows * V);
    d->stopped = doubles(rows * V);
    double *y = doubles(V);
    for (int64_t r = 0; r < rows; r++) {
        relax(logits.x + r * V, batch->noise + r * V, batch->tau, V, y);
        for (int32_t v = 1; v < V; v++)
            d->choice[r] = y[v] > y[d->choice[r]] ? v : d->choice[r];
        reinmax_stop(logits.x + r * V, batch->tau, d->choice[r], V, d->stopped + r * V);
        soft_value(d, batch, &logits, r, d->soft + r * V);
    }
    free(y);
    free(logits.x);
}

/* What is multiplied with the codebook, (rows,V). */
static double *sample(const dvae64_t *d, const dvae64_batch_t *batch, const map_t *logits)
{
    const int64_t V = d->cfg.vocab_size, rows = logits->B * logits->H * logits->W;
    double *value = doubles(rows * V);
    for (int64_t r = 0; r < rows; r++) {
        soft_value(d, batch, logits, r, value + r * V);
        for (int64_t v = 0; v < V && d->cfg.sampling != BEIT_SAMPLING_SOFT; v++)
            value[r * V + v] += (v == d->choice[r]) - d->soft[r * V + v];
    }
    return value;
}

/* ---- objective ---- */

double dvae64_objective(dvae64_t *d, const dvae64_batch_t *batch, dvae64_terms_t *terms)
{
    const map_t x = input_map(d, batch->B, batch->H, batch->W, batch->pixels);
    const map_t logits =
        run_network(d, "encoder", input_map(d, batch->B, batch->H, batch->W, batch->pixels));
    double *choice = sample(d, batch, &logits);
    const map_t image = run_network(d, "decoder", embed(d, &logits, choice));

    const int64_t V = d->cfg.vocab_size, rows = logits.B * logits.H * logits.W;
    const double epsilon = d->cfg.layout == BEIT_DVAE_LAYOUT_U ? 1e-10 : 0;
    terms->recon_sum = 0;
    for (int64_t i = 0; i < x.B * x.H * x.W * x.C; i++) {
        const double difference = image.x[i] - x.x[i];
        terms->recon_sum += d->cfg.recon_loss == BEIT_RECON_MSE ? ref64_square(difference)
                                                                : ref64_smooth_l1(difference);
    }
    terms->kl_sum = d->cfg.kl_direction == BEIT_KL_Q_TO_UNIFORM
                        ? ref64_kl_to_uniform(logits.x, rows, V, epsilon)
                        : ref64_kl_from_uniform(logits.x, rows, V);
    terms->balance = ref64_balance(logits.x, rows, V);
    terms->sharpness = ref64_sharpness(logits.x, rows, V);
    free(x.x);
    free(logits.x);
    free(choice);
    free(image.x);
    return batch->recon_scale * terms->recon_sum + batch->kl_scale * terms->kl_sum +
           batch->balance_scale * terms->balance + batch->sharpness_scale * terms->sharpness;
}
