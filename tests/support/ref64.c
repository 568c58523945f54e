/* See ref64.h. Clarity over everything: no sharing with the library, no cleverness. */
#include "ref64.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

double ref64_slope(ref64_fn f, const void *user, double *x)
{
    const double h = 1e-3, at = *x; /* truncation and rounding are both near 1e-13 */
    double value[4];
    const double offset[4] = {-2, -1, 1, 2};
    for (int i = 0; i < 4; i++) {
        *x = at + offset[i] * h;
        value[i] = f(user);
    }
    *x = at;
    return (8 * (value[2] - value[1]) - (value[3] - value[0])) / (12 * h);
}

double ref64_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

void ref64_softmax(const double *z, int64_t n, double *p)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = 0; /* 1 / sum_j exp(z_j - z_i): needs no maximum for moderate z */
        for (int64_t j = 0; j < n; j++)
            sum += exp(z[j] - z[i]);
        p[i] = 1 / sum;
    }
}

void ref64_layernorm(const double *x, const double *weight, const double *bias, int64_t rows,
                     int64_t cols, double eps, double *y)
{
    for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
        double mean = 0, variance = 0;
        for (int64_t c = 0; c < cols; c++)
            mean += x[c] / (double)cols;
        for (int64_t c = 0; c < cols; c++)
            variance += pow(x[c] - mean, 2) / (double)cols;
        for (int64_t c = 0; c < cols; c++)
            y[c] = (x[c] - mean) / sqrt(variance + eps) * weight[c] + bias[c];
    }
}

void ref64_linear(const double *x, const double *w, const double *b, int64_t M, int64_t N,
                  int64_t K, double *y)
{
    for (int64_t m = 0; m < M; m++)
        for (int64_t n = 0; n < N; n++) {
            y[m * N + n] = b ? b[n] : 0;
            for (int64_t k = 0; k < K; k++)
                y[m * N + n] += x[m * K + k] * w[n * K + k];
        }
}

void ref64_embed(const double *x, const uint8_t *mask, const double *cls, const double *mask_token,
                 const double *pos, int64_t B, int64_t N, int64_t D, double *y)
{
    for (int64_t b = 0; b < B; b++)
        for (int64_t d = 0; d < D; d++) {
            double *token = y + b * (N + 1) * D + d;
            token[0] = cls[d];
            for (int64_t n = 0; n < N; n++) {
                const bool masked = mask && mask[b * N + n];
                token[(n + 1) * D] = masked ? mask_token[d] : x[(b * N + n) * D + d];
            }
            for (int64_t n = 0; pos && n <= N; n++)
                token[n * D] += pos[n * D + d];
        }
}

int64_t ref64_relpos_index(int64_t rows, int64_t cols, int64_t query, int64_t key)
{
    const int64_t R = (2 * rows - 1) * (2 * cols - 1) + 3;
    if (query == 0 && key == 0)
        return R - 1;
    if (key == 0)
        return R - 2;
    if (query == 0)
        return R - 3;
    const int64_t y1 = (query - 1) / cols, x1 = (query - 1) % cols;
    const int64_t y2 = (key - 1) / cols, x2 = (key - 1) % cols;
    return (y1 - y2 + rows - 1) * (2 * cols - 1) + (x1 - x2 + cols - 1);
}

void ref64_attention(const double *qkv, const double *bias, const double *keep, int64_t B,
                     int64_t T, int64_t h, int64_t d, double scale, double *o)
{
    double *s = malloc((size_t)T * sizeof *s), *p = malloc((size_t)T * sizeof *p);
#define QKV(b, t, which, a, e) qkv[((((b)*T + (t)) * 3 + (which)) * h + (a)) * d + (e)]
    for (int64_t b = 0; b < B; b++)
        for (int64_t a = 0; a < h; a++)
            for (int64_t i = 0; i < T; i++) {
                for (int64_t j = 0; j < T; j++) {
                    s[j] = bias ? bias[(a * T + i) * T + j] : 0;
                    for (int64_t e = 0; e < d; e++)
                        s[j] += scale * QKV(b, i, 0, a, e) * QKV(b, j, 1, a, e);
                }
                ref64_softmax(s, T, p);
                for (int64_t e = 0; e < d; e++) {
                    double sum = 0;
                    for (int64_t j = 0; j < T; j++)
                        sum += p[j] * (keep ? keep[((b * h + a) * T + i) * T + j] : 1) *
                               QKV(b, j, 2, a, e);
                    o[((b * T + i) * h + a) * d + e] = sum;
                }
            }
#undef QKV
    free(s);
    free(p);
}

int64_t ref64_conv_side(const ref64_conv_t *c, int64_t large)
{
    return (large + 2 * c->pad - c->k) / c->stride + 1;
}

static double at_or_zero(const ref64_conv_t *c, const double *large, int64_t b, int64_t y,
                         int64_t x, int64_t i)
{
    if (y < 0 || x < 0 || y >= c->H || x >= c->W)
        return 0;
    return large[((b * c->H + y) * c->W + x) * c->I + i];
}

void ref64_conv(const ref64_conv_t *c, const double *large, const double *weight,
                const double *bias, double *small)
{
    const int64_t h = ref64_conv_side(c, c->H), w = ref64_conv_side(c, c->W), k = c->k;
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++)
                for (int64_t o = 0; o < c->O; o++) {
                    double sum = bias ? bias[o] : 0;
                    for (int64_t i = 0; i < c->I; i++)
                        for (int64_t ky = 0; ky < k; ky++)
                            for (int64_t kx = 0; kx < k; kx++)
                                sum += weight[((o * c->I + i) * k + ky) * k + kx] *
                                       at_or_zero(c, large, b, y * c->stride + ky - c->pad,
                                                  x * c->stride + kx - c->pad, i);
                    small[((b * h + y) * w + x) * c->O + o] = sum;
                }
}

/* The specification's scatter form: y[o, 2i + kh - 1, 2j + kw - 1] += x[c,i,j] w[c,o,kh,kw]. */
void ref64_conv_transpose(const ref64_conv_t *c, const double *small, const double *weight,
                          const double *bias, double *large)
{
    const int64_t h = ref64_conv_side(c, c->H), w = ref64_conv_side(c, c->W), k = c->k;
    for (int64_t at = 0; at < c->B * c->H * c->W * c->I; at++)
        large[at] = bias ? bias[at % c->I] : 0;
    for (int64_t b = 0; b < c->B; b++)
        for (int64_t y = 0; y < h; y++)
            for (int64_t x = 0; x < w; x++)
                for (int64_t o = 0; o < c->O; o++)
                    for (int64_t i = 0; i < c->I; i++)
                        for (int64_t ky = 0; ky < k; ky++)
                            for (int64_t kx = 0; kx < k; kx++) {
                                const int64_t Y = y * c->stride + ky - c->pad;
                                const int64_t X = x * c->stride + kx - c->pad;
                                if (Y < 0 || X < 0 || Y >= c->H || X >= c->W)
                                    continue;
                                large[((b * c->H + Y) * c->W + X) * c->I + i] +=
                                    small[((b * h + y) * w + x) * c->O + o] *
                                    weight[((o * c->I + i) * k + ky) * k + kx];
                            }
}

double ref64_cross_entropy(const double *z, const int32_t *labels, int64_t rows, int64_t V,
                           double smoothing)
{
    double *p = malloc((size_t)V * sizeof *p), loss = 0;
    for (int64_t r = 0; r < rows; r++, z += V) {
        ref64_softmax(z, V, p);
        for (int64_t v = 0; v < V; v++) {
            const double target = smoothing / (double)V + (v == labels[r] ? 1 - smoothing : 0);
            loss -= target * log(p[v]);
        }
    }
    free(p);
    return loss;
}

/* Sum over rows and codes of term(q, V, parameter). */
static double sum_over_codes(const double *z, int64_t rows, int64_t V, double parameter,
                             double (*term)(double q, double V, double parameter))
{
    double *q = malloc((size_t)V * sizeof *q), sum = 0;
    for (int64_t r = 0; r < rows; r++, z += V) {
        ref64_softmax(z, V, q);
        for (int64_t v = 0; v < V; v++)
            sum += term(q[v], (double)V, parameter);
    }
    free(q);
    return sum;
}

static double kl_to_uniform_term(double q, double V, double epsilon)
{
    return (q + epsilon) * (log(q + epsilon) - log(1 / V));
}

static double kl_from_uniform_term(double q, double V, double unused)
{
    (void)unused;
    return 1 / V * (log(1 / V) - log(q));
}

static double entropy_term(double q, double V, double unused)
{
    (void)V, (void)unused;
    return -q * log(q);
}

double ref64_kl_to_uniform(const double *z, int64_t rows, int64_t V, double epsilon)
{
    return sum_over_codes(z, rows, V, epsilon, kl_to_uniform_term);
}

double ref64_kl_from_uniform(const double *z, int64_t rows, int64_t V)
{
    return sum_over_codes(z, rows, V, 0, kl_from_uniform_term);
}

double ref64_sharpness(const double *z, int64_t rows, int64_t V)
{
    return sum_over_codes(z, rows, V, 0, entropy_term) / (double)rows;
}

double ref64_balance(const double *z, int64_t rows, int64_t V)
{
    double *q = malloc((size_t)V * sizeof *q), *mean = calloc((size_t)V, sizeof *mean);
    double balance = log((double)V);
    for (int64_t r = 0; r < rows; r++) {
        ref64_softmax(z + r * V, V, q);
        for (int64_t v = 0; v < V; v++)
            mean[v] += q[v] / (double)rows;
    }
    for (int64_t v = 0; v < V; v++)
        balance -= entropy_term(mean[v], 0, 0);
    free(q);
    free(mean);
    return balance;
}

double ref64_square(double d)
{
    return d * d;
}

double ref64_smooth_l1(double d)
{
    return fabs(d) < 1 ? d * d / 2 : fabs(d) - 0.5;
}

void ref64_adamw(ref64_adam_t *s, double g, double lr, double wd, double beta1, double beta2,
                 double eps, int t)
{
    s->p *= 1 - lr * wd;
    s->m = beta1 * s->m + (1 - beta1) * g;
    s->v = beta2 * s->v + (1 - beta2) * g * g;
    s->p -= lr / (1 - pow(beta1, t)) * s->m / (sqrt(s->v) / sqrt(1 - pow(beta2, t)) + eps);
}
