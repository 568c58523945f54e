/* One micro-batch of training (specification, section 3.3): reconstruction, KL, and the two terms
 * against collapse, with the gradient of their weighted sum. Everything is one pass, so that plan
 * and execution are the same code. */
#include <assert.h>

#include "core/status.h"
#include "dvae/handle.h"
#include "dvae/sampling.h"

/* Layout U takes ln(softmax + 1e-10) where layout L takes log_softmax. */
#define LAYOUT_U_EPSILON 1e-10f

typedef struct job {
    beit_dvae_t *dvae;
    const beit__dvae_batch_t *batch;
    beit__dvae_terms_t *terms;
} job_t;

/* Maps of one pass. */
typedef struct maps {
    beit__map_size_t size;   /* of the pictures */
    float *x;                /* (size, C) the input, and what is to be reconstructed */
    float *image;            /* (size, C) the reconstruction, then its gradient */
    beit__sampling_t choice; /* rows of logits and what becomes of them */
} maps_t;

static maps_t take_maps(beit__pass_t *pass, const job_t *job)
{
    const beit__dvae_batch_t *batch = job->batch;
    const beit_dvae_config_t *cfg = &job->dvae->cfg;
    maps_t maps = {.size = {batch->batch, batch->height, batch->width}};
    const beit__map_size_t grid = beit__dvae_grid(job->dvae, maps.size);
    const int64_t positions = grid.height * grid.width, rows = grid.batch * positions;
    const int64_t pixels = batch->batch * batch->height * batch->width;
    maps.x = beit__pass_keep(pass, pixels, cfg->channels);
    maps.image = beit__pass_keep(pass, pixels, cfg->channels);
    maps.choice = (beit__sampling_t){.samples = grid.batch,
                                     .positions = positions,
                                     .logits = beit__pass_keep(pass, rows, cfg->vocab_size),
                                     .z = beit__pass_keep(pass, rows, cfg->codebook_dim),
                                     .choice = beit__pass_indices(pass, rows)};
    if (batch->backward) {
        maps.choice.dlogits = beit__pass_keep(pass, rows, cfg->vocab_size);
        maps.choice.y = beit__pass_keep(pass, rows, cfg->vocab_size);
        maps.choice.dy = beit__pass_keep(pass, rows, cfg->vocab_size);
    }
    return maps;
}

static beit_status_t best_codes(beit__pass_t *pass, const job_t *job, const maps_t *maps,
                                int32_t *tokens)
{
    const int64_t vocab = job->dvae->cfg.vocab_size;
    return beit__argmax(pass->run,
                        &(beit_argmax_args_t){.rows = maps->choice.samples * maps->choice.positions,
                                              .cols = vocab,
                                              .ldx = vocab,
                                              .x = maps->choice.logits,
                                              .index = tokens});
}

/* Terms on the distribution over codes; their gradient begins dlogits. */
static beit_status_t prior(beit__pass_t *pass, const job_t *job, const maps_t *maps)
{
    const beit_dvae_config_t *cfg = &job->dvae->cfg;
    const beit__dvae_batch_t *batch = job->batch;
    const int64_t rows = maps->choice.samples * maps->choice.positions;
    if (batch->backward)
        BEIT__TRY(beit__fill(pass->run, &(beit_fill_args_t){.count = rows * cfg->vocab_size,
                                                            .x = maps->choice.dlogits}));
    double kl = 0, balance = 0, sharpness = 0;
    BEIT__TRY(beit__code_prior(
        pass->run, &(beit_code_prior_args_t){
                       .rows = rows,
                       .vocab = cfg->vocab_size,
                       .logits = maps->choice.logits,
                       .dlogits = maps->choice.dlogits,
                       .kl = &kl,
                       .balance = &balance,
                       .sharpness = &sharpness,
                       .kl_weight = batch->kl_scale,
                       .kl_epsilon = cfg->layout == BEIT_DVAE_LAYOUT_U ? LAYOUT_U_EPSILON : 0.0f,
                       .balance_weight = batch->balance_scale,
                       .sharpness_weight = batch->sharpness_scale,
                       .kl_direction = cfg->kl_direction}));
    job->terms->kl_sum += kl;
    job->terms->balance += balance;
    job->terms->sharpness += sharpness;
    return BEIT_OK;
}

/* Codes to the decoder: relaxed for training, the best ones for evaluation. */
static beit_status_t send_codes(beit__pass_t *pass, const job_t *job, maps_t *maps)
{
    if (job->terms->tokens)
        BEIT__TRY(best_codes(pass, job, maps, job->terms->tokens));
    if (job->batch->backward)
        return beit__sampling_forward(pass, job->dvae, job->batch, &maps->choice);
    BEIT__TRY(best_codes(pass, job, maps, maps->choice.choice));
    return beit__decoder_lookup(pass, job->dvae, maps->choice.samples * maps->choice.positions,
                                maps->choice.choice, maps->choice.z);
}

static beit_status_t reconstruction(beit__pass_t *pass, const job_t *job, const maps_t *maps)
{
    const beit__map_size_t size = maps->size;
    return beit__recon(pass->run,
                       &(beit_recon_args_t){.count = size.batch * size.height * size.width *
                                                     job->dvae->cfg.channels,
                                            .x = maps->image,
                                            .target = maps->x,
                                            .dx = job->batch->backward ? maps->image : NULL,
                                            .loss = &job->terms->recon_sum,
                                            .grad_scale = job->batch->recon_scale,
                                            .kind = job->dvae->cfg.recon_loss});
}

static beit_status_t way_back(beit__pass_t *pass, const job_t *job, maps_t *maps)
{
    beit_dvae_t *dvae = job->dvae;
    float *dz = NULL, *unwanted = NULL;
    BEIT__TRY(beit__network_backward(pass, &dvae->decoder, &dvae->weights, &dvae->gradients,
                                     maps->choice.z, maps->image, true, &dz));
    BEIT__TRY(beit__sampling_backward(pass, dvae, job->batch, &maps->choice, dz));
    return beit__network_backward(pass, &dvae->encoder, &dvae->weights, &dvae->gradients, maps->x,
                                  maps->choice.dlogits, false, &unwanted);
}

static beit_status_t train_pass(beit__pass_t *pass, void *arg)
{
    const job_t *job = arg;
    beit_dvae_t *dvae = job->dvae;
    maps_t maps = take_maps(pass, job);
    BEIT__TRY(beit__encoder_input(pass, dvae, maps.size, job->batch->pixels, maps.x));
    BEIT__TRY(beit__network_forward(pass, &dvae->encoder, &dvae->weights, maps.size, maps.x,
                                    maps.choice.logits));
    BEIT__TRY(prior(pass, job, &maps));
    BEIT__TRY(send_codes(pass, job, &maps));
    BEIT__TRY(beit__network_forward(pass, &dvae->decoder, &dvae->weights,
                                    beit__dvae_grid(dvae, maps.size), maps.choice.z, maps.image));
    BEIT__TRY(reconstruction(pass, job, &maps));
    return job->batch->backward ? way_back(pass, job, &maps) : BEIT_OK;
}

beit_status_t beit__dvae_reserve_training(beit_dvae_t *dvae, int64_t batch, int64_t height,
                                          int64_t width)
{
    if (dvae->cfg.arch != BEIT_DVAE_DISCRETE)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "dvae: OpenAI's dVAE is for inference; train one with arch DISCRETE");
    if (dvae->cfg.parts != BEIT_DVAE_BOTH)
        return beit__fail(BEIT_E_UNSUPPORTED,
                          "dvae: training needs encoder and decoder, but parts is %d, not %d",
                          dvae->cfg.parts, BEIT_DVAE_BOTH);
    if (!dvae->gradients.data)
        BEIT__TRY(beit__params_alloc(&dvae->gradients, &dvae->list));
    const beit__dvae_batch_t plan = {
        .batch = batch, .height = height, .width = width, .tau = 1.0f, .backward = true};
    beit__dvae_terms_t terms = {0};
    job_t job = {dvae, &plan, &terms};
    return beit__pass_reserve(&dvae->memory, train_pass, &job);
}

beit_status_t beit__dvae_train(beit_dvae_t *dvae, const beit__dvae_batch_t *batch,
                               beit__dvae_terms_t *terms)
{
    assert(batch->pixels && (batch->noise || batch->sample_ids || !batch->backward));
    if (!dvae->gradients.data)
        BEIT__TRY(beit__dvae_reserve_training(dvae, batch->batch, batch->height, batch->width));
    job_t job = {dvae, batch, terms};
    return beit__pass_perform(&dvae->memory, train_pass, &job);
}
