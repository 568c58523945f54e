/* Reference operations on codes and losses: cross-entropy, arg-max, Gumbel choice, the terms on
 * the code distribution, reconstruction. */
#include "reference_op.h"

#include "core/philox.h"

#define COPY(to, from, count) memcpy((to), (from), (size_t)(count) * sizeof *(to))

enum { R = 4, V = 5 };

/* ---- cross-entropy ---- */

typedef struct entropy {
    double *z;
    const int32_t *labels;
    double smoothing;
} entropy_t;

static double entropy_loss(const void *user)
{
    const entropy_t *s = user;
    return ref64_cross_entropy(s->z, s->labels, R, V, s->smoothing);
}

static void check_cross_entropy(float smoothing)
{
    const int32_t labels[R] = {0, 4, 2, 2};
    float *z = numbers(R * V, 3), *given = zeros(R * V);
    COPY(given, z, R * V);
    entropy_t s = {widened(z, R * V), labels, (double)smoothing};
    const double start = 2.5;
    double loss = start;
    int64_t correct = 10;
    beit_cross_entropy_args_t a = {.rows = R, .cols = V, .logits = z, .labels = labels};
    a.loss = &loss, a.correct = &correct, a.grad_scale = 0.25f, a.smoothing = smoothing;
    RUN(cross_entropy, CROSS_ENTROPY, a);
    check_near(loss, start + entropy_loss(&s), 1e-12);
    assert_memory_equal(z, given, R * V * sizeof *z); /* no backward: untouched */
    int64_t hits = 10;
    for (int r = 0; r < R; r++) {
        int best = 0;
        for (int v = 1; v < V; v++)
            best = z[r * V + v] > z[r * V + best] ? v : best;
        hits += best == labels[r];
    }
    assert_int_equal(correct, hits);
    a.backward = 1;
    RUN(cross_entropy, CROSS_ENTROPY, a);
    for (int i = 0; i < R * V; i++)
        z[i] *= 4; /* undo grad_scale */
    check_gradient("dlogits", entropy_loss, &s, s.z, z, NULL, R * V);
}

static void cross_entropy_and_its_gradient(void **state)
{
    (void)state;
    check_cross_entropy(0);
    check_cross_entropy(0.1f);
}

static void cross_entropy_counts_the_first_maximum(void **state)
{
    (void)state;
    float z[6] = {1, 1, 0, 1, 1, 0};
    const int32_t labels[2] = {0, 1}; /* only the first is the first of the tie */
    double loss = 0;
    int64_t correct = 0;
    beit_cross_entropy_args_t a = {.rows = 2, .cols = 3, .logits = z, .labels = labels};
    a.loss = &loss, a.correct = &correct;
    RUN(cross_entropy, CROSS_ENTROPY, a);
    assert_int_equal(correct, 1);
}

static void cross_entropy_of_huge_logits(void **state)
{
    (void)state;
    float z[2] = {3e4f, -3e4f};
    const int32_t label = 1;
    double loss = 0;
    int64_t correct = 0;
    beit_cross_entropy_args_t a = {.rows = 1, .cols = 2, .logits = z, .labels = &label};
    a.loss = &loss, a.correct = &correct, a.grad_scale = 1, a.backward = 1;
    RUN(cross_entropy, CROSS_ENTROPY, a);
    check_near(loss, 6e4, 1e-9);
    check_near((double)z[0], 1, 0);
    check_near((double)z[1], -1, 0);
}

static void argmax_takes_the_first(void **state)
{
    (void)state;
    const float x[12] = {1, 3, 3, 99, -5, -5, -6, 99, 0, 1, 2, 99}; /* rows of 3, stride 4 */
    int32_t index[3];
    beit_argmax_args_t a = {.rows = 3, .cols = 3, .ldx = 4, .x = x, .index = index};
    RUN(argmax, ARGMAX, a);
    assert_int_equal(index[0], 1);
    assert_int_equal(index[1], 0);
    assert_int_equal(index[2], 2);
}

/* ---- Gumbel choice ---- */

typedef struct choice {
    double *z;
    const float *noise, *dy;
    const double *frozen; /* ReinMax: ln p1 - z, which the gradient does not see */
    double tau;
} choice_t;

static double soft_loss(const void *user)
{
    const choice_t *s = user;
    double loss = 0, noisy[V], y[V];
    for (int r = 0; r < R; r++) {
        for (int v = 0; v < V; v++)
            noisy[v] = (s->z[r * V + v] + (double)s->noise[r * V + v]) / s->tau;
        ref64_softmax(noisy, V, y);
        loss += dot(s->dy + r * V, y, V);
    }
    return loss;
}

/* <dy, 2 softmax(frozen + z) - softmax(z) / 2> */
static double reinmax_loss(const void *user)
{
    const choice_t *s = user;
    double loss = 0, shifted[V], p[V];
    for (int r = 0; r < R; r++) {
        for (int v = 0; v < V; v++)
            shifted[v] = s->frozen[r * V + v] + s->z[r * V + v];
        ref64_softmax(shifted, V, p);
        loss += 2 * dot(s->dy + r * V, p, V);
        ref64_softmax(s->z + r * V, V, p);
        loss -= 0.5 * dot(s->dy + r * V, p, V);
    }
    return loss;
}

static void freeze_reinmax(const choice_t *s, const int32_t *choice, double *frozen)
{
    for (int r = 0; r < R; r++) {
        double tempered[V], p[V];
        for (int v = 0; v < V; v++)
            tempered[v] = s->z[r * V + v] / s->tau;
        ref64_softmax(tempered, V, p);
        for (int v = 0; v < V; v++) {
            const double p1 = ((v == choice[r]) + p[v]) / 2;
            frozen[r * V + v] = log(fmax(p1, 1e-20)) - s->z[r * V + v];
        }
    }
}

static void check_gumbel(int32_t mode)
{
    const float *z = numbers(R * V, 2), *noise = numbers(R * V, 2), *dy = numbers(R * V, 1);
    choice_t s = {.z = widened(z, R * V), .noise = noise, .dy = dy, .tau = 0.7};
    int32_t choice[R] = {-7, -7, -7, -7};
    beit_gumbel_args_t a = {.samples = 2, .positions = R / 2, .vocab = V, .logits = z};
    a.noise = noise, a.y = zeros(R * V), a.choice = choice, a.tau = 0.7f, a.mode = mode;
    s.tau = (double)a.tau;
    RUN(gumbel_forward, GUMBEL_FORWARD, a);
    for (int r = 0; r < R; r++) {
        double noisy[V], y[V];
        int best = 0;
        for (int v = 0; v < V; v++) {
            noisy[v] = (s.z[r * V + v] + (double)noise[r * V + v]) / s.tau;
            best = noisy[v] > noisy[best] ? v : best;
        }
        ref64_softmax(noisy, V, y);
        check_all_near("y", a.y + r * V, y, V, ROUNDING);
        assert_int_equal(choice[r], mode == 1 ? -7 : best);
    }
    float *dz = numbers(R * V, 1), *before = zeros(R * V);
    COPY(before, dz, R * V);
    a.dy = dy, a.dlogits = dz;
    RUN(gumbel_backward, GUMBEL_BACKWARD, a);
    double *frozen = room(R * V);
    s.frozen = frozen;
    if (mode == 3)
        freeze_reinmax(&s, choice, frozen);
    check_gradient("dlogits", mode == 3 ? reinmax_loss : soft_loss, &s, s.z, dz, before, R * V);
}

static void gumbel_modes_and_their_gradients(void **state)
{
    (void)state;
    check_gumbel(1);
    check_gumbel(2);
    check_gumbel(3);
}

/* The noise that is drawn when none is given: element position V + v of the sample. */
static void gumbel_noise_follows_the_counter(void **state)
{
    (void)state;
    enum { SAMPLES = 2, POSITIONS = 3 };
    const int64_t rows = SAMPLES * POSITIONS;
    const uint64_t ids[SAMPLES] = {11, 5};
    const float *z = numbers(rows * V, 1);
    float *noise = zeros(rows * V);
    for (int i = 0; i < rows * V; i++) {
        const int sample = i / (POSITIONS * V), element = i % (POSITIONS * V);
        uint32_t words[4];
        beit__stream_block(77, ids[sample], 9, (uint32_t)element / 4, words);
        noise[i] = (float)-log(-log((double)beit__unit_float(words[element % 4])));
    }
    beit_gumbel_args_t a = {.samples = SAMPLES, .positions = POSITIONS, .vocab = V, .logits = z};
    a.random = (beit_op_random_t){.key = 77, .sample_ids = ids, .place = 9};
    a.y = zeros(rows * V), a.tau = 1, a.mode = 1;
    RUN(gumbel_forward, GUMBEL_FORWARD, a);
    const double *drawn = widened(a.y, rows * V);
    a.noise = noise;
    RUN(gumbel_forward, GUMBEL_FORWARD, a);
    check_all_near("given noise", a.y, drawn, rows * V, ROUNDING);
}

/* ---- terms on the code distribution ---- */

typedef struct prior {
    double *z;
    double kl, epsilon, balance, sharpness;
    int32_t direction;
} prior_t;

static double prior_loss(const void *user)
{
    const prior_t *s = user;
    const double kl = s->direction == 1 ? ref64_kl_to_uniform(s->z, R, V, s->epsilon)
                                        : ref64_kl_from_uniform(s->z, R, V);
    return s->kl * kl + s->balance * ref64_balance(s->z, R, V) +
           s->sharpness * ref64_sharpness(s->z, R, V);
}

static void check_prior(int32_t direction, float kl, float epsilon, float balance, float sharpness)
{
    const float *z = numbers(R * V, 2);
    prior_t s = {.z = widened(z, R * V),
                 .kl = (double)kl,
                 .epsilon = (double)epsilon,
                 .balance = (double)balance,
                 .sharpness = (double)sharpness,
                 .direction = direction};
    float *dz = numbers(R * V, 1), *before = zeros(R * V);
    COPY(before, dz, R * V);
    double values[3] = {-1, -1, -1}; /* none of the three can be negative */
    beit_code_prior_args_t a = {.rows = R, .vocab = V, .logits = z, .dlogits = dz};
    a.kl = &values[0], a.balance = &values[1], a.sharpness = &values[2];
    a.kl_weight = kl, a.kl_epsilon = epsilon, a.balance_weight = balance;
    a.sharpness_weight = sharpness, a.kl_direction = direction;
    RUN(code_prior, CODE_PRIOR, a);
    check_near(values[0],
               direction == 1 ? ref64_kl_to_uniform(s.z, R, V, s.epsilon)
                              : ref64_kl_from_uniform(s.z, R, V),
               1e-12);
    check_near(values[1], ref64_balance(s.z, R, V), 1e-12);
    check_near(values[2], ref64_sharpness(s.z, R, V), 1e-12);
    check_gradient("dlogits", prior_loss, &s, s.z, dz, before, R * V);
}

static void prior_terms_and_their_gradients(void **state)
{
    (void)state;
    check_prior(1, 0.7f, 0, 0, 0);
    check_prior(1, 0.7f, 0.05f, 0, 0); /* an epsilon that can be seen */
    check_prior(2, 0.7f, 0.05f, 0, 0); /* direction 2 has no epsilon */
    check_prior(1, 0, 0, 3, 0);
    check_prior(1, 0, 0, 0, 3);
    check_prior(1, 0.3f, 1e-10f, 2, 1);
}

/* The specification's vector that tells the two directions apart. */
static void kl_is_the_executed_one(void **state)
{
    (void)state;
    enum { ROWS = 6 };
    float z[ROWS * V];
    for (int i = 0; i < ROWS * V; i++)
        z[i] = (float)sin((double)i);
    double kl, balance, sharpness;
    beit_code_prior_args_t a = {.rows = ROWS, .vocab = V, .logits = z, .kl_direction = 1};
    a.kl = &kl, a.balance = &balance, a.sharpness = &sharpness;
    RUN(code_prior, CODE_PRIOR, a);
    check_near(kl, 1.1329991817, 3e-7); /* given there is a sum in single precision */
    a.kl_direction = 2;
    RUN(code_prior, CODE_PRIOR, a);
    check_near(kl, 1.2691972256, 3e-7);
}

static void prior_of_one_sided_rows_is_finite(void **state)
{
    (void)state;
    const float z[4] = {2000, -2000, 2000, -2000}; /* q underflows to 0 */
    float dz[4] = {0};
    double kl, balance, sharpness;
    beit_code_prior_args_t a = {.rows = 2, .vocab = 2, .logits = z, .dlogits = dz};
    a.kl = &kl, a.balance = &balance, a.sharpness = &sharpness;
    a.kl_weight = a.balance_weight = a.sharpness_weight = 1, a.kl_direction = 1;
    RUN(code_prior, CODE_PRIOR, a);
    check_near(kl, 2 * log(2), 1e-12);
    check_near(balance, log(2), 1e-12);
    check_near(sharpness, 0, 1e-12);
    for (int i = 0; i < 4; i++)
        check_near((double)dz[i], 0, 0);
    a.rows = 0;
    RUN(code_prior, CODE_PRIOR, a);
    check_near(kl + balance + sharpness, 0, 0);
}

/* ---- reconstruction ---- */

enum { PIXELS = 12 };
typedef struct recon {
    double *x;
    const float *target;
    double (*rho)(double);
} recon_t;

static double recon_loss(const void *user)
{
    const recon_t *s = user;
    double loss = 0;
    for (int i = 0; i < PIXELS; i++)
        loss += s->rho(s->x[i] - (double)s->target[i]);
    return loss;
}

static void reconstruction_and_its_gradient(void **state)
{
    (void)state;
    for (int32_t kind = 1; kind <= 2; kind++) {
        float x[PIXELS], target[PIXELS], dx[PIXELS];
        for (int i = 0; i < PIXELS; i++) { /* differences from -2 to 2, none at +-1 */
            target[i] = (float)i * 0.1f;
            x[i] = target[i] + (float)(i - 5.5) * 0.37f;
        }
        recon_t s = {widened(x, PIXELS), target, kind == 1 ? ref64_square : ref64_smooth_l1};
        double loss = 1;
        beit_recon_args_t a = {.count = PIXELS, .x = x, .target = target, .loss = &loss};
        a.kind = kind, a.grad_scale = 2;
        RUN(recon, RECON, a);
        check_near(loss, 1 + recon_loss(&s), 1e-12);
        a.dx = dx;
        RUN(recon, RECON, a);
        for (int i = 0; i < PIXELS; i++)
            dx[i] /= 2;
        check_gradient("dx", recon_loss, &s, s.x, dx, NULL, PIXELS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        reference_test(cross_entropy_and_its_gradient),
        reference_test(cross_entropy_counts_the_first_maximum),
        reference_test(cross_entropy_of_huge_logits),
        reference_test(argmax_takes_the_first),
        reference_test(gumbel_modes_and_their_gradients),
        reference_test(gumbel_noise_follows_the_counter),
        reference_test(prior_terms_and_their_gradients),
        reference_test(kl_is_the_executed_one),
        reference_test(prior_of_one_sided_rows_is_finite),
        reference_test(reconstruction_and_its_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
