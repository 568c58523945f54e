/* See model64.h. */
#include "model64.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/philox.h"
#include "ref64.h"

/* ---- tensors ---- */

void model64_create(model64_t *m, beit_model_t *model)
{
    const beit_params_t *params = beit_model_params(model);
    *m = (model64_t){.count = beit_params_count(params)};
    m->cfg.struct_size = sizeof m->cfg;
    (void)beit_model_config(model, &m->cfg);
    m->tensors = calloc(m->count, sizeof *m->tensors);
    for (size_t t = 0; t < m->count; t++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        (void)beit_params_info(params, t, &info);
        size_t count = 1;
        for (int32_t i = 0; i < info.value.ndim; i++)
            count *= (size_t)info.value.shape[i];
        double *value = malloc(count * sizeof *value);
        for (size_t i = 0; i < count; i++)
            value[i] = (double)((const float *)info.value.data)[i];
        m->tensors[t] = (model64_tensor_t){.name = info.name, .value = value, .count = count};
    }
}

void model64_destroy(model64_t *m)
{
    for (size_t t = 0; t < m->count; t++)
        free(m->tensors[t].value);
    free(m->tensors);
}

/* The tensor "blocks.<block>.<name>", or just <name> where block < 0; NULL when there is none. */
static const double *optional(model64_t *m, int block, const char *name)
{
    char full[128];
    if (block < 0)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "blocks.%d.%s", block, name);
    for (size_t t = 0; t < m->count; t++)
        if (strcmp(m->tensors[t].name, full) == 0) {
            m->tensors[t].used = 1;
            return m->tensors[t].value;
        }
    return NULL;
}

static const double *tensor(model64_t *m, int block, const char *name)
{
    const double *value = optional(m, block, name);
    if (!value) {
        fprintf(stderr, "model64: no tensor blocks.%d.%s\n", block, name);
        exit(EXIT_FAILURE);
    }
    return value;
}

/* ---- draws ---- */

static double unit(const model64_batch_t *batch, beit__stream_t stream, int64_t sample,
                   uint32_t place, int64_t element)
{
    uint32_t words[4];
    beit__stream_block(beit__stream_key(batch->seed, stream, batch->step),
                       batch->sample_ids[sample], place, (uint32_t)(element / 4), words);
    return ((double)(words[element % 4] >> 9) + 0.5) * 0x1p-23;
}

/* Factor of one element. */
static double dropout_factor(const model64_batch_t *batch, float rate, int64_t sample,
                             uint32_t place, int64_t element)
{
    if (!batch->training || rate <= 0)
        return 1;
    const double u = unit(batch, BEIT__STREAM_DROPOUT, sample, place, element);
    return u >= (double)rate ? 1 / (1 - (double)rate) : 0;
}

static void dropout(const model64_t *m, const model64_batch_t *batch, uint32_t place,
                    int64_t per_sample, double *x)
{
    for (int64_t b = 0; b < batch->batch; b++)
        for (int64_t e = 0; e < per_sample; e++)
            x[b * per_sample + e] *= dropout_factor(batch, m->cfg.drop_rate, b, place, e);
}

static double droppath_factor(const model64_t *m, const model64_batch_t *batch, int64_t sample,
                              int block, int branch)
{
    const int depth = m->cfg.depth;
    const float rate = depth > 1 ? m->cfg.drop_path * (float)block / (float)(depth - 1) : 0.0f;
    if (!batch->training || rate <= 0)
        return 1;
    const double u = unit(batch, BEIT__STREAM_DROP_PATH, sample, (uint32_t)(2 * block + branch), 0);
    return floor((1 - (double)rate) + u) / (1 - (double)rate);
}

/* ---- layers ---- */

typedef struct sizes {
    int64_t B, N, T, D, h, d, A, F, V, rows, cols;
} sizes_t;

static sizes_t sizes_of(const model64_t *m, const model64_batch_t *batch)
{
    const beit_model_config_t *c = &m->cfg;
    sizes_t s = {.B = batch->batch,
                 .D = c->embed_dim,
                 .h = c->heads,
                 .d = c->attn_head_dim,
                 .F = c->mlp_dim,
                 .V = c->num_classes > 0 ? c->num_classes : c->vocab_size,
                 .rows = c->image_height / c->patch_size,
                 .cols = c->image_width / c->patch_size};
    s.N = s.rows * s.cols;
    s.T = s.N + 1;
    s.A = s.h * s.d;
    return s;
}

static double *doubles(int64_t count)
{
    return calloc((size_t)count, sizeof(double));
}

/* The convolution with stride P, as sums over pixels. */
static void embed_patches(model64_t *m, const model64_batch_t *batch, const sizes_t *s, double *y)
{
    const beit_model_config_t *c = &m->cfg;
    const int64_t P = c->patch_size, C = c->channels, H = c->image_height, W = c->image_width;
    const double *w = tensor(m, -1, "patch_embed.proj.weight");
    const double *bias = tensor(m, -1, "patch_embed.proj.bias");
    for (int64_t b = 0; b < s->B; b++)
        for (int64_t n = 0; n < s->N; n++)
            for (int64_t o = 0; o < s->D; o++) {
                double sum = bias[o];
                for (int64_t i = 0; i < C; i++)
                    for (int64_t ky = 0; ky < P; ky++)
                        for (int64_t kx = 0; kx < P; kx++) {
                            const int64_t row = n / s->cols * P + ky, col = n % s->cols * P + kx;
                            const float pixel = batch->pixels[((b * C + i) * H + row) * W + col];
                            sum += w[((o * C + i) * P + ky) * P + kx] * (double)pixel;
                        }
                y[(b * s->N + n) * s->D + o] = sum;
            }
}

static void add_table(const sizes_t *s, const double *table, double *bias)
{
    for (int64_t a = 0; table && a < s->h; a++)
        for (int64_t i = 0; i < s->T; i++)
            for (int64_t j = 0; j < s->T; j++)
                bias[(a * s->T + i) * s->T + j] +=
                    table[ref64_relpos_index(s->rows, s->cols, i, j) * s->h + a];
}

static double *attention_keep(const model64_t *m, const model64_batch_t *batch, const sizes_t *s,
                              int block)
{
    const int64_t per_sample = s->h * s->T * s->T;
    double *keep = doubles(s->B * per_sample);
    for (int64_t b = 0; b < s->B; b++)
        for (int64_t e = 0; e < per_sample; e++)
            keep[b * per_sample + e] =
                dropout_factor(batch, m->cfg.attn_drop_rate, b, (uint32_t)(4 * block), e);
    return keep;
}

/* x (B,T,D) -> branch (B,T,D) */
static void attention_branch(model64_t *m, const model64_batch_t *batch, const sizes_t *s,
                             int block, const double *x, double *branch)
{
    const int64_t rows = s->B * s->T;
    double *normed = doubles(rows * s->D), *qkv = doubles(rows * 3 * s->A);
    double *bias = doubles(s->h * s->T * s->T), *o = doubles(rows * s->A);
    ref64_layernorm(x, tensor(m, block, "norm1.weight"), tensor(m, block, "norm1.bias"), rows, s->D,
                    (double)m->cfg.norm_eps, normed);
    ref64_linear(normed, tensor(m, block, "attn.qkv.weight"), NULL, rows, 3 * s->A, s->D, qkv);
    if (m->cfg.qkv_bias) {
        const double *q = tensor(m, block, "attn.q_bias"), *v = tensor(m, block, "attn.v_bias");
        for (int64_t r = 0; r < rows; r++)
            for (int64_t e = 0; e < s->A; e++) {
                qkv[r * 3 * s->A + e] += q[e];
                qkv[(r * 3 + 2) * s->A + e] += v[e];
            }
    }
    if (m->cfg.rel_pos)
        add_table(s, tensor(m, block, "attn.relative_position_bias_table"), bias);
    if (m->cfg.shared_rel_pos)
        add_table(s, tensor(m, -1, "rel_pos_bias.relative_position_bias_table"), bias);
    double *keep = attention_keep(m, batch, s, block);
    ref64_attention(qkv, bias, keep, s->B, s->T, s->h, s->d, (double)m->cfg.qk_scale, o);
    ref64_linear(o, tensor(m, block, "attn.proj.weight"), tensor(m, block, "attn.proj.bias"), rows,
                 s->D, s->A, branch);
    dropout(m, batch, (uint32_t)(4 * block + 1), s->T * s->D, branch);
    free(keep);
    free(o);
    free(bias);
    free(qkv);
    free(normed);
}

static void mlp_branch(model64_t *m, const model64_batch_t *batch, const sizes_t *s, int block,
                       const double *x, double *branch)
{
    const int64_t rows = s->B * s->T;
    double *normed = doubles(rows * s->D), *hidden = doubles(rows * s->F);
    ref64_layernorm(x, tensor(m, block, "norm2.weight"), tensor(m, block, "norm2.bias"), rows, s->D,
                    (double)m->cfg.norm_eps, normed);
    ref64_linear(normed, tensor(m, block, "mlp.fc1.weight"), tensor(m, block, "mlp.fc1.bias"), rows,
                 s->F, s->D, hidden);
    for (int64_t i = 0; i < rows * s->F; i++)
        hidden[i] = ref64_gelu(hidden[i]);
    ref64_linear(hidden, tensor(m, block, "mlp.fc2.weight"), tensor(m, block, "mlp.fc2.bias"), rows,
                 s->D, s->F, branch);
    dropout(m, batch, (uint32_t)(4 * block + 2), s->T * s->D, branch);
    free(hidden);
    free(normed);
}

static void add_branch(model64_t *m, const model64_batch_t *batch, const sizes_t *s, int block,
                       int which, const double *branch, double *x)
{
    const double *gamma =
        m->cfg.layer_scale > 0 ? tensor(m, block, which == 0 ? "gamma_1" : "gamma_2") : NULL;
    for (int64_t b = 0; b < s->B; b++) {
        const double factor = droppath_factor(m, batch, b, block, which);
        for (int64_t e = 0; e < s->T * s->D; e++)
            x[b * s->T * s->D + e] +=
                factor * (gamma ? gamma[e % s->D] : 1) * branch[b * s->T * s->D + e];
    }
}

static double *run_trunk(model64_t *m, const model64_batch_t *batch, const sizes_t *s)
{
    double *patches = doubles(s->B * s->N * s->D), *x = doubles(s->B * s->T * s->D);
    double *branch = doubles(s->B * s->T * s->D);
    embed_patches(m, batch, s, patches);
    const bool masks = m->cfg.num_classes == 0;
    ref64_embed(patches, masks ? batch->mask : NULL, tensor(m, -1, "cls_token"),
                masks ? tensor(m, -1, "mask_token") : NULL,
                m->cfg.abs_pos ? tensor(m, -1, "pos_embed") : NULL, s->B, s->N, s->D, x);
    dropout(m, batch, (uint32_t)(4 * m->cfg.depth), s->T * s->D, x);
    for (int block = 0; block < m->cfg.depth; block++) {
        attention_branch(m, batch, s, block, x, branch);
        add_branch(m, batch, s, block, 0, branch, x);
        mlp_branch(m, batch, s, block, x, branch);
        add_branch(m, batch, s, block, 1, branch, x);
    }
    free(branch);
    free(patches);
    return x;
}

/* ---- heads: the rows that they see, (rows,D) ---- */

static int64_t masked_rows(const model64_batch_t *batch, const sizes_t *s, const double *x,
                           double *rows)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->B * s->N; i++)
        if (batch->mask[i])
            memcpy(rows + count++ * s->D, x + (i / s->N * s->T + 1 + i % s->N) * s->D,
                   (size_t)s->D * sizeof *x);
    return count;
}

static int64_t pooled_rows(const model64_t *m, const sizes_t *s, const double *x, double *rows)
{
    const bool mean = m->cfg.pooling == BEIT_POOL_MEAN;
    for (int64_t b = 0; b < s->B; b++)
        for (int64_t d = 0; d < s->D; d++) {
            double sum = 0;
            for (int64_t t = 1; t < s->T; t++)
                sum += x[(b * s->T + t) * s->D + d];
            rows[b * s->D + d] = mean ? sum / (double)s->N : x[b * s->T * s->D + d];
        }
    return s->B;
}

double model64_loss(model64_t *m, const model64_batch_t *batch, double *logits)
{
    const sizes_t s = sizes_of(m, batch);
    const bool classifies = m->cfg.num_classes > 0;
    const bool mean = classifies && m->cfg.pooling == BEIT_POOL_MEAN;
    double *x = run_trunk(m, batch, &s), *seen = doubles(s.B * s.T * s.D);
    const int64_t rows = classifies ? pooled_rows(m, &s, x, seen) : masked_rows(batch, &s, x, seen);
    double *normed = doubles(rows * s.D), *z = doubles(rows * s.V);
    ref64_layernorm(seen, tensor(m, -1, mean ? "fc_norm.weight" : "norm.weight"),
                    tensor(m, -1, mean ? "fc_norm.bias" : "norm.bias"), rows, s.D,
                    (double)m->cfg.norm_eps, normed);
    ref64_linear(normed, tensor(m, -1, classifies ? "head.weight" : "lm_head.weight"),
                 tensor(m, -1, classifies ? "head.bias" : "lm_head.bias"), rows, s.V, s.D, z);
    const double loss = ref64_cross_entropy(z, batch->labels, rows, s.V, batch->smoothing);
    if (logits)
        memcpy(logits, z, (size_t)(rows * s.V) * sizeof *z);
    free(z);
    free(normed);
    free(seen);
    free(x);
    return loss;
}
