/* Interpolation along one axis as a matrix: column j is the interpolant of a value 1 at place j and
 * 0 elsewhere. */
#include <assert.h>
#include <math.h>

#include "model/resize.h"

/* ---- between knots ---- */

/* Where a wanted place lies: between knots `left` and left + 1, at a weight for each. */
typedef struct place {
    int64_t left;
    double gap, a, b;
} place_t;

static place_t find(const double *knots, int64_t n, double x)
{
    const double at = fmin(fmax(x, knots[0]), knots[n - 1]);
    int64_t left = 0;
    while (left + 2 < n && knots[left + 1] <= at)
        left++;
    const double gap = knots[left + 1] - knots[left];
    return (place_t){left, gap, (knots[left + 1] - at) / gap, (at - knots[left]) / gap};
}

static double value(int64_t at, int64_t j)
{
    return at == j ? 1 : 0;
}

/* Change of slope at knot i. */
static double bend(const double *knots, int64_t i, int64_t j)
{
    return (value(i + 1, j) - value(i, j)) / (knots[i + 1] - knots[i]) -
           (value(i, j) - value(i - 1, j)) / (knots[i] - knots[i - 1]);
}

/* Second derivatives of the not-a-knot spline: the outermost two pieces at each end are one cubic,
 * which eliminates the two outermost unknowns; three knots have one parabola. The rest is
 * tridiagonal and diagonally dominant. */
static void second_derivatives(const double *knots, int64_t n, int64_t j, double *upper,
                               double *moments)
{
    const int64_t last = n - 1;
    const double h0 = knots[1] - knots[0], h1 = knots[2] - knots[1];
    const double k0 = knots[last] - knots[last - 1], k1 = knots[last - 1] - knots[last - 2];
    if (n == 3) {
        moments[0] = moments[1] = moments[2] = 2 * bend(knots, 1, j) / (h0 + h1);
        return;
    }
    for (int64_t i = 1; i < last; i++) {
        const double before = knots[i] - knots[i - 1], after = knots[i + 1] - knots[i];
        double lower = before / 6, middle = (before + after) / 3, above = after / 6;
        if (i == 1) {
            middle += h0 / 6 * (1 + h0 / h1);
            above -= h0 / 6 * (h0 / h1);
            lower = 0;
        }
        if (i == last - 1) {
            middle += k0 / 6 * (1 + k0 / k1);
            lower -= k0 / 6 * (k0 / k1);
            above = 0;
        }
        const double pivot = i == 1 ? middle : middle - lower * upper[i - 1];
        upper[i] = above / pivot;
        moments[i] = (bend(knots, i, j) - (i == 1 ? 0 : lower * moments[i - 1])) / pivot;
    }
    for (int64_t i = last - 2; i >= 1; i--)
        moments[i] -= upper[i] * moments[i + 1];
    moments[0] = moments[1] + h0 / h1 * (moments[1] - moments[2]);
    moments[last] = moments[last - 1] + k0 / k1 * (moments[last - 1] - moments[last - 2]);
}

void beit__spline_weights(const double *knots, int64_t n, int64_t reach, double *scratch,
                          double *weights)
{
    double *moments = scratch, *upper = scratch + n;
    const int64_t wanted = 2 * reach + 1;
    assert(n % 2 == 1);
    for (int64_t j = 0; j < n; j++) {
        if (n > 1)
            second_derivatives(knots, n, j, upper, moments);
        for (int64_t o = 0; o < wanted; o++) {
            if (n == 1) {
                weights[o] = 1;
                continue;
            }
            const place_t p = find(knots, n, (double)(o - reach));
            const double a3 = p.a * p.a * p.a - p.a, b3 = p.b * p.b * p.b - p.b;
            weights[o * n + j] =
                p.a * value(p.left, j) + p.b * value(p.left + 1, j) +
                (a3 * moments[p.left] + b3 * moments[p.left + 1]) * p.gap * p.gap / 6;
        }
    }
}

void beit__linear_weights(const double *knots, int64_t n, int64_t reach, double *weights)
{
    for (int64_t o = 0; o <= 2 * reach; o++) {
        for (int64_t j = 0; j < n; j++)
            weights[o * n + j] = value(0, j);
        if (n == 1)
            continue;
        const place_t p = find(knots, n, (double)(o - reach));
        for (int64_t j = 0; j < n; j++)
            weights[o * n + j] = p.a * value(p.left, j) + p.b * value(p.left + 1, j);
    }
}

/* ---- between pixels ---- */

static double cubic_kernel(double distance)
{
    const double a = -0.75, d = fabs(distance);
    if (d <= 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static int64_t clamp(int64_t at, int64_t size)
{
    return at < 0 ? 0 : at < size ? at : size - 1;
}

void beit__bicubic_weights(int64_t from, int64_t to, double *weights)
{
    for (int64_t o = 0; o < to; o++) {
        double *row = weights + o * from;
        const double at = ((double)o + 0.5) * (double)from / (double)to - 0.5;
        const int64_t first = (int64_t)floor(at) - 1;
        for (int64_t j = 0; j < from; j++)
            row[j] = 0;
        for (int64_t tap = first; tap < first + 4; tap++)
            row[clamp(tap, from)] += cubic_kernel(at - (double)tap);
    }
}
