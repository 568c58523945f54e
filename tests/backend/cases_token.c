/* Cases: patches, rows, embedding, relative positions, attention. */
#include "conform.h"

#include <math.h>
#include <stdlib.h>

static void rows(conform_t *c)
{
    beit_rows_args_t a = {.rows = conform_count(c, 200)};
    conform_begin(c, &a, sizeof a);
    a.cols = conform_extent(c, 513);
    a.scatter = (int32_t)conform_draw(c, 2);
    a.ldx = a.cols + conform_draw(c, 4);
    a.ldy = a.cols + conform_draw(c, 4);
    const int64_t table = conform_extent(c, 100); /* rows of the indexed side */
    int32_t *index = conform_host(c, &a.index, a.rows, sizeof *index, CONFORM_IN);
    for (int64_t i = 0; i < a.rows; i++)
        index[i] = (int32_t)conform_draw(c, (uint32_t)table);
    conform_floats(c, &a.x, (a.scatter ? a.rows : table) * a.ldx, CONFORM_IN, 1);
    conform_floats(c, &a.y, (a.scatter ? table : a.rows) * a.ldy,
                   a.scatter ? CONFORM_INOUT : CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "rows=%d cols=%d table=%d scatter=%d", (int)a.rows, (int)a.cols,
                (int)table, a.scatter);
}

static void patchify(conform_t *c)
{
    static const int64_t patches[] = {1, 2, 3, 8, 16};
    beit_patchify_args_t a = {.batch = conform_count(c, 3), .patch = patches[conform_draw(c, 5)]};
    conform_begin(c, &a, sizeof a);
    a.channels = conform_extent(c, 4);
    a.height = a.patch * conform_extent(c, 5);
    a.width = a.patch * conform_extent(c, 5);
    const int64_t count = a.batch * a.channels * a.height * a.width;
    conform_floats(c, &a.x, count, CONFORM_IN, 1);
    conform_floats(c, &a.y, count, CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "batch=%d channels=%d %dx%d patch=%d", (int)a.batch,
                (int)a.channels, (int)a.height, (int)a.width, (int)a.patch);
}

static void random_mask(conform_t *c, const void *field, int64_t count)
{
    if (conform_chance(c, 4))
        return;
    uint8_t *mask = conform_host(c, field, count, 1, CONFORM_IN);
    for (int64_t i = 0; i < count; i++)
        mask[i] = conform_chance(c, 3);
}

static void embed_forward(conform_t *c)
{
    beit_embed_forward_args_t a = {.batch = conform_count(c, 4)};
    conform_begin(c, &a, sizeof a);
    a.patches = conform_extent(c, 197);
    a.cols = conform_extent(c, 129);
    conform_floats(c, &a.x, a.batch * a.patches * a.cols, CONFORM_IN, 1);
    random_mask(c, &a.mask, a.batch * a.patches);
    conform_floats(c, &a.cls_token, a.cols, CONFORM_IN, 1);
    conform_floats(c, &a.mask_token, a.cols, CONFORM_IN, 1);
    if (conform_chance(c, 2))
        conform_floats(c, &a.pos_embed, (a.patches + 1) * a.cols, CONFORM_IN, 1);
    conform_floats(c, &a.y, a.batch * (a.patches + 1) * a.cols, CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "batch=%d patches=%d cols=%d mask=%d pos=%d", (int)a.batch,
                (int)a.patches, (int)a.cols, a.mask != NULL, a.pos_embed != NULL);
}

static void embed_backward(conform_t *c)
{
    beit_embed_backward_args_t a = {.batch = conform_count(c, 9)};
    conform_begin(c, &a, sizeof a);
    a.patches = conform_extent(c, 197);
    a.cols = conform_extent(c, 129);
    conform_floats(c, &a.dy, a.batch * (a.patches + 1) * a.cols, CONFORM_IN, 1);
    random_mask(c, &a.mask, a.batch * a.patches);
    conform_floats(c, &a.dx, a.batch * a.patches * a.cols, CONFORM_OUT, 1);
    conform_floats(c, &a.dcls_token, a.cols, CONFORM_INOUT, 1);
    conform_floats(c, &a.dmask_token, a.cols, CONFORM_INOUT, 1);
    if (conform_chance(c, 2))
        conform_floats(c, &a.dpos_embed, (a.patches + 1) * a.cols, CONFORM_INOUT, 1);
    conform_end(c, CONFORM_SUMS, "batch=%d patches=%d cols=%d mask=%d pos=%d", (int)a.batch,
                (int)a.patches, (int)a.cols, a.mask != NULL, a.dpos_embed != NULL);
}

static beit_relpos_args_t relpos_extents(conform_t *c)
{
    beit_relpos_args_t a = {.rows = conform_extent(c, 7), .cols = conform_extent(c, 7)};
    if (conform_turn(c) == 0) /* BEiT's grid */
        a.rows = a.cols = 14;
    a.heads = conform_extent(c, 12);
    return a;
}

static int64_t relpos_table(const beit_relpos_args_t *a)
{
    return ((2 * a->rows - 1) * (2 * a->cols - 1) + 3) * a->heads;
}

static void relpos_forward(conform_t *c)
{
    beit_relpos_args_t a = relpos_extents(c);
    conform_begin(c, &a, sizeof a);
    const int64_t tokens = a.rows * a.cols + 1;
    a.accumulate = (int32_t)conform_draw(c, 2);
    conform_floats(c, &a.table, relpos_table(&a), CONFORM_IN, 1);
    conform_floats(c, &a.bias, a.heads * tokens * tokens,
                   a.accumulate ? CONFORM_INOUT : CONFORM_OUT, 1);
    conform_end(c, CONFORM_EXACT, "%dx%d heads=%d accumulate=%d", (int)a.rows, (int)a.cols,
                (int)a.heads, a.accumulate);
}

static void relpos_backward(conform_t *c)
{
    beit_relpos_args_t a = relpos_extents(c);
    conform_begin(c, &a, sizeof a);
    const int64_t tokens = a.rows * a.cols + 1;
    conform_floats(c, &a.dbias, a.heads * tokens * tokens, CONFORM_IN, 1);
    conform_floats(c, &a.dtable, relpos_table(&a), CONFORM_INOUT, 1);
    conform_end(c, CONFORM_SUMS, "%dx%d heads=%d", (int)a.rows, (int)a.cols, (int)a.heads);
}

/* ---- attention ---- */

/* (batch, tokens, heads, width): BEiT's at fewer heads, and vector and block ends. */
static const int64_t beit_attention[][4] = {{2, 197, 3, 64}, {1, 50, 2, 32}, {3, 17, 4, 16},
                                            {1, 5, 2, 8},    {2, 65, 1, 48}, {1, 1, 1, 1}};
enum { BEIT_ATTENTIONS = sizeof beit_attention / sizeof beit_attention[0] };

static beit_attention_forward_args_t attention_extents(conform_t *c)
{
    beit_attention_forward_args_t a;
    a = (beit_attention_forward_args_t){.batch = conform_count(c, 4),
                                        .tokens = conform_extent(c, 65),
                                        .heads = conform_extent(c, 4),
                                        .width = conform_extent(c, 65)};
    if (conform_turn(c) < BEIT_ATTENTIONS) {
        const int64_t *beit = beit_attention[conform_turn(c)];
        a.batch = beit[0], a.tokens = beit[1], a.heads = beit[2], a.width = beit[3];
    }
    a.ldqkv = 3 * a.heads * a.width + conform_draw(c, 5);
    a.scale = 1.0f / sqrtf((float)a.width);
    a.drop_rate = conform_chance(c, 3) ? 0.3f : 0.0f;
    return a;
}

#define DESCRIBE(a)                                                                                \
    "batch=%d tokens=%d heads=%d width=%d bias=%d drop=%g", (int)(a).batch, (int)(a).tokens,       \
        (int)(a).heads, (int)(a).width, (a).bias != NULL, (double)(a).drop_rate

static void attention_forward(conform_t *c)
{
    beit_attention_forward_args_t a = attention_extents(c);
    conform_begin(c, &a, sizeof a);
    const int64_t rows_count = a.batch * a.tokens;
    conform_floats(c, &a.qkv, rows_count * a.ldqkv, CONFORM_IN, 2);
    if (conform_chance(c, 2))
        conform_floats(c, &a.bias, a.heads * a.tokens * a.tokens, CONFORM_IN, 1);
    conform_floats(c, &a.o, rows_count * a.heads * a.width, CONFORM_OUT, 1);
    if (conform_chance(c, 2))
        conform_floats(c, &a.lse, rows_count * a.heads, CONFORM_OUT, 1);
    if (a.drop_rate > 0)
        conform_sample_ids(c, &a.random, a.batch);
    conform_end(c, CONFORM_SUMS, DESCRIBE(a));
}

/* o and lse that belong to the inputs. */
static void forward_by_reference(beit_attention_forward_args_t *f)
{
    const beit_backend_ops_t *ops = beit_backend_builtin("reference");
    f->op.workspace_bytes = ops->workspace(NULL, BEIT_OP_ATTENTION_FORWARD, &f->op);
    f->op.workspace = malloc(f->op.workspace_bytes);
    if (!f->op.workspace || ops->attention_forward(NULL, f) != BEIT_OK)
        abort();
    free(f->op.workspace);
}

static void attention_backward(conform_t *c)
{
    beit_attention_forward_args_t f = attention_extents(c);
    beit_attention_backward_args_t a = {.batch = f.batch,
                                        .tokens = f.tokens,
                                        .heads = f.heads,
                                        .width = f.width,
                                        .ldqkv = f.ldqkv,
                                        .scale = f.scale,
                                        .drop_rate = f.drop_rate};
    conform_begin(c, &a, sizeof a);
    const int64_t rows_count = a.batch * a.tokens, pairs = a.heads * a.tokens * a.tokens;
    f.qkv = conform_floats(c, &a.qkv, rows_count * a.ldqkv, CONFORM_IN, 2);
    if (conform_chance(c, 2)) {
        f.bias = conform_floats(c, &a.bias, pairs, CONFORM_IN, 1);
        if (!conform_chance(c, 3))
            conform_floats(c, &a.dbias, pairs, CONFORM_INOUT, 1);
    }
    f.o = conform_floats(c, &a.o, rows_count * a.heads * a.width, CONFORM_IN, 1);
    f.lse = conform_floats(c, &a.lse, rows_count * a.heads, CONFORM_IN, 1);
    conform_floats(c, &a.dout, rows_count * a.heads * a.width, CONFORM_IN, 1);
    conform_floats(c, &a.dqkv, rows_count * a.ldqkv, CONFORM_OUT, 1);
    if (a.drop_rate > 0)
        conform_sample_ids(c, &a.random, a.batch);
    f.random = a.random;
    forward_by_reference(&f);
    conform_end(c, CONFORM_SUMS, DESCRIBE(a));
}

const conform_cases_t conform_token_cases[] = {
    {BEIT_OP_ROWS, 30, rows},
    {BEIT_OP_PATCHIFY, 15, patchify},
    {BEIT_OP_EMBED_FORWARD, 20, embed_forward},
    {BEIT_OP_EMBED_BACKWARD, 30, embed_backward},
    {BEIT_OP_RELPOS_FORWARD, 15, relpos_forward},
    {BEIT_OP_RELPOS_BACKWARD, 15, relpos_backward},
    {BEIT_OP_ATTENTION_FORWARD, BEIT_ATTENTIONS + 40, attention_forward},
    {BEIT_OP_ATTENTION_BACKWARD, BEIT_ATTENTIONS + 40, attention_backward},
    {.times = 0},
};
