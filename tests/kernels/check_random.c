/* random.c: the numbers are defined bit by bit, so dropout agrees exactly; Gumbel noise within the
 * error of two logarithms. */
#include "levels.h"

#include "core/philox.h"

typedef struct stream {
    uint64_t key, sample;
    uint32_t place;
    size_t first, n;
} stream_t;

static stream_t draw_stream(void)
{
    return (stream_t){.key = (uint64_t)draw() << 40 ^ draw(),
                      .sample = (uint64_t)draw() << 40 ^ draw(),
                      .place = draw() << 8,
                      .first = (draw() << 2) & 0xfffffcu,
                      .n = draw_size()};
}

static void dropout_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const stream_t s = draw_stream();
        const float rate = 0.25f + draw_float(0.25f);
        const pair_t factor = draw_pair(s.n, 1.0f);
        in_c.keep(s.n, s.key, s.sample, s.place, s.first, rate, factor.c);
        under_test.keep(s.n, s.key, s.sample, s.place, s.first, rate, factor.level);
        check_pair(factor, 0.0f, 0.0f);
        for (size_t i = 0; i < s.n; i++) {
            uint32_t words[BEIT__BLOCK_WORDS];
            beit__stream_block(s.key, s.sample, s.place, (uint32_t)((s.first + i) / 4), words);
            const bool kept = beit__unit_float(words[i % 4]) >= rate;
            assert_int_equal(factor.c[i] != 0.0f, kept);
        }
    }
    begin_round(0);
}

static void noise_agrees(void **unused)
{
    (void)unused;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        begin_round(round);
        const stream_t s = draw_stream();
        const pair_t noise = draw_pair(s.n, 1.0f);
        in_c.gumbel(s.n, s.key, s.sample, s.place, s.first, noise.c);
        under_test.gumbel(s.n, s.key, s.sample, s.place, s.first, noise.level);
        check_pair(noise, 1e-6f, 1e-6f);
    }
    begin_round(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dropout_agrees),
                                       cmocka_unit_test(noise_agrees)};
    return run_levels("random", tests, sizeof tests / sizeof tests[0]);
}
