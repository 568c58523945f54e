/* The relaxed choice of codes (specification, section 3.2): y = softmax((logits + g)/tau), and
 * z = y codebook. The hard modes send the code of the largest y forward, and the gradient back
 * through y; the codebook's gradient is then that of the codes that were sent. */
#include "dvae/sampling.h"

#include "core/philox.h"
#include "core/status.h"

static int64_t rows_of(const beit__sampling_t *s)
{
    return s->samples * s->positions;
}

static bool is_soft(const beit_dvae_t *dvae)
{
    return dvae->cfg.sampling == BEIT_SAMPLING_SOFT;
}

static beit_gumbel_args_t gumbel_args(const beit_dvae_t *dvae, const beit__dvae_batch_t *batch,
                                      const beit__sampling_t *s)
{
    return (beit_gumbel_args_t){
        .random = {.key = beit__stream_key(batch->seed, BEIT__STREAM_GUMBEL, batch->step),
                   .sample_ids = batch->sample_ids},
        .samples = s->samples,
        .positions = s->positions,
        .vocab = dvae->cfg.vocab_size,
        .logits = s->logits,
        .y = s->y,
        .choice = s->choice,
        .tau = batch->tau,
        .mode = dvae->cfg.sampling};
}

beit_status_t beit__sampling_forward(beit__pass_t *pass, const beit_dvae_t *dvae,
                                     const beit__dvae_batch_t *batch, beit__sampling_t *s)
{
    const int64_t rows = rows_of(s), vocab = dvae->cfg.vocab_size, dim = dvae->cfg.codebook_dim;
    beit_gumbel_args_t gumbel = gumbel_args(dvae, batch, s);
    if (batch->noise) {
        BEIT__TRY(beit__pass_upload(pass, s->dy, batch->noise, rows * vocab)); /* dy is idle */
        gumbel.noise = s->dy;
    }
    BEIT__TRY(beit__gumbel_forward(pass->run, &gumbel));
    if (!is_soft(dvae))
        return beit__decoder_lookup(pass, dvae, rows, s->choice, s->z);
    return beit__gemm(pass->run,
                      &(beit_gemm_args_t){.m = rows,
                                          .n = dim,
                                          .k = vocab,
                                          .lda = vocab,
                                          .ldb = dim,
                                          .ldc = dim,
                                          .batch = 1,
                                          .a = s->y,
                                          .b = beit__params_at(&dvae->weights, dvae->codebook),
                                          .c = s->z,
                                          .alpha = 1.0f});
}

/* dcodebook += y^T dz, or, where codes were sent, their rows of dz. */
static beit_status_t codebook_gradient(beit__pass_t *pass, beit_dvae_t *dvae,
                                       const beit__sampling_t *s, const float *dz)
{
    const int64_t rows = rows_of(s), vocab = dvae->cfg.vocab_size, dim = dvae->cfg.codebook_dim;
    float *dcodebook = beit__params_at(&dvae->gradients, dvae->codebook);
    if (!is_soft(dvae))
        return beit__rows(pass->run, &(beit_rows_args_t){.rows = rows,
                                                         .cols = dim,
                                                         .ldx = dim,
                                                         .ldy = dim,
                                                         .x = dz,
                                                         .index = s->choice,
                                                         .y = dcodebook,
                                                         .scatter = 1});
    return beit__gemm(pass->run, &(beit_gemm_args_t){.m = vocab,
                                                     .n = dim,
                                                     .k = rows,
                                                     .lda = vocab,
                                                     .ldb = dim,
                                                     .ldc = dim,
                                                     .batch = 1,
                                                     .a = s->y,
                                                     .b = dz,
                                                     .c = dcodebook,
                                                     .alpha = 1.0f,
                                                     .beta = 1.0f,
                                                     .trans_a = 1});
}

beit_status_t beit__sampling_backward(beit__pass_t *pass, beit_dvae_t *dvae,
                                      const beit__dvae_batch_t *batch, beit__sampling_t *s,
                                      const float *dz)
{
    const int64_t rows = rows_of(s), vocab = dvae->cfg.vocab_size, dim = dvae->cfg.codebook_dim;
    BEIT__TRY(codebook_gradient(pass, dvae, s, dz));
    BEIT__TRY(beit__gemm(pass->run,
                         &(beit_gemm_args_t){.m = rows,
                                             .n = vocab,
                                             .k = dim,
                                             .lda = dim,
                                             .ldb = dim,
                                             .ldc = vocab,
                                             .batch = 1,
                                             .a = dz,
                                             .b = beit__params_at(&dvae->weights, dvae->codebook),
                                             .c = s->dy,
                                             .alpha = 1.0f,
                                             .trans_b = 1}));
    beit_gumbel_args_t gumbel = gumbel_args(dvae, batch, s);
    gumbel.dy = s->dy;
    gumbel.dlogits = s->dlogits;
    return beit__gumbel_backward(pass->run, &gumbel);
}
