/* Where the offsets of a relative table lie on another grid, as unilm's run_class_finetuning.py
 * places them: neighbours stay neighbours, and the distance between further offsets grows by a
 * ratio that makes the outermost ones meet. */
#include <math.h>

#include "model/resize.h"

/* The bracket and its final width are the original's; a ratio below it means that the new grid is
 * not larger, and the outer offsets then lie outside. */
#define LEAST_RATIO 1.01
#define MOST_RATIO  1.5
#define BRACKET     1e-6

double beit__geometric_ratio(int64_t from, int64_t to)
{
    double low = LEAST_RATIO, high = MOST_RATIO, ratio = low;
    while (high - low > BRACKET) {
        ratio = (low + high) / 2;
        const double reach = (1 - pow(ratio, (double)(from - 1))) / (1 - ratio);
        if (reach > (double)(to - 1))
            high = ratio;
        else
            low = ratio;
    }
    return ratio;
}

void beit__geometric_axis(int64_t from, int64_t to, double *coordinates)
{
    const double ratio = from == to ? 1 : beit__geometric_ratio(from, to);
    double distance = 0;
    coordinates[from - 1] = 0;
    for (int64_t i = 1; i < from; i++) {
        distance += pow(ratio, (double)(i - 1));
        coordinates[from - 1 + i] = distance;
        coordinates[from - 1 - i] = -distance;
    }
}
