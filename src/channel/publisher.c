/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher's half as a whole: its channels and the nodes that asked for them, from the
 * beginning to the end of each, and what time does to them. */
#include <base/alloc.h>
#include <base/check.h>
#include <channel/inside.h>
#include <string.h>

#define SWEEP_LEAST ROVE_MILLISECOND
#define SWEEP_OFF   (31536000 * ROVE_SECOND)

/* ---- life ---- */

static void set_sweep(struct rovei_channels *c, uint64_t now)
{
    uint64_t every = c->node->env->limits.token_sweep_interval;
    if (every < SWEEP_OFF)
        rovei_timer_set(&c->node->timers, &c->sweep,
                        rovei_time_add(now, every > SWEEP_LEAST ? every : SWEEP_LEAST));
}

/* Judges the members of one channel; those that do not hold any more go. */
static void judge_channel(struct rovei_channels *c, rovei_now now, rovei_channel *ch, bool full)
{
    c->pass++;
    const rovei_channel_config *config = rovei_gates_config(c, rovei_channel_name_of(ch));
    size_t it = 0;
    for (rovei_seat *s; (s = rovei_roster_next(&ch->roster, &it));) {
        rovei_member *m = (rovei_member *)(void *)s;
        if (m->pass == c->pass)
            continue;
        m->pass = c->pass;
        if (rovei_gates_hold(c, now, config, m, full))
            continue;
        c->stats.evicted++;
        rovei_member_remove(c, now, m, ROVEI_ENDED_UNAUTHORIZED);
        it = 0; /* the table has changed: from its beginning, past those who were judged */
    }
}

static void judge_all(struct rovei_channels *c, rovei_now now, bool full)
{
    ROVEI_LIST_EACH (at, after, &c->all) {
        judge_channel(c, now, ROVEI_CONTAINER(at, rovei_channel, all), full);
    }
}

static void on_sweep(rovei_timer *t, void *user, rovei_now now)
{
    struct rovei_channels *c = user;
    (void)t;
    bool gated = false;
    size_t it = 0;
    for (const rovei_channel_config *f;
         !gated && (f = rovei_channel_registry_next(c->registry, &it));)
        gated = rovei_channel_token_required(f);
    if (gated)
        judge_all(c, now, true);
    rovei_guard_rebuild(&c->guard);
    set_sweep(c, now.mono);
}

static void on_retry(rovei_timer *t, void *user, rovei_now now)
{
    (void)t;
    (void)user;
    (void)now; /* the turn after it finds the legs, and the ends, that wait */
}

/* ---- peers ---- */

static void drop_members(struct rovei_channels *c, rovei_now now, rovei_channel_peer *p)
{
    while (!rovei_list_empty(&p->members)) {
        c->stats.evicted++;
        rovei_member_remove(c, now, ROVEI_CONTAINER(p->members.next, rovei_member, of_peer), 0);
    }
}

static void peer_free(struct rovei_channels *c, rovei_channel_peer *p)
{
    rovei_ends_forget(c, p, 0);
    rovei_map_remove(&c->peers, &p->node_id);
    rovei_pipe_finish(c->node, &p->pipe);
    ROVEI_DELETE(c->node->alloc, p);
}

/* Those that were lost for too long, and those of whom nothing is worth remembering. */
static void on_lost(rovei_timer *t, void *user, rovei_now now)
{
    struct rovei_channels *c = user;
    const rove_limits *l = &c->node->env->limits;
    size_t it = 0;
    for (rovei_channel_peer *p; (p = rovei_map_next(&c->peers, &it));) {
        if (p->lost_at && now.mono >= rovei_time_add(p->lost_at, l->channel_keep))
            drop_members(c, now, p);
        if (!p->count && rovei_throttle_idle(&p->throttle, l, now.mono)) {
            peer_free(c, p);
            it = 0;
        }
    }
    ROVEI_LIST_EACH (at, after, &c->all) {
        rovei_channel_check_room(c, now, ROVEI_CONTAINER(at, rovei_channel, all));
    }
    rovei_timer_set(&c->node->timers, t, rovei_time_add(now.mono, l->channel_keep / 4 + 1));
}

rovei_channel_peer *rovei_channel_peer_of(struct rovei_channels *c, const rove_entity *entity,
                                          bool make)
{
    uint64_t id = rovei_entity_node_id(entity);
    rovei_channel_peer *p = rovei_map_get(&c->peers, &id);
    /* The classes share their ids: one node may come in either, and has its subscriptions in one.
     */
    if (p && !rovei_entity_equal(&p->entity, entity)) {
        if (p->count || !make)
            return NULL;
        p->entity = *entity;
        p->pipe = (rovei_pipe){0};
        p->lost_at = 0;
    }
    if (p || !make || c->peers.count >= 2 * c->node->env->limits.peers_max)
        return p;
    p = ROVEI_NEW(c->node->alloc, rovei_channel_peer);
    if (!p)
        return NULL;
    p->node_id = id;
    p->entity = *entity;
    rovei_list_init(&p->members);
    if (rovei_map_put(&c->peers, &id, p)) {
        ROVEI_DELETE(c->node->alloc, p);
        return NULL;
    }
    return p;
}

void rovei_channels_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_channels *c = n->channels;
    rovei_channel_peer *p = rovei_channel_peer_of(c, peer, false);
    if (!p || rovei_entity_is_net(peer))
        return;
    p->lost_at = 0;
    /* What was under way in the former association may be lost: once more behind what was taken. */
    ROVEI_LIST_EACH (at, after, &p->members) {
        rovei_member *m = ROVEI_CONTAINER(at, rovei_member, of_peer);
        if (m->next > m->took + 1)
            c->stats.resent += m->next - m->took - 1;
        rovei_leg_begin(c, now, m, m->took + 1);
    }
}

void rovei_channels_peer_gone(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    struct rovei_channels *c = n->channels;
    rovei_channel_peer *p = rovei_channel_peer_of(c, peer, false);
    if (!p)
        return;
    if (rovei_entity_is_net(peer)) {
        drop_members(c, now, p); /* the verdict has taken its time already */
    } else if (!p->lost_at) {
        p->lost_at = now.mono ? now.mono : 1;
    }
}

void rovei_channels_peer_failed(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    rovei_channels_peer_gone(n, now, peer);
}

/* ---- channels ---- */

rovei_channel *rovei_channel_find(const struct rovei_channels *c, rove_span name)
{
    uint64_t hash = rovei_channel_hash(name);
    rovei_channel *ch = rovei_map_get(&c->channels, &hash);
    while (ch && (ch->size != name.size || memcmp(ch->name, name.data, name.size) != 0))
        ch = ch->same;
    return ch;
}

static bool is_exact(const struct rovei_channels *c, const rovei_channel *ch)
{
    const rovei_channel_config *config = rovei_gates_config(c, rovei_channel_name_of(ch));
    return config && !config->prefix;
}

static void channel_free(struct rovei_channels *c, rovei_now now, rovei_channel *ch)
{
    size_t seat = 0;
    for (rovei_seat *s; (s = rovei_roster_next(&ch->roster, &seat)); seat = 0)
        rovei_member_remove(c, now, (rovei_member *)(void *)s, ROVEI_ENDED_REMOVED);
    rovei_channel *head = rovei_map_get(&c->channels, &ch->hash);
    if (head == ch) {
        /* Replacing a value needs no memory, so it cannot fail. */
        if (ch->same)
            (void)!rovei_map_put(&c->channels, &ch->hash, ch->same);
        else
            rovei_map_remove(&c->channels, &ch->hash);
    } else {
        while (head->same != ch)
            head = head->same;
        head->same = ch->same;
    }
    rovei_list_remove(&ch->all);
    c->count--;
    c->bytes -= ch->history.bytes;
    rovei_history_fini(&ch->history);
    rovei_roster_fini(&ch->roster);
    rove_buf_unref(ch->run);
    ROVEI_DELETE(c->node->alloc, ch);
}

/* The oldest one that a prefix led to and that nobody is subscribed to. */
static bool make_way(struct rovei_channels *c)
{
    ROVEI_LIST_EACH (at, after, &c->all) {
        rovei_channel *ch = ROVEI_CONTAINER(at, rovei_channel, all);
        if (rovei_roster_count(&ch->roster) || is_exact(c, ch))
            continue;
        channel_free(c, (rovei_now){0}, ch);
        return true;
    }
    return false;
}

rove_err rovei_channel_make(struct rovei_channels *c, rove_span name, rovei_channel **ret)
{
    rovei_channel *ch = rovei_channel_find(c, name);
    if (ch) {
        *ret = ch;
        return ROVE_OK;
    }
    if (c->count >= c->node->env->limits.channels_max && !make_way(c))
        return ROVE_E_CHANNELS_FULL;
    ch = ROVEI_NEW(c->node->alloc, rovei_channel);
    if (!ch)
        return ROVE_E_NOMEM;
    ch->hash = rovei_channel_hash(name);
    ch->same = rovei_map_get(&c->channels, &ch->hash);
    if (rovei_map_put(&c->channels, &ch->hash, ch)) {
        ROVEI_DELETE(c->node->alloc, ch);
        return ROVE_E_NOMEM;
    }
    do
        ch->incarnation = rovei_rng_u64(&c->node->env->rng);
    while (!ch->incarnation);
    ch->size = name.size;
    memcpy(ch->name, name.data, name.size);
    rovei_roster_init(&ch->roster, c->node->env);
    rovei_history_init(&ch->history, c->node->alloc);
    rovei_list_add_tail(&c->all, &ch->all);
    c->count++;
    *ret = ch;
    return ROVE_OK;
}

void rovei_member_remove(struct rovei_channels *c, rovei_now now, rovei_member *m, unsigned tell)
{
    rovei_channel *ch = m->channel;
    rovei_guard_revoke(&c->guard, (rovei_principal){ROVEI_PRINCIPAL_NODE, m->seat.node_id},
                       rovei_channel_name_of(ch));
    rovei_roster_remove(&ch->roster, &m->seat);
    rovei_list_remove(&m->of_peer);
    rovei_list_remove(&m->busy);
    m->peer->count--;
    c->stats.members--;
    rovei_queue_fini(&m->runs);
    rovei_queue_fini(&m->flights);
    if (m->chain)
        ROVEI_DELETE(c->node->alloc, m->chain);
    rovei_ends_say(c, m, tell);
    rovei_channel_check_room(c, now, ch);
}

/* ---- commands ---- */

rove_err rovei_channels_new(struct rovei_channels **ret, rovei_node *n)
{
    const rovei_env *env = n->env;
    struct rovei_channels *c = ROVEI_NEW(n->alloc, struct rovei_channels);
    if (!c)
        return ROVE_E_NOMEM;
    c->node = n;
    rovei_guard_init(&c->guard, env);
    rovei_map_init(&c->channels, n->alloc, sizeof(uint64_t), rovei_rng_u64(&env->rng));
    rovei_map_init(&c->peers, n->alloc, sizeof(uint64_t), rovei_rng_u64(&env->rng));
    rovei_list_init(&c->all);
    rovei_list_init(&c->busy);
    rovei_list_init(&c->ends);
    rove_err err = rovei_channel_registry_new(&c->registry, env, env->limits.channels_max);
    if (!err)
        err = rovei_timers_reserve(&n->timers, &c->sweep, on_sweep, c);
    if (!err)
        err = rovei_timers_reserve(&n->timers, &c->lost, on_lost, c);
    if (!err)
        err = rovei_timers_reserve(&n->timers, &c->retry, on_retry, c);
    if (err) {
        rovei_channels_free(c);
        return err;
    }
    *ret = c;
    return ROVE_OK;
}

void rovei_channels_free(struct rovei_channels *c)
{
    if (!c)
        return;
    size_t it = 0;
    for (rovei_channel_peer *p; (p = rovei_map_next(&c->peers, &it)); it = 0) {
        /* Nobody is told: a node that ends says goodbye to its peers anyway. */
        drop_members(c, (rovei_now){0}, p);
        peer_free(c, p);
    }
    ROVEI_LIST_EACH (at, after, &c->all) {
        channel_free(c, (rovei_now){0}, ROVEI_CONTAINER(at, rovei_channel, all));
    }
    rovei_timers_release(&c->node->timers, &c->sweep);
    rovei_timers_release(&c->node->timers, &c->lost);
    rovei_timers_release(&c->node->timers, &c->retry);
    rovei_map_fini(&c->channels);
    rovei_map_fini(&c->peers);
    rovei_guard_fini(&c->guard);
    rovei_channel_registry_free(c->registry);
    rovei_free(c->node->alloc, (void *)c->picked, c->picked_room * sizeof *c->picked);
    ROVEI_DELETE(c->node->alloc, c);
}

/* The configuration of this name or prefix has changed: whoever it may decide about is judged. */
static void judge_under(struct rovei_channels *c, rovei_now now, rove_span name, bool prefix)
{
    c->judgement++;
    ROVEI_LIST_EACH (at, after, &c->all) {
        rovei_channel *ch = ROVEI_CONTAINER(at, rovei_channel, all);
        if ((prefix ? ch->size >= name.size : ch->size == name.size) &&
            memcmp(ch->name, name.data, name.size) == 0)
            judge_channel(c, now, ch, true);
    }
}

rove_err rovei_channels_create(rovei_node *n, rovei_now now, const rovei_channel_config *config,
                               bool if_absent)
{
    struct rovei_channels *c = n->channels;
    rove_err err = rovei_channel_registry_put(c->registry, config, if_absent);
    if (err)
        return err;
    rovei_channel *ch;
    err = config->prefix ? ROVE_OK : rovei_channel_make(c, config->name, &ch);
    if (err) { /* it was not there before: else its channel would be */
        (void)!rovei_channel_registry_remove(c->registry, config->name, config->prefix);
        return err;
    }
    judge_under(c, now, config->name, config->prefix);
    return ROVE_OK;
}

rove_err rovei_channels_remove(rovei_node *n, rovei_now now, rove_span name, bool prefix)
{
    struct rovei_channels *c = n->channels;
    char copy[ROVEI_CHANNEL_NAME_MAX]; /* the caller's may be the one that goes */
    if (!name.size || name.size > sizeof copy)
        return ROVE_E_NOT_FOUND;
    memcpy(copy, name.data, name.size);
    name.data = copy;
    rove_err err = rovei_channel_registry_remove(c->registry, name, prefix);
    if (err)
        return err;
    ROVEI_LIST_EACH (at, after, &c->all) {
        rovei_channel *ch = ROVEI_CONTAINER(at, rovei_channel, all);
        bool same = !prefix && ch->size == name.size && !memcmp(ch->name, name.data, name.size);
        if (same || (!rovei_gates_config(c, rovei_channel_name_of(ch)) && !c->options.open))
            channel_free(c, now, ch);
    }
    judge_under(c, now, name, prefix);
    return ROVE_OK;
}

void rovei_channels_set_options(rovei_node *n, rovei_now now, const rovei_channels_options *o)
{
    n->channels->options = *o;
    rovei_channels_judge(n, now);
}

void rovei_channels_judge(rovei_node *n, rovei_now now)
{
    struct rovei_channels *c = n->channels;
    c->judgement++;
    judge_all(c, now, true);
}

/* ---- looking ---- */

static void describe(const struct rovei_channels *c, const rovei_channel *ch,
                     rovei_channel_info *ret)
{
    *ret = (rovei_channel_info){.config = rovei_gates_config(c, rovei_channel_name_of(ch)),
                                .name = rovei_channel_name_of(ch),
                                .hash = ch->hash,
                                .incarnation = ch->incarnation,
                                .first = ch->history.first,
                                .next = rovei_history_next(&ch->history),
                                .bytes = ch->history.bytes,
                                .published = ch->published,
                                .members = rovei_roster_count(&ch->roster),
                                .groups = ch->roster.group_count};
}

bool rovei_channels_next(const rovei_node *n, size_t *it, rovei_channel_info *ret)
{
    const struct rovei_channels *c = n->channels;
    const rovei_channel_config *config;
    /* Exact names first, each with its channel; then channels that a prefix led to; last the
     * prefixes themselves. Both walks go by position, so nothing is kept between two calls. */
    size_t at = *it;
    size_t position = 0;
    ROVEI_LIST_EACH (l, next, &c->all) {
        if (position++ < at)
            continue;
        describe(c, ROVEI_CONTAINER(l, rovei_channel, all), ret);
        *it = at + 1;
        return true;
    }
    for (size_t place = at - c->count; (config = rovei_channel_registry_next(c->registry, &place));)
        if (config->prefix) {
            *ret = (rovei_channel_info){.config = config, .name = config->name, .prefix = true};
            *it = c->count + place;
            return true;
        }
    return false;
}

rove_err rovei_channels_get(const rovei_node *n, rove_span name, rovei_channel_info *ret)
{
    const rovei_channel *ch = rovei_channel_find(n->channels, name);
    if (!ch)
        return ROVE_E_NOT_FOUND;
    describe(n->channels, ch, ret);
    return ROVE_OK;
}

bool rovei_channels_member_next(const rovei_node *n, rove_span name, size_t *it,
                                rovei_member_info *ret)
{
    const rovei_channel *ch = rovei_channel_find(n->channels, name);
    const rovei_member *m =
        ch ? (const rovei_member *)(const void *)rovei_roster_next(&ch->roster, it) : NULL;
    if (!m)
        return false;
    *ret = (rovei_member_info){.node_id = m->seat.node_id,
                               .peer = m->peer->entity,
                               .gated = m->chain != NULL,
                               .took = m->took,
                               .next = m->next,
                               .gaps = m->gaps};
    if (m->seat.group)
        ret->group = (rove_span){m->seat.group->name, m->seat.group->size};
    return true;
}

/* ---- the node's turn ---- */

void rovei_channels_net_room(rovei_node *n, rovei_now now)
{
    struct rovei_channels *c = n->channels;
    ROVEI_LIST_EACH (at, next, &c->all)
        rovei_channel_check_room(c, now, ROVEI_CONTAINER(at, rovei_channel, all));
}

void rovei_channels_turn(rovei_node *n, rovei_now now)
{
    struct rovei_channels *c = n->channels;
    if (c->count && !rovei_timer_is_set(&c->sweep))
        set_sweep(c, now.mono);
    if ((c->count || c->peers.count) && !rovei_timer_is_set(&c->lost))
        rovei_timer_set(&n->timers, &c->lost,
                        rovei_time_add(now.mono, n->env->limits.channel_keep / 4 + 1));
    if (!rovei_list_empty(&c->busy) || !rovei_list_empty(&c->ends))
        rovei_legs_turn(c, now);
}

rovei_channels_stats rovei_channels_stats_get(const rovei_node *n)
{
    rovei_channels_stats s = n->channels->stats;
    s.channels = n->channels->count;
    s.history_bytes = n->channels->bytes;
    return s;
}

void rovei_channels_check(const rovei_node *n)
{
    const struct rovei_channels *c = n->channels;
    uint64_t bytes = 0, members = 0, of_peers = 0;
    size_t count = 0;
    ROVEI_LIST_EACH (at, after, &c->all) {
        const rovei_channel *ch = ROVEI_CONTAINER(at, const rovei_channel, all);
        bytes += ch->history.bytes;
        members += rovei_roster_count(&ch->roster);
        count++;
        size_t it = 0;
        for (rovei_seat *s; (s = rovei_roster_next(&ch->roster, &it));) {
            const rovei_member *m = (const rovei_member *)(const void *)s;
            ROVEI_CHECK(m->channel == ch && m->seat.node_id == m->peer->node_id);
            ROVEI_CHECK(!rovei_member_is_leg(m) ||
                        (m->took < m->next && m->next <= rovei_history_next(&ch->history)));
        }
    }
    size_t it = 0;
    for (const rovei_channel_peer *p; (p = rovei_map_next(&c->peers, &it));)
        of_peers += p->count;
    ROVEI_CHECK(bytes == c->bytes && members == c->stats.members && members == of_peers);
    ROVEI_CHECK(count == c->count && c->guard.pairs.count == members);
}
