/* The one check of packed RGB pictures. */
#include "data/rgb.h"

#include "core/status.h"
#include "core/tensor.h"

beit_status_t beit__rgb_check(const beit_tensor_t *view, const char *name, int32_t extents[2])
{
    const int64_t shape[3] = {BEIT__ANY, BEIT__ANY, BEIT__RGB};
    BEIT__TRY(beit__tensor_check(view, name, BEIT_U8, 3, shape));
    for (int32_t i = 0; i < 2; i++) {
        if (view->shape[i] > BEIT__MAX_SIDE)
            return beit__fail(BEIT_E_SHAPE, "%s: dim %d is %lld, more than %d", name, i,
                              (long long)view->shape[i], BEIT__MAX_SIDE);
        extents[i] = (int32_t)view->shape[i];
    }
    return BEIT_OK;
}
