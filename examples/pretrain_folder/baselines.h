/* What can be predicted about hidden tokens without a network. A model has learned from context as
 * far as its loss lies below these. All are measured on the masked positions of an evaluation set;
 * their free parameters are chosen on that very set, in the baselines' favour. */
#ifndef PRETRAIN_BASELINES_H
#define PRETRAIN_BASELINES_H

#include "counts.h"
#include "eval_set.h"

/* Frequencies of tokens on views of the training pictures. */
typedef struct token_statistics {
    double *unigram;    /* (vocab), smoothed */
    counts_t position;  /* context: the position in the grid */
    counts_t neighbour; /* context: token of the nearest visible patch */
    int32_t grid;
} token_statistics_t;

typedef struct baselines {
    double entropy;       /* of the set's own histogram: the best constant guess in hindsight */
    double unigram;       /* cross-entropy of the training frequencies */
    double position;      /* the same, one histogram per position */
    double copy;          /* mixture of unigram and "the same as the nearest visible patch" */
    double neighbour;     /* frequencies given the token of the nearest visible patch */
    double copy_accuracy; /* share of hidden tokens equal to the nearest visible one */
} baselines_t;

/* Count on `set`, whose tokens are known. Close also after a failure. */
outcome_t token_statistics_open(token_statistics_t *statistics, const eval_set_t *set);
void token_statistics_close(token_statistics_t *statistics);

outcome_t baselines_measure(const token_statistics_t *statistics, const eval_set_t *set,
                            baselines_t *baselines);

void baselines_log(const baselines_t *baselines, json_t *row);

#endif
