/* The masker handle: configuration checked once and kept in the form that the algorithms read.
 * Nothing changes after creation except the reference count, so masks may be drawn concurrently. */
#include "masker/masker.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "core/abi.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/philox.h"
#include "core/status.h"
#include "masker/blockwise.h"
#include "masker/pyrandom.h"
#include "masker/uniform.h"

enum {
    MAX_SIDE = 1024,     /* of the grid: keeps every area within int32_t */
    MAX_ATTEMPTS = 1000, /* bounds the time of one mask */
    OLDEST_CONFIG = 48   /* sizeof in 0.1 */
};
#define MAX_ASPECT 1000.0

struct beit_masker {
    atomic_size_t references;
    beit_context_t *ctx; /* NULL: the C library's memory */
    beit_masker_config_t cfg;
    beit__blockwise_t shape;
};

static const beit_masker_config_t defaults = {.struct_size = sizeof defaults,
                                              .kind = BEIT_MASK_BLOCK,
                                              .rows = 14,
                                              .cols = 14,
                                              .target = 75,
                                              .min_block = 16,
                                              .attempts = 10,
                                              .min_aspect = 0.3f};

void beit_masker_config_init(beit_masker_config_t *cfg, size_t size)
{
    beit__abi_init(cfg, size, &defaults, sizeof defaults);
}

static beit_status_t check_range(const char *field, int32_t value, int32_t low, int32_t high)
{
    if (low <= value && value <= high)
        return BEIT_OK;
    return beit__fail(BEIT_E_ARGUMENT, "masker config: %s is %d, allowed are %d to %d", field,
                      value, low, high);
}

static beit_status_t check_blocks(const beit_masker_config_t *cfg)
{
    const int32_t cells = cfg->rows * cfg->cols;
    if (cfg->rows < 2 || cfg->cols < 2)
        return beit__fail(BEIT_E_ARGUMENT,
                          "masker config: a block must be smaller than the grid on both sides, but "
                          "rows, cols are %d, %d; at least 2, 2 are needed",
                          cfg->rows, cfg->cols);
    BEIT__TRY(check_range("min_block", cfg->min_block, 1, cells));
    BEIT__TRY(check_range("max_block", cfg->max_block, 0, cells));
    BEIT__TRY(check_range("attempts", cfg->attempts, 1, MAX_ATTEMPTS));
    const double lowest = (double)cfg->min_aspect, highest = (double)cfg->max_aspect;
    if (!(lowest >= 1 / MAX_ASPECT && lowest <= MAX_ASPECT))
        return beit__fail(BEIT_E_ARGUMENT, "masker config: min_aspect is %g, allowed are %g to %g",
                          lowest, 1 / MAX_ASPECT, MAX_ASPECT);
    const double resolved = highest == 0 ? 1 / lowest : highest; /* NaN must fail below */
    if (!(resolved >= lowest && resolved <= MAX_ASPECT))
        return beit__fail(
            BEIT_E_ARGUMENT,
            "masker config: max_aspect is %g, allowed are min_aspect (%g) to %g, or 0 "
            "for 1/min_aspect if min_aspect is at most 1",
            highest, lowest, MAX_ASPECT);
    return BEIT_OK;
}

static beit_status_t check_config(const beit_masker_config_t *cfg)
{
    BEIT__TRY(check_range("kind", cfg->kind, BEIT_MASK_BLOCK, BEIT_MASK_RANDOM));
    BEIT__TRY(check_range("rows", cfg->rows, 1, MAX_SIDE));
    BEIT__TRY(check_range("cols", cfg->cols, 1, MAX_SIDE));
    BEIT__TRY(check_range("target", cfg->target, 1, cfg->rows * cfg->cols));
    BEIT__TRY(check_range("exact_count", cfg->exact_count, 0, 1));
    return cfg->kind == BEIT_MASK_BLOCK ? check_blocks(cfg) : BEIT_OK;
}

/* The decimal number that was meant by a float: 0.3f stands for 0.3, whose logarithm upstream
 * takes in double precision. A float without a decimal of six digits stands for itself. */
static double decimal_meant(float value)
{
    const double unit = pow(10, 6 - ceil(log10((double)value)));
    const double decimal = rint((double)value * unit) / unit;
    return (float)decimal == value ? decimal : (double)value;
}

/* Resolve zeros to what they stand for and derive the algorithm's parameters. A max_aspect read
 * back from a masker stands for the same exact quotient as 0 does. */
static void resolve(beit_masker_t *masker)
{
    beit_masker_config_t *cfg = &masker->cfg;
    if (cfg->kind != BEIT_MASK_BLOCK)
        return;
    const double lowest = decimal_meant(cfg->min_aspect), inverse = 1 / lowest;
    if (cfg->max_aspect == 0)
        cfg->max_aspect = (float)inverse;
    if (cfg->max_block == 0)
        cfg->max_block = cfg->target;
    const double highest =
        cfg->max_aspect == (float)inverse ? inverse : decimal_meant(cfg->max_aspect);
    masker->shape = (beit__blockwise_t){.rows = cfg->rows,
                                        .cols = cfg->cols,
                                        .target = cfg->target,
                                        .min_block = cfg->min_block,
                                        .max_block = cfg->max_block,
                                        .attempts = cfg->attempts,
                                        .log_min_aspect = log(lowest),
                                        .log_max_aspect = log(highest)};
}

static void warn_of_empty_masks(const beit_masker_t *masker)
{
    const beit_masker_config_t *cfg = &masker->cfg;
    if (masker->ctx && cfg->kind == BEIT_MASK_BLOCK && !cfg->exact_count &&
        cfg->min_block > cfg->target)
        beit__log(masker->ctx, BEIT_LOG_WARN,
                  "masker: min_block %d exceeds target %d, so many masks will be empty; lower "
                  "min_block or set exact_count",
                  cfg->min_block, cfg->target);
}

beit_status_t beit_masker_create(beit_masker_t **out, beit_context_t *ctx,
                                 const beit_masker_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "masker: out is NULL");
    *out = NULL;
    beit_masker_config_t ours = defaults;
    if (cfg)
        BEIT__TRY(beit__abi_in(&ours, sizeof ours, OLDEST_CONFIG, cfg, "beit_masker_config"));
    BEIT__TRY(check_config(&ours));
    beit_masker_t *masker = beit__calloc(ctx, 1, sizeof *masker);
    if (!masker)
        return BEIT_E_NOMEM;
    atomic_init(&masker->references, 1);
    masker->ctx = ctx ? beit_context_ref(ctx) : NULL;
    masker->cfg = ours;
    masker->cfg.struct_size = sizeof ours;
    resolve(masker);
    warn_of_empty_masks(masker);
    *out = masker;
    return BEIT_OK;
}

void beit_masker_destroy(beit_masker_t *masker)
{
    if (!masker || atomic_fetch_sub(&masker->references, 1) > 1)
        return;
    beit_context_t *ctx = masker->ctx;
    beit__free(ctx, masker, sizeof *masker);
    beit_context_unref(ctx);
}

/* The count is no part of the masker's value: a const masker can be held. */
const beit_masker_t *beit__masker_ref(const beit_masker_t *masker)
{
    atomic_fetch_add(&((beit_masker_t *)masker)->references, 1);
    return masker;
}

const beit_masker_config_t *beit__masker_config(const beit_masker_t *masker)
{
    return &masker->cfg;
}

beit_status_t beit_masker_config(const beit_masker_t *masker, beit_masker_config_t *cfg)
{
    if (!masker)
        return beit__fail(BEIT_E_ARGUMENT, "masker: the masker is NULL");
    return beit__abi_out(cfg, &masker->cfg, sizeof masker->cfg, OLDEST_CONFIG,
                         "beit_masker_config");
}

static beit_status_t check_output(const beit_masker_t *masker, const uint8_t *mask, size_t len)
{
    if (!masker)
        return beit__fail(BEIT_E_ARGUMENT, "masker: the masker is NULL");
    if (!mask)
        return beit__fail(BEIT_E_ARGUMENT, "masker: mask is NULL");
    const size_t cells = (size_t)masker->cfg.rows * (size_t)masker->cfg.cols;
    if (len != cells)
        return beit__fail(BEIT_E_ARGUMENT,
                          "masker: mask has %zu bytes, a grid of %d x %d needs %zu", len,
                          masker->cfg.rows, masker->cfg.cols, cells);
    return BEIT_OK;
}

static double philox_unit(void *state)
{
    return beit__draw_unit(state);
}

static uint32_t philox_below(void *state, uint32_t limit)
{
    return beit__draw_below(state, limit);
}

beit_status_t beit_masker_generate(const beit_masker_t *masker, uint64_t seed, uint64_t epoch,
                                   uint64_t sample_id, uint8_t *mask, size_t len, size_t *n_masked)
{
    BEIT__TRY(check_output(masker, mask, len));
    beit__draws_t draws = beit__draws(seed, BEIT__STREAM_MASK, epoch, sample_id, 0);
    const beit__draw_source_t source = {
        .state = &draws, .unit = philox_unit, .below = philox_below};
    memset(mask, 0, len);
    int32_t count = 0;
    if (masker->cfg.kind == BEIT_MASK_BLOCK)
        count = beit__blockwise_mask(&masker->shape, &source, mask);
    if (masker->cfg.kind == BEIT_MASK_RANDOM || masker->cfg.exact_count) {
        beit__uniform_fill((int32_t)len, count, masker->cfg.target, &source, mask);
        count = masker->cfg.target;
    }
    if (n_masked)
        *n_masked = (size_t)count;
    return BEIT_OK;
}

beit_status_t beit_masker_generate_python(const beit_masker_t *masker, beit_pyrandom_t *rng,
                                          uint8_t *mask, size_t len, size_t *n_masked)
{
    BEIT__TRY(check_output(masker, mask, len));
    if (!rng)
        return beit__fail(BEIT_E_ARGUMENT, "masker: rng is NULL");
    if (masker->cfg.kind != BEIT_MASK_BLOCK || masker->cfg.exact_count)
        return beit__fail(
            BEIT_E_UNSUPPORTED,
            "masker: upstream draws random masks and exact counts with NumPy, not with "
            "Python's generator; use kind block and exact_count 0");
    const beit__draw_source_t source = beit__pyrandom_source(rng);
    memset(mask, 0, len);
    const int32_t count = beit__blockwise_mask(&masker->shape, &source, mask);
    if (n_masked)
        *n_masked = (size_t)count;
    return BEIT_OK;
}
