/* The trainer's insides. A step is a loop over micro-batches that knows nothing of what is
 * trained; what differs between the two networks is an objective. */
#ifndef BEIT_TRAIN_PRIVATE_H
#define BEIT_TRAIN_PRIVATE_H

#include <stdatomic.h>

#include "backend/backend.h"
#include "dvae/dvae.h"
#include "masker/masker.h"
#include "model/model.h"
#include "train/trainer.h"

/* Sums over what was accumulated; means are made when the step is reported. */
typedef struct beit__totals {
    uint64_t samples, masked;
    double loss; /* what must stay finite; masked modeling: cross-entropy over masked patches */
    int64_t correct;
    double recon, kl;          /* dVAE: summed over elements and over positions */
    double balance, sharpness; /* dVAE: times the pictures of the micro-batch they are of */
    double perplexity;         /* dVAE: of all codes so far */
    uint64_t *histogram;       /* dVAE: (V) of all codes so far; borrowed */
    double seconds, tokenize_seconds;
    int64_t height, width; /* dVAE: of all pictures */
} beit__totals_t;

/* A range of pictures of a checked batch. */
typedef struct beit__slice {
    const beit_batch_t *batch;
    int64_t total;        /* pictures in the batch */
    int64_t first, count; /* of this micro-batch */
    const uint64_t *ids;  /* (count) keys of this micro-batch */
    uint64_t running;     /* key of picture 0 where the batch brings none */
    bool backward;        /* add gradients; false: evaluate */
} beit__slice_t;

/* Key of picture i of the whole batch. */
static inline uint64_t beit__slice_id(const beit__slice_t *slice, int64_t i)
{
    return slice->batch->sample_ids ? slice->batch->sample_ids[i] : slice->running + (uint64_t)i;
}

typedef struct beit__objective {
    /* Check the batch completely, so that nothing but numbers and the backend can fail later. Sets
     * slice->total and plans memory where pictures are larger than ever. */
    beit_status_t (*check)(beit_trainer_t *trainer, beit__slice_t *slice);
    /* One micro-batch: adds gradients of sums, and adds to the totals. */
    beit_status_t (*pass)(beit_trainer_t *trainer, const beit__slice_t *slice,
                          beit__totals_t *totals);
    /* What gradient sums are divided by. */
    double (*divisor)(const beit__totals_t *totals);
    /* Fill what is particular to the network, loss included. */
    void (*report)(const beit_trainer_t *trainer, const beit__totals_t *totals,
                   beit_step_report_t *report);
    beit_params_t *(*gradients)(const beit_trainer_t *trainer);
} beit__objective_t;

extern const beit__objective_t beit__objective_mim, beit__objective_dvae;

struct beit_trainer {
    beit_context_t *ctx;
    const beit__objective_t *objective;
    beit_model_t *model;         /* NULL: a dVAE is trained */
    beit_dvae_t *dvae;           /* the tokenizer or NULL; or what is trained */
    const beit_masker_t *masker; /* or NULL */
    beit_trainer_config_t config;
    atomic_int stop; /* lock-free, so that a signal handler may set it */

    beit_params_t *weights;            /* borrowed from model or dvae */
    beit_params_t exp_avg, exp_avg_sq; /* moments */
    beit__group_t *groups;             /* one per tensor */
    beit__run_t run;                   /* workspace of norm and update */
    uint64_t step, samples;            /* applied so far */
    beit__totals_t pending;            /* samples > 0: between accumulate and apply */

    /* Host buffers of one micro-batch. */
    uint64_t *ids;        /* (micro_batch) */
    uint8_t *mask;        /* (micro_batch, positions) */
    int32_t *tokens;      /* (micro_batch, positions) */
    int32_t *labels;      /* (micro_batch, positions) */
    uint64_t *histograms; /* dVAE: (2, V) codes of the step, and of an evaluation */
    int64_t positions;    /* patches, or codes of the largest picture so far */
};

/* config.c */
void beit__trainer_config_defaults(beit_trainer_config_t *config);
beit_status_t beit__trainer_config_check(const beit_trainer_config_t *config);
beit_status_t beit__trainer_agree(const beit_model_t *model, const beit_dvae_t *dvae,
                                  const beit_masker_t *masker);

/* step.c */
double beit__seconds(void); /* monotonic clock */

/* clip.c */
typedef struct beit__norm {
    double norm;     /* of the gradient itself, that is, divided */
    const char *bad; /* first tensor that is not finite, or NULL */
} beit__norm_t;
beit_status_t beit__gradient_norm(beit_trainer_t *trainer, double divisor, beit__norm_t *norm);
double beit__clip_factor(double norm, double limit); /* limit 0: none */
/* Name of the first tensor of a set that is not finite, or NULL. */
beit_status_t beit__first_bad(beit_trainer_t *trainer, const beit_params_t *params,
                              const char **name);

/* optimizer.c */
beit_status_t beit__optimizer_plan(beit_trainer_t *trainer);
beit_status_t beit__optimizer_clear(beit_trainer_t *trainer); /* gradients = 0 */
/* One update with gradients times grad_scale, as step `trainer->step` (from 0). */
beit_status_t beit__optimizer_update(beit_trainer_t *trainer, float grad_scale);

#endif
