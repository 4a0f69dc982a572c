/* SPDX-License-Identifier: Apache-2.0
 *
 * The failure detector. Each side asks for an acknowledgement when it has not done so for a
 * heartbeat, and watches how long nothing authentic has come: that alone makes a peer suspect, then
 * failed. Neither ends the association; running out of keys does. */
#include <mesh/peer.h>

static uint64_t heartbeat_due(const rovei_peer *p)
{
    const rovei_association *a = p->assoc;
    uint64_t last = rovei_transport_last_sent(a->transport);
    if (last < a->pinged)
        last = a->pinged;
    return rovei_time_add(last, p->mesh->env->limits.heartbeat);
}

static void schedule(rovei_peer *p)
{
    const rove_limits *l = &p->mesh->env->limits;
    const rovei_association *a = p->assoc;
    uint64_t at = heartbeat_due(p);
    if (a->state == ROVEI_PEER_UP)
        at = rovei_time_min(at, rovei_time_add(a->heard, l->suspect_after));
    if (a->state != ROVEI_PEER_FAILED)
        at = rovei_time_min(at, rovei_time_add(a->heard, l->fail_after));
    rovei_timer_set(&p->mesh->timers, &p->live, at);
}

void rovei_liveness_start(rovei_peer *p)
{
    if (!rovei_timer_is_set(&p->live))
        schedule(p);
}

void rovei_liveness_heard(rovei_peer *p)
{
    rovei_association *a = p->assoc;
    a->heard = p->mesh->now.mono;
    if (a->state == ROVEI_PEER_UP)
        return;
    a->state = ROVEI_PEER_UP;
    rovei_association_tell(a);
    rovei_transport_wake(a->transport, p->mesh->now);
    rovei_peer_touch(p);
}

void rovei_liveness_check(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    rovei_peer *p = user;
    rovei_association *a = p->assoc;
    if (!a)
        return;
    const rove_limits *l = &p->mesh->env->limits;
    rovei_peer_state state = a->state;
    if (now.mono >= rovei_time_add(a->heard, l->fail_after))
        state = ROVEI_PEER_FAILED;
    else if (now.mono >= rovei_time_add(a->heard, l->suspect_after))
        state = ROVEI_PEER_SUSPECT;
    if (state != a->state) {
        a->state = state;
        rovei_association_tell(a);
    }
    if (a->state == ROVEI_PEER_FAILED)
        rovei_opening_consider(p);
    if (now.mono >= heartbeat_due(p)) {
        a->pinged = now.mono;
        rovei_transport_ping(a->transport);
        rovei_peer_touch(p);
    }
    schedule(p);
}
