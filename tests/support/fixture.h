/* The smallest complete set: a tokenizer, a model and a masker that fit each other (4 x 4 patches,
 * 8 codes, every option on), and a batch of pictures for them. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <beit/beit.h>

enum {
    FIXTURE_BATCH = 3, /* pictures, two micro-batches */
    FIXTURE_MICRO_BATCH = 2,
    FIXTURE_GRID = 4,
    FIXTURE_PATCHES = FIXTURE_GRID * FIXTURE_GRID,
    FIXTURE_SIDE = 32,       /* of the patch view */
    FIXTURE_TOKEN_SIDE = 16, /* of the token view */
    FIXTURE_VOCAB = 8
};

beit_model_config_t fixture_model_config(void);
beit_dvae_config_t fixture_dvae_config(void);
beit_masker_config_t fixture_masker_config(void);
beit_trainer_config_t fixture_trainer_config(void);

/* A batch whose pictures are smooth patterns with some noise, a function of `seed`. It borrows
 * static memory: one at a time. Neither tokens nor a mask are given. */
beit_batch_t fixture_batch(unsigned seed);

/* Handles, any of which may be NULL: created in this order, destroyed in the opposite one. */
typedef struct fixture {
    beit_context_t *ctx;
    beit_model_t *model;
    beit_dvae_t *dvae;
    beit_masker_t *masker;
    beit_trainer_t *mim, *dvae_trainer;
} fixture_t;

/* Create all handles in `ctx`, to which one more reference is taken. On failure none is left. */
beit_status_t fixture_create(fixture_t *fixture, beit_context_t *ctx);
void fixture_destroy(fixture_t *fixture);

#endif
