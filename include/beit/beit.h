/**
 * @file beit.h
 * Everything a host needs, in one include. Those who write a backend add beit/backend.h.
 */
#ifndef BEIT_BEIT_H
#define BEIT_BEIT_H

#include "base.h"
#include "checkpoint.h"
#include "dvae.h"
#include "image.h"
#include "masker.h"
#include "model.h"
#include "params.h"
#include "trainer.h"
#include "version.h"

#endif /* BEIT_BEIT_H */
