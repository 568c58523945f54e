/* Defaults and validation of a tokenizer's configuration. */
#ifndef BEIT_DVAE_CONFIG_H
#define BEIT_DVAE_CONFIG_H

#include <beit/dvae.h>

/* Copy the caller's configuration (NULL = defaults) into ours, resolve what 0 stands for, and
 * refuse what makes no network, naming field, value and what would be right. */
beit_status_t beit__dvae_config_take(beit_dvae_config_t *ours, const beit_dvae_config_t *theirs);

/* Fill the caller's struct from ours. */
beit_status_t beit__dvae_config_give(beit_dvae_config_t *theirs, const beit_dvae_config_t *ours);

/* Longest side of a picture; positions then fit 32-bit indices. */
#define BEIT__DVAE_MAX_SIDE 65536

/* Pixels per token along either axis. */
static inline int64_t beit__dvae_stride(const beit_dvae_config_t *cfg)
{
    return (int64_t)1 << cfg->num_layers;
}

#endif
