/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to join and leave: what a message of a subscriber leads to, and its answer. */
#include <base/alloc.h>
#include <base/mutant.h>
#include <channel/inside.h>
#include <net/wire.h>
#include <string.h>

#define QUEUED_MAX ((uint64_t)1 << 20)

static void answer(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p, uint64_t nonce,
                   rovei_membership_reason reason)
{
    uint8_t bytes[1 + ROVEI_MEMBERSHIP_ACK_SIZE] = {ROVEI_CHANNEL_MEMBERSHIP};
    rovei_writer w = rovei_writer_of(bytes + 1, ROVEI_MEMBERSHIP_ACK_SIZE);
    rovei_membership_write(&w, &(rovei_membership){.type = ROVEI_MEMBERSHIP_ACK,
                                                   .nonce = nonce,
                                                   .accepted = !reason,
                                                   .reason = reason});
    rovei_node *n = c->node;
    if (rovei_pipe_queued(n, &p->pipe) > 4 * n->env->limits.channel_window_bytes + QUEUED_MAX)
        return; /* it asks and reads nothing */
    /* An answer that cannot be sent is one that was lost: the request is made again. */
    if (!rovei_entity_is_net(&p->entity))
        (void)!rovei_pipe_send(n, &p->pipe, &p->entity, ROVEI_TAG_CHANNEL,
                               (rove_span){bytes, sizeof bytes}, NULL);
    else if (n->net)
        (void)!rovei_net_send(n->net, now, p->node_id, ROVEI_NET_MEMBERSHIP,
                              (rove_span){bytes + 1, ROVEI_MEMBERSHIP_ACK_SIZE});
}

static void count_refusal(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                          rovei_membership_reason reason)
{
    switch (reason) {
    case ROVEI_REASON_NONE:
        p->throttle = (rovei_throttle){0};
        return;
    case ROVEI_REASON_RATE_LIMITED:
        c->stats.throttled++;
        return;
    case ROVEI_REASON_TOO_MANY_CHANNELS:
        c->stats.too_many++;
        return;
    case ROVEI_REASON_UNKNOWN_CHANNEL:
        c->stats.unknown++;
        break;
    case ROVEI_REASON_UNAUTHORIZED:
        c->stats.unauthorized++;
        break;
    }
    rovei_throttle_fail(&p->throttle, &c->node->env->limits, now.mono);
}

static rovei_member *member_new(struct rovei_channels *c, rovei_channel *ch, rovei_channel_peer *p)
{
    rovei_member *m = ROVEI_NEW(c->node->alloc, rovei_member);
    if (!m)
        return NULL;
    m->seat.node_id = p->node_id;
    m->channel = ch;
    m->peer = p;
    rovei_list_init(&m->busy);
    rovei_list_init(&m->of_peer);
    rovei_queue_init(&m->runs, c->node->alloc, sizeof(rovei_channel_run));
    rovei_queue_init(&m->flights, c->node->alloc, sizeof(rovei_channel_flight));
    return m;
}

/* Takes `chain`, which is NULL unless the grant needs one. */
static void keep_chain(struct rovei_channels *c, rovei_member *m, const rovei_channel_grant *g,
                       rove_token_chain *chain)
{
    if (m->chain)
        ROVEI_DELETE(c->node->alloc, m->chain);
    m->chain = chain;
    if (!chain)
        return;
    *chain = g->chain;
    m->grant = g->hash;
    m->judged = c->judgement - 1; /* is looked at once before it is relied on */
}

/* A group's leg has its own numbers: in another mode it begins anew. Begin is said before the Ack,
 * so that a subscriber has its place in the channel when it hears that it is one. */
static rove_err begin_leg(struct rovei_channels *c, rovei_now now, rovei_member *m, bool fresh)
{
    if (!rovei_member_is_leg(m))
        return ROVE_OK;
    if (fresh) {
        rovei_channel_run run;
        while (rovei_queue_pop(&m->runs, &run))
            ;
        m->took = rovei_history_next(&m->channel->history) - 1;
        m->moved_at = now.mono;
    }
    /* Also of one that goes on: at Begin the subscriber lets go of what it has not taken. */
    rovei_leg_begin(c, now, m, m->took + 1);
    if (ROVEI_MUTANT(ANSWER_BEFORE_PLACE))
        return ROVE_OK;
    return rovei_leg_say_begin(c, m) ? ROVE_E_NOMEM : ROVE_OK;
}

/* E_CHANNELS_FULL, E_FULL (groups): as it was. E_NOMEM: it is asked for again. */
static rove_err admit(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                      const rovei_membership *msg, const rovei_channel_grant *g)
{
    rovei_channel *ch;
    rove_err err = rovei_channel_make(c, msg->channel, &ch);
    if (err)
        return err;
    rovei_member *m = (rovei_member *)(void *)rovei_roster_find(&ch->roster, p->node_id);
    bool known = m != NULL;
    const rovei_group *before = known ? m->seat.group : NULL;
    rovei_principal who = {ROVEI_PRINCIPAL_NODE, p->node_id};
    if (!known && !(m = member_new(c, ch, p)))
        return ROVE_E_NOMEM;
    rove_token_chain *chain = g->gated ? ROVEI_NEW(c->node->alloc, rove_token_chain) : NULL;
    err = g->gated && !chain ? ROVE_E_NOMEM : rovei_guard_admit(&c->guard, who, msg->channel);
    if (!err)
        err = rovei_roster_seat(&ch->roster, &m->seat, msg->group,
                                c->node->env->limits.channel_groups);
    if (err) {
        if (chain)
            ROVEI_DELETE(c->node->alloc, chain);
        if (!known) {
            rovei_guard_revoke(&c->guard, who, msg->channel);
            ROVEI_DELETE(c->node->alloc, m);
        }
        return err;
    }
    keep_chain(c, m, g, chain);
    if (!known) {
        rovei_ends_forget(c, p, ch->hash);
        rovei_list_add_tail(&p->members, &m->of_peer);
        p->count++;
        c->stats.members++;
    }
    return begin_leg(c, now, m, !known || m->seat.group != before);
}

static void subscribe(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                      const rovei_membership *msg)
{
    rovei_channel *ch = rovei_channel_find(c, msg->channel);
    bool known = ch && rovei_roster_find(&ch->roster, p->node_id);
    rovei_channel_grant grant;
    rovei_membership_reason reason = rovei_gates_subscribe(c, now, p, msg, known, &grant);
    if (!reason) {
        rove_err err = admit(c, now, p, msg, &grant);
        if (err == ROVE_E_NOMEM)
            return; /* as if it had been lost */
        reason = err ? ROVEI_REASON_TOO_MANY_CHANNELS : ROVEI_REASON_NONE;
        c->stats.subscribed += !err;
    }
    count_refusal(c, now, p, reason);
    answer(c, now, p, msg->nonce, reason);
}

static void unsubscribe(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p,
                        const rovei_membership *msg)
{
    rovei_channel *ch = rovei_channel_find(c, msg->channel);
    rovei_seat *seat = ch ? rovei_roster_find(&ch->roster, p->node_id) : NULL;
    if (seat)
        rovei_member_remove(c, now, (rovei_member *)(void *)seat, 0);
    c->stats.unsubscribed++;
    answer(c, now, p, msg->nonce, ROVEI_REASON_NONE);
}

static void membership(struct rovei_channels *c, rovei_now now, const rove_entity *from,
                       rove_span bytes)
{
    rovei_membership msg;
    if (rovei_membership_read(bytes, &msg) || msg.type == ROVEI_MEMBERSHIP_ACK) {
        c->stats.malformed++;
        return;
    }
    rovei_channel_peer *p = rovei_channel_peer_of(c, from, true);
    if (!p)
        return;
    if (msg.type == ROVEI_MEMBERSHIP_SUBSCRIBE)
        subscribe(c, now, p, &msg);
    else
        unsubscribe(c, now, p, &msg);
}

void rovei_channels_receive(rovei_node *n, rovei_now now, const rove_entity *from,
                            rove_buf *message)
{
    struct rovei_channels *c = n->channels;
    rove_span bytes = rove_buf_span(message);
    const uint8_t *p = bytes.data;
    rovei_channel_frame f;
    if (bytes.size && p[0] == ROVEI_CHANNEL_MEMBERSHIP)
        membership(c, now, from, (rove_span){p + 1, bytes.size - 1});
    else if (rovei_channel_frame_read(bytes, &f))
        c->stats.malformed++;
    else
        rovei_leg_frame(c, now, rovei_channel_peer_of(c, from, false), &f);
}

void rovei_channels_receive_net(rovei_node *n, rovei_now now, uint64_t node_id, rove_span message)
{
    rove_entity from = rovei_entity_of_net(node_id);
    membership(n->channels, now, &from, message);
}
