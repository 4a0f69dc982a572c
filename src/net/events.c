/* SPDX-License-Identifier: Apache-2.0
 *
 * What class net reports, its counters, and its self-check. A peer knows what was not told of it
 * yet, so that reporting it needs no memory; messages are kept until they are polled. */
#include <base/alloc.h>
#include <base/check.h>
#include <net/peer.h>

static const char *const drop_names[ROVEI_NET_DROP_COUNT] = {
#define DROP_NAME(id, name) [ROVEI_NET_DROP_##id] = (name),
    ROVEI_NET_DROP_LIST(DROP_NAME)
#undef DROP_NAME
};

const char *rovei_net_drop_name(rovei_net_drop reason)
{
    return (unsigned)reason < ROVEI_NET_DROP_COUNT ? drop_names[reason] : "?";
}

static const struct {
    uint16_t first, last;
    const char *name;
} subprotocols[] = {
#define SUBPROTOCOL_ROW(id, first, last, name) {first, last, name},
    ROVEI_NET_SUBPROTOCOL_LIST(SUBPROTOCOL_ROW)
#undef SUBPROTOCOL_ROW
        {1, 0, "other"}};

rovei_net_subprotocol rovei_net_subprotocol_of(uint16_t id)
{
    for (unsigned i = 0; i < ROVEI_NET_SUBPROTOCOL_OTHER; i++)
        if (id >= subprotocols[i].first && id <= subprotocols[i].last)
            return (rovei_net_subprotocol)i;
    return ROVEI_NET_SUBPROTOCOL_OTHER;
}

const char *rovei_net_subprotocol_name(rovei_net_subprotocol s)
{
    return (unsigned)s < ROVEI_NET_SUBPROTOCOL_COUNT ? subprotocols[s].name : "?";
}

/* ---- events ---- */

/* The next step from what was told of a peer to what holds now; false when nothing is left. */
static bool next_state(rovei_net_link *l, rovei_net_event *ret)
{
    *ret = (rovei_net_event){.node_id = l->node_id};
    if (l->up_untold && l->current) {
        ret->kind = ROVEI_NET_UP;
        l->told = ROVEI_PEER_UP;
    } else if (l->silence_untold) {
        ret->kind = ROVEI_NET_UNANSWERED;
        l->silence_untold = false;
        return true;
    } else if (l->told == l->state) {
        return false;
    } else if (l->state == ROVEI_PEER_UP) {
        ret->kind = ROVEI_NET_ALIVE;
        l->told = ROVEI_PEER_UP;
    } else if (l->told == ROVEI_PEER_UP && !l->fenced) {
        ret->kind = ROVEI_NET_SUSPECT;
        l->told = ROVEI_PEER_SUSPECT;
    } else {
        ret->kind = ROVEI_NET_FAILED;
        l->told = l->state;
    }
    l->up_untold = false;
    return true;
}

bool rovei_net_poll(rovei_net *t, rovei_net_event *ret)
{
    while (!rovei_list_empty(&t->untold)) {
        rovei_net_link *l = ROVEI_CONTAINER(t->untold.next, rovei_net_link, untold);
        if (next_state(l, ret) || rovei_net_poll_streams(l, ret))
            return true;
        rovei_list_remove(&l->untold);
    }
    if (rovei_list_empty(&t->inbox))
        return false;
    rovei_net_incoming *in = ROVEI_CONTAINER(t->inbox.next, rovei_net_incoming, list);
    rovei_list_remove(&in->list);
    t->inbox_count--;
    in->link->inbox_count--;
    *ret = in->event;
    ROVEI_DELETE(&t->env->alloc, in);
    return true;
}

/* ---- counters, self-check ---- */

rovei_net_stats rovei_net_stats_get(const rovei_net *t)
{
    return t->stats;
}

static size_t check_link(const rovei_net *t, const rovei_net_link *l)
{
    size_t count = 0;
    bool has_current = false;
    ROVEI_LIST_EACH (it, next, &l->sessions) {
        const rovei_net_held *s = ROVEI_CONTAINER(it, rovei_net_held, list);
        ROVEI_CHECK(s->link == l && rovei_map_get(&t->sessions, &s->session.id) == s);
        ROVEI_CHECK((s == l->current) == (s->until == ROVE_TIME_NEVER));
        rovei_flow_check(&s->flow);
        has_current |= s == l->current;
        count++;
    }
    ROVEI_CHECK(has_current == (l->current != NULL) && count <= ROVEI_NET_OTHERS + 1);
    ROVEI_CHECK(!l->fenced || (!count && !rovei_timer_is_set(&l->dial)));
    ROVEI_CHECK(l->inbox_count <= ROVEI_NET_INBOX_SHARE);
    ROVEI_CHECK(l->outgoing_count <= t->env->limits.net_queue);
    return count;
}

void rovei_net_check(const rovei_net *t)
{
    size_t it = 0, sessions = 0;
    for (const rovei_net_link *l; (l = rovei_map_next(&t->links, &it));)
        sessions += check_link(t, l);
    ROVEI_CHECK(sessions == t->sessions.count);
    uint64_t drops = 0;
    for (unsigned i = 0; i < ROVEI_NET_DROP_COUNT; i++)
        drops += t->stats.drops[i];
    ROVEI_CHECK(t->stats.datagrams_received == t->stats.datagrams_accepted + drops);
    ROVEI_CHECK(t->inbox_count <= ROVEI_NET_INBOX);
}
