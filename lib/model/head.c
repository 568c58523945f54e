/* The head: final LayerNorm and prediction of visual tokens. It sees only the rows that the last
 * block worked out, in training the masked ones: less than half of the largest product. */
#include "core/status.h"
#include "model/vit.h"

beit_status_t beit__head_forward(const beit__vit_t *vit, const beit__pass_t *pass, int64_t rows,
                                 const beit__maps_t *maps, const beit__transients_t *transients)
{
    BEIT__TRY(beit__norm_forward(pass, &vit->norm, rows, maps->tail, maps->tail_stats,
                                 transients->normed));
    return beit__linear_forward(pass, &vit->head, rows, transients->normed,
                                beit__params_at(pass->weights, vit->head.bias), transients->logits);
}

beit_status_t beit__head_loss(const beit__vit_t *vit, const beit__pass_t *pass, int64_t rows,
                              const int32_t *labels, bool backward,
                              const beit__transients_t *transients, double *loss, int64_t *correct)
{
    return beit__cross_entropy(pass->run, &(beit_cross_entropy_args_t){
                                              .rows = rows,
                                              .cols = vit->vocab,
                                              .logits = transients->logits,
                                              .labels = labels,
                                              .loss = loss,
                                              .correct = correct,
                                              .grad_scale = 1.0f,
                                              .backward = backward,
                                          });
}

beit_status_t beit__head_backward(const beit__vit_t *vit, const beit__pass_t *pass, int64_t rows,
                                  const beit__maps_t *maps, const beit__transients_t *transients)
{
    const float *dlogits = transients->logits;
    BEIT__TRY(beit__norm_repeat(pass, &vit->norm, rows, maps->tail, maps->tail_stats,
                                transients->normed));
    BEIT__TRY(beit__linear_backward_weight(pass, &vit->head, rows, transients->normed, dlogits));
    BEIT__TRY(
        beit__linear_backward_input(pass, &vit->head, rows, dlogits, NULL, transients->dnormed));
    BEIT__TRY(beit__fill(pass->run,
                         &(beit_fill_args_t){.count = rows * vit->dim, .x = transients->tail}));
    return beit__norm_backward(pass, &vit->norm, rows, maps->tail, maps->tail_stats,
                               transients->dnormed, transients->tail);
}
