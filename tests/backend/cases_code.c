/* Cases: cross-entropy, arg-max, Gumbel choice, terms on the code distribution, reconstruction. */
#include "conform.h"

#include <math.h>

static int64_t vocabulary(conform_t *c)
{
    return 1 + conform_extent(c, 1025); /* 2 at least: of one code nothing is to be said */
}

static void cross_entropy(conform_t *c)
{
    beit_cross_entropy_args_t a = {.rows = conform_count(c, 100), .cols = vocabulary(c)};
    conform_begin(c, &a, sizeof a);
    a.backward = (int32_t)conform_draw(c, 2);
    a.smoothing = conform_chance(c, 2) ? 0.0f : 0.1f;
    a.grad_scale = 1.0f / 64;
    conform_floats(c, &a.logits, a.rows * a.cols, a.backward ? CONFORM_INOUT : CONFORM_IN, 6);
    int32_t *labels = conform_host(c, &a.labels, a.rows, sizeof *labels, CONFORM_IN);
    for (int64_t r = 0; r < a.rows; r++) {
        labels[r] = (int32_t)conform_draw(c, (uint32_t)a.cols);
        if (conform_chance(c, 3)) /* a hit, or a tie that comes too late */
            a.logits[r * a.cols + labels[r]] = 6;
        if (conform_chance(c, 3))
            a.logits[r * a.cols + conform_draw(c, (uint32_t)a.cols)] = 6;
    }
    conform_host_double(c, &a.loss, CONFORM_INOUT);
    conform_host(c, &a.correct, 1, sizeof *a.correct, CONFORM_INOUT);
    conform_end(c, CONFORM_SUMS, "rows=%d cols=%d smoothing=%g backward=%d", (int)a.rows,
                (int)a.cols, (double)a.smoothing, a.backward);
}

static void argmax(conform_t *c)
{
    beit_argmax_args_t a = {.rows = conform_count(c, 200), .cols = conform_extent(c, 1025)};
    conform_begin(c, &a, sizeof a);
    a.ldx = a.cols + conform_draw(c, 4);
    const bool ties = conform_chance(c, 2);
    float *x = conform_floats(c, &a.x, a.rows * a.ldx, CONFORM_IN, 5);
    for (int64_t i = 0; ties && i < a.rows * a.ldx; i++)
        x[i] = rintf(x[i]);
    conform_host(c, &a.index, a.rows, sizeof *a.index, CONFORM_OUT);
    conform_end(c, CONFORM_EXACT, "rows=%d cols=%d ties=%d", (int)a.rows, (int)a.cols, ties);
}

static beit_gumbel_args_t gumbel_extents(conform_t *c)
{
    beit_gumbel_args_t a = {.samples = conform_count(c, 3), .positions = conform_extent(c, 17)};
    a.vocab = vocabulary(c);
    a.tau = 0.5f + 0.1f * (float)conform_draw(c, 6);
    a.mode = 1 + (int32_t)conform_draw(c, 3);
    return a;
}

static void gumbel_forward(conform_t *c)
{
    beit_gumbel_args_t a = gumbel_extents(c);
    conform_begin(c, &a, sizeof a);
    const int64_t rows = a.samples * a.positions, count = rows * a.vocab;
    const bool ties = conform_chance(c, 3);
    float *logits = conform_floats(c, &a.logits, count, CONFORM_IN, 3);
    float *noise = NULL;
    if (ties || conform_chance(c, 2))
        noise = conform_floats(c, &a.noise, count, CONFORM_IN, 3);
    else
        conform_sample_ids(c, &a.random, a.samples);
    for (int64_t i = 0; ties && i < count; i++) {
        logits[i] = rintf(logits[i]);
        noise[i] = rintf(noise[i]);
    }
    conform_floats(c, &a.y, count, CONFORM_OUT, 1);
    if (a.mode > 1) {
        conform_host(c, &a.choice, rows, sizeof *a.choice, CONFORM_OUT);
        conform_argmax_of(c, &a.choice, &a.y, a.vocab);
    }
    conform_end(c, CONFORM_SUMS, "samples=%d positions=%d vocab=%d mode=%d noise=%d ties=%d",
                (int)a.samples, (int)a.positions, (int)a.vocab, a.mode, noise != NULL, ties);
}

static void gumbel_backward(conform_t *c)
{
    beit_gumbel_args_t a = gumbel_extents(c);
    conform_begin(c, &a, sizeof a);
    const int64_t rows = a.samples * a.positions, count = rows * a.vocab;
    conform_floats(c, &a.logits, count, CONFORM_IN, 3);
    float *y = conform_floats(c, &a.y, count, CONFORM_IN, 1);
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t v = 0; v < a.vocab; v++)
            sum += fabs((double)y[r * a.vocab + v]);
        for (int64_t v = 0; v < a.vocab; v++)
            y[r * a.vocab + v] = (float)(fabs((double)y[r * a.vocab + v]) / sum);
    }
    if (a.mode > 1) {
        int32_t *choice = conform_host(c, &a.choice, rows, sizeof *choice, CONFORM_IN);
        for (int64_t r = 0; r < rows; r++)
            choice[r] = (int32_t)conform_draw(c, (uint32_t)a.vocab);
    }
    conform_floats(c, &a.dy, count, CONFORM_IN, 1);
    conform_floats(c, &a.dlogits, count, CONFORM_INOUT, 0.01);
    conform_end(c, CONFORM_SUMS, "samples=%d positions=%d vocab=%d mode=%d", (int)a.samples,
                (int)a.positions, (int)a.vocab, a.mode);
}

static void code_prior(conform_t *c)
{
    beit_code_prior_args_t a = {.rows = conform_count(c, 100), .vocab = vocabulary(c)};
    conform_begin(c, &a, sizeof a);
    conform_floats(c, &a.logits, a.rows * a.vocab, CONFORM_IN, 4);
    if (!conform_chance(c, 4))
        conform_floats(c, &a.dlogits, a.rows * a.vocab, CONFORM_INOUT, 0.01);
    conform_host_double(c, &a.kl, CONFORM_OUT);
    conform_host_double(c, &a.balance, CONFORM_OUT);
    conform_host_double(c, &a.sharpness, CONFORM_OUT);
    a.kl_direction = 1 + (int32_t)conform_draw(c, 2);
    a.kl_weight = conform_chance(c, 3) ? 0.0f : 0.01f;
    a.kl_epsilon = conform_chance(c, 2) ? 0.0f : conform_chance(c, 2) ? 1e-10f : 1e-3f;
    a.balance_weight = conform_chance(c, 2) ? 0.0f : 2.0f;
    a.sharpness_weight = conform_chance(c, 2) ? 0.0f : 1.0f;
    conform_end(c, CONFORM_SUMS, "rows=%d vocab=%d direction=%d weights=%g,%g,%g epsilon=%g",
                (int)a.rows, (int)a.vocab, a.kl_direction, (double)a.kl_weight,
                (double)a.balance_weight, (double)a.sharpness_weight, (double)a.kl_epsilon);
}

static void recon(conform_t *c)
{
    beit_recon_args_t a = {.count = conform_count(c, 1025) * 17, .grad_scale = 0.125f};
    conform_begin(c, &a, sizeof a);
    a.kind = 1 + (int32_t)conform_draw(c, 2);
    const uint32_t gradient = conform_draw(c, 3); /* none, apart, in place */
    conform_floats(c, &a.x, a.count, gradient == 2 ? CONFORM_INOUT : CONFORM_IN, 1.5);
    conform_floats(c, &a.target, a.count, CONFORM_IN, 1);
    if (gradient == 1)
        conform_floats(c, &a.dx, a.count, CONFORM_OUT, 1);
    else if (gradient == 2)
        conform_alias(c, &a.dx, &a.x);
    conform_host_double(c, &a.loss, CONFORM_INOUT);
    conform_end(c, CONFORM_SUMS, "count=%d kind=%d gradient=%u", (int)a.count, a.kind, gradient);
}

const conform_cases_t conform_code_cases[] = {
    {BEIT_OP_CROSS_ENTROPY, 50, cross_entropy},
    {BEIT_OP_ARGMAX, 30, argmax},
    {BEIT_OP_GUMBEL_FORWARD, 50, gumbel_forward},
    {BEIT_OP_GUMBEL_BACKWARD, 40, gumbel_backward},
    {BEIT_OP_CODE_PRIOR, 50, code_prior},
    {BEIT_OP_RECON, 30, recon},
    {.times = 0},
};
