/* What the trainer sees of a masker. */
#ifndef BEIT_MASKER_MASKER_H
#define BEIT_MASKER_MASKER_H

#include <beit/masker.h>

const beit_masker_t *beit__masker_ref(const beit_masker_t *masker); /* destroy drops one */
const beit_masker_config_t *beit__masker_config(const beit_masker_t *masker);

#endif
