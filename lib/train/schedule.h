/* Learning rate, weight decay and temperature as functions of the step (counted from 0). */
#ifndef BEIT_TRAIN_SCHEDULE_H
#define BEIT_TRAIN_SCHEDULE_H

#include <beit/trainer.h>

double beit__schedule_lr(const beit_trainer_config_t *cfg, uint64_t step);
double beit__schedule_weight_decay(const beit_trainer_config_t *cfg, uint64_t step);
double beit__schedule_temperature(const beit_trainer_config_t *cfg, uint64_t step);

#endif
