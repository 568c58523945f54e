/* What io sees of a trainer: all that a checkpoint must hold. */
#ifndef BEIT_TRAIN_TRAINER_H
#define BEIT_TRAIN_TRAINER_H

#include <beit/trainer.h>
#include <stdbool.h>

/* How one tensor is updated. */
typedef struct beit__group {
    float lr_scale;
    int32_t decay; /* 1: weight decay applies */
} beit__group_t;

typedef struct beit__trainer_view {
    beit_context_t *ctx;
    beit_model_t *model;         /* NULL: a dVAE is trained */
    beit_dvae_t *dvae;           /* what is trained, or the tokenizer, or NULL */
    const beit_masker_t *masker; /* or NULL */
    const beit_trainer_config_t *config;
    beit_params_t *weights, *exp_avg, *exp_avg_sq; /* of one list */
    const beit__group_t *groups;                   /* one per tensor */
    uint64_t step, samples;
    bool pending; /* between accumulate and apply */
} beit__trainer_view_t;

beit__trainer_view_t beit__trainer_view(const beit_trainer_t *trainer);

/* The group that a tensor has before beit_trainer_set_group(). */
beit__group_t beit__trainer_default_group(const beit_trainer_t *trainer, size_t index);

/* Set the counters and groups (one per tensor); weights and moments are written through their
 * sets. */
void beit__trainer_restore(beit_trainer_t *trainer, uint64_t step, uint64_t samples,
                           const beit__group_t *groups);

#endif
