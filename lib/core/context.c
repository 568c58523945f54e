/* The context: what handles share. It is a plain record with a reference count; its parts are
 * opened in the order allocator, executor, backend, and closed in the opposite one. */
#include "core/context.h"

#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "core/abi.h"
#include "core/alloc.h"
#include "core/log.h"
#include "core/status.h"

#define MAX_THREADS 1024

void beit_context_config_init(beit_context_config_t *cfg, size_t size)
{
    const beit_context_config_t defaults = {.log_level = BEIT_LOG_WARN};
    beit__abi_init(cfg, size, &defaults, sizeof defaults);
}

/* ---- taking over what the host gives ---- */

static beit_status_t check_range(const char *field, int32_t value, int32_t least, int32_t most)
{
    if (value < least || value > most)
        return beit__fail(BEIT_E_ARGUMENT, "context config: %s is %d, expected %d to %d", field,
                          value, least, most);
    return BEIT_OK;
}

static beit_status_t read_config(beit_context_config_t *cfg, const beit_context_config_t *theirs)
{
    beit_context_config_init(cfg, sizeof *cfg);
    if (theirs)
        BEIT__TRY(beit__abi_in(cfg, sizeof *cfg, sizeof *cfg, theirs, "context config"));
    BEIT__TRY(check_range("log_level", cfg->log_level, BEIT_LOG_OFF, BEIT_LOG_TRACE));
    return check_range("threads", cfg->threads, 0, MAX_THREADS);
}

static beit_status_t take_allocator(beit_allocator_t *ours, const beit_allocator_t *theirs)
{
    *ours = beit__c_library;
    if (!theirs)
        return BEIT_OK;
    beit_allocator_t given;
    BEIT__TRY(beit__abi_in(&given, sizeof given, sizeof given, theirs, "allocator"));
    if (!given.alloc != !given.free)
        return beit__fail(BEIT_E_ARGUMENT,
                          "allocator: %s is NULL, expected both functions or "
                          "neither",
                          given.alloc ? "free" : "alloc");
    if (given.alloc)
        *ours = given;
    return BEIT_OK;
}

static beit_status_t take_executor(beit_executor_t *ours, const beit_executor_t *theirs)
{
    BEIT__TRY(beit__abi_in(ours, sizeof *ours, sizeof *ours, theirs, "executor"));
    if (!ours->workers || !ours->parallel_for)
        return beit__fail(BEIT_E_ARGUMENT, "executor: %s is NULL",
                          ours->workers ? "parallel_for" : "workers");
    if (beit__workers(ours) < 1)
        return beit__fail(BEIT_E_ARGUMENT, "executor: workers() is 0, expected at least 1");
    return BEIT_OK;
}

/* ---- life ---- */

static void destroy(beit_context_t *ctx)
{
    if (ctx->backend)
        beit__backend_close(ctx->backend);
    beit__pool_destroy(ctx->pool);
    const beit_allocator_t allocator = ctx->allocator;
    beit__allocator_free(&allocator, ctx, sizeof *ctx);
}

static beit_status_t open_executor(beit_context_t *ctx, const beit_context_config_t *cfg)
{
    if (cfg->executor)
        return take_executor(&ctx->executor, cfg->executor);
    BEIT__TRY(beit__pool_create(&ctx->pool, &ctx->allocator, cfg->threads));
    ctx->executor = beit__pool_executor(ctx->pool);
    const unsigned workers = beit__workers(&ctx->executor);
    if (cfg->threads > 0 && workers < (unsigned)cfg->threads)
        beit__log(ctx, BEIT_LOG_WARN, "only %u of %d threads could be started", workers,
                  cfg->threads);
    return BEIT_OK;
}

static void describe(beit_context_t *ctx)
{
    const char *details = beit__backend_describe(ctx->backend);
    snprintf(ctx->describe, sizeof ctx->describe, "%s backend%s%s, %s of %u",
             beit__backend_name(ctx->backend), details[0] ? ", " : "", details,
             ctx->pool ? "own pool" : "host executor", beit__workers(&ctx->executor));
}

beit_status_t beit_context_create(beit_context_t **out, const beit_context_config_t *cfg)
{
    if (!out)
        return beit__fail(BEIT_E_ARGUMENT, "out is NULL");
    *out = NULL;
    beit_context_config_t config;
    beit_allocator_t allocator;
    BEIT__TRY(read_config(&config, cfg));
    BEIT__TRY(take_allocator(&allocator, config.allocator));
    beit_context_t *ctx = beit__allocator_alloc(&allocator, sizeof *ctx);
    if (!ctx)
        return BEIT_E_NOMEM;
    memset(ctx, 0, sizeof *ctx);
    atomic_init(&ctx->references, 1);
    ctx->allocator = allocator;
    ctx->log = config.log;
    ctx->log_user = config.log_user;
    ctx->log_level = config.log_level;

    beit_status_t status;
    BEIT__TRY_GOTO(open_executor(ctx, &config));
    BEIT__TRY_GOTO(beit__backend_open(&ctx->backend, ctx, config.backend, config.backend_options));
    describe(ctx);
    beit__log(ctx, BEIT_LOG_INFO, "%s", ctx->describe);
    *out = ctx;
    return BEIT_OK;
fail:
    destroy(ctx);
    return status;
}

beit_context_t *beit_context_ref(beit_context_t *ctx)
{
    if (ctx)
        atomic_fetch_add(&ctx->references, 1);
    return ctx;
}

void beit_context_unref(beit_context_t *ctx)
{
    if (ctx && atomic_fetch_sub(&ctx->references, 1) == 1)
        destroy(ctx);
}

beit_status_t beit__context_acquire(beit_context_t **out, beit_context_t *ctx)
{
    if (!ctx)
        return beit_context_create(out, NULL);
    *out = beit_context_ref(ctx);
    return BEIT_OK;
}

/* ---- questions ---- */

const char *beit_context_describe(const beit_context_t *ctx)
{
    return ctx ? ctx->describe : "";
}

void beit_context_memory(const beit_context_t *ctx, size_t *now, size_t *peak)
{
    if (now)
        *now = ctx ? atomic_load(&ctx->bytes_now) : 0;
    if (peak)
        *peak = ctx ? atomic_load(&ctx->bytes_peak) : 0;
}
