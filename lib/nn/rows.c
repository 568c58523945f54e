/* Work on some rows of a map: gather them, put them back, and dropout that does not notice the
 * difference. */
#include "core/status.h"
#include "nn/transformer.h"

beit_status_t beit__rows_gather(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                const float *whole, float *part)
{
    return beit__rows(pass->run, &(beit_rows_args_t){.rows = rows.count,
                                                     .cols = cols,
                                                     .ldx = cols,
                                                     .ldy = cols,
                                                     .x = whole,
                                                     .index = rows.index,
                                                     .y = part});
}

beit_status_t beit__rows_scatter(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                 const float *part, float *whole)
{
    BEIT__TRY(beit__fill(
        pass->run, &(beit_fill_args_t){.count = pass->batch * pass->tokens * cols, .x = whole}));
    return beit__rows(pass->run, &(beit_rows_args_t){.rows = rows.count,
                                                     .cols = cols,
                                                     .ldx = cols,
                                                     .ldy = cols,
                                                     .x = part,
                                                     .index = rows.index,
                                                     .y = whole,
                                                     .scatter = 1});
}

static beit_status_t drop_whole(const beit__pass_t *pass, int64_t cols, uint32_t place, float *map)
{
    return beit__dropout(
        pass->run,
        &(beit_dropout_args_t){
            .random = {.key = pass->dropout_key, .sample_ids = pass->sample_ids, .place = place},
            .samples = pass->batch,
            .per_sample = pass->tokens * cols,
            .x = map,
            .y = map,
            .rate = pass->drop_rate,
        });
}

beit_status_t beit__rows_dropout(const beit__pass_t *pass, beit__row_set_t rows, int64_t cols,
                                 uint32_t place, float *part, float *spread)
{
    if (pass->drop_rate <= 0)
        return BEIT_OK;
    if (!rows.index)
        return drop_whole(pass, cols, place, part);
    BEIT__TRY(beit__rows_scatter(pass, rows, cols, part, spread));
    BEIT__TRY(drop_whole(pass, cols, place, spread));
    return beit__rows_gather(pass, rows, cols, spread, part);
}
