/* Tokens to pixels. */
#include "core/status.h"
#include "dvae/handle.h"

/* OpenAI's decoder begins with a 1x1 convolution on one-hot maps, which picks a column of the
 * weight and adds the bias. Here: transpose the weight (columns become rows), gather, and add the
 * bias as a product of ones (rows,1) and bias (1,width). */
static beit_status_t lookup_columns(beit__pass_t *pass, const beit_dvae_t *dvae, int64_t rows,
                                    const int32_t *tokens, float *z)
{
    const int64_t vocab = dvae->entry.in, width = dvae->entry.out;
    float *table = beit__pass_keep(pass, vocab, width);
    float *ones = beit__pass_keep(pass, rows, 1);
    BEIT__TRY(beit__layout(
        pass->run, &(beit_layout_args_t){.batch = 1,
                                         .channels = width,
                                         .height = 1,
                                         .width = vocab,
                                         .keep = width,
                                         .x = beit__params_at(&dvae->weights, dvae->entry.weight),
                                         .y = table,
                                         .scale = 1.0f,
                                         .to_nhwc = 1}));
    BEIT__TRY(beit__rows(pass->run, &(beit_rows_args_t){.rows = rows,
                                                        .cols = width,
                                                        .ldx = width,
                                                        .ldy = width,
                                                        .x = table,
                                                        .index = tokens,
                                                        .y = z}));
    BEIT__TRY(beit__fill(pass->run, &(beit_fill_args_t){.count = rows, .x = ones, .value = 1.0f}));
    return beit__gemm(pass->run,
                      &(beit_gemm_args_t){.m = rows,
                                          .n = width,
                                          .k = 1,
                                          .lda = 1,
                                          .ldb = width,
                                          .ldc = width,
                                          .batch = 1,
                                          .a = ones,
                                          .b = beit__params_at(&dvae->weights, dvae->entry.bias),
                                          .c = z,
                                          .alpha = 1.0f,
                                          .beta = 1.0f});
}

beit_status_t beit__decoder_lookup(beit__pass_t *pass, const beit_dvae_t *dvae, int64_t rows,
                                   const int32_t *tokens, float *z)
{
    if (dvae->cfg.arch == BEIT_DVAE_DALLE)
        return lookup_columns(pass, dvae, rows, tokens, z);
    const int64_t width = dvae->cfg.codebook_dim;
    return beit__rows(pass->run,
                      &(beit_rows_args_t){.rows = rows,
                                          .cols = width,
                                          .ldx = width,
                                          .ldy = width,
                                          .x = beit__params_at(&dvae->weights, dvae->codebook),
                                          .index = tokens,
                                          .y = z});
}

beit_status_t beit__decoder_pixels(beit__pass_t *pass, const beit_dvae_t *dvae,
                                   beit__map_size_t grid, const int32_t *tokens, float *pixels)
{
    const beit__network_t *net = &dvae->decoder;
    beit__map_size_t size = grid;
    beit__slot_t slot = BEIT__SLOT_A;
    const int64_t positions = grid.batch * grid.height * grid.width;
    float *z = beit__pass_slot(pass, slot, positions, net->in);
    BEIT__TRY(beit__decoder_lookup(pass, dvae, positions, tokens, z));
    BEIT__TRY(beit__network_walk(pass, net, &dvae->weights, &size, &slot));

    const int64_t rows = size.batch * size.height * size.width;
    float *nhwc = beit__pass_keep(pass, rows, net->head.out);
    BEIT__TRY(beit__network_head(pass, net, &dvae->weights, rows,
                                 beit__pass_slot(pass, slot, rows, net->head.in), nhwc));

    /* Of OpenAI's outputs, the first half are the means of logits; the scales are not needed. */
    float *nchw = beit__pass_keep(pass, rows, dvae->cfg.channels);
    BEIT__TRY(beit__layout(
        pass->run, &(beit_layout_args_t){.batch = size.batch,
                                         .channels = net->head.out,
                                         .height = size.height,
                                         .width = size.width,
                                         .keep = dvae->cfg.channels,
                                         .x = nhwc,
                                         .y = nchw,
                                         .scale = 1.0f,
                                         .unmap_logit = dvae->cfg.arch == BEIT_DVAE_DALLE}));
    return beit__pass_download(pass, pixels, nchw, rows * dvae->cfg.channels);
}
