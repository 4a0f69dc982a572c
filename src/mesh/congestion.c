/* SPDX-License-Identifier: Apache-2.0
 *
 * NewReno in bytes (RFC 9002, section 7) with a milder reduction, since random loss is common where
 * this runs; and a pacer that keeps the time at which the bytes handed out would have left at
 * 5/4 of window per round trip (twice that during slow start). */
#include <mesh/congestion.h>

/* Below this round-trip time timers are too coarse to space packets. */
#define PACED_RTT ROVE_MILLISECOND
/* Packets that a held sender waits for, so that they leave in one system call. */
#define PACED_BATCH 8u
/* A sender that was woken late may make up for so much, within a quarter of a round trip. */
#define PACED_LATE (2 * ROVE_MILLISECOND)

void rovei_congestion_init(rovei_congestion *c)
{
    *c = (rovei_congestion){.window = ROVEI_CWND_INITIAL, .threshold = UINT64_MAX};
}

void rovei_congestion_acked(rovei_congestion *c, uint64_t bytes, uint64_t sent_at,
                            uint64_t in_flight)
{
    if (c->in_recovery && sent_at <= c->recovery)
        return;
    /* A window that is not used proves nothing and does not grow. */
    bool slow_start = c->window < c->threshold;
    if (in_flight < (slow_start ? c->window / 2 : c->window - c->window / 4))
        return;
    if (slow_start) {
        c->window += bytes;
    } else {
        c->credit += bytes;
        if (c->credit >= c->window) {
            c->credit -= c->window;
            c->window += ROVEI_CWND_PACKET;
        }
    }
    if (c->window > ROVEI_CWND_MAX)
        c->window = ROVEI_CWND_MAX;
}

void rovei_congestion_lost(rovei_congestion *c, uint64_t now, uint64_t sent_at)
{
    if (c->in_recovery && sent_at <= c->recovery)
        return;
    c->in_recovery = true;
    c->recovery = now;
    c->window = c->window / 10 * 7;
    if (c->window < ROVEI_CWND_MIN)
        c->window = ROVEI_CWND_MIN;
    c->threshold = c->window;
    c->credit = 0;
}

void rovei_congestion_collapse(rovei_congestion *c)
{
    c->window = ROVEI_CWND_MIN;
    c->in_recovery = false;
    c->credit = 0;
}

/* ---- pacer ---- */

void rovei_pacer_init(rovei_pacer *p)
{
    *p = (rovei_pacer){0};
}

/* Time that `bytes` take at the paced rate. */
static uint64_t pace(const rovei_congestion *c, const rovei_rtt *r, uint64_t bytes)
{
    uint64_t eighths = c->window < c->threshold ? 20 : 10;
    uint64_t rtt = rovei_time_min(r->smoothed, 10 * ROVE_SECOND);
    return bytes * rtt / eighths * 8 / c->window;
}

static bool paced(const rovei_rtt *r)
{
    return r->measured && r->smoothed >= PACED_RTT;
}

bool rovei_pacer_ready(rovei_pacer *p, const rovei_congestion *c, const rovei_rtt *r, uint64_t now)
{
    if (!paced(r))
        return true;
    if (p->hold > now)
        return false;
    if (p->clear <= now)
        return true;
    uint64_t batch = pace(c, r, PACED_BATCH * ROVEI_CWND_PACKET);
    p->hold = p->clear + rovei_time_min(batch, ROVE_MILLISECOND);
    return false;
}

uint64_t rovei_pacer_when(const rovei_pacer *p, const rovei_rtt *r)
{
    if (!paced(r))
        return 0;
    return p->hold > p->clear ? p->hold : p->clear;
}

void rovei_pacer_sent(rovei_pacer *p, const rovei_congestion *c, const rovei_rtt *r, uint64_t now,
                      uint64_t bytes)
{
    if (!paced(r))
        return;
    uint64_t burst = pace(c, r, ROVEI_PACER_BURST * ROVEI_CWND_PACKET);
    uint64_t late = rovei_time_min(r->smoothed / 4, PACED_LATE);
    burst = burst > late ? burst : late;
    uint64_t oldest = now > burst ? now - burst : 0;
    if (p->clear < oldest)
        p->clear = oldest;
    p->clear += pace(c, r, bytes);
}
