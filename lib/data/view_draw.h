/* Drawing and checking of one augmentation. */
#ifndef BEIT_DATA_VIEW_DRAW_H
#define BEIT_DATA_VIEW_DRAW_H

#include <beit/image.h>

#define BEIT__MAX_FACTOR 101.0f /* of jitter: 1 + the largest half-width */

/* cfg was checked; the picture is height x width. */
void beit__view_draw(const beit_views_config_t *cfg, uint64_t seed, uint64_t epoch,
                     uint64_t sample_id, int32_t height, int32_t width, beit_view_draw_t *draw);

/* Copy the caller's draw and check that it fits the picture. */
beit_status_t beit__view_draw_in(beit_view_draw_t *ours, const beit_view_draw_t *theirs,
                                 int32_t height, int32_t width);

#endif
