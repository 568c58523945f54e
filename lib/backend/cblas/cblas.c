/* The table of the CBLAS backend, opening and options. */
#include "backend/cblas/cblas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cblas/blas.h"
#include "backend/options.h"
#include "core/executor.h"
#include "core/status.h"

#define ALIGNMENT 64u

beit_status_t beit__cblas_tasks(const beit__cblas_t *self, size_t n, beit_task_fn fn, void *arg)
{
    return beit__parallel_for(self->host.executor, n, fn, arg);
}

beit_status_t beit__cblas_products(const beit__cblas_t *self, size_t n, beit_task_fn fn, void *arg)
{
    if (self->own_gemm || self->blas_threads == 1)
        return beit__cblas_tasks(self, n, fn, arg);
    for (size_t i = 0; i < n; i++)
        fn(arg, i, 0);
    return BEIT_OK;
}

/* What the options string can say. */
typedef struct options {
    beit__isa_t isa;
    int blas_threads; /* 0 = leave alone */
} options_t;

static beit_status_t read_isa(const beit__option_t *option, beit__isa_t *isa)
{
    const beit__option_t value = {.key = option->value, .key_length = option->value_length};
    *isa = beit__cpu_isa();
    if (beit__option_is(&value, "auto"))
        return BEIT_OK;
    for (beit__isa_t i = BEIT__ISA_C; i <= BEIT__ISA_AVX512; i++) {
        if (!beit__option_is(&value, beit__isa_name(i)))
            continue;
        if (i > *isa)
            return beit__fail(BEIT_E_UNSUPPORTED, "backend option isa=%s: this CPU has %s at best",
                              beit__isa_name(i), beit__isa_name(*isa));
        *isa = i;
        return BEIT_OK;
    }
    return beit__fail(BEIT_E_ARGUMENT,
                      "backend option isa is \"%.*s\", expected c, avx2, avx512 or auto",
                      (int)value.key_length, value.key);
}

static beit_status_t read_threads(const beit__option_t *option, int *threads)
{
    char digits[8] = "";
    if (option->value_length < sizeof digits)
        memcpy(digits, option->value, option->value_length);
    char *end = digits;
    const long n = strtol(digits, &end, 10);
    if (digits[0] == '\0' || *end != '\0' || n < 1)
        return beit__fail(BEIT_E_ARGUMENT,
                          "backend option blas_threads is \"%.*s\", expected a number from 1",
                          (int)option->value_length, option->value);
    *threads = (int)n;
    return BEIT_OK;
}

static beit_status_t read_options(const char *text, options_t *options)
{
    *options = (options_t){.isa = beit__cpu_isa()};
    for (beit__option_t option; beit__next_option(&text, &option);) {
        if (beit__option_is(&option, "isa"))
            BEIT__TRY(read_isa(&option, &options->isa));
        else if (beit__option_is(&option, "blas_threads"))
            BEIT__TRY(read_threads(&option, &options->blas_threads));
        else
            return beit__fail(BEIT_E_ARGUMENT,
                              "backend option \"%.*s\" is unknown, expected isa or blas_threads",
                              (int)option.key_length, option.key);
    }
    return BEIT_OK;
}

static beit_status_t cblas_open(void **out, const beit_backend_host_t *host, const char *text)
{
    options_t options;
    BEIT__TRY(read_options(text, &options));
    beit__cblas_t *self = host->allocator->alloc(host->allocator->user, sizeof *self, ALIGNMENT);
    if (!self)
        return beit__fail(BEIT_E_NOMEM, "out of memory: %zu bytes for the cblas backend",
                          sizeof *self);
    *self = (beit__cblas_t){.host = *host};
    beit__kernels_init(&self->k, options.isa);
    self->workers = beit__workers(host->executor);
    self->own_gemm = self->k.isa > BEIT__ISA_C;
    if (options.blas_threads && !beit__blas_set_threads(options.blas_threads) && host->log)
        host->log(host->log_token, BEIT_LOG_WARN,
                  "backend option blas_threads: this BLAS has no call to set its threads");
    self->blas_threads = beit__blas_threads();
    snprintf(self->text, sizeof self->text, "isa %s, products by %s, %s with %d thread%s",
             beit__isa_name(self->k.isa), self->own_gemm ? "own kernels" : "CBLAS",
             beit__blas_name(), self->blas_threads, self->blas_threads == 1 ? "" : "s");
    *out = self;
    return BEIT_OK;
}

static void cblas_close(void *instance)
{
    beit__cblas_t *self = instance;
    if (self)
        self->host.allocator->free(self->host.allocator->user, self, sizeof *self, ALIGNMENT);
}

static const char *cblas_describe(void *instance)
{
    return ((const beit__cblas_t *)instance)->text;
}

#define SPACE(name, args, ID)                                                                      \
    case BEIT_OP_##ID:                                                                             \
        return beit__cblas_##name##_space(self, (const beit_##args##_args_t *)(const void *)op);

static size_t cblas_workspace(void *instance, beit_op_id_t id, const beit_op_t *op)
{
    const beit__cblas_t *self = instance;
    switch (id) {
        SPACE(gemm, gemm, GEMM)
        SPACE(layernorm_backward, layernorm_backward, LAYERNORM_BACKWARD)
        SPACE(column_sum, column_sum, COLUMN_SUM)
        SPACE(dropout, dropout, DROPOUT)
        SPACE(attention_forward, attention_forward, ATTENTION_FORWARD)
        SPACE(attention_backward, attention_backward, ATTENTION_BACKWARD)
        SPACE(cross_entropy, cross_entropy, CROSS_ENTROPY)
        SPACE(conv_forward, conv, CONV_FORWARD)
        SPACE(conv_transpose, conv, CONV_TRANSPOSE)
        SPACE(conv_weight_gradient, conv, CONV_WEIGHT_GRADIENT)
        SPACE(gumbel_forward, gumbel, GUMBEL_FORWARD)
        SPACE(gumbel_backward, gumbel, GUMBEL_BACKWARD)
        SPACE(code_prior, code_prior, CODE_PRIOR)
        SPACE(recon, recon, RECON)
        SPACE(square_sum, square_sum, SQUARE_SUM)
    default:
        return 0;
    }
}

const beit_backend_ops_t beit__cblas_ops = {
    .struct_size = sizeof(beit_backend_ops_t),
    .abi = BEIT_BACKEND_ABI,
    .flags = BEIT_BACKEND_HOST_MEMORY | BEIT_BACKEND_DETERMINISTIC,
    .name = "cblas",
    .open = cblas_open,
    .close = cblas_close,
    .describe = cblas_describe,
    .workspace = cblas_workspace,
    .gemm = beit__cblas_gemm,
    .layernorm_forward = beit__cblas_layernorm_forward,
    .layernorm_backward = beit__cblas_layernorm_backward,
    .gelu_forward = beit__cblas_gelu_forward,
    .column_sum = beit__cblas_column_sum,
    .scale_add = beit__cblas_scale_add,
    .layer_scale_backward = beit__cblas_layer_scale_backward,
    .dropout = beit__cblas_dropout,
    .rows = beit__cblas_rows,
    .patchify = beit__cblas_patchify,
    .embed_forward = beit__cblas_embed_forward,
    .embed_backward = beit__cblas_embed_backward,
    .relpos_forward = beit__cblas_relpos_forward,
    .relpos_backward = beit__cblas_relpos_backward,
    .attention_forward = beit__cblas_attention_forward,
    .attention_backward = beit__cblas_attention_backward,
    .cross_entropy = beit__cblas_cross_entropy,
    .argmax = beit__cblas_argmax,
    .layout = beit__cblas_layout,
    .conv_forward = beit__cblas_conv_forward,
    .conv_transpose = beit__cblas_conv_transpose,
    .conv_weight_gradient = beit__cblas_conv_weight_gradient,
    .relu = beit__cblas_relu,
    .resample = beit__cblas_resample,
    .gumbel_forward = beit__cblas_gumbel_forward,
    .gumbel_backward = beit__cblas_gumbel_backward,
    .code_prior = beit__cblas_code_prior,
    .recon = beit__cblas_recon,
    .fill = beit__cblas_fill,
    .square_sum = beit__cblas_square_sum,
    .adam = beit__cblas_adam,
};
