/* Schedules in closed form: nothing is carried from step to step, so a run that is resumed cannot
 * leave its course. The curves are those of unilm's `cosine_scheduler` and of DALLE-pytorch's
 * `train_vae.py`, in double precision as there. Past its end a schedule keeps its last value. */
#include "train/schedule.h"

#include <math.h>

#define PI 3.14159265358979323846

/* From `first` to `last` over `length` steps. Step length - 1 has not quite reached `last`. */
static double cosine(double first, double last, uint64_t step, uint64_t length)
{
    if (step >= length)
        return last;
    return last + 0.5 * (first - last) * (1 + cos(PI * (double)step / (double)length));
}

/* train_vae.py acts at steps 0, interval, 2 interval, ..., each time after the optimizer's step.
 * How often has it acted before `step`? */
static uint64_t events_before(uint64_t step, uint64_t interval)
{
    return step / interval + (step % interval != 0);
}

/* Both ends included: step warmup - 1 already has the full rate. One step alone has the first. */
static double warm_up(const beit_trainer_config_t *cfg, uint64_t step)
{
    const double first = (double)cfg->warmup_lr, last = (double)cfg->lr;
    if (cfg->warmup_steps == 1)
        return first;
    return first + (last - first) * ((double)step / (double)(cfg->warmup_steps - 1));
}

double beit__schedule_lr(const beit_trainer_config_t *cfg, uint64_t step)
{
    if (step < cfg->warmup_steps)
        return warm_up(cfg, step);
    const uint64_t since = step - cfg->warmup_steps;
    const double lr = (double)cfg->lr;
    switch (cfg->lr_schedule) {
    case BEIT_LR_COSINE:
        return cosine(lr, (double)cfg->min_lr, since, cfg->total_steps - cfg->warmup_steps);
    case BEIT_LR_DECAY:
        return lr * pow((double)cfg->lr_decay, (double)events_before(since, cfg->decay_interval));
    default:
        return lr;
    }
}

double beit__schedule_weight_decay(const beit_trainer_config_t *cfg, uint64_t step)
{
    return cosine((double)cfg->weight_decay, (double)cfg->weight_decay_end, step, cfg->total_steps);
}

/* As executed upstream: event k multiplies the *current* temperature by exp(-rate k interval), so
 * the exponents add up to interval k (k + 1) / 2. The floor is applied at each event, which gives
 * the same, because the product only falls. */
static double compounding(const beit_trainer_config_t *cfg, uint64_t step)
{
    const uint64_t events = events_before(step, cfg->decay_interval);
    if (events == 0)
        return (double)cfg->temperature;
    const double last = (double)(events - 1);
    const double exponent = (double)cfg->decay_interval * last * (last + 1) / 2;
    return fmax((double)cfg->temperature * exp(-(double)cfg->temperature_rate * exponent),
                (double)cfg->temperature_end);
}

double beit__schedule_temperature(const beit_trainer_config_t *cfg, uint64_t step)
{
    const double first = (double)cfg->temperature, last = (double)cfg->temperature_end;
    const uint64_t length = cfg->temperature_steps ? cfg->temperature_steps : cfg->total_steps;
    switch (cfg->temperature_schedule) {
    case BEIT_TEMPERATURE_EXPONENTIAL:
        return step >= length ? last : first * pow(last / first, (double)step / (double)length);
    case BEIT_TEMPERATURE_UPSTREAM:
        return compounding(cfg, step);
    case BEIT_TEMPERATURE_ANNEAL:
        return fmax(first * exp(-(double)cfg->temperature_rate * (double)step), last);
    default:
        return first;
    }
}
