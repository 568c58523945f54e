/* Checking of tensor views that come from outside. */
#ifndef BEIT_CORE_TENSOR_H
#define BEIT_CORE_TENSOR_H

#include <beit/base.h>

#define BEIT__ANY (-1) /* an extent that may be anything >= 1 */

/* Check that `view` is packed host memory of this dtype and shape; `name` appears in messages
 * ("logits: dim 2 is 8191, expected 8192"). */
beit_status_t beit__tensor_check(const beit_tensor_t *view, const char *name, beit_dtype_t dtype,
                                 int32_t ndim, const int64_t *shape);

/* Elements of a checked view. */
int64_t beit__tensor_count(const beit_tensor_t *view);

size_t beit__dtype_size(int32_t dtype); /* 0 when unknown */
const char *beit__dtype_name(int32_t dtype);

#endif
