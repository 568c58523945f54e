/* What this core can do at most right now: multiply-adds in registers, as many in flight as it
 * takes. Run before and after a measurement, its spread tells whether the machine was quiet. */
#ifndef BEIT_TESTS_PERF_PEAK_H
#define BEIT_TESTS_PERF_PEAK_H

#include "core/cpu.h"

double perf_seconds(void);                /* monotonic */
double perf_cpu_seconds(void);            /* of the calling thread */
double perf_peak_gflops(beit__isa_t isa); /* of one thread, at this level's vector width */

#endif
