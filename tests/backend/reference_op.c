/* See reference_op.h. */
#include "reference_op.h"

#define MAX_ARRAYS 128

static void *arrays[MAX_ARRAYS];
static int array_count;
static uint64_t draw_state = 1;

static void *take(int64_t count, size_t size)
{
    assert_true(array_count < MAX_ARRAYS);
    void *x = calloc(count > 0 ? (size_t)count : 1, size);
    assert_non_null(x);
    arrays[array_count++] = x;
    return x;
}

int release_numbers(void **state)
{
    (void)state;
    while (array_count > 0)
        free(arrays[--array_count]);
    draw_state = 1;
    return 0;
}

float *zeros(int64_t count)
{
    return take(count, sizeof(float));
}

double *room(int64_t count)
{
    return take(count, sizeof(double));
}

float *numbers(int64_t count, double scale)
{
    float *x = zeros(count);
    for (int64_t i = 0; i < count; i++) {
        draw_state = draw_state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(((double)(draw_state >> 40) + 0.5) * 0x1p-23 - 1.0) * (float)scale;
    }
    return x;
}

double *widened(const float *x, int64_t count)
{
    double *y = room(count);
    for (int64_t i = 0; i < count; i++)
        y[i] = (double)x[i];
    return y;
}

void lend_workspace(beit_op_id_t id, beit_op_t *args, size_t struct_size)
{
    args->struct_size = struct_size;
    args->workspace_bytes = beit_backend_builtin("reference")->workspace(NULL, id, args);
    args->workspace = malloc(args->workspace_bytes);
}

double dot(const float *x, const double *y, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i] * y[i];
    return sum;
}

static void check_element(const char *what, int64_t i, double found, double wanted,
                          double tolerance)
{
    if (fabs(found - wanted) <= tolerance * (1 + fabs(wanted)))
        return;
    print_error("%s[%lld] is %.9g, expected %.9g\n", what, (long long)i, found, wanted);
    fail();
}

void check_all_near(const char *what, const float *found, const double *wanted, int64_t count,
                    double tolerance)
{
    for (int64_t i = 0; i < count; i++)
        check_element(what, i, (double)found[i], wanted[i], tolerance);
}

void check_gradient(const char *what, ref64_fn f, const void *user, double *x,
                    const float *gradient, const float *before, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const double found = (double)gradient[i] - (before ? (double)before[i] : 0);
        check_element(what, i, found, ref64_slope(f, user, x + i), ROUNDING);
    }
}
