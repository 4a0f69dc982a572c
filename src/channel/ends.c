/* SPDX-License-Identifier: Apache-2.0
 *
 * Memberships whose end could not be said, for want of memory or of room in what waits to be sent:
 * it is said later. What keeps them is the memory of the membership itself. */
#include <base/alloc.h>
#include <channel/inside.h>

/* Also to one that seems to have failed: it may hear this node, and would believe that it is one.
 * With no session at all it asks again by itself when there is one. False: again later. */
static bool say(struct rovei_channels *c, const rovei_member *m)
{
    rove_err err = rovei_leg_say(c, m->peer,
                                 &(rovei_channel_frame){.type = ROVEI_CHANNEL_ENDED,
                                                        .channel = m->end.hash,
                                                        .incarnation = m->end.incarnation,
                                                        .reason = m->end.reason});
    return !err || err == ROVE_E_UNREACHABLE;
}

static void let_go(struct rovei_channels *c, rovei_member *m)
{
    rovei_list_remove(&m->of_peer);
    c->ends_count--;
    ROVEI_DELETE(c->node->alloc, m);
}

void rovei_ends_say(struct rovei_channels *c, rovei_member *m, unsigned reason)
{
    m->end.hash = m->channel->hash;
    m->end.incarnation = m->channel->incarnation;
    m->end.reason = (rovei_ended_reason)reason;
    m->channel = NULL;
    if (!reason || !rovei_member_is_leg(m) || say(c, m) ||
        c->ends_count >= c->node->env->limits.channels_max) {
        ROVEI_DELETE(c->node->alloc, m);
        return;
    }
    rovei_list_add_tail(&c->ends, &m->of_peer);
    c->ends_count++;
}

bool rovei_ends_turn(struct rovei_channels *c)
{
    bool all = true;
    ROVEI_LIST_EACH (it, next, &c->ends) {
        rovei_member *m = ROVEI_CONTAINER(it, rovei_member, of_peer);
        bool said = say(c, m);
        if (said)
            let_go(c, m);
        all &= said;
    }
    return all;
}

void rovei_ends_forget(struct rovei_channels *c, const rovei_channel_peer *p, uint64_t hash)
{
    ROVEI_LIST_EACH (it, next, &c->ends) {
        rovei_member *m = ROVEI_CONTAINER(it, rovei_member, of_peer);
        if (m->peer == p && (!hash || m->end.hash == hash))
            let_go(c, m);
    }
}
