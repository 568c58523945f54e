/* One block of memory, cut into guarded arrays. */
#include "levels.h"

#include <stdio.h>

enum { GUARD = 32, POOL = 1 << 20, MAX_ARRAYS = 64, ALIGNMENTS = 16 };
static const float GUARD_VALUE = 12345.75f;

beit__kernels_t in_c, under_test;

static float pool[POOL];
static size_t used;
static struct {
    float *data;
    size_t n;
} arrays[MAX_ARRAYS];
static size_t array_count;
static uint32_t state;

uint32_t draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

size_t draw_below(size_t n)
{
    return draw() % n;
}

size_t draw_size(void)
{
    static const size_t sizes[] = {0,  1,  2,  3,  5,  7,  8,  9,  15, 16,  17,
                                   23, 31, 32, 33, 47, 48, 63, 64, 65, 197, 500};
    return sizes[draw_below(sizeof sizes / sizeof sizes[0])];
}

float draw_float(float scale)
{
    return ((float)draw() * 0x1p-23f - 1.0f) * scale;
}

float *draw_floats(size_t n, float scale)
{
    const size_t offset = GUARD + draw_below(ALIGNMENTS);
    assert_true(array_count < MAX_ARRAYS && used + n + offset + GUARD <= POOL);
    float *data = pool + used + offset;
    used += offset + n + GUARD;
    arrays[array_count].data = data;
    arrays[array_count++].n = n;
    for (size_t i = 0; i < n; i++)
        data[i] = draw_float(scale);
    for (size_t i = 0; i < GUARD; i++)
        data[n + i] = data[-1 - (ptrdiff_t)i] = GUARD_VALUE;
    return data;
}

pair_t draw_pair(size_t n, float scale)
{
    const pair_t pair = {draw_floats(n, scale), draw_floats(n, scale), n};
    memcpy(pair.level, pair.c, n * sizeof *pair.c);
    return pair;
}

void check_pair_at(pair_t pair, float absolute, float relative, const char *file, int line)
{
    for (size_t i = 0; i < pair.n; i++) {
        const float c = pair.c[i], level = pair.level[i];
        if (c == level || (isnan(c) && isnan(level)) ||
            fabsf(level - c) <= absolute + relative * fabsf(c))
            continue;
        print_error("element %zu of %zu: %.9g, C has %.9g\n", i, pair.n, (double)level, (double)c);
        _fail(file, line);
    }
}

void begin_round(uint32_t round)
{
    for (size_t a = 0; a < array_count; a++)
        for (size_t i = 0; i < GUARD; i++)
            if (arrays[a].data[arrays[a].n + i] != GUARD_VALUE ||
                arrays[a].data[-1 - (ptrdiff_t)i] != GUARD_VALUE)
                fail_msg("array %zu of %zu elements was written beyond its ends", a, arrays[a].n);
    used = 0;
    array_count = 0;
    state = round * 2654435761u + 1;
}

int run_levels(const char *family, const struct CMUnitTest *tests, size_t count)
{
    int failures = 0, levels = 0;
    beit__kernels_init(&in_c, BEIT__ISA_C);
    for (beit__isa_t isa = BEIT__ISA_AVX2; isa <= beit__cpu_isa(); isa++) {
        char name[64];
        beit__kernels_init(&under_test, isa);
        if (under_test.isa != isa)
            continue; /* not built */
        levels++;
        snprintf(name, sizeof name, "%s %s", family, beit__isa_name(isa));
        failures += _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    }
    return failures ? 1 : levels ? 0 : 77;
}
