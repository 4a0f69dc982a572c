/* SPDX-License-Identifier: Apache-2.0
 *
 * Round-trip times of one association, and the timers that follow from them. */
#ifndef ROVEI_MESH_RTT_H
#define ROVEI_MESH_RTT_H

#include <base/now.h>

#define ROVEI_RTT_INITIAL     (100 * ROVE_MILLISECOND) /* assumed before a measurement */
#define ROVEI_RTT_GRANULARITY ROVE_MILLISECOND         /* what a timer is trusted to resolve */
#define ROVEI_ACK_DELAY_MAX   (5 * ROVE_MILLISECOND)   /* longest wait before acknowledging */
#define ROVEI_PROBE_MAX       ROVE_SECOND              /* longest pause between two probes */

typedef struct rovei_rtt {
    uint64_t smoothed, variance, latest;
    uint64_t min; /* 0 before the first measurement */
    bool measured;
} rovei_rtt;

void rovei_rtt_init(rovei_rtt *r);
/* One measurement, of which the peer says that it held the acknowledgement back for `delay`. */
void rovei_rtt_sample(rovei_rtt *r, uint64_t sample, uint64_t delay);
/* Age at which a packet counts as lost once a later one is acknowledged. */
uint64_t rovei_rtt_loss_delay(const rovei_rtt *r);
/* Silence after which probe number `tries` (from 0) is due. */
uint64_t rovei_rtt_probe_delay(const rovei_rtt *r, uint32_t tries);
/* Span of continuous loss that counts as persistent congestion. */
uint64_t rovei_rtt_persistent(const rovei_rtt *r);

#endif
