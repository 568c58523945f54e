/* Packing of product operands. */
#include <string.h>

#include "kernels/levels.h"

static float rectify(float x, bool relu)
{
    return relu && x < 0.0f ? 0.0f : x;
}

static void pack_rows_c(size_t m, size_t k, const float *const *rows, bool relu, float *dst,
                        size_t ldd)
{
    for (size_t p = 0; p < k; p++, dst += ldd) {
        for (size_t i = 0; i < m; i++)
            dst[i] = rectify(rows[i][p], relu);
        memset(dst + m, 0, (ldd - m) * sizeof *dst);
    }
}

static void pack_columns_c(size_t k, size_t n, const float *src, size_t lds, bool relu, float *dst,
                           size_t ldd)
{
    for (size_t p = 0; p < k; p++, dst += ldd, src += lds) {
        for (size_t j = 0; j < n; j++)
            dst[j] = rectify(src[j], relu);
        memset(dst + n, 0, (ldd - n) * sizeof *dst);
    }
}

void beit__fill_pack_c(beit__kernels_t *k)
{
    k->pack_rows = pack_rows_c;
    k->pack_columns = pack_columns_c;
}
