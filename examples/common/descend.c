/* A host's own optimizer, the plainest: it walks both parameter sets by name and number. */
#include "common/descend.h"

beit_status_t descend(beit_model_t *model, float rate)
{
    const beit_params_t *weights = beit_model_params(model);
    const beit_params_t *gradients = beit_model_gradients(model);
    for (size_t i = 0; i < beit_params_count(weights); i++) {
        beit_param_info_t w = {.struct_size = sizeof w}, g = {.struct_size = sizeof g};
        beit_status_t status = beit_params_info(weights, i, &w);
        if (!status)
            status = beit_params_info(gradients, i, &g);
        if (status)
            return status;
        int64_t count = 1;
        for (int32_t d = 0; d < w.value.ndim; d++)
            count *= w.value.shape[d];
        for (int64_t k = 0; k < count; k++)
            ((float *)w.value.data)[k] -= rate * ((const float *)g.value.data)[k];
    }
    return beit_model_zero_gradients(model);
}
