/* Weights by result channel. */
#include "backend/cblas/taps.h"

void beit__taps_pack(const beit__cblas_t *self, const beit_conv_args_t *a, bool transpose,
                     beit__span_t rows, beit__span_t columns, float *taps)
{
    const size_t points = (size_t)(a->kernel * a->kernel), in = (size_t)a->in_channels;
    const size_t width = beit__taps_width(self), n = columns.end - columns.first;
    const float *sources[BEIT__MAX_NR];
    if (!transpose) { /* the taps of all rows stand in one piece */
        for (size_t j = 0; j < n; j++)
            sources[j] = a->weight + points * ((columns.first + j) * in + rows.first);
        self->k.pack_rows(n, points * (rows.end - rows.first), sources, false, taps, width);
        return;
    }
    for (size_t r = rows.first; r < rows.end; r++, taps += points * width) {
        for (size_t j = 0; j < n; j++)
            sources[j] = a->weight + points * (r * in + columns.first + j);
        self->k.pack_rows(n, points, sources, false, taps, width);
    }
}
