/* SPDX-License-Identifier: Apache-2.0
 *
 * Estimation as in RFC 9002, section 5: an exponential average with weight 1/8 and a mean deviation
 * with weight 1/4. */
#include <mesh/rtt.h>

#define PERSISTENT_FACTOR 3

void rovei_rtt_init(rovei_rtt *r)
{
    *r = (rovei_rtt){.smoothed = ROVEI_RTT_INITIAL, .variance = ROVEI_RTT_INITIAL / 2};
}

void rovei_rtt_sample(rovei_rtt *r, uint64_t sample, uint64_t delay)
{
    r->latest = sample;
    if (!r->measured) {
        r->measured = true;
        r->min = sample;
        r->smoothed = sample;
        r->variance = sample / 2;
        return;
    }
    r->min = rovei_time_min(r->min, sample);
    delay = rovei_time_min(delay, ROVEI_ACK_DELAY_MAX);
    if (sample - r->min >= delay)
        sample -= delay;
    uint64_t off = r->smoothed > sample ? r->smoothed - sample : sample - r->smoothed;
    r->variance = r->variance - r->variance / 4 + off / 4;
    r->smoothed = r->smoothed - r->smoothed / 8 + sample / 8;
}

uint64_t rovei_rtt_loss_delay(const rovei_rtt *r)
{
    uint64_t base = r->latest > r->smoothed ? r->latest : r->smoothed;
    base += base / 8;
    return base > ROVEI_RTT_GRANULARITY ? base : ROVEI_RTT_GRANULARITY;
}

static uint64_t probe_base(const rovei_rtt *r)
{
    uint64_t spread = 4 * r->variance;
    if (spread < ROVEI_RTT_GRANULARITY)
        spread = ROVEI_RTT_GRANULARITY;
    return r->smoothed + spread + ROVEI_ACK_DELAY_MAX;
}

uint64_t rovei_rtt_probe_delay(const rovei_rtt *r, uint32_t tries)
{
    uint64_t base = probe_base(r);
    uint64_t most = base > ROVEI_PROBE_MAX ? base : ROVEI_PROBE_MAX;
    if (tries >= 16 || base << tries > most)
        return most;
    return base << tries;
}

uint64_t rovei_rtt_persistent(const rovei_rtt *r)
{
    return probe_base(r) * PERSISTENT_FACTOR;
}
