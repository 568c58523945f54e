/* The head: final LayerNorm and prediction, of visual tokens or of classes. It sees only the rows
 * that the last block worked out: the masked ones in pre-training (less than half of the largest
 * product), the class token, or all patches, whose mean a classifier takes first. */
#include "core/status.h"
#include "model/vit.h"

int64_t beit__head_rows(const beit__vit_t *vit, int64_t batch, int64_t tail_rows)
{
    return vit->classifies ? batch : tail_rows;
}

/* What the norm sees. */
static const float *norm_input(const beit__vit_t *vit, const beit__maps_t *maps)
{
    return vit->averages ? maps->pooled : maps->tail;
}

beit_status_t beit__head_forward(const beit__vit_t *vit, const beit__pass_t *pass,
                                 int64_t tail_rows, const beit__maps_t *maps,
                                 const beit__transients_t *transients)
{
    const int64_t rows = beit__head_rows(vit, pass->batch, tail_rows);
    if (vit->averages)
        BEIT__TRY(beit__mean_pool_forward(pass, &vit->pool, maps->tail, transients->factors,
                                          maps->pooled));
    BEIT__TRY(beit__norm_forward(pass, &vit->norm, rows, norm_input(vit, maps), maps->norm_stats,
                                 transients->normed));
    return beit__linear_forward(pass, &vit->head, rows, transients->normed,
                                beit__params_at(pass->weights, vit->head.bias), transients->logits);
}

beit_status_t beit__head_loss(const beit__vit_t *vit, const beit__pass_t *pass,
                              const beit__head_loss_t *objective,
                              const beit__transients_t *transients, double *loss, int64_t *correct)
{
    return beit__cross_entropy(pass->run, &(beit_cross_entropy_args_t){
                                              .rows = objective->rows,
                                              .cols = vit->head.out,
                                              .logits = transients->logits,
                                              .labels = objective->labels,
                                              .loss = loss,
                                              .correct = correct,
                                              .grad_scale = objective->grad_scale,
                                              .smoothing = objective->smoothing,
                                              .backward = objective->backward,
                                          });
}

beit_status_t beit__head_backward(const beit__vit_t *vit, const beit__pass_t *pass,
                                  int64_t tail_rows, const beit__maps_t *maps,
                                  const beit__transients_t *transients)
{
    const int64_t rows = beit__head_rows(vit, pass->batch, tail_rows);
    const float *dlogits = transients->logits, *x = norm_input(vit, maps);
    float *dx = vit->averages ? transients->dpooled : transients->tail;
    BEIT__TRY(beit__norm_repeat(pass, &vit->norm, rows, x, maps->norm_stats, transients->normed));
    BEIT__TRY(beit__linear_backward_weight(pass, &vit->head, rows, transients->normed, dlogits));
    BEIT__TRY(
        beit__linear_backward_input(pass, &vit->head, rows, dlogits, NULL, transients->dnormed));
    BEIT__TRY(beit__fill(pass->run, &(beit_fill_args_t){.count = rows * vit->dim, .x = dx}));
    BEIT__TRY(
        beit__norm_backward(pass, &vit->norm, rows, x, maps->norm_stats, transients->dnormed, dx));
    return vit->averages ? beit__mean_pool_backward(pass, &vit->pool, dx, transients->factors,
                                                    transients->tail)
                         : BEIT_OK;
}
