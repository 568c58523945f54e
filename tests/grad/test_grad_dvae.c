/* The DiscreteVAE's gradient against finite differences of an independent double-precision
 * objective (support/dvae64.h), on every built-in backend: both layouts, all estimators, losses,
 * forms of KL, balance and sharpness. Each tensor is checked along a random direction, so that a
 * wrong, missing or misplaced element shows. */
#include "check.h"

#include <beit/beit.h>

#include "core/philox.h"
#include "dvae/dvae.h"
#include "dvae64.h"

enum { B = 2, C = 3, H = 8, W = 12, STRIDE = 4, V = 7, PIXELS = B * C * H * W };
enum { ROWS = B * (H / STRIDE) * (W / STRIDE) };

/* Steps must be small, lest a ReLU's kink lie between them; the objective, of order 1, is then good
 * to some 1e-15 / STEP = 1e-9, and every gradient here has a norm of at least 8e-3. */
#define STEP 1e-6

/* A gradient of n elements g, along a direction of n signs, is a sum of n terms each wrong by some
 * 1e-7 of the tensor's largest values; the worst error found is 2e-6 of the norm. */
#define TOLERANCE 1e-5

typedef struct setting {
    const char *name;
    int32_t layout, residuals, sampling, loss, direction, norm;
    float kl, balance, sharpness;
} setting_t;

enum { U = BEIT_DVAE_LAYOUT_U, L = BEIT_DVAE_LAYOUT_L };
enum { SOFT = BEIT_SAMPLING_SOFT, HARD = BEIT_SAMPLING_STRAIGHT_THROUGH };
enum { REINMAX = BEIT_SAMPLING_REINMAX };
enum { MSE = BEIT_RECON_MSE, SMOOTH = BEIT_RECON_SMOOTH_L1 };
enum { TO_U = BEIT_KL_Q_TO_UNIFORM, FROM_U = BEIT_KL_UNIFORM_TO_Q };

static const setting_t settings[] = {
    {"U soft", U, 0, SOFT, MSE, TO_U, 0, 0, 0, 0},
    {"U soft, smooth-L1, KL", U, 0, SOFT, SMOOTH, TO_U, 0, 0.05f, 0, 0},
    {"U hard, KL from uniform", U, 0, HARD, MSE, FROM_U, 0, 0.05f, 0, 0},
    {"U hard, symmetric input", U, 0, HARD, SMOOTH, TO_U, 2, 0.05f, 0, 0},
    {"U soft, balance", U, 0, SOFT, MSE, TO_U, 0, 0, 0.7f, 0},
    {"U soft, sharpness", U, 0, SOFT, MSE, TO_U, 0, 0, 0, 0.7f},
    {"L soft, no blocks", L, 0, SOFT, MSE, TO_U, 0, 0.05f, 0, 0},
    {"L soft, two blocks, all terms", L, 2, SOFT, SMOOTH, FROM_U, 0, 0.05f, 0.3f, 0.2f},
    {"L hard, one block, raw input", L, 1, HARD, MSE, TO_U, 1, 0.05f, 0.3f, 0.2f},
    {"L ReinMax, one block", L, 1, REINMAX, MSE, TO_U, 0, 0.05f, 0, 0},
};

static beit_dvae_config_t config_of(const setting_t *setting)
{
    beit_dvae_config_t config;
    beit_dvae_config_init(&config, sizeof config);
    config.init_seed = 7;
    config.layout = setting->layout;
    config.image_height = H;
    config.image_width = W;
    config.channels = C;
    config.vocab_size = V;
    config.codebook_dim = 6;
    config.hidden_dim = 5;
    config.num_layers = 2;
    config.num_resnet_blocks = setting->residuals;
    config.sampling = setting->sampling;
    config.recon_loss = setting->loss;
    config.kl_direction = setting->direction;
    config.input_norm = setting->norm;
    return config;
}

/* The same data for both sides: floats, and their exact doubles. */
typedef struct data {
    float pixels[PIXELS], noise[ROWS * V];
    double pixels64[PIXELS], noise64[ROWS * V];
} data_t;

static data_t make_data(void)
{
    data_t data;
    beit__draws_t draws = beit__draws(11, BEIT__STREAM_JITTER, 0, 0, 0);
    for (int i = 0; i < PIXELS; i++)
        data.pixels64[i] = (double)(data.pixels[i] = (float)beit__draw_unit(&draws));
    for (int i = 0; i < ROWS * V; i++) {
        const double u = 0.01 + 0.98 * beit__draw_unit(&draws);
        data.noise64[i] = (double)(data.noise[i] = (float)-log(-log(u)));
    }
    return data;
}

#define TAU         0.75f
#define RECON_SCALE 0.01f

static void train(beit_dvae_t *dvae, const data_t *data, const setting_t *setting,
                  beit__dvae_terms_t *terms)
{
    const beit__dvae_batch_t batch = {.pixels = data->pixels,
                                      .noise = data->noise,
                                      .batch = B,
                                      .height = H,
                                      .width = W,
                                      .tau = TAU,
                                      .recon_scale = RECON_SCALE,
                                      .kl_scale = setting->kl,
                                      .balance_scale = setting->balance,
                                      .sharpness_scale = setting->sharpness,
                                      .backward = true};
    check_ok(beit__dvae_reserve_training(dvae, B, H, W)); /* gradients begin as zero */
    check_ok(beit__dvae_train(dvae, &batch, terms));
}

/* The objective's derivative along `signs` of one tensor. */
static double slope(dvae64_t *d, const dvae64_batch_t *batch, size_t index, const double *signs)
{
    size_t count;
    double *value = dvae64_tensor(d, index, &count);
    double *kept = malloc(count * sizeof *kept);
    memcpy(kept, value, count * sizeof *kept);
    const double offset[4] = {-2, -1, 1, 2}, factor[4] = {1, -8, 8, -1};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        dvae64_terms_t terms;
        for (size_t j = 0; j < count; j++)
            value[j] = kept[j] + offset[i] * STEP * signs[j];
        sum += factor[i] * dvae64_objective(d, batch, &terms);
    }
    memcpy(value, kept, count * sizeof *kept);
    free(kept);
    return sum / (12 * STEP);
}

static void check_tensor(dvae64_t *d, const dvae64_batch_t *batch, beit_params_t *gradients,
                         size_t index, const char *setting)
{
    beit_param_info_t info = {.struct_size = sizeof info};
    check_ok(beit_params_info(gradients, index, &info));
    const float *g = info.value.data;
    size_t count;
    dvae64_tensor(d, index, &count);
    double *signs = malloc(count * sizeof *signs), along = 0, squares = 0;
    beit__draws_t draws = beit__draws(13, BEIT__STREAM_JITTER, 0, index, 0);
    for (size_t i = 0; i < count; i++) {
        signs[i] = beit__draw_below(&draws, 2) ? 1 : -1;
        along += signs[i] * (double)g[i];
        squares += (double)g[i] * (double)g[i];
    }
    const double wanted = slope(d, batch, index, signs);
    free(signs);
    assert_true(squares > 0); /* every tensor takes part */
    if (fabs(along - wanted) <= TOLERANCE * sqrt(squares))
        return;
    print_error("%s, %s: %.9g along the direction, expected %.9g; norm %.3g\n", setting, info.name,
                along, wanted, sqrt(squares));
    fail();
}

/* Initial weights let little of the input through: larger ones, larger gradients. */
static void amplify(beit_params_t *params)
{
    for (size_t p = 0; p < beit_params_count(params); p++) {
        beit_param_info_t info = {.struct_size = sizeof info};
        check_ok(beit_params_info(params, p, &info));
        const size_t count = params->list->items[p].count;
        for (size_t i = 0; i < count; i++)
            ((float *)info.value.data)[i] *= 2;
    }
}

static void check_setting(beit_context_t *ctx, const setting_t *setting, const data_t *data)
{
    const beit_dvae_config_t config = config_of(setting);
    beit_dvae_t *dvae = NULL;
    check_ok(beit_dvae_create(&dvae, ctx, &config));
    amplify(beit_dvae_params(dvae));
    beit__dvae_terms_t terms = {0};
    train(dvae, data, setting, &terms);

    dvae64_t *d = dvae64_create(beit_dvae_params(dvae), beit__dvae_config(dvae));
    const dvae64_batch_t batch = {.B = B,
                                  .H = H,
                                  .W = W,
                                  .pixels = data->pixels64,
                                  .noise = data->noise64,
                                  .tau = (double)TAU,
                                  .recon_scale = (double)RECON_SCALE,
                                  .kl_scale = (double)setting->kl,
                                  .balance_scale = (double)setting->balance,
                                  .sharpness_scale = (double)setting->sharpness};
    dvae64_anchor(d, &batch);
    dvae64_terms_t wanted;
    dvae64_objective(d, &batch, &wanted);
    check_near(terms.recon_sum, wanted.recon_sum, 1e-6 * wanted.recon_sum);
    check_near(terms.kl_sum, wanted.kl_sum, 1e-5 * wanted.kl_sum); /* small against its parts */
    check_near(terms.balance, wanted.balance, 1e-6);
    check_near(terms.sharpness, wanted.sharpness, 1e-6);
    beit_params_t *gradients = beit__dvae_gradients(dvae);
    for (size_t i = 0; i < beit_params_count(gradients); i++)
        check_tensor(d, &batch, gradients, i, setting->name);
    dvae64_destroy(d);
    beit_dvae_destroy(dvae);
}

static void check_backend(const char *name)
{
    beit_context_config_t config;
    beit_context_config_init(&config, sizeof config);
    config.backend = beit_backend_builtin(name);
    if (!config.backend)
        skip();
    beit_context_t *ctx = NULL;
    check_ok(beit_context_create(&ctx, &config));
    const data_t data = make_data();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        check_setting(ctx, &settings[i], &data);
    beit_context_unref(ctx);
}

static void test_reference(void **state)
{
    (void)state;
    check_backend("reference");
}

static void test_cblas(void **state)
{
    (void)state;
    check_backend("cblas");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference),
                                       cmocka_unit_test(test_cblas)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
