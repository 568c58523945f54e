/* Products of panels in C, written so that the compiler keeps a block of C in registers. */
#include "kernels/levels.h"

enum { MR = 4, NR = 16 };

/* Element (i,p) of a panel of `height` rows is at a[i * row + p * column]. */
static void panel_c(const beit__strip_t *s, size_t height, const float *a, size_t row,
                    size_t column, float *c)
{
    float sum[MR][NR] = {{0.0f}};
    const float *b = s->b;
    for (size_t p = 0; p < s->k; p++, a += column, b += s->ldb)
        for (size_t i = 0; i < height; i++)
            for (size_t j = 0; j < NR; j++)
                sum[i][j] += a[i * row] * b[j];
    for (size_t i = 0; i < height; i++, c += s->ldc)
        for (size_t j = 0; j < s->n; j++) {
            float v = s->alpha * sum[i][j] + (s->beta == 0.0f ? 0.0f : s->beta * c[j]);
            v = s->bias ? v + s->bias[j] : v;
            c[j] = s->relu && v < 0.0f ? 0.0f : v;
        }
}

static void strip_c(const beit__strip_t *s)
{
    const size_t panels = beit__panel_count(s->m, MR);
    for (size_t i = 0, first = 0; i < panels; i++) {
        const size_t height = beit__panel_height(s->m, panels, i);
        float *c = s->c + first * s->ldc;
        if (s->lhs == BEIT__LHS_ROWS)
            panel_c(s, height, s->a + first * s->lda, s->lda, 1, c);
        else if (s->lhs == BEIT__LHS_COLUMNS)
            panel_c(s, height, s->a + first, 1, s->lda, c);
        else
            panel_c(s, height, s->a + first * s->k, 1, height, c);
        first += height;
    }
}

void beit__fill_gemm_c(beit__kernels_t *k)
{
    k->mr = MR;
    k->nr = NR;
    k->strip = strip_c;
}
