/* Pixels to logits and tokens. The trunk runs on a whole sub-batch; the head, whose output is many
 * times wider than its input, runs on blocks of positions, so that logits never need more than a
 * fixed amount of memory. */
#include "core/status.h"
#include "dvae/handle.h"

/* Positions that go through the head at once: enough to use a matrix product well. */
enum { HEAD_ROWS = 1024 };

static int64_t rows_of(beit__map_size_t size)
{
    return size.batch * size.height * size.width;
}

beit_status_t beit__encoder_input(beit__pass_t *pass, const beit_dvae_t *dvae,
                                  beit__map_size_t size, const float *pixels, float *x)
{
    const bool symmetric = dvae->cfg.input_norm == BEIT_DVAE_NORM_SYMMETRIC;
    const int64_t channels = dvae->cfg.channels;
    float *staging = beit__pass_keep(pass, rows_of(size), channels);
    BEIT__TRY(beit__pass_upload(pass, staging, pixels, rows_of(size) * channels));
    /* (x - 0.5) / 0.5 = 2 x - 1 */
    return beit__layout(pass->run, &(beit_layout_args_t){.batch = size.batch,
                                                         .channels = channels,
                                                         .height = size.height,
                                                         .width = size.width,
                                                         .keep = channels,
                                                         .x = staging,
                                                         .y = x,
                                                         .scale = symmetric ? 2.0f : 1.0f,
                                                         .shift = symmetric ? -1.0f : 0.0f,
                                                         .to_nhwc = 1});
}

/* Everything but the head; on return *size and *slot are the last map's. */
static beit_status_t run_trunk(beit__pass_t *pass, const beit_dvae_t *dvae, const float *pixels,
                               beit__map_size_t *size, beit__slot_t *slot)
{
    *slot = BEIT__SLOT_A;
    float *x = beit__pass_slot(pass, *slot, rows_of(*size), dvae->encoder.in);
    BEIT__TRY(beit__encoder_input(pass, dvae, *size, pixels, x));
    return beit__network_walk(pass, &dvae->encoder, &dvae->weights, size, slot);
}

/* Head and arg-max on `rows` positions of x, a block at a time. */
static beit_status_t choose(beit__pass_t *pass, const beit_dvae_t *dvae, int64_t rows, float *x,
                            int32_t *tokens)
{
    const int64_t vocab = dvae->cfg.vocab_size;
    const int64_t block = rows < HEAD_ROWS ? rows : HEAD_ROWS;
    float *logits = beit__pass_keep(pass, block, vocab);
    for (int64_t row = 0; row < rows; row += block) {
        const int64_t n = rows - row < block ? rows - row : block;
        BEIT__TRY(beit__network_head(pass, &dvae->encoder, &dvae->weights, n,
                                     beit__pass_at(x, row * dvae->encoder.head.in), logits));
        BEIT__TRY(
            beit__argmax(pass->run, &(beit_argmax_args_t){.rows = n,
                                                          .cols = vocab,
                                                          .ldx = vocab,
                                                          .x = logits,
                                                          .index = tokens ? tokens + row : NULL}));
    }
    return BEIT_OK;
}

/* The same on masked positions only: gather them into the other slot, choose, scatter. A plan
 * makes room for all positions, so that no later mask needs more. */
static beit_status_t choose_masked(beit__pass_t *pass, const beit_dvae_t *dvae, int64_t rows,
                                   beit__slot_t slot, const uint8_t *mask, int32_t *tokens)
{
    const bool planning = pass->run->planning;
    const int64_t width = dvae->encoder.head.in;
    const float *x = beit__pass_slot(pass, slot, rows, width);
    float *gathered = beit__pass_slot(pass, beit__slot_other(slot), rows, width);
    int32_t *where = beit__pass_indices(pass, rows);
    int32_t *chosen = beit__pass_indices(pass, rows);

    int64_t count = planning ? rows : 0;
    for (int64_t i = 0; i < rows && !planning; i++) {
        tokens[i] = -1;
        if (mask[i])
            where[count++] = (int32_t)i;
    }
    if (count == 0)
        return BEIT_OK;
    BEIT__TRY(beit__rows(pass->run, &(beit_rows_args_t){.rows = count,
                                                        .cols = width,
                                                        .ldx = width,
                                                        .ldy = width,
                                                        .x = x,
                                                        .index = where,
                                                        .y = gathered}));
    BEIT__TRY(choose(pass, dvae, count, gathered, chosen));
    for (int64_t i = 0; i < count && !planning; i++)
        tokens[where[i]] = chosen[i];
    return BEIT_OK;
}

beit_status_t beit__encoder_tokens(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t size, const float *pixels, const uint8_t *mask,
                                   int32_t *tokens)
{
    beit__slot_t slot;
    BEIT__TRY(run_trunk(pass, dvae, pixels, &size, &slot));
    const int64_t rows = rows_of(size);
    if (mask)
        return choose_masked(pass, dvae, rows, slot, mask, tokens);
    return choose(pass, dvae, rows, beit__pass_slot(pass, slot, rows, dvae->encoder.head.in),
                  tokens);
}

beit_status_t beit__encoder_logits(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t size, const float *pixels, float *logits)
{
    beit__slot_t slot;
    BEIT__TRY(run_trunk(pass, dvae, pixels, &size, &slot));
    const int64_t vocab = dvae->cfg.vocab_size, width = dvae->encoder.head.in;
    const int64_t positions = size.height * size.width;
    float *x = beit__pass_slot(pass, slot, rows_of(size), width);

    /* Blocks are whole pictures here, because they change their layout on the way out. */
    int64_t images = positions < HEAD_ROWS ? HEAD_ROWS / positions : 1;
    images = size.batch < images ? size.batch : images;
    float *nhwc = beit__pass_keep(pass, images * positions, vocab);
    float *nchw = beit__pass_keep(pass, images * positions, vocab);
    for (int64_t b = 0; b < size.batch; b += images) {
        const int64_t n = size.batch - b < images ? size.batch - b : images;
        BEIT__TRY(beit__network_head(pass, &dvae->encoder, &dvae->weights, n * positions,
                                     beit__pass_at(x, b * positions * width), nhwc));
        BEIT__TRY(beit__layout(pass->run, &(beit_layout_args_t){.batch = n,
                                                                .channels = vocab,
                                                                .height = size.height,
                                                                .width = size.width,
                                                                .keep = vocab,
                                                                .x = nhwc,
                                                                .y = nchw,
                                                                .scale = 1.0f}));
        BEIT__TRY(beit__pass_download(pass, beit__pass_at(logits, b * positions * vocab), nchw,
                                      n * positions * vocab));
    }
    return BEIT_OK;
}
