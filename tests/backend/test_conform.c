/* The conformance harness itself: sound backends pass, also those with memory of their own, and
 * each of these wrong operations is found. */
#include "check.h"

#include "conform.h"
#include "toy_device.h"

static const beit_backend_ops_t *reference(void)
{
    return beit_backend_builtin("reference");
}

/* ---- operations that are wrong in one point ---- */

static beit_status_t gelu_by_tanh(void *self, const beit_gelu_forward_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->count; i++) {
        const double x = (double)a->x[i];
        a->y[i] = (float)(0.5 * x * (1 + tanh(0.7978845608 * (x + 0.044715 * x * x * x))));
    }
    return BEIT_OK;
}

static beit_status_t relu_that_passes_zero(void *self, const beit_relu_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->count; i++)
        a->y[i] = a->x[i] > -1e-3f ? a->dy ? a->dy[i] : a->x[i] : 0;
    return BEIT_OK;
}

static beit_status_t layernorm_with_sample_variance(void *self,
                                                    const beit_layernorm_forward_args_t *a)
{
    const double n = (double)a->cols;
    reference()->layernorm_forward(self, a);
    for (int64_t r = 0; !a->normalize && r < a->rows; r++)
        a->rstd[r] *= (float)sqrt((n - 1) / n);
    return BEIT_OK;
}

static beit_status_t layernorm_that_sets_dx(void *self, const beit_layernorm_backward_args_t *a)
{
    for (int64_t i = 0; a->dx && i < a->rows * a->cols; i++)
        a->dx[i] = 0;
    return reference()->layernorm_backward(self, a);
}

static beit_status_t gemm_that_reads_c(void *self, const beit_gemm_args_t *a)
{
    const float old = a->m > 0 ? a->c[0] : 0;
    reference()->gemm(self, a);
    if (a->m > 0)
        a->c[0] += 0 * old; /* NaN stays */
    return BEIT_OK;
}

static beit_status_t gemm_that_fills_the_gap(void *self, const beit_gemm_args_t *a)
{
    reference()->gemm(self, a);
    if (a->m > 0 && a->ldc > a->n)
        a->c[a->n] = 0;
    return BEIT_OK;
}

static beit_status_t scale_add_by_zero(void *self, const beit_scale_add_args_t *a)
{
    (void)self;
    for (int64_t i = 0; i < a->rows * a->cols; i++) {
        const float sample =
            a->sample_scale ? a->sample_scale[i / a->cols / a->rows_per_sample] : 1;
        const float col = a->col_scale ? a->col_scale[i % a->cols] : 1;
        a->y[i] = (a->add ? a->add[i] : 0) + a->x[i] * col * sample;
    }
    return BEIT_OK;
}

static beit_status_t dropout_unscaled(void *self, const beit_dropout_args_t *a)
{
    reference()->dropout(self, a);
    for (int64_t i = 0; i < a->samples * a->per_sample; i++)
        a->y[i] *= 1 - a->rate;
    return BEIT_OK;
}

static beit_status_t fill_one_more(void *self, const beit_fill_args_t *a)
{
    beit_fill_args_t more = *a;
    more.count++;
    return reference()->fill(self, &more);
}

static beit_status_t adam_always_decoupled(void *self, const beit_adam_args_t *a)
{
    beit_adam_args_t decoupled = *a;
    decoupled.coupled = 0;
    return reference()->adam(self, &decoupled);
}

static beit_status_t square_sum_in_single(void *self, const beit_square_sum_args_t *a)
{
    float sum = 0;
    (void)self;
    for (int64_t i = 0; i < a->count; i++)
        sum += a->x[i] * a->x[i];
    *a->result = (double)sum;
    return BEIT_OK;
}

static beit_status_t rows_that_set(void *self, const beit_rows_args_t *a)
{
    for (int64_t i = 0; a->scatter && i < a->rows; i++)
        for (int64_t c = 0; c < a->cols; c++)
            a->y[a->index[i] * a->ldy + c] = 0;
    return reference()->rows(self, a);
}

static beit_status_t embed_that_trains_masked_patches(void *self,
                                                      const beit_embed_backward_args_t *a)
{
    reference()->embed_backward(self, a);
    if (a->batch > 0)
        memcpy(a->dx, a->dy + a->cols, (size_t)(a->patches * a->cols) * sizeof *a->dx);
    return BEIT_OK;
}

static beit_status_t relpos_transposed(void *self, const beit_relpos_args_t *a)
{
    const int64_t T = a->rows * a->cols + 1;
    reference()->relpos_forward(self, a);
    for (int64_t h = 0; h < a->heads; h++)
        for (int64_t i = 0; i < T; i++)
            for (int64_t j = 0; j < i; j++) {
                float *x = a->bias + (h * T + i) * T + j, *y = a->bias + (h * T + j) * T + i;
                const float swap = *x;
                *x = *y, *y = swap;
            }
    return BEIT_OK;
}

static beit_status_t attention_without_bias(void *self, const beit_attention_forward_args_t *a)
{
    beit_attention_forward_args_t unbiased = *a;
    unbiased.bias = NULL;
    return reference()->attention_forward(self, &unbiased);
}

static beit_status_t attention_that_sets_dbias(void *self, const beit_attention_backward_args_t *a)
{
    for (int64_t i = 0; a->dbias && i < a->heads * a->tokens * a->tokens; i++)
        a->dbias[i] = 0;
    return reference()->attention_backward(self, a);
}

static beit_status_t argmax_last(void *self, const beit_argmax_args_t *a)
{
    (void)self;
    for (int64_t r = 0; r < a->rows; r++) {
        const float *x = a->x + r * a->ldx;
        int32_t best = 0;
        for (int32_t i = 1; i < a->cols; i++)
            best = x[i] >= x[best] ? i : best;
        a->index[r] = best;
    }
    return BEIT_OK;
}

static beit_status_t cross_entropy_without_smoothing(void *self, const beit_cross_entropy_args_t *a)
{
    beit_cross_entropy_args_t sharp = *a;
    sharp.smoothing = 0;
    return reference()->cross_entropy(self, &sharp);
}

static beit_status_t gumbel_that_chooses_by_logits(void *self, const beit_gumbel_args_t *a)
{
    reference()->gumbel_forward(self, a);
    const beit_argmax_args_t best = {.rows = a->samples * a->positions,
                                     .cols = a->vocab,
                                     .ldx = a->vocab,
                                     .x = a->logits,
                                     .index = a->choice};
    return a->choice ? reference()->argmax(self, &best) : BEIT_OK;
}

static beit_status_t reinmax_as_straight_through(void *self, const beit_gumbel_args_t *a)
{
    beit_gumbel_args_t simple = *a;
    simple.mode = 1;
    return reference()->gumbel_backward(self, &simple);
}

static beit_status_t prior_the_other_way(void *self, const beit_code_prior_args_t *a)
{
    beit_code_prior_args_t other = *a;
    other.kl_direction = 3 - a->kl_direction;
    return reference()->code_prior(self, &other);
}

static beit_status_t recon_that_changes_its_target(void *self, const beit_recon_args_t *a)
{
    reference()->recon(self, a);
    if (a->count > 0)
        *(float *)(uintptr_t)a->target += 1;
    return BEIT_OK;
}

static beit_status_t conv_without_relu_input(void *self, const beit_conv_args_t *a)
{
    beit_conv_args_t plain = *a;
    plain.relu_input = 0;
    return reference()->conv_forward(self, &plain);
}

static beit_status_t conv_gradient_unscaled(void *self, const beit_conv_args_t *a)
{
    beit_conv_args_t plain = *a;
    plain.alpha = 1;
    return reference()->conv_weight_gradient(self, &plain);
}

/* In the last bit only, and only where there are several workers. */
static beit_status_t column_sum_by_workers(void *self, const beit_column_sum_args_t *a)
{
    const beit_backend_host_t *host = self;
    reference()->column_sum(NULL, a);
    if (host->executor->workers(host->executor->user) > 3)
        a->out[0] = nextafterf(a->out[0], INFINITY);
    return BEIT_OK;
}

static beit_status_t open_with_host(void **self, const beit_backend_host_t *host,
                                    const char *options)
{
    (void)options;
    *self = (void *)(uintptr_t)host;
    return BEIT_OK;
}

static beit_status_t layer_scale_beyond_workspace(void *self,
                                                  const beit_layer_scale_backward_args_t *a)
{
    static unsigned char written;
    reference()->layer_scale_backward(self, a);
    if (a->op.workspace) /* was asked for by 64 bytes, see below */
        ((unsigned char *)a->op.workspace)[64] = written++;
    return BEIT_OK;
}

static size_t workspace_of_64(void *self, beit_op_id_t op, const beit_op_t *args)
{
    (void)self, (void)op, (void)args;
    return 64;
}

/* Needs more, the fewer rows there are. */
static size_t workspace_that_grows(void *self, beit_op_id_t op, const beit_op_t *args)
{
    const size_t bytes = reference()->workspace(self, op, args);
    return op == BEIT_OP_COLUMN_SUM
               ? bytes + 4096 - (size_t)((const beit_column_sum_args_t *)(const void *)args)->rows
               : bytes;
}

/* ---- the table of them ---- */

#define WRONG(operation, ID, function)                                                             \
    {                                                                                              \
        .op = BEIT_OP_##ID, .name = #function, .table = {.operation = function }                   \
    }

static const struct wrong {
    beit_op_id_t op;
    const char *name;
    beit_backend_ops_t table; /* what is not NULL replaces the reference's */
} wrongs[] = {
    WRONG(gelu_forward, GELU_FORWARD, gelu_by_tanh),
    WRONG(relu, RELU, relu_that_passes_zero),
    WRONG(layernorm_forward, LAYERNORM_FORWARD, layernorm_with_sample_variance),
    WRONG(layernorm_backward, LAYERNORM_BACKWARD, layernorm_that_sets_dx),
    WRONG(gemm, GEMM, gemm_that_reads_c),
    WRONG(gemm, GEMM, gemm_that_fills_the_gap),
    WRONG(scale_add, SCALE_ADD, scale_add_by_zero),
    WRONG(dropout, DROPOUT, dropout_unscaled),
    WRONG(fill, FILL, fill_one_more),
    WRONG(adam, ADAM, adam_always_decoupled),
    WRONG(square_sum, SQUARE_SUM, square_sum_in_single),
    WRONG(rows, ROWS, rows_that_set),
    WRONG(embed_backward, EMBED_BACKWARD, embed_that_trains_masked_patches),
    WRONG(relpos_forward, RELPOS_FORWARD, relpos_transposed),
    WRONG(attention_forward, ATTENTION_FORWARD, attention_without_bias),
    WRONG(attention_backward, ATTENTION_BACKWARD, attention_that_sets_dbias),
    WRONG(argmax, ARGMAX, argmax_last),
    WRONG(cross_entropy, CROSS_ENTROPY, cross_entropy_without_smoothing),
    WRONG(gumbel_forward, GUMBEL_FORWARD, gumbel_that_chooses_by_logits),
    WRONG(gumbel_backward, GUMBEL_BACKWARD, reinmax_as_straight_through),
    WRONG(code_prior, CODE_PRIOR, prior_the_other_way),
    WRONG(recon, RECON, recon_that_changes_its_target),
    WRONG(conv_forward, CONV_FORWARD, conv_without_relu_input),
    WRONG(conv_weight_gradient, CONV_WEIGHT_GRADIENT, conv_gradient_unscaled),
    {.op = BEIT_OP_COLUMN_SUM,
     .name = "column_sum_by_workers",
     .table = {.open = open_with_host, .column_sum = column_sum_by_workers}},
    {.op = BEIT_OP_LAYER_SCALE_BACKWARD,
     .name = "layer_scale_beyond_workspace",
     .table = {.workspace = workspace_of_64, .layer_scale_backward = layer_scale_beyond_workspace}},
    {.op = BEIT_OP_COLUMN_SUM,
     .name = "workspace_that_grows",
     .table = {.workspace = workspace_that_grows}},
};

/* The reference's table with the pointers from open() on replaced where `changed` has any. */
static beit_backend_ops_t overlaid(const beit_backend_ops_t *changed)
{
    beit_backend_ops_t ops = *reference();
    for (size_t at = offsetof(beit_backend_ops_t, open); at < sizeof ops; at += sizeof(void *)) {
        void *pointer;
        memcpy(&pointer, (const char *)changed + at, sizeof pointer);
        if (pointer)
            memcpy((char *)&ops + at, &pointer, sizeof pointer);
    }
    return ops;
}

static void wrong_operations_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        const beit_backend_ops_t ops = overlaid(&wrongs[i].table);
        conform_t *c = conform_open(&ops, NULL);
        assert_non_null(c);
        if (conform_run_op(c, wrongs[i].op, false) == 0) {
            print_error("%s was not found\n", wrongs[i].name);
            fail();
        }
        conform_close(c);
    }
}

static void a_device_conforms(void **state)
{
    (void)state;
    conform_t *c = conform_open(&toy_device_ops, NULL);
    assert_non_null(c);
    assert_int_equal(conform_run_all(c, true), 0);
    conform_close(c);
    assert_int_equal(toy_device_counts.open, 0);
    assert_int_equal(toy_device_counts.live_bytes, 0);
    assert_true(toy_device_counts.calls > BEIT_OP_COUNT);
}

static void an_absent_operation_is_no_failure(void **state)
{
    (void)state;
    beit_backend_ops_t ops = *reference();
    ops.gemm = NULL;
    conform_t *c = conform_open(&ops, NULL);
    assert_non_null(c);
    assert_int_equal(conform_run_op(c, BEIT_OP_GEMM, true), 0);
    conform_close(c);
}

static void a_backend_that_does_not_open_is_reported(void **state)
{
    (void)state;
    assert_null(conform_open(&toy_device_ops, "unknown=1"));
    assert_int_equal(toy_device_counts.open, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_operations_are_found),
        cmocka_unit_test(a_device_conforms),
        cmocka_unit_test(an_absent_operation_is_no_failure),
        cmocka_unit_test(a_backend_that_does_not_open_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
