/* SPDX-License-Identifier: Apache-2.0
 *
 * Heartbeats and pingwaves out, silence in. A peer that is silent is suspected, then counts as
 * failed; its session stays, since it may be heard again, and it is dialled where that is possible.
 */
#include <net/peer.h>

/* A second pingwave follows the first one of a session after so long. */
#define SECOND_WAVE (50 * ROVE_MILLISECOND)

/* When the answer counts as not taken: 0 when it does not. */
static uint64_t doubt_ends(const rovei_net_link *l)
{
    const rovei_net_held *s = l->current;
    return s && s->doubtful && !s->heard
               ? rovei_time_add(s->since, 2 * l->net->env->limits.net_heartbeat)
               : 0;
}

static void schedule(rovei_net_link *l)
{
    const rove_limits *limits = &l->net->env->limits;
    uint64_t at = ROVE_TIME_NEVER;
    if (l->state == ROVEI_PEER_UP)
        at = rovei_time_add(l->heard, limits->net_suspect);
    else if (l->state == ROVEI_PEER_SUSPECT)
        at = rovei_time_add(l->heard, limits->net_fail);
    ROVEI_LIST_EACH (it, next, &l->sessions)
        at = rovei_time_min(at, ROVEI_CONTAINER(it, rovei_net_held, list)->until);
    uint64_t doubt = doubt_ends(l);
    if (doubt > l->net->now.mono)
        at = rovei_time_min(at, doubt);
    rovei_timer_set(&l->net->timers, &l->live, at);
}

void rovei_net_live_start(rovei_net_link *l)
{
    rovei_net *t = l->net;
    schedule(l);
    l->beat_due = l->wave_due = true;
    rovei_net_touch(l);
    rovei_timer_set(&t->timers, &l->wave, rovei_time_add(t->now.mono, SECOND_WAVE));
    rovei_timer_set(&t->timers, &l->beat,
                    rovei_time_add(t->now.mono, t->env->limits.net_heartbeat));
}

void rovei_net_live_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_net_link *l = user;
    const rove_limits *limits = &l->net->env->limits;
    rovei_net_retire(l);
    rovei_peer_state state = l->state;
    if (now.mono >= rovei_time_add(l->heard, limits->net_fail))
        state = ROVEI_PEER_FAILED;
    else if (now.mono >= rovei_time_add(l->heard, limits->net_suspect))
        state = ROVEI_PEER_SUSPECT;
    if (l->current && state != l->state) {
        l->state = state;
        rovei_net_tell(l);
    }
    if (state == ROVEI_PEER_FAILED)
        rovei_net_drop_outgoing(l);
    rovei_net_dial_consider(l);
    schedule(l);
}

void rovei_net_beat_fire(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_net_link *l = user;
    l->beat_due = l->wave_due = true;
    rovei_net_touch(l);
    rovei_timer_set(&l->net->timers, timer,
                    rovei_time_add(now.mono, l->net->env->limits.net_heartbeat));
}

void rovei_net_wave_fire(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    rovei_net_link *l = user;
    l->wave_due = true;
    rovei_net_touch(l);
}
