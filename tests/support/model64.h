/* The model in double precision: specification, sections 7, 8 and 13.1, and the draws of
 * doc/reference/rng.md, written down once more and apart from the library. Slow and plain: all
 * tokens pass through all layers, masked ones are picked at the end. */
#ifndef TESTS_MODEL64_H
#define TESTS_MODEL64_H

#include <beit/model.h>

/* Values of the model's tensors, by name. */
typedef struct model64_tensor {
    const char *name; /* borrowed from the parameter set */
    double *value;
    size_t count;
    int used; /* by model64_loss() */
} model64_tensor_t;

typedef struct model64 {
    beit_model_config_t cfg; /* zeros resolved */
    model64_tensor_t *tensors;
    size_t count;
} model64_t;

typedef struct model64_batch {
    int64_t batch;
    const float *pixels;   /* (B,C,H,W) */
    const uint8_t *mask;   /* (B,N); not read by a classifier */
    const int32_t *labels; /* (M), or (B) for a classifier */
    const uint64_t *sample_ids;
    uint64_t seed, step;
    int training;
    double smoothing; /* of labels */
} model64_batch_t;

/* Copy configuration and weights of a model on the host. */
void model64_create(model64_t *m, beit_model_t *model);
void model64_destroy(model64_t *m);

/* Summed cross-entropy of the masked patches or, for a classifier, of the images; logits (M,V) or
 * (B,K) unless NULL. */
double model64_loss(model64_t *m, const model64_batch_t *batch, double *logits);

#endif
