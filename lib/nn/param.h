/* Parameter sets: names, shapes, flags, initial values, storage in one block. Weights own the
 * description; gradients and moments are further sets over the same description. */
#ifndef BEIT_NN_PARAM_H
#define BEIT_NN_PARAM_H

#include <beit/params.h>
#include <stdint.h>

#define BEIT__NAME_MAX 96

typedef enum beit__init_kind {
    BEIT__INIT_ZERO = 0,
    BEIT__INIT_CONSTANT = 1,  /* a */
    BEIT__INIT_TRUNCATED = 2, /* normal(0, a) cut at +-b, then times c */
    BEIT__INIT_UNIFORM = 3,   /* U(-a, a) */
    BEIT__INIT_NORMAL = 4     /* normal(0, a) */
} beit__init_kind_t;

typedef struct beit__param {
    char name[BEIT__NAME_MAX];
    int64_t shape[4];
    int32_t ndim;
    uint32_t flags; /* BEIT_PARAM_* */
    size_t count;   /* elements */
    size_t offset;  /* floats from the start of the block, multiple of 16 */
    int32_t init;   /* beit__init_kind_t */
    float a, b, c;
} beit__param_t;

/* The description, built by adding in registration order. */
typedef struct beit__param_list {
    beit_context_t *ctx; /* borrowed: allocations */
    beit__param_t *items;
    size_t *by_name; /* indices sorted by name */
    size_t count, capacity;
    size_t floats; /* of a block that holds all */
} beit__param_list_t;

struct beit_params {
    const beit__param_list_t *list;
    float *data; /* backend memory, list->floats */
};

/* Add a tensor and return its index through `index`. The name is formatted. NO_DECAY is set by
 * the rule of unilm's optim_factory.py: 1-D, or name ends in ".bias", or is pos_embed or
 * cls_token. */
beit_status_t beit__param_add(beit__param_list_t *list, size_t *index, beit__param_t init,
                              int32_t ndim, const int64_t *shape, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* Sort names; after this the list is constant. BEIT_E_ARGUMENT on a duplicate. */
beit_status_t beit__param_seal(beit__param_list_t *list);
void beit__param_list_free(beit__param_list_t *list);
/* Index of the tensor called `name` in a sealed list; SIZE_MAX when there is none. */
size_t beit__param_find(const beit__param_list_t *list, const char *name);

/* Storage for a set, zeroed. */
beit_status_t beit__params_alloc(beit_params_t *params, const beit__param_list_t *list);
void beit__params_free(beit_params_t *params);

/* Draw initial values: tensor `index` uses stream INIT with sample = index; a function of seed
 * alone, computed in parallel, uploaded. */
beit_status_t beit__params_init(beit_params_t *params, uint64_t seed);

static inline float *beit__params_at(const beit_params_t *params, size_t index)
{
    return params->data + params->list->items[index].offset;
}

#endif
