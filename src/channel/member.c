/* SPDX-License-Identifier: Apache-2.0
 *
 * The requester: asks a publisher for a membership or gives one up, waits for the answer of exactly
 * that publisher, and asks again after a while where something here still wants it. */
#include <base/alloc.h>
#include <channel/feeds_inside.h>
#include <identity/token.h>

#define PAUSE_GROWS 30 /* the longest pause, in first ones */
#define QUEUED_MAX  ((uint64_t)1 << 20)

/* ---- saying ---- */

/* All that is said to a publisher goes through one stream, so that leaving and joining again stay
 * in order. */
static rovei_pipe *pipe_to(struct rovei_feeds *f, const rove_entity *publisher)
{
    rovei_pipe *p = rovei_map_get(&f->pipes, publisher->bytes);
    if (p)
        return p;
    p = ROVEI_NEW(f->node->alloc, rovei_pipe);
    if (p && rovei_map_put(&f->pipes, publisher->bytes, p)) {
        ROVEI_DELETE(f->node->alloc, p);
        return NULL;
    }
    return p;
}

/* A publisher that provokes answers and reads none fills no memory. */
static rove_err say_bytes(struct rovei_feeds *f, const rove_entity *publisher, rove_span bytes)
{
    rovei_pipe *pipe = pipe_to(f, publisher);
    if (!pipe)
        return ROVE_E_NOMEM;
    if (rovei_pipe_queued(f->node, pipe) > QUEUED_MAX)
        return ROVE_E_FULL;
    return rovei_pipe_send(f->node, pipe, publisher, ROVEI_TAG_CHANNEL, bytes, NULL);
}

rove_err rovei_wire_say(rovei_wire *w, rove_span bytes)
{
    return say_bytes(w->f, &w->publisher, bytes);
}

/* Who has this node id: it has to be in a session, which proved its entity, or be listed. */
static bool resolve(rovei_wire *w)
{
    const rovei_node *n = w->f->node;
    rovei_peer_info info;
    size_t it = 0;
    if (!rovei_entity_is_zero(&w->publisher))
        return true;
    if (rovei_entity_node_id(&n->self) == w->node_id) {
        w->publisher = n->self;
        return true;
    }
    while (rovei_node_peer_next(n, &it, &info)) {
        if (info.node_id != w->node_id || !rovei_node_reaches(n, &info.entity))
            continue;
        w->publisher = info.entity;
        w->net = rovei_entity_is_net(&info.entity);
        return true;
    }
    return false;
}

static rove_err say_to(struct rovei_feeds *f, rovei_now now, const rove_entity *publisher,
                       const rovei_membership *m)
{
    rovei_node *n = f->node;
    /* A node that is being freed says nothing any more. */
    if (!now.mono || !rovei_node_reaches(n, publisher))
        return ROVE_E_UNREACHABLE;
    rove_buf *buf = rovei_buf_alloc(n->alloc, 1 + rovei_membership_size(m));
    if (!buf)
        return ROVE_E_NOMEM;
    rovei_writer out = rovei_writer_of(rovei_buf_data(buf), rovei_buf_size(buf));
    rovei_write_u8(&out, ROVEI_CHANNEL_MEMBERSHIP);
    rovei_membership_write(&out, m);
    rove_span bytes = rove_buf_span(buf);
    rove_err err = out.err;
    if (!err && rovei_entity_is_net(publisher))
        err = rovei_net_send(n->net, now, rovei_entity_node_id(publisher), ROVEI_NET_MEMBERSHIP,
                             (rove_span){(const uint8_t *)bytes.data + 1, bytes.size - 1});
    else if (!err)
        err = say_bytes(f, publisher, bytes);
    rove_buf_unref(buf);
    return err;
}

static rove_err say(rovei_wire *w, rovei_now now, const rovei_membership *m)
{
    return resolve(w) ? say_to(w->f, now, &w->publisher, m) : ROVE_E_UNREACHABLE;
}

/* ---- answers ---- */

void rovei_feed_unask(rovei_feed *s)
{
    if (s->nonce)
        rovei_map_remove(&s->wire->f->asked, &s->nonce);
    s->nonce = 0;
    s->ask = ROVEI_FEED_ASK_NONE;
    rove_buf_unref(s->offered);
    s->offered = NULL;
    rovei_timer_set(&s->wire->f->node->timers, &s->timer, ROVE_TIME_NEVER);
}

static void tell(rovei_feed *s, rovei_note_kind kind, rove_err err)
{
    if (s->told)
        rovei_feed_note(s, kind, err);
    s->told = false;
}

void rovei_feed_lost(rovei_feed *s, rovei_now now, rove_err err)
{
    const rove_limits *l = &s->wire->f->node->env->limits;
    if (s->bound && !s->d) {
        s->order = s->request;
        rovei_feed_note(s, ROVEI_NOTE_FEED_ENDED, err);
    }
    s->bound = false;
    s->err = err;
    s->pause = !s->pause ? l->rebind_retry : s->pause * 2;
    if (s->pause > l->rebind_retry * PAUSE_GROWS)
        s->pause = l->rebind_retry * PAUSE_GROWS;
    rovei_timer_set(&s->wire->f->node->timers, &s->timer, rovei_time_add(now.mono, s->pause));
}

/* A token that this node holds, and with which it may subscribe. */
static rove_buf *held_token(const rovei_wire *w, rovei_now now)
{
    const rovei_node *n = w->f->node;
    rove_token_chain chain;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    uint64_t hash = w->hash;
    if (w->group)
        hash = rovei_channel_group_hash(rove_buf_span(w->name), rove_buf_span(w->group));
    if (rovei_token_cache_find(&n->tokens.cache, &n->self, ROVE_SCOPE_SUBSCRIBE, hash,
                               rovei_token_time(now), &n->tokens.floors, &chain))
        return NULL;
    return rovei_buf_copy(n->alloc, bytes, rovei_token_chain_encode(&chain, bytes));
}

/* Whether the token that came with a daemon is one that this node may show. */
static bool is_ours(const rovei_feed *s)
{
    rove_token_chain chain;
    return s->token && !rovei_token_chain_decode(&chain, rove_buf_span(s->token)) &&
           rovei_entity_equal(&chain.links[chain.count - 1].subject, &s->wire->f->node->self);
}

/* What a request shows that no order was given for. */
static void choose_token(rovei_feed *s, rovei_now now)
{
    s->offered = s->brought != s->other ? held_token(s->wire, now) : NULL;
    s->shows_own = s->offered != NULL;
    s->useless = s->brought && !s->shows_own && s->token && !is_ours(s);
    if (!s->offered && s->token)
        s->offered = rove_buf_ref(s->token);
}

/* The order to join ended with `err`. */
static void not_joined(rovei_feed *s, rovei_now now, rove_err err, bool answered)
{
    bool was = s->bound, at_once = false;
    if (err == ROVE_E_CHANNEL_UNAUTHORIZED && !s->told) {
        s->other = !s->other;
        at_once = s->brought && s->shows_own && is_ours(s); /* a move waits for the answer */
    }
    rovei_feed_unask(s);
    tell(s, ROVEI_NOTE_SUBSCRIBED, err);
    if (s->first) /* what was not answered may have been accepted */
        rovei_feed_free(s, now, !answered || s->wire->member);
    else if (at_once)
        rovei_feed_join(s, now);
    else if (!was) /* else the publisher goes on with the token of before */
        rovei_feed_lost(s, now, err);
}

static void joined(rovei_feed *s, rovei_now now)
{
    if (s->told) { /* what joins anew by itself keeps the token of its order, or of its ledger */
        rove_buf_unref(s->token);
        s->token = s->offered;
        s->offered = NULL;
        s->brought = s->other = s->useless = false;
    }
    rovei_feed_unask(s);
    s->first = false;
    s->bound = s->wire->member = true;
    s->err = ROVE_OK;
    s->pause = 0;
    tell(s, ROVEI_NOTE_SUBSCRIBED, ROVE_OK);
    rovei_feed_attach(s, now);
}

static void left(rovei_feed *s, rovei_now now, rove_err err)
{
    rovei_feed_unask(s);
    tell(s, ROVEI_NOTE_UNSUBSCRIBED, err);
    if (err) { /* it may have been heard: it is joined again */
        rovei_feed_lost(s, now, err);
        return;
    }
    s->wire->member = false;
    if (s->lane)
        rovei_feed_end(s->lane, now, true);
    s->lane = NULL;
    rovei_feed_free(s, now, false);
}

/* The ledger of its daemon has been taken. */
static bool is_frozen(const rovei_feed *s)
{
    return s->d && (s->d->role == ROVEI_ROLE_FROZEN || s->d->role == ROVEI_ROLE_COMMITTING ||
                    s->d->role == ROVEI_ROLE_COMMITTED);
}

static bool put_off(rovei_feed *s, rovei_feed_ask what)
{
    if (!s->told || !is_frozen(s))
        return false;
    rove_buf *token = s->offered;
    s->offered = NULL;
    rovei_feed_unask(s);
    s->offered = token;
    s->late = what;
    return true;
}

void rovei_feed_settle(rovei_feed *s, rovei_now now)
{
    rovei_feed_ask what = s->late;
    s->late = ROVEI_FEED_ASK_NONE;
    if (what == ROVEI_FEED_ASK_JOIN)
        joined(s, now);
    else if (what == ROVEI_FEED_ASK_LEAVE)
        left(s, now, ROVE_OK);
}

bool rovei_feed_unsettle(rovei_feed *s, rovei_now now, rove_err err)
{
    bool waits = s->late != ROVEI_FEED_ASK_NONE;
    if (s->late == ROVEI_FEED_ASK_JOIN) {
        s->late = ROVEI_FEED_ASK_NONE;
        rovei_feed_lost(s, now, err);
    }
    return waits;
}

static void ended(rovei_feed *s, rovei_now now, rove_err err, bool answered)
{
    if (s->ask == ROVEI_FEED_ASK_LEAVE && answered && put_off(s, ROVEI_FEED_ASK_LEAVE))
        return;
    if (s->ask == ROVEI_FEED_ASK_LEAVE)
        left(s, now, answered ? ROVE_OK : err);
    else
        not_joined(s, now, err, answered);
}

void rovei_feeds_ack(rovei_node *n, rovei_now now, const rove_entity *from, uint64_t nonce,
                     bool accepted, uint8_t reason)
{
    rovei_feed *s = rovei_map_get(&n->feeds->asked, &nonce);
    if (!s || !rovei_entity_equal(&s->wire->publisher, from))
        return; /* late, or of somebody who was not asked */
    if (accepted && s->ask == ROVEI_FEED_ASK_JOIN) {
        if (!put_off(s, ROVEI_FEED_ASK_JOIN))
            joined(s, now);
    } else {
        ended(s, now, rovei_membership_err((rovei_membership_reason)reason), true);
    }
}

/* ---- asking ---- */

static void ask(rovei_feed *s, rovei_now now, rovei_feed_ask what)
{
    rovei_wire *w = s->wire;
    rovei_node *n = w->f->node;
    rovei_membership m = {.type = what == ROVEI_FEED_ASK_JOIN ? ROVEI_MEMBERSHIP_SUBSCRIBE
                                                              : ROVEI_MEMBERSHIP_UNSUBSCRIBE,
                          .channel = rove_buf_span(w->name)};
    if (what == ROVEI_FEED_ASK_JOIN) {
        m.token = rove_buf_span(s->offered);
        m.group = rove_buf_span(w->group);
    }
    do
        s->nonce = rovei_rng_u64(&n->env->rng);
    while (!s->nonce || rovei_map_get(&w->f->asked, &s->nonce));
    m.nonce = s->nonce;
    s->ask = what;
    rove_err err = rovei_map_put(&w->f->asked, &s->nonce, s);
    if (err) {
        s->nonce = 0;
    } else {
        rovei_timer_set(&n->timers, &s->timer,
                        rovei_time_add(now.mono, n->env->limits.membership_ack_wait));
        err = say(w, now, &m);
    }
    if (err)
        ended(s, now, err == ROVE_E_NOMEM ? err : ROVE_E_UNREACHABLE, false);
}

void rovei_feed_join(rovei_feed *s, rovei_now now)
{
    if (s->nonce || s->seatless)
        return;
    if (!s->told) /* not an order, which brings its own token */
        choose_token(s, now);
    ask(s, now, ROVEI_FEED_ASK_JOIN);
}

void rovei_feed_depart(rovei_feed *s, rovei_now now)
{
    ask(s, now, ROVEI_FEED_ASK_LEAVE);
}

void rovei_wire_leave(rovei_wire *w, rovei_now now)
{
    rovei_membership m = {.type = ROVEI_MEMBERSHIP_UNSUBSCRIBE,
                          .nonce = rovei_rng_u64(&w->f->node->env->rng),
                          .channel = rove_buf_span(w->name)};
    (void)!say(w, now, &m); /* a publisher that cannot be reached forgets this node by itself */
}

void rovei_feeds_decline(struct rovei_feeds *f, rovei_now now, const rove_entity *publisher,
                         rove_span channel)
{
    rovei_membership m = {.type = ROVEI_MEMBERSHIP_UNSUBSCRIBE,
                          .nonce = rovei_rng_u64(&f->node->env->rng),
                          .channel = channel};
    (void)!say_to(f, now, publisher, &m); /* it says BEGIN again when it thinks so again */
}

void rovei_feeds_ask_name(struct rovei_feeds *f, const rove_entity *publisher,
                          const rovei_channel_frame *events)
{
    uint8_t bytes[ROVEI_CHANNEL_FRAME_MAX];
    rovei_writer out = rovei_writer_of(bytes, sizeof bytes);
    rovei_channel_frame_write(&out, &(rovei_channel_frame){.type = ROVEI_CHANNEL_RESUME,
                                                           .channel = events->channel,
                                                           .incarnation = events->incarnation,
                                                           .number = events->number});
    (void)!say_bytes(f, publisher, (rove_span){bytes, rovei_writer_size(&out)});
}

void rovei_feed_fire(rovei_timer *timer, void *user, rovei_now now)
{
    rovei_feed *s = user;
    (void)timer;
    if (s->nonce)
        ended(s, now, ROVE_E_ACK_TIMEOUT, false);
    else if (!s->bound)
        rovei_feed_join(s, now);
}

/* ---- peers ---- */

void rovei_feeds_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    uint64_t node_id = rovei_entity_node_id(peer);
    size_t it = 0;
    for (rovei_wire *w; (w = rovei_map_next(&n->feeds->wires, &it));) {
        if (w->node_id != node_id)
            continue;
        w->asked_from = 0;
        ROVEI_LIST_EACH (at, next, &w->feeds) {
            rovei_feed *s = ROVEI_CONTAINER(at, rovei_feed, on_wire);
            /* A stream of before may have lost it: it is safe to say it again. An order that is
             * under way ends by its time, and then it is said again. */
            if (rovei_feed_unsettle(s, now, ROVE_E_UNREACHABLE) || s->first ||
                s->ask == ROVEI_FEED_ASK_LEAVE)
                continue;
            s->bound = false;
            if (s->told)
                continue;
            rovei_feed_unask(s);
            s->pause = 0;
            /* By the timer: the tables must not change in this walk. */
            rovei_timer_set(&n->timers, &s->timer, now.mono);
        }
    }
}

void rovei_feeds_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    uint64_t node_id = rovei_entity_node_id(peer);
    size_t it = 0;
    for (rovei_wire *w; (w = rovei_map_next(&n->feeds->wires, &it));) {
        if (w->node_id != node_id)
            continue;
        ROVEI_LIST_EACH (at, next, &w->feeds) {
            rovei_feed *s = ROVEI_CONTAINER(at, rovei_feed, on_wire);
            if (rovei_feed_unsettle(s, now, ROVE_E_UNREACHABLE))
                continue;
            if (s->bound && s->nonce)
                s->bound = s->ask == ROVEI_FEED_ASK_LEAVE;
            else if (s->bound)
                rovei_feed_lost(s, now, ROVE_E_UNREACHABLE);
        }
    }
}

void rovei_feeds_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    rovei_pipe *p = rovei_map_remove(&n->feeds->pipes, peer->bytes);
    if (p)
        ROVEI_DELETE(n->alloc, p);
    rovei_feeds_peer_failed(n, now, peer);
}
