/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is subscribed to what: orders, the ledgers of daemons that come and go, and the wire
 * subscriptions that they share. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <channel/feeds_inside.h>
#include <state/ledger.h>
#include <string.h>

static bool same_bytes(rove_span a, rove_span b)
{
    return a.size == b.size && (!a.size || memcmp(a.data, b.data, a.size) == 0);
}

static void make_key(uint8_t ret[16], uint64_t node_id, uint64_t hash)
{
    rovei_store64(ret, node_id);
    rovei_store64(ret + 8, hash);
}

static rovei_wire *find(const struct rovei_feeds *f, uint64_t node_id, uint64_t hash)
{
    uint8_t key[16];
    make_key(key, node_id, hash);
    return rovei_map_get(&f->wires, key);
}

rovei_wire *rovei_wire_find(const rovei_node *n, const rove_entity *from, uint64_t hash)
{
    rovei_wire *w = find(n->feeds, rovei_entity_node_id(from), hash);
    return w && rovei_entity_equal(&w->publisher, from) ? w : NULL;
}

/* ---- life ---- */

rove_err rovei_feeds_new(struct rovei_feeds **ret, rovei_node *n)
{
    struct rovei_feeds *f = ROVEI_NEW(n->alloc, struct rovei_feeds);
    if (!f)
        return ROVE_E_NOMEM;
    uint64_t seed = rovei_rng_u64(&n->env->rng);
    f->node = n;
    rovei_map_init(&f->wires, n->alloc, 16, seed);
    rovei_map_init(&f->asked, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&f->listeners, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&f->pipes, n->alloc, sizeof(rove_entity), seed);
    rovei_list_init(&f->listening);
    rovei_list_init(&f->busy);
    *ret = f;
    return ROVE_OK;
}

static void wire_free(rovei_wire *w)
{
    struct rovei_feeds *f = w->f;
    rovei_wire_forget_waiting(w);
    rovei_queue_fini(&w->waiting);
    rovei_timers_release(&f->node->timers, &w->timer);
    rovei_list_remove(&w->busy);
    rovei_map_remove(&f->wires, w->key);
    rove_buf_unref(w->name);
    rove_buf_unref(w->group);
    ROVEI_DELETE(f->node->alloc, w);
}

static void feed_delete(rovei_feed *s)
{
    rovei_wire *w = s->wire;
    struct rovei_feeds *f = w->f;
    rovei_feed_unask(s);
    if (!s->d)
        rovei_map_remove(&f->listeners, &s->request);
    rovei_list_remove(&s->on_wire);
    rovei_list_remove(&s->own);
    rovei_timers_release(&f->node->timers, &s->timer);
    rove_buf_unref(s->token);
    ROVEI_DELETE(f->node->alloc, s);
}

/* The last listener of the queue group has gone: the membership is for the daemons that waited, and
 * begins as a new one. They ask by their timers, behind what is said now. */
static void pass_on(rovei_wire *w, rovei_now now)
{
    rovei_wire_forget_waiting(w);
    rovei_timer_set(&w->f->node->timers, &w->timer, ROVE_TIME_NEVER);
    rove_buf_unref(w->group);
    w->group = NULL;
    w->incarnation = w->next = w->taken = w->told = w->untold = w->asked_from = 0;
    w->member = false;
    ROVEI_LIST_EACH (it, next, &w->seatless) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, on_wire);
        rovei_list_remove(&s->on_wire);
        rovei_list_add_tail(&w->feeds, &s->on_wire);
        s->seatless = false;
        rovei_timer_set(&w->f->node->timers, &s->timer, now.mono);
    }
}

void rovei_feed_free(rovei_feed *s, rovei_now now, bool membership)
{
    rovei_wire *w = s->wire;
    feed_delete(s);
    if (!rovei_list_empty(&w->feeds)) {
        rovei_wire_busy(w); /* it may have been the one that was waited for */
        return;
    }
    if (membership)
        rovei_wire_leave(w, now);
    if (rovei_list_empty(&w->seatless))
        wire_free(w);
    else
        pass_on(w, now);
}

void rovei_feeds_free(struct rovei_feeds *f)
{
    if (!f)
        return;
    size_t it = 0;
    for (rovei_wire *w; (w = rovei_map_next(&f->wires, &it)); it = 0) {
        ROVEI_LIST_EACH (at, next, &w->feeds)
            feed_delete(ROVEI_CONTAINER(at, rovei_feed, on_wire));
        ROVEI_LIST_EACH (at, next, &w->seatless)
            feed_delete(ROVEI_CONTAINER(at, rovei_feed, on_wire));
        wire_free(w);
    }
    it = 0;
    for (rovei_pipe *p; (p = rovei_map_next(&f->pipes, &it));)
        ROVEI_DELETE(f->node->alloc, p);
    rovei_map_fini(&f->wires);
    rovei_map_fini(&f->asked);
    rovei_map_fini(&f->listeners);
    rovei_map_fini(&f->pipes);
    ROVEI_DELETE(f->node->alloc, f);
}

void rovei_feed_note(const rovei_feed *s, rovei_note_kind kind, rove_err err)
{
    rovei_note *note = rovei_node_note(s->wire->f->node, kind);
    if (!note)
        return;
    note->request = s->order;
    if (s->d)
        note->daemon = s->d->entity;
    note->peer = s->wire->publisher;
    note->err = err;
}

/* ---- making ---- */

/* With E_CHANNEL_SEAT it is there, and in another group. */
static rove_err wire_get(struct rovei_feeds *f, uint64_t node_id, rove_span name, rove_span group,
                         rovei_wire **ret)
{
    const rove_alloc *a = f->node->alloc;
    uint64_t hash = rovei_channel_hash(name);
    rovei_wire *w = find(f, node_id, hash);
    if (w) {
        *ret = w;
        if (!same_bytes(rove_buf_span(w->name), name))
            return ROVE_E_EXISTS;
        return same_bytes(rove_buf_span(w->group), group) ? ROVE_OK : ROVE_E_CHANNEL_SEAT;
    }
    w = ROVEI_NEW(a, rovei_wire);
    if (!w)
        return ROVE_E_NOMEM;
    w->f = f;
    w->node_id = node_id;
    w->hash = hash;
    w->name = rovei_buf_copy(a, name.data, name.size);
    w->group = group.size ? rovei_buf_copy(a, group.data, group.size) : NULL;
    rovei_queue_init(&w->waiting, a, sizeof(rovei_feed_message));
    rovei_list_init(&w->feeds);
    rovei_list_init(&w->seatless);
    rovei_list_init(&w->busy);
    make_key(w->key, node_id, hash);
    bool timer = w->name && (w->group || !group.size) &&
                 !rovei_timers_reserve(&f->node->timers, &w->timer, rovei_wire_fire, w);
    if (!timer || rovei_map_put(&f->wires, w->key, w)) {
        rovei_timers_release(&f->node->timers, &w->timer);
        rove_buf_unref(w->name);
        rove_buf_unref(w->group);
        ROVEI_DELETE(a, w);
        return ROVE_E_NOMEM;
    }
    *ret = w;
    return ROVE_OK;
}

/* `may_wait`: without a seat it is made all the same, and gets one when the group is left. */
static rove_err feed_new(struct rovei_feeds *f, const rovei_feed_order *o, rovei_daemon *d,
                         bool may_wait, rovei_feed **ret)
{
    rovei_wire *w;
    rove_err err = wire_get(f, o->publisher, o->channel, o->group, &w);
    const bool seatless = err == ROVE_E_CHANNEL_SEAT && may_wait;
    if (err && !seatless)
        return err;
    rovei_feed *s = ROVEI_NEW(f->node->alloc, rovei_feed);
    if (s) {
        s->wire = w;
        s->d = d;
        s->request = o->request;
        s->seatless = seatless;
        s->err = seatless ? ROVE_E_CHANNEL_SEAT : ROVE_OK;
        s->token =
            o->token.size ? rovei_buf_copy(f->node->alloc, o->token.data, o->token.size) : NULL;
        rovei_list_init(&s->own);
        rovei_list_add_tail(seatless ? &w->seatless : &w->feeds, &s->on_wire);
        if ((s->token || !o->token.size) &&
            !rovei_timers_reserve(&f->node->timers, &s->timer, rovei_feed_fire, s) &&
            (d || !rovei_map_put(&f->listeners, &s->request, s))) {
            rovei_list_add_tail(d ? &d->feeds : &f->listening, &s->own);
            *ret = s;
            return ROVE_OK;
        }
        s->d = d ? d : (void *)f; /* it is not in the table of listeners */
        rovei_list_remove(&s->on_wire);
        rovei_timers_release(&f->node->timers, &s->timer);
        rove_buf_unref(s->token);
        ROVEI_DELETE(f->node->alloc, s);
    }
    if (rovei_list_empty(&w->feeds))
        wire_free(w);
    return ROVE_E_NOMEM;
}

static size_t count(const rovei_list *l)
{
    size_t n = 0;
    for (const rovei_list *it = l->next; it != l; it = it->next)
        n++;
    return n;
}

static rovei_feed *find_feed(const struct rovei_feeds *f, const rovei_daemon *d,
                             const rovei_feed_order *o)
{
    if (!d)
        return rovei_map_get(&f->listeners, &o->request);
    ROVEI_LIST_EACH (it, next, &d->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, own);
        if (s->wire->node_id == o->publisher &&
            same_bytes(rove_buf_span(s->wire->name), o->channel))
            return s;
    }
    return NULL;
}

/* ---- orders ---- */

static rove_err check_order(const rovei_node *n, const rovei_feed_order *o, rovei_daemon **ret)
{
    rove_err err = rovei_channel_name_check(o->channel);
    if (err)
        return err;
    if (o->token.size > ROVEI_MEMBERSHIP_TOKEN_MAX || o->group.size > ROVEI_CHANNEL_NAME_MAX)
        return ROVE_E_BOUND;
    *ret = NULL;
    if (!o->daemon)
        return o->request && o->publisher ? ROVE_OK : ROVE_E_USAGE;
    if (o->group.size || !o->publisher)
        return ROVE_E_USAGE;
    rovei_daemon *d = rovei_daemon_find(n, o->daemon);
    if (!d || d->role == ROVEI_ROLE_CLAIMING || d->role == ROVEI_ROLE_ASIDE)
        return ROVE_E_NOT_FOUND;
    if (d->role != ROVEI_ROLE_SERVING)
        return ROVE_E_ALREADY_MIGRATING;
    *ret = d;
    return ROVE_OK;
}

/* It is there: the publisher judges the new token, which then takes the place of the old one. */
static rove_err again(rovei_feed *s, rovei_now now, const rovei_feed_order *o)
{
    if (s->ask || s->late)
        return ROVE_E_EXISTS; /* another order of the same waits for its answer */
    if (s->seatless)
        return ROVE_E_CHANNEL_SEAT;
    rove_buf *token = NULL;
    if (o->token.size) {
        token = rovei_buf_copy(s->wire->f->node->alloc, o->token.data, o->token.size);
        if (!token)
            return ROVE_E_NOMEM;
    }
    s->offered = token;
    s->told = true;
    s->order = o->request;
    rovei_feed_join(s, now);
    return ROVE_OK;
}

rove_err rovei_feeds_subscribe(rovei_node *n, rovei_now now, const rovei_feed_order *o)
{
    struct rovei_feeds *f = n->feeds;
    const rove_limits *l = &n->env->limits;
    rovei_daemon *d;
    rove_err err = check_order(n, o, &d);
    if (err)
        return err;
    rovei_feed *s = find_feed(f, d, o);
    if (s)
        return d ? again(s, now, o) : ROVE_E_USAGE;
    if (d ? count(&d->feeds) >= l->daemon_subscriptions : f->listeners.count >= l->listeners_max)
        return ROVE_E_FULL;
    err = feed_new(f, o, d, false, &s);
    if (err)
        return err;
    s->first = true;
    s->offered = s->token ? rove_buf_ref(s->token) : NULL;
    s->told = true;
    s->order = o->request;
    rovei_feed_join(s, now);
    return ROVE_OK;
}

/* Others keep the membership. */
static bool is_shared(const rovei_feed *s)
{
    return s->wire->feeds.next != s->wire->feeds.prev;
}

static void end_lane(rovei_feed *s, rovei_now now, bool forget)
{
    if (s->lane)
        rovei_feed_end(s->lane, now, forget);
    s->lane = NULL;
}

rove_err rovei_feeds_unsubscribe(rovei_node *n, rovei_now now, const rovei_feed_order *o)
{
    rovei_daemon *d;
    rove_err err = check_order(n, o, &d);
    if (err)
        return err;
    rovei_feed *s = find_feed(n->feeds, d, o);
    if (s && d && s->told && (s->ask || s->late))
        return ROVE_E_EXISTS; /* another order waits for its answer */
    if (s && s->ask) {
        /* What is asked on its behalf is not waited for: leaving comes behind it. */
        if (s->told)
            rovei_feed_note(s, ROVEI_NOTE_SUBSCRIBED, ROVE_E_NOT_FOUND);
        s->told = false;
        rovei_feed_unask(s);
    }
    if (s && d && s->bound && !is_shared(s)) {
        s->told = true;
        s->order = o->request;
        rovei_feed_depart(s, now);
        return ROVE_OK;
    }
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_UNSUBSCRIBED);
    if (!note)
        return ROVE_E_NOMEM;
    note->request = o->request;
    if (d)
        note->daemon = d->entity;
    if (s) {
        end_lane(s, now, true);
        rovei_feed_free(s, now, true);
    }
    return ROVE_OK;
}

void rovei_feeds_hold(rovei_node *n, rovei_now now, uint64_t request, bool held)
{
    rovei_feed *s = rovei_map_get(&n->feeds->listeners, &request);
    (void)now;
    if (!s || s->held == held)
        return;
    s->held = held;
    rovei_wire_busy(s->wire);
}

/* ---- looking ---- */

static rovei_feed_state state_of(const rovei_feed *s)
{
    if (!s->bound)
        return s->ask == ROVEI_FEED_ASK_JOIN ? ROVEI_FEED_ASKING : ROVEI_FEED_UNBOUND;
    return s->behind ? ROVEI_FEED_BEHIND : ROVEI_FEED_BOUND;
}

bool rovei_feeds_next(const rovei_node *n, const rove_entity *daemon, size_t *it,
                      rovei_feed_info *ret)
{
    const rovei_daemon *d = daemon ? rovei_daemon_find(n, daemon) : NULL;
    if (daemon && !d)
        return false;
    const rovei_list *all = d ? &d->feeds : &n->feeds->listening;
    const rovei_list *at = all->next;
    for (size_t i = 0; i < *it && at != all; i++)
        at = at->next;
    for (; at != all; at = at->next) {
        const rovei_feed *s =
            (const rovei_feed *)(const void *)((const char *)at - offsetof(rovei_feed, own));
        ++*it;
        if (s->first)
            continue;
        *ret = (rovei_feed_info){.publisher = s->wire->node_id,
                                 .channel = rove_buf_span(s->wire->name),
                                 .has_token = s->token != NULL,
                                 .state = state_of(s),
                                 .err = s->bound ? ROVE_OK : s->err,
                                 .incarnation = s->incarnation,
                                 .position = s->lane ? rovei_feed_position(s->lane) : s->position,
                                 .lost = s->lost,
                                 .request = s->request};
        return true;
    }
    return false;
}

/* ---- a daemon that comes, serves and goes ---- */

rove_err rovei_feeds_ledger(rovei_daemon *d, rovei_now now, rove_buf **ret)
{
    const rove_alloc *a = d->node->alloc;
    rovei_ledger *l;
    *ret = NULL;
    if (rovei_list_empty(&d->feeds))
        return ROVE_OK;
    rove_err err = rovei_ledger_new(&l, a);
    if (err)
        return err;
    ROVEI_LIST_EACH (it, next, &d->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, own);
        if (err || s->first)
            continue; /* an order that is not answered ends with E_NOT_FOUND */
        rovei_subscription entry = {.publisher = s->wire->node_id,
                                    .channel = rove_buf_span(s->wire->name),
                                    .has_token = s->token != NULL,
                                    .token = rove_buf_span(s->token)};
        err = rovei_feed_keep_place(s, now);
        if (!err)
            err = rovei_ledger_record(l, &entry);
    }
    rove_buf *buf = NULL;
    if (!err && rovei_ledger_count(l)) {
        buf = rovei_buf_alloc(a, rovei_ledger_size(l));
        if (buf) {
            rovei_writer w = rovei_writer_of(rovei_buf_data(buf), rovei_buf_size(buf));
            rovei_ledger_encode(l, &w);
        } else {
            err = ROVE_E_NOMEM;
        }
    }
    rovei_ledger_free(l);
    if (!err)
        *ret = buf;
    return err;
}

rove_err rovei_feeds_ledger_of(const rovei_node *n, rovei_now now, const rove_entity *daemon,
                               rove_buf **ret)
{
    rovei_daemon *d = rovei_daemon_find(n, daemon);
    return d ? rovei_feeds_ledger(d, now, ret) : ROVE_E_NOT_FOUND;
}

rove_err rovei_feeds_bind(rovei_daemon *d, rovei_now now, rove_span bytes)
{
    struct rovei_feeds *f = d->node->feeds;
    rovei_ledger *l;
    rove_err err = rovei_ledger_decode(&l, d->node->alloc, bytes);
    if (err)
        return err;
    if (rovei_ledger_count(l) > d->node->env->limits.daemon_subscriptions)
        err = ROVE_E_FULL;
    for (size_t i = 0; !err && i < rovei_ledger_count(l); i++) {
        rovei_subscription e = rovei_ledger_at(l, i);
        rovei_feed_order o = {.publisher = e.publisher, .channel = e.channel, .token = e.token};
        rovei_feed *s;
        err = feed_new(f, &o, d, true, &s);
    }
    rovei_ledger_free(l);
    if (err) {
        rovei_feeds_leave(d, now);
        return err;
    }
    ROVEI_LIST_EACH (it, next, &d->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, own);
        s->brought = true;
        rovei_feed_join(s, now);
    }
    return ROVE_OK;
}

bool rovei_feeds_await(const rovei_daemon *d, const rove_entity *publisher)
{
    uint64_t node_id = rovei_entity_node_id(publisher);
    for (const rovei_list *it = d->feeds.next; it != &d->feeds; it = it->next) {
        const rovei_feed *s =
            (const rovei_feed *)(const void *)((const char *)it - offsetof(rovei_feed, own));
        if (!s->lane && s->wire->node_id == node_id)
            return true;
    }
    return false;
}

size_t rovei_feeds_unbound(const rovei_daemon *d, bool *ret_asking)
{
    size_t n = 0;
    *ret_asking = false;
    for (const rovei_list *it = d->feeds.next; it != &d->feeds; it = it->next) {
        const rovei_feed *s =
            (const rovei_feed *)(const void *)((const char *)it - offsetof(rovei_feed, own));
        /* Nobody repeats what a publisher of class net said. */
        n += !s->bound || s->useless || s->wire->net;
        *ret_asking |= !s->bound && s->ask == ROVEI_FEED_ASK_JOIN;
    }
    return n;
}

void rovei_feeds_serve(rovei_daemon *d, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &d->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, own);
        rovei_feed_serves(s);
        rovei_feed_settle(s, now);
    }
}

void rovei_feeds_leave(rovei_daemon *d, rovei_now now)
{
    ROVEI_LIST_EACH (it, next, &d->feeds) {
        rovei_feed *s = ROVEI_CONTAINER(it, rovei_feed, own);
        if (s->told)
            rovei_feed_note(s,
                            s->ask == ROVEI_FEED_ASK_LEAVE || s->late == ROVEI_FEED_ASK_LEAVE
                                ? ROVEI_NOTE_UNSUBSCRIBED
                                : ROVEI_NOTE_SUBSCRIBED,
                            ROVE_E_NOT_FOUND);
        end_lane(s, now, false);
        rovei_feed_free(s, now, !ROVEI_MUTANT(SOURCE_KEEPS_MEMBERSHIP));
    }
}

void rovei_feeds_check(const rovei_node *n)
{
    const struct rovei_feeds *f = n->feeds;
    size_t it = 0;
    for (const rovei_wire *w; (w = rovei_map_next(&f->wires, &it));) {
        ROVEI_CHECK(!rovei_list_empty(&w->feeds) && w->told <= w->taken);
        for (const rovei_list *at = w->feeds.next; at != &w->feeds; at = at->next) {
            const rovei_feed *s = (const rovei_feed *)(const void *)((const char *)at -
                                                                     offsetof(rovei_feed, on_wire));
            ROVEI_CHECK(s->wire == w && !s->seatless && (!s->ask == !s->nonce));
            ROVEI_CHECK(!s->nonce || rovei_map_get(&f->asked, &s->nonce) == s);
            ROVEI_CHECK(!s->lane || s->d);
            ROVEI_CHECK(!s->lane || !s->bound || s->incarnation == w->incarnation);
        }
        for (const rovei_list *at = w->seatless.next; at != &w->seatless; at = at->next) {
            const rovei_feed *s = (const rovei_feed *)(const void *)((const char *)at -
                                                                     offsetof(rovei_feed, on_wire));
            ROVEI_CHECK(s->wire == w && s->seatless && s->d && !s->bound && !s->ask && !s->lane);
        }
    }
}
