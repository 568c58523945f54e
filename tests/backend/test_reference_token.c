/* Reference operations on tokens: patches, rows, embedding, relative positions, attention. */
#include "reference_op.h"

#define COPY(to, from, count) memcpy((to), (from), (size_t)(count) * sizeof *(to))

static void patches_are_flattened_channel_first(void **state)
{
    (void)state;
    enum { B = 2, C = 3, H = 4, W = 6, P = 2, N = (H / P) * (W / P) };
    const float *x = numbers(B * C * H * W, 1);
    float *y = zeros(B * C * H * W);
    beit_patchify_args_t a = {.batch = B, .channels = C, .height = H, .width = W, .patch = P};
    a.x = x, a.y = y;
    RUN(patchify, PATCHIFY, a);
    for (int b = 0; b < B; b++)
        for (int c = 0; c < C; c++)
            for (int h = 0; h < H; h++)
                for (int w = 0; w < W; w++) {
                    const int patch = b * N + h / P * (W / P) + w / P;
                    const int element = (c * P + h % P) * P + w % P;
                    assert_true(y[patch * C * P * P + element] == x[((b * C + c) * H + h) * W + w]);
                }
}

static void rows_gather_and_scatter(void **state)
{
    (void)state;
    const float x[6] = {1, 2, 3, 4, 5, 6};
    const int32_t index[3] = {2, 0, 2};
    float y[9] = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
    beit_rows_args_t a = {.rows = 3, .cols = 2, .ldx = 2, .ldy = 3, .x = x, .index = index, .y = y};
    RUN(rows, ROWS, a);
    const double gathered[9] = {5, 6, -1, 1, 2, -1, 5, 6, -1};
    check_all_near("gathered", y, gathered, 9, 0);
    a.scatter = 1; /* row 2 receives the first and the third row of x */
    RUN(rows, ROWS, a);
    const double scattered[9] = {8, 10, -1, 1, 2, -1, 11, 14, -1};
    check_all_near("scattered", y, scattered, 9, 0);
}

/* ---- embedding ---- */

enum { E_B = 3, E_N = 4, E_D = 2 };
typedef struct embedding {
    double *x, *cls, *mask_token, *pos;
    const uint8_t *mask;
    const float *dy;
} embedding_t;

static double embedding_loss(const void *user)
{
    const embedding_t *s = user;
    double y[E_B * (E_N + 1) * E_D];
    ref64_embed(s->x, s->mask, s->cls, s->mask_token, s->pos, E_B, E_N, E_D, y);
    return dot(s->dy, y, E_B * (E_N + 1) * E_D);
}

static void check_embedding(const uint8_t *mask, int with_positions)
{
    const int64_t xs = E_B * E_N * E_D, ys = E_B * (E_N + 1) * E_D, ps = (E_N + 1) * E_D;
    const float *x = numbers(xs, 1), *cls = numbers(E_D, 1), *token = numbers(E_D, 1);
    const float *pos = numbers(ps, 1), *dy = numbers(ys, 1);
    embedding_t s = {
        widened(x, xs), widened(cls, E_D), widened(token, E_D), widened(pos, ps), mask, dy};
    if (!with_positions)
        s.pos = NULL;
    beit_embed_forward_args_t f = {.batch = E_B, .patches = E_N, .cols = E_D, .x = x, .mask = mask};
    f.cls_token = cls, f.mask_token = token, f.pos_embed = with_positions ? pos : NULL;
    f.y = zeros(ys);
    double *wanted = room(ys);
    ref64_embed(s.x, mask, s.cls, s.mask_token, s.pos, E_B, E_N, E_D, wanted);
    RUN(embed_forward, EMBED_FORWARD, f);
    check_all_near("tokens", f.y, wanted, ys, ROUNDING);

    float *dx = numbers(xs, 1), *dcls = numbers(E_D, 1), *dtoken = numbers(E_D, 1);
    float *dpos = numbers(ps, 1), *dcls0 = zeros(E_D), *dtoken0 = zeros(E_D), *dpos0 = zeros(ps);
    COPY(dcls0, dcls, E_D);
    COPY(dtoken0, dtoken, E_D);
    COPY(dpos0, dpos, ps);
    beit_embed_backward_args_t b = {.batch = E_B, .patches = E_N, .cols = E_D, .dy = dy};
    b.mask = mask, b.dx = dx, b.dcls_token = dcls, b.dmask_token = dtoken;
    b.dpos_embed = with_positions ? dpos : NULL;
    RUN(embed_backward, EMBED_BACKWARD, b);
    check_gradient("dx", embedding_loss, &s, s.x, dx, NULL, xs);
    check_gradient("dcls", embedding_loss, &s, s.cls, dcls, dcls0, E_D);
    check_gradient("dmask_token", embedding_loss, &s, s.mask_token, dtoken, dtoken0, E_D);
    if (with_positions)
        check_gradient("dpos", embedding_loss, &s, s.pos, dpos, dpos0, ps);
}

static void embedding_and_its_gradients(void **state)
{
    (void)state;
    const uint8_t mask[E_B * E_N] = {0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1};
    check_embedding(mask, 1);
    check_embedding(mask, 0);
    check_embedding(NULL, 1);
}

/* ---- relative positions ---- */

/* A table whose row r holds r: the bias is then the index. */
static void relpos_index(int64_t rows, int64_t cols, float *index)
{
    const int64_t R = (2 * rows - 1) * (2 * cols - 1) + 3;
    float *table = zeros(R);
    for (int64_t r = 0; r < R; r++)
        table[r] = (float)r;
    beit_relpos_args_t a = {.rows = rows, .cols = cols, .heads = 1, .table = table, .bias = index};
    RUN(relpos_forward, RELPOS_FORWARD, a);
}

static void relpos_index_is_the_published_one(void **state)
{
    (void)state;
    const double square[25] = {11, 9, 9,  9, 9, 10, 4, 3,  1, 0, 10, 5, 4,
                               2,  1, 10, 7, 6, 4,  3, 10, 8, 7, 5,  4};
    const double oblong[49] = {17, 15, 15, 15, 15, 15, 15, 16, 7,  6,  5,  2,  1,  0,  16, 8, 7,
                               6,  3,  2,  1,  16, 9,  8,  7,  4,  3,  2,  16, 12, 11, 10, 7, 6,
                               5,  16, 13, 12, 11, 8,  7,  6,  16, 14, 13, 12, 9,  8,  7};
    float index[197 * 197];
    relpos_index(2, 2, index);
    check_all_near("2x2", index, square, 25, 0);
    relpos_index(2, 3, index);
    check_all_near("2x3", index, oblong, 49, 0);
    relpos_index(14, 14, index);
    check_near((double)index[1 * 197 + 1], 364, 0);
    check_near((double)index[1 * 197 + 2], 363, 0);
    check_near((double)index[2 * 197 + 1], 365, 0);
    check_near((double)index[1 * 197 + 196], 0, 0);
    check_near((double)index[196 * 197 + 1], 728, 0);
}

static void relpos_backward_is_the_adjoint(void **state)
{
    (void)state;
    enum { ROWS = 3, COLS = 2, HEADS = 2, T = ROWS * COLS + 1, R = 5 * 3 + 3 };
    const float *dbias = numbers(HEADS * T * T, 1);
    float *dtable = numbers(R * HEADS, 1);
    double *wanted = widened(dtable, R * HEADS);
    for (int h = 0; h < HEADS; h++)
        for (int i = 0; i < T; i++)
            for (int j = 0; j < T; j++)
                wanted[ref64_relpos_index(ROWS, COLS, i, j) * HEADS + h] +=
                    (double)dbias[(h * T + i) * T + j];
    beit_relpos_args_t a = {.rows = ROWS, .cols = COLS, .heads = HEADS, .dbias = dbias};
    a.dtable = dtable;
    RUN(relpos_backward, RELPOS_BACKWARD, a);
    check_all_near("dtable", dtable, wanted, R * HEADS, ROUNDING);

    const float *table = numbers(R * HEADS, 1);
    float *bias = numbers(HEADS * T * T, 1);
    wanted = widened(bias, HEADS * T * T);
    for (int i = 0; i < HEADS * T * T; i++) {
        const int64_t row = ref64_relpos_index(ROWS, COLS, i / T % T, i % T);
        wanted[i] += (double)table[row * HEADS + i / (T * T)];
    }
    a.table = table, a.bias = bias, a.accumulate = 1;
    RUN(relpos_forward, RELPOS_FORWARD, a);
    check_all_near("accumulated bias", bias, wanted, HEADS * T * T, ROUNDING);
}

/* ---- attention ---- */

enum { A_B = 2, A_T = 4, A_H = 2, A_W = 3, A_COLS = 3 * A_H * A_W, A_LD = A_COLS + 2 };
typedef struct attention {
    double *qkv, *bias, *keep;
    const float *dout;
    double scale;
} attention_t;

static double attention_loss(const void *user)
{
    const attention_t *s = user;
    double o[A_B * A_T * A_H * A_W];
    ref64_attention(s->qkv, s->bias, s->keep, A_B, A_T, A_H, A_W, s->scale, o);
    return dot(s->dout, o, A_B * A_T * A_H * A_W);
}

/* The packed columns of rows with a stride. */
static float *packed(const float *x)
{
    float *y = zeros(A_B * A_T * A_COLS);
    for (int r = 0; r < A_B * A_T; r++)
        COPY(y + r * A_COLS, x + r * A_LD, A_COLS);
    return y;
}

/* The factors on the probabilities: what dropout makes of ones, element (h T + i) T + j. */
static float *keep_factors(const beit_op_random_t *random, float rate)
{
    enum { PER = A_H * A_T * A_T };
    float *ones = zeros(A_B * PER);
    beit_fill_args_t f = {.count = A_B * PER, .x = ones, .value = 1};
    RUN(fill, FILL, f);
    beit_dropout_args_t d = {.random = *random, .samples = A_B, .per_sample = PER};
    d.x = d.y = ones, d.rate = rate;
    RUN(dropout, DROPOUT, d);
    return ones;
}

static void check_attention(int with_bias, float rate)
{
    const int64_t rows = A_B * A_T, os = rows * A_H * A_W, bs = A_H * A_T * A_T;
    const uint64_t ids[A_B] = {3, 99};
    const beit_op_random_t random = {.key = 42, .sample_ids = ids, .place = 8};
    const float *qkv = numbers(rows * A_LD, 2), *bias = with_bias ? numbers(bs, 1) : NULL;
    const float *dout = numbers(os, 1), *keep = keep_factors(&random, rate);
    attention_t s = {.qkv = widened(packed(qkv), rows * A_COLS), .dout = dout, .scale = 0.5};
    s.bias = with_bias ? widened(bias, bs) : NULL;
    s.keep = rate > 0 ? widened(keep, A_B * bs) : NULL;

    beit_attention_forward_args_t f = {.batch = A_B, .tokens = A_T, .heads = A_H, .width = A_W};
    f.ldqkv = A_LD, f.qkv = qkv, f.bias = bias, f.o = zeros(os), f.lse = zeros(rows * A_H);
    f.scale = 0.5f, f.drop_rate = rate, f.random = random;
    double *wanted = room(os);
    ref64_attention(s.qkv, s.bias, s.keep, A_B, A_T, A_H, A_W, 0.5, wanted);
    RUN(attention_forward, ATTENTION_FORWARD, f);
    check_all_near("o", f.o, wanted, os, ROUNDING);

    float *dqkv = numbers(rows * A_LD, 1), *dqkv0 = zeros(rows * A_LD);
    float *dbias = numbers(bs, 1), *dbias0 = zeros(bs);
    COPY(dqkv0, dqkv, rows * A_LD);
    COPY(dbias0, dbias, bs);
    beit_attention_backward_args_t b = {.batch = A_B, .tokens = A_T, .heads = A_H, .width = A_W};
    b.ldqkv = A_LD, b.qkv = qkv, b.bias = bias, b.o = f.o, b.lse = f.lse, b.dout = dout;
    b.dqkv = dqkv, b.dbias = with_bias ? dbias : NULL;
    b.scale = 0.5f, b.drop_rate = rate, b.random = random;
    RUN(attention_backward, ATTENTION_BACKWARD, b);
    check_gradient("dqkv", attention_loss, &s, s.qkv, packed(dqkv), NULL, rows * A_COLS);
    if (with_bias)
        check_gradient("dbias", attention_loss, &s, s.bias, dbias, dbias0, bs);
    for (int r = 0; r < rows; r++) /* between the rows nothing is written */
        assert_memory_equal(dqkv + r * A_LD + A_COLS, dqkv0 + r * A_LD + A_COLS,
                            (A_LD - A_COLS) * sizeof *dqkv);
}

static void attention_and_its_gradients(void **state)
{
    (void)state;
    check_attention(0, 0);
    check_attention(1, 0);
    check_attention(1, 0.4f);
}

static void attention_survives_large_scores(void **state)
{
    (void)state;
    const float qkv[6] = {100, 100, 1, 100, 80, 2}; /* two tokens, width 1: q, k, v */
    float o[2], lse[2];
    beit_attention_forward_args_t f = {.batch = 1, .tokens = 2, .heads = 1, .width = 1};
    f.ldqkv = 3, f.qkv = qkv, f.o = o, f.lse = lse, f.scale = 1;
    RUN(attention_forward, ATTENTION_FORWARD, f);
    check_near((double)o[0], 1, 1e-6);
    check_near((double)lse[0], 10000, 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        reference_test(patches_are_flattened_channel_first),
        reference_test(rows_gather_and_scatter),
        reference_test(embedding_and_its_gradients),
        reference_test(relpos_index_is_the_published_one),
        reference_test(relpos_backward_is_the_adjoint),
        reference_test(attention_and_its_gradients),
        reference_test(attention_survives_large_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
