/* What the conformance tests of models share: backends, the fill of section 19.4 of the
 * specification, and comparisons. */
#ifndef TESTS_GOLDEN_TINY_H
#define TESTS_GOLDEN_TINY_H

#include "check.h"

#include <beit/beit.h>

#include "core/context.h"
#include "model/model.h"

/* What section 19.4 expects of float32. Single elements are compared at the scale of their tensor:
 * an element near zero is a sum that cancels, and no better than its terms. */
#define RELATIVE 1e-5

static const char *const backends[] = {"reference", "cblas"};

static inline void on_every_backend(void (*test)(beit_context_t *ctx))
{
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        beit_context_config_t config;
        beit_context_config_init(&config, sizeof config);
        config.backend = beit_backend_builtin(backends[i]);
        if (!config.backend)
            continue; /* not in this build */
        beit_context_t *ctx = NULL;
        check_ok(beit_context_create(&ctx, &config));
        test(ctx);
        beit_context_unref(ctx);
    }
}

static inline void check_relative(double found, double wanted)
{
    check_near(found, wanted, RELATIVE * fabs(wanted));
}

static inline void check_element(double found, double wanted, double norm)
{
    check_near(found, wanted, RELATIVE * fmax(fabs(wanted), norm));
}

/* ---- 19.4: values of the tensors ---- */

static inline double filled(const char *name, size_t t, size_t i)
{
    const double v = 0.2 * sin(1.3 * (double)(t + 1) + 0.61 * (double)i);
    const size_t length = strlen(name);
    if (length >= 7 && strncmp(name + length - 7, "gamma_", 6) == 0)
        return 0.1 + 0.25 * v;
    if (strstr(name, "norm") && length >= 6 && strcmp(name + length - 6, "weight") == 0)
        return 1 + 0.5 * v;
    return v;
}

static inline void fill(beit_params_t *params)
{
    const beit__param_list_t *list = params->list;
    for (size_t t = 0; t < list->count; t++) {
        const beit__param_t *param = &list->items[list->by_name[t]];
        float *values = malloc(param->count * sizeof *values);
        for (size_t i = 0; i < param->count; i++)
            values[i] = (float)filled(param->name, t, i);
        const beit_tensor_t view = beit_tensor_make(values, BEIT_F32, param->ndim, param->shape);
        check_ok(beit_params_write(params, list->by_name[t], &view));
        free(values);
    }
}

static inline void fill_pixels(float *pixels, int count)
{
    for (int k = 0; k < count; k++)
        pixels[k] = (float)sin(0.05 * k);
}

/* ---- gradients ---- */

/* The gradient of tensor `index`, divided by `rows` for a mean where it is that of a
 * sum. Free it. */
static inline double *read_gradient(const beit_params_t *params, size_t index, int64_t rows,
                                    size_t *count)
{
    const int64_t elements = (int64_t)params->list->items[index].count;
    float *values = malloc((size_t)elements * sizeof *values);
    const beit_tensor_t view = beit_tensor_make(values, BEIT_F32, 1, &elements);
    check_ok(beit_params_read(params, index, &view));
    double *gradient = malloc((size_t)elements * sizeof *gradient);
    for (int64_t i = 0; i < elements; i++)
        gradient[i] = (double)values[i] / (double)rows;
    free(values);
    *count = (size_t)elements;
    return gradient;
}

static inline double square_sum(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

/* Norm of all gradients together. */
static inline double total_gradient_norm(const beit_params_t *params, int64_t rows)
{
    double total = 0;
    for (size_t t = 0; t < beit_params_count(params); t++) {
        size_t count;
        double *g = read_gradient(params, t, rows, &count);
        total += square_sum(g, count);
        free(g);
    }
    return sqrt(total);
}

#endif
