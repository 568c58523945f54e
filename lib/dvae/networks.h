/* The four stage tables. */
#ifndef BEIT_DVAE_NETWORKS_H
#define BEIT_DVAE_NETWORKS_H

#include <beit/dvae.h>

#include "dvae/network.h"

/* Register the parameters and fill the table. On failure the caller frees. */
beit_status_t beit__discrete_encoder(beit__network_t *net, beit__param_list_t *list,
                                     const beit_dvae_config_t *cfg);
beit_status_t beit__discrete_decoder(beit__network_t *net, beit__param_list_t *list,
                                     const beit_dvae_config_t *cfg);
beit_status_t beit__dalle_encoder(beit__network_t *net, beit__param_list_t *list,
                                  const beit_dvae_config_t *cfg);
/* `entry` is the first convolution, 1x1 on one-hot tokens: a look-up, done by the caller. */
beit_status_t beit__dalle_decoder(beit__network_t *net, beit__param_list_t *list,
                                  const beit_dvae_config_t *cfg, beit__conv_layer_t *entry);

#endif
