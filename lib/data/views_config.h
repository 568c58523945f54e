/* Settings of the two views, checked. */
#ifndef BEIT_DATA_VIEWS_CONFIG_H
#define BEIT_DATA_VIEWS_CONFIG_H

#include <beit/image.h>

/* Copy the caller's struct (NULL = defaults) and check it. */
beit_status_t beit__views_config_in(beit_views_config_t *ours, const beit_views_config_t *theirs);

#endif
