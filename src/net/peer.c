/* SPDX-License-Identifier: Apache-2.0
 *
 * Listed peers and their sessions: which one is sent under, and which ones still receive.
 *
 * A fresh message 1 is answered at once and its session replaces the one before, since a peer that
 * has restarted knows no other. But the message may be an old one that somebody played again; then
 * the peer goes on with the session it has. So until something authentic has come under the new
 * session, what is sent goes under the one before it as well, and when only that one is heard the
 * node returns to it. */
#include <base/alloc.h>
#include <base/check.h>
#include <net/peer.h>
#include <string.h>

/* Silence of the current session after which another one that is heard takes its place: what was
 * under way when the sessions changed has come by then. */
#define RETURN_AFTER ROVE_SECOND

/* ---- links ---- */

rovei_net_link *rovei_net_link_of_low(const rovei_net *t, uint32_t low)
{
    return rovei_map_get(&t->links, &low);
}

rovei_net_link *rovei_net_link_of(const rovei_net *t, uint64_t node_id)
{
    rovei_net_link *l = rovei_net_link_of_low(t, rovei_net_low(node_id));
    return l && l->node_id == node_id ? l : NULL;
}

/* What is left of it once it has nothing any more. */
static void delete_link(rovei_net_link *l)
{
    rovei_net *t = l->net;
    rovei_timers_release(&t->timers, &l->dial);
    rovei_timers_release(&t->timers, &l->beat);
    rovei_timers_release(&t->timers, &l->wave);
    rovei_timers_release(&t->timers, &l->live);
    ROVEI_DELETE(&t->env->alloc, l);
}

rove_err rovei_net_link_new(rovei_net_link **ret, rovei_net *t, uint64_t node_id)
{
    rovei_net_link *l = ROVEI_NEW(&t->env->alloc, rovei_net_link);
    if (!l)
        return ROVE_E_NOMEM;
    l->net = t;
    l->node_id = node_id;
    rovei_list_init(&l->sessions);
    rovei_list_init(&l->ready);
    rovei_list_init(&l->outgoing);
    rovei_list_init(&l->untold);
    rove_err err = rovei_timers_reserve(&t->timers, &l->dial, rovei_net_dial_fire, l);
    if (!err)
        err = rovei_timers_reserve(&t->timers, &l->beat, rovei_net_beat_fire, l);
    if (!err)
        err = rovei_timers_reserve(&t->timers, &l->wave, rovei_net_wave_fire, l);
    if (!err)
        err = rovei_timers_reserve(&t->timers, &l->live, rovei_net_live_fire, l);
    const uint32_t low = rovei_net_low(node_id);
    if (!err)
        err = rovei_map_put(&t->links, &low, l);
    if (err) {
        delete_link(l);
        return err;
    }
    *ret = l;
    return ROVE_OK;
}

static void end_session(rovei_net_held *s)
{
    rovei_net *t = s->link->net;
    rovei_map_remove(&t->sessions, &s->session.id);
    rovei_list_remove(&s->list);
    rovei_net_streams_fini(s);
    rovei_net_session_fini(&s->session);
    ROVEI_DELETE(&t->env->alloc, s);
}

void rovei_net_retire(rovei_net_link *l)
{
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        if (s != l->current && l->net->now.mono >= s->until)
            end_session(s);
    }
}

void rovei_net_drop_outgoing(rovei_net_link *l)
{
    ROVEI_LIST_EACH (it, next, &l->outgoing) {
        rovei_net_outgoing *o = ROVEI_CONTAINER(it, rovei_net_outgoing, list);
        rovei_list_remove(it);
        rovei_free(&l->net->env->alloc, o, sizeof *o + o->size);
    }
    l->outgoing_count = 0;
}

void rovei_net_link_end(rovei_net_link *l)
{
    rovei_net *t = l->net;
    rovei_net_dial_stop(l);
    ROVEI_LIST_EACH (it, next, &l->sessions)
        end_session(ROVEI_CONTAINER(it, rovei_net_held, list));
    l->current = NULL;
    t->places++;
    rovei_net_drop_outgoing(l);
    l->beat_due = l->wave_due = false;
    l->beat_again = 0;
    rovei_list_remove(&l->ready);
    rovei_timer_set(&t->timers, &l->beat, ROVE_TIME_NEVER);
    rovei_timer_set(&t->timers, &l->wave, ROVE_TIME_NEVER);
    rovei_timer_set(&t->timers, &l->live, ROVE_TIME_NEVER);
    memset(l->answers, 0, sizeof l->answers);
}

void rovei_net_link_free(rovei_net_link *l)
{
    rovei_net_link_end(l);
    rovei_list_remove(&l->untold);
    delete_link(l);
}

void rovei_net_touch(rovei_net_link *l)
{
    if (rovei_list_empty(&l->ready))
        rovei_list_add_tail(&l->net->ready, &l->ready);
}

void rovei_net_tell(rovei_net_link *l)
{
    if (rovei_list_empty(&l->untold))
        rovei_list_add_tail(&l->net->untold, &l->untold);
}

/* ---- sessions ---- */

/* Of the sessions beside the current one, the one that can be missed most. */
static rovei_net_held *least(const rovei_net_link *l, size_t *ret_count)
{
    rovei_net_held *worst = NULL;
    *ret_count = 0;
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        if (s == l->current)
            continue;
        ++*ret_count;
        if (!worst || s->heard < worst->heard ||
            (s->heard == worst->heard && s->serial < worst->serial))
            worst = s;
    }
    return worst;
}

/* What is sent goes under `s` from now on. */
static void make_current(rovei_net_link *l, rovei_net_held *s)
{
    const rovei_net *t = l->net;
    rovei_net_held *before = l->current;
    if (before)
        before->until = rovei_time_add(t->now.mono, t->env->limits.net_keep);
    s->until = ROVE_TIME_NEVER;
    l->current = s;
    l->net->places++;
    size_t count;
    rovei_net_held *worst = least(l, &count);
    if (count > ROVEI_NET_OTHERS)
        end_session(worst);
    rovei_net_live_start(l);
}

rove_err rovei_net_take_session(rovei_net_link *l, const rovei_net_handshake *h,
                                const rovei_addr *to, bool doubtful)
{
    rovei_net *t = l->net;
    rovei_net_held *s = ROVEI_NEW(&t->env->alloc, rovei_net_held);
    if (!s)
        return ROVE_E_NOMEM;
    s->link = l;
    rove_err err = rovei_net_streams_init(s);
    if (!err)
        err = rovei_net_handshake_session(h, &s->session);
    if (!err && rovei_map_get(&t->sessions, &s->session.id))
        err = ROVE_E_EXISTS;
    if (!err)
        err = rovei_map_put(&t->sessions, &s->session.id, s);
    if (err) {
        rovei_net_streams_fini(s);
        rovei_net_session_fini(&s->session);
        ROVEI_DELETE(&t->env->alloc, s);
        return err;
    }
    s->serial = ++t->next_serial;
    s->since = t->now.mono;
    s->doubtful = doubtful;
    s->addr = *to;
    rovei_list_add_head(&l->sessions, &s->list);
    l->heard = t->now.mono;
    l->state = ROVEI_PEER_UP;
    l->up_untold = true;
    make_current(l, s);
    rovei_net_tell(l);
    t->stats.handshakes_completed++;
    return ROVE_OK;
}

/* Whether `s`, which was just heard, is to be sent under in the place of the current one. */
static bool is_better(const rovei_net_held *s, const rovei_net_held *current)
{
    const rovei_net *t = s->link->net;
    if (s->serial > current->serial)
        return true;
    /* One that was heard already only has to be silent for longer: its peer sends heartbeats. */
    uint64_t silent = current->heard ? 2 * t->env->limits.net_heartbeat : RETURN_AFTER;
    uint64_t last = current->heard > current->since ? current->heard : current->since;
    return t->now.mono >= rovei_time_add(last, silent);
}

void rovei_net_heard(rovei_net_held *s)
{
    rovei_net_link *l = s->link;
    const rovei_net *t = l->net;
    s->heard = l->heard = t->now.mono;
    if (s != l->current) {
        s->until = rovei_time_add(t->now.mono, t->env->limits.net_keep);
        if (is_better(s, l->current))
            make_current(l, s);
    }
    if (s == l->current)
        rovei_net_dial_stop(l);
    if (l->state == ROVEI_PEER_UP)
        return;
    l->state = ROVEI_PEER_UP;
    rovei_net_live_start(l);
    rovei_net_tell(l);
}

rovei_net_held *rovei_net_elder(const rovei_net_link *l)
{
    if (!l->current || l->current->heard)
        return NULL;
    rovei_net_held *best = NULL;
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        if (s == l->current || l->net->now.mono >= s->until)
            continue;
        if (!best || s->heard > best->heard)
            best = s;
    }
    return best;
}
