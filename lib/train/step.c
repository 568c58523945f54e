/* The step: micro-batches are accumulated, then norm, clip, update, report. Whatever fails on the
 * way, weights and moments are those of the last finished step; what was accumulated is dropped. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/abi.h"
#include "core/status.h"
#include "core/tensor.h"
#include "train/private.h"
#include "train/schedule.h"

_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler sets the stop flag");

double beit__seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Why is a loss not finite? Most often a weight is not, or a pixel. */
static beit_status_t blame_loss(beit_trainer_t *trainer, const beit__slice_t *slice)
{
    const char *name;
    BEIT__TRY(beit__first_bad(trainer, trainer->weights, &name));
    if (name)
        return beit__fail(BEIT_E_NUMERIC,
                          "the loss is not finite, because the weights '%s' are not", name);
    const beit_tensor_t *views[] = {&slice->batch->pixels, &slice->batch->token_pixels};
    for (size_t v = 0; v < 2; v++) {
        const float *values = views[v]->data;
        const int64_t n = values ? beit__tensor_count(views[v]) : 0;
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(values[i]))
                return beit__fail(BEIT_E_NUMERIC,
                                  "the loss is not finite, because %s is not in picture %lld of "
                                  "the batch",
                                  v ? "token_pixels" : "pixels",
                                  (long long)(i / (n / views[v]->shape[0])));
    }
    return beit__fail(BEIT_E_NUMERIC,
                      "the loss is not finite in pictures %lld to %lld of the batch",
                      (long long)slice->first, (long long)(slice->first + slice->count - 1));
}

static const uint64_t *ids_of(beit_trainer_t *trainer, const beit__slice_t *slice)
{
    for (int64_t i = 0; i < slice->count; i++)
        trainer->ids[i] = beit__slice_id(slice, slice->first + i);
    return trainer->ids;
}

/* All micro-batches of a checked batch. */
static beit_status_t run_batch(beit_trainer_t *trainer, beit__slice_t *slice,
                               beit__totals_t *totals)
{
    const int64_t most = trainer->config.micro_batch;
    for (; slice->first < slice->total; slice->first += slice->count) {
        if (atomic_exchange(&trainer->stop, 0))
            return beit__fail(BEIT_E_CANCELLED, "stopped on request before picture %lld of %lld",
                              (long long)slice->first, (long long)slice->total);
        const int64_t left = slice->total - slice->first;
        slice->count = left < most ? left : most;
        slice->ids = ids_of(trainer, slice);
        BEIT__TRY(trainer->objective->pass(trainer, slice, totals));
        if (!isfinite(totals->loss))
            return blame_loss(trainer, slice);
    }
    return BEIT_OK;
}

/* Check the arguments that accumulate and evaluate share; `ours` is the caller's batch copied. */
static beit_status_t open_batch(beit_trainer_t *trainer, const beit_batch_t *batch,
                                beit_batch_t *ours, beit__slice_t *slice)
{
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    BEIT__TRY(beit__abi_in(ours, sizeof *ours, sizeof *ours, batch, "beit_batch"));
    slice->batch = ours;
    slice->running = trainer->samples + trainer->pending.samples;
    return trainer->objective->check(trainer, slice);
}

static void begin_totals(const beit_trainer_t *trainer, beit__totals_t *totals, uint64_t *histogram)
{
    *totals = (beit__totals_t){.histogram = histogram};
    if (histogram)
        memset(histogram, 0,
               (size_t)beit__dvae_config(trainer->dvae)->vocab_size * sizeof *histogram);
}

beit_status_t beit_trainer_accumulate(beit_trainer_t *trainer, const beit_batch_t *batch)
{
    const double start = beit__seconds();
    beit_batch_t ours;
    beit__slice_t slice = {.backward = true};
    BEIT__TRY(open_batch(trainer, batch, &ours, &slice));
    beit__totals_t *pending = &trainer->pending;
    beit_status_t status;
    if (pending->samples == 0) {
        begin_totals(trainer, pending, trainer->histograms);
        BEIT__TRY_GOTO(beit__optimizer_clear(trainer));
    }
    BEIT__TRY_GOTO(run_batch(trainer, &slice, pending));
    pending->seconds += beit__seconds() - start;
    return BEIT_OK;
fail:
    pending->samples = 0;
    return status;
}

static void fill_report(const beit_trainer_t *trainer, const beit__totals_t *totals,
                        beit_step_report_t *report)
{
    *report = (beit_step_report_t){
        .struct_size = sizeof *report,
        .step = trainer->step,
        .samples = totals->samples,
        .lr = beit__schedule_lr(&trainer->config, trainer->step),
        .weight_decay = beit__schedule_weight_decay(&trainer->config, trainer->step),
        .seconds = totals->seconds,
        .tokenize_seconds = totals->tokenize_seconds,
    };
    trainer->objective->report(trainer, totals, report);
}

/* The struct is only written at the end, but refused at the beginning. */
static beit_status_t check_report(const beit_step_report_t *report)
{
    return report ? beit__abi_check(report, sizeof *report, "beit_step_report") : BEIT_OK;
}

/* Norm, clip, update. */
static beit_status_t update(beit_trainer_t *trainer, double *grad_norm)
{
    const double divisor = trainer->objective->divisor(&trainer->pending);
    beit__norm_t norm;
    BEIT__TRY(beit__gradient_norm(trainer, divisor, &norm));
    if (!isfinite(norm.norm))
        return beit__fail(BEIT_E_NUMERIC, "the gradient of '%s' is not finite",
                          norm.bad ? norm.bad : "all tensors together");
    *grad_norm = norm.norm;
    const double factor = beit__clip_factor(norm.norm, (double)trainer->config.clip_norm);
    return beit__optimizer_update(trainer, (float)(factor / divisor));
}

beit_status_t beit_trainer_apply(beit_trainer_t *trainer, beit_step_report_t *report)
{
    const double start = beit__seconds();
    if (!trainer)
        return beit__fail(BEIT_E_ARGUMENT, "trainer is NULL");
    BEIT__TRY(check_report(report));
    if (trainer->pending.samples == 0)
        return beit__fail(BEIT_E_STATE, "nothing was accumulated since the last step");
    double grad_norm = 0;
    const beit_status_t status = update(trainer, &grad_norm);
    const beit__totals_t done = trainer->pending;
    trainer->pending.samples = 0;
    if (status != BEIT_OK)
        return status;

    beit_step_report_t ours;
    fill_report(trainer, &done, &ours);
    ours.step = ++trainer->step;
    ours.grad_norm = grad_norm;
    ours.seconds += beit__seconds() - start;
    trainer->samples += done.samples;
    if (report)
        BEIT__TRY(beit__abi_out(report, &ours, sizeof ours, sizeof ours, "beit_step_report"));
    const beit_trainer_config_t *cfg = &trainer->config;
    if (cfg->progress && cfg->progress(cfg->progress_user, &ours) != 0)
        return beit__fail(BEIT_E_CANCELLED, "the progress callback stopped after step %llu",
                          (unsigned long long)ours.step);
    return BEIT_OK;
}

beit_status_t beit_trainer_step(beit_trainer_t *trainer, const beit_batch_t *batch,
                                beit_step_report_t *report)
{
    BEIT__TRY(check_report(report));
    BEIT__TRY(beit_trainer_accumulate(trainer, batch));
    return beit_trainer_apply(trainer, report);
}

beit_status_t beit_trainer_evaluate(beit_trainer_t *trainer, const beit_batch_t *batch,
                                    beit_step_report_t *report)
{
    const double start = beit__seconds();
    if (!report)
        return beit__fail(BEIT_E_ARGUMENT, "report is NULL");
    BEIT__TRY(check_report(report));
    beit_batch_t ours;
    beit__slice_t slice = {.backward = false};
    BEIT__TRY(open_batch(trainer, batch, &ours, &slice));
    const size_t vocab =
        trainer->histograms ? (size_t)beit__dvae_config(trainer->dvae)->vocab_size : 0;
    beit__totals_t totals;
    begin_totals(trainer, &totals, trainer->histograms ? trainer->histograms + vocab : NULL);
    BEIT__TRY(run_batch(trainer, &slice, &totals));
    totals.seconds = beit__seconds() - start;
    beit_step_report_t figures;
    fill_report(trainer, &totals, &figures);
    return beit__abi_out(report, &figures, sizeof figures, sizeof figures, "beit_step_report");
}

void beit_trainer_request_stop(beit_trainer_t *trainer)
{
    if (trainer)
        atomic_store(&trainer->stop, 1);
}
