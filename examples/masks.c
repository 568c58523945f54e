/* Masks are functions of (seed, epoch, picture): draws three of them, shows that they can be drawn
 * again, and prints them side by side. */
#include <beit/masker.h>
#include <stdio.h>
#include <string.h>

enum { GRID = 14, CELLS = GRID * GRID, SHOWN = 3, SEED = 7 };

static int show(const beit_masker_t *masker, const char *title)
{
    uint8_t masks[SHOWN][CELLS], again[CELLS];
    size_t counts[SHOWN];
    for (uint64_t i = 0; i < SHOWN; i++)
        if (beit_masker_generate(masker, SEED, 0, i, masks[i], CELLS, &counts[i]) ||
            beit_masker_generate(masker, SEED, 0, i, again, CELLS, NULL) ||
            memcmp(masks[i], again, CELLS) != 0) {
            fprintf(stderr, "%s\n", beit_last_error());
            return 1;
        }
    printf("%s: %zu, %zu, %zu of %d patches\n", title, counts[0], counts[1], counts[2], CELLS);
    for (int y = 0; y < GRID; y++) {
        for (int i = 0; i < SHOWN; i++) {
            for (int x = 0; x < GRID; x++)
                fputs(masks[i][y * GRID + x] ? "##" : " .", stdout);
            fputs("   ", stdout);
        }
        putchar('\n');
    }
    return counts[0] < 1 || counts[0] > 75;
}

int main(void)
{
    static const struct {
        const char *title;
        beit_mask_kind_t kind;
        int exact;
    } kinds[] = {{"blocks, as published", BEIT_MASK_BLOCK, 0},
                 {"blocks, exactly 75", BEIT_MASK_BLOCK, 1},
                 {"random", BEIT_MASK_RANDOM, 0}};
    int failed = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        beit_masker_config_t cfg;
        beit_masker_t *masker;
        beit_masker_config_init(&cfg, sizeof cfg);
        cfg.kind = kinds[i].kind;
        cfg.exact_count = kinds[i].exact;
        if (beit_masker_create(&masker, NULL, &cfg)) {
            fprintf(stderr, "%s\n", beit_last_error());
            return 1;
        }
        failed |= show(masker, kinds[i].title);
        beit_masker_destroy(masker);
    }
    return failed;
}
