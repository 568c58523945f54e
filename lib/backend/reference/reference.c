/* The reference backend's table. */
#include "reference.h"

#include <stdio.h>

#include "backend/options.h"

/* What the built-in backends know means nothing here, but is accepted, so that a host can change
 * the backend alone. */
static beit_status_t open_reference(void **self, const beit_backend_host_t *host,
                                    const char *options)
{
    *self = NULL;
    for (beit__option_t option; beit__next_option(&options, &option);) {
        if (beit__option_is(&option, "isa") || beit__option_is(&option, "blas_threads"))
            continue;
        char line[128];
        snprintf(line, sizeof line,
                 "reference backend: unknown option \"%.*s\", known are isa and blas_threads",
                 (int)option.key_length, option.key);
        host->set_error(line);
        return BEIT_E_ARGUMENT;
    }
    return BEIT_OK;
}

typedef size_t (*workspace_fn)(const beit_op_t *args);

/* NULL: the operation needs none. */
static const workspace_fn workspace_of[BEIT_OP_COUNT] = {
    [BEIT_OP_GEMM] = beit__reference_gemm_workspace,
    [BEIT_OP_COLUMN_SUM] = beit__reference_column_sum_workspace,
    [BEIT_OP_LAYERNORM_BACKWARD] = beit__reference_layernorm_backward_workspace,
    [BEIT_OP_EMBED_BACKWARD] = beit__reference_embed_backward_workspace,
    [BEIT_OP_RELPOS_BACKWARD] = beit__reference_relpos_backward_workspace,
    [BEIT_OP_ATTENTION_FORWARD] = beit__reference_attention_forward_workspace,
    [BEIT_OP_ATTENTION_BACKWARD] = beit__reference_attention_backward_workspace,
    [BEIT_OP_CONV_FORWARD] = beit__reference_conv_forward_workspace,
    [BEIT_OP_CONV_TRANSPOSE] = beit__reference_conv_transpose_workspace,
    [BEIT_OP_CONV_WEIGHT_GRADIENT] = beit__reference_conv_weight_gradient_workspace,
    [BEIT_OP_GUMBEL_FORWARD] = beit__reference_gumbel_forward_workspace,
    [BEIT_OP_GUMBEL_BACKWARD] = beit__reference_gumbel_backward_workspace,
    [BEIT_OP_CODE_PRIOR] = beit__reference_code_prior_workspace,
};

static size_t workspace(void *self, beit_op_id_t op, const beit_op_t *args)
{
    (void)self;
    return workspace_of[op] ? workspace_of[op](args) : 0;
}

#define OP_ENTRY(name, args, ID) .name = beit__reference_##name,

const beit_backend_ops_t beit__reference_ops = {.struct_size = sizeof(beit_backend_ops_t),
                                                .abi = BEIT_BACKEND_ABI,
                                                .flags = BEIT_BACKEND_HOST_MEMORY |
                                                         BEIT_BACKEND_DETERMINISTIC,
                                                .name = "reference",
                                                .open = open_reference,
                                                .workspace = workspace,
                                                BEIT__OPS(OP_ENTRY)};
