/* Plain gradient descent on the host, through the named tensors. */
#ifndef EXAMPLES_DESCEND_H
#define EXAMPLES_DESCEND_H

#include <beit/beit.h>

/* w -= rate * gradient, for every tensor; then the gradients are cleared. */
beit_status_t descend(beit_model_t *model, float rate);

#endif
