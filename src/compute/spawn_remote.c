/* SPDX-License-Identifier: Apache-2.0
 *
 * Spawns on other nodes. Who asks says its request again until it is answered, or its time is up;
 * who was asked remembers each request, refused ones included, for longer than that. A session that
 * ends in between loses nothing; a peer that starts again has lost its memory and is not asked
 * again. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/text.h>
#include <compute/spawn_codec.h>
#include <compute/spawn_remote.h>
#include <crypto/crypto.h>
#include <node/core.h>
#include <string.h>

/* A request of this node. */
typedef struct spawn_asked {
    rovei_list all;
    struct rovei_spawns *owner;
    rovei_timer timer; /* says it again; ends it */
    uint64_t pause, deadline;
    rove_entity peer;
    uint64_t incarnation; /* of the peer when it was asked */
    rovei_pipe pipe;
    rovei_spawn_message message;
} spawn_asked;

typedef struct served_key {
    rove_entity peer;
    uint64_t id;
} served_key;

/* A request that was made here. */
typedef struct spawn_served {
    served_key key; /* of the map */
    rovei_list all; /* while it is not answered */
    struct rovei_spawns *owner;
    rovei_timer timer; /* forgets it */
    uint64_t ticket;   /* of the effect; 0: answered */
    rove_err err;
    rove_entity daemon;
    uint64_t epoch;
} spawn_served;

/* What is kept for one peer. */
typedef struct spawn_share {
    rove_entity peer; /* key of the map */
    size_t under_way, remembered;
} spawn_share;

struct rovei_spawns {
    rovei_node *node;
    rovei_list asked, under_way;
    size_t asked_count, under_way_count;
    rovei_map served, shares;
};

_Static_assert(sizeof(served_key) == sizeof(rove_entity) + sizeof(uint64_t), "keys have no holes");

/* ---- life ---- */

rove_err rovei_spawns_new(struct rovei_spawns **ret, rovei_node *n)
{
    struct rovei_spawns *s = ROVEI_NEW(n->alloc, struct rovei_spawns);
    if (!s)
        return ROVE_E_NOMEM;
    uint64_t seed = rovei_rng_u64(&n->env->rng);
    s->node = n;
    rovei_list_init(&s->asked);
    rovei_list_init(&s->under_way);
    rovei_map_init_inside(&s->served, n->alloc, sizeof(served_key), offsetof(spawn_served, key),
                          seed);
    rovei_map_init_inside(&s->shares, n->alloc, sizeof(rove_entity), offsetof(spawn_share, peer),
                          seed);
    *ret = s;
    return ROVE_OK;
}

static void asked_free(spawn_asked *k)
{
    rovei_node *n = k->owner->node;
    k->owner->asked_count--;
    rovei_list_remove(&k->all);
    rovei_timers_release(&n->timers, &k->timer);
    rovei_wipe(&k->message, sizeof k->message);
    ROVEI_DELETE(n->alloc, k);
}

static void share_drop(struct rovei_spawns *s, spawn_share *share)
{
    if (share->under_way + share->remembered)
        return;
    rovei_map_remove(&s->shares, &share->peer);
    ROVEI_DELETE(s->node->alloc, share);
}

static void served_free(spawn_served *k)
{
    struct rovei_spawns *s = k->owner;
    spawn_share *share = rovei_map_get(&s->shares, &k->key.peer);
    if (k->ticket) {
        rovei_list_remove(&k->all);
        s->under_way_count--;
        share->under_way--;
    } else {
        share->remembered--;
    }
    share_drop(s, share);
    rovei_map_remove(&s->served, &k->key);
    rovei_timers_release(&s->node->timers, &k->timer);
    ROVEI_DELETE(s->node->alloc, k);
}

void rovei_spawns_free(struct rovei_spawns *s)
{
    if (!s)
        return;
    while (!rovei_list_empty(&s->asked))
        asked_free(ROVEI_CONTAINER(s->asked.next, spawn_asked, all));
    size_t it = 0;
    for (spawn_served *k; (k = rovei_map_next(&s->served, &it)); it = 0)
        served_free(k);
    rovei_map_fini(&s->served);
    rovei_map_fini(&s->shares);
    ROVEI_DELETE(s->node->alloc, s);
}

static rove_err say(rovei_node *n, rovei_pipe *pipe, const rove_entity *peer,
                    const rovei_spawn_message *m)
{
    uint8_t bytes[ROVEI_SPAWN_SIZE_MAX];
    rovei_writer w = rovei_writer_of(bytes, sizeof bytes);
    rovei_spawn_encode(&w, m);
    ROVEI_CHECK(w.err == ROVE_OK);
    return rovei_pipe_send(n, pipe, peer, ROVEI_TAG_SPAWN,
                           (rove_span){bytes, rovei_writer_size(&w)}, NULL);
}

/* ---- this node asks ---- */

static uint64_t incarnation_of(const rovei_node *n, const rove_entity *peer)
{
    rovei_peer_info info;
    return rovei_mesh_peer(n->mesh, peer, &info) == ROVE_OK ? info.incarnation : 0;
}

/* False: memory is out, and it goes on waiting. */
static bool tell(spawn_asked *k, rove_err err, const rovei_spawn_message *answer)
{
    rovei_note *note = rovei_node_note(k->owner->node, ROVEI_NOTE_SPAWNED_THERE);
    if (!note)
        return false;
    note->request = k->message.id;
    note->peer = k->peer;
    note->err = err;
    if (answer) {
        note->daemon = answer->daemon;
        note->value = answer->epoch;
    }
    asked_free(k);
    return true;
}

/* What has not come there yet is not to begin anything. */
static void give_up(spawn_asked *k, rovei_now now)
{
    rovei_node *n = k->owner->node;
    rovei_pipe_reset(n, &k->pipe);
    if (!tell(k, ROVE_E_SPAWN_UNKNOWN, NULL))
        rovei_timer_set(&n->timers, &k->timer, rovei_time_add(now.mono, ROVE_SECOND));
}

static void say_again(spawn_asked *k)
{
    if (!rovei_pipe_queued(k->owner->node, &k->pipe))
        (void)!say(k->owner->node, &k->pipe, &k->peer, &k->message); /* else it is said later */
}

static void asked_due(rovei_timer *timer, void *user, rovei_now now)
{
    spawn_asked *k = user;
    rovei_node *n = k->owner->node;
    if (now.mono >= k->deadline) {
        give_up(k, now);
        return;
    }
    say_again(k);
    if (k->pause < 8 * n->env->limits.spawn_repeat)
        k->pause *= 2;
    uint64_t at = rovei_time_add(now.mono, k->pause);
    rovei_timer_set(&n->timers, timer, rovei_time_min(at, k->deadline));
}

static rove_err may_ask(const rovei_node *n, const rovei_spawn_order *o)
{
    uint64_t most = n->env->limits.spawns_max, of_peer = 0;
    size_t size = strlen(o->kind);
    if (!size || size > ROVE_KIND_NAME_MAX)
        return ROVE_E_USAGE;
    if (o->channel && *o->channel && rovei_channel_name_check(rovei_span_of(o->channel)))
        return ROVE_E_USAGE;
    if (rovei_entity_equal(&o->peer, &n->self))
        return ROVE_E_SAME_NODE;
    if (rovei_entity_is_net(&o->peer) || !rovei_node_reaches(n, &o->peer))
        return ROVE_E_UNREACHABLE;
    ROVEI_LIST_EACH (it, next, &n->spawns->asked)
        of_peer += rovei_entity_equal(&ROVEI_CONTAINER(it, spawn_asked, all)->peer, &o->peer);
    return n->spawns->asked_count >= most || of_peer >= (most + 3) / 4 ? ROVE_E_FULL : ROVE_OK;
}

/* The envelope stands for this one request: it is bound to its number. */
static rove_err seal(const rovei_node *n, const rovei_spawn_order *o, rovei_spawn_message *m)
{
    uint8_t image[32];
    rovei_envelope envelope;
    rove_link link = {.origin = rovei_keypair_origin(o->key), .sequence = m->id};
    if (rovei_ed25519_image(image, &o->peer) ||
        rovei_envelope_seal(&envelope, n->env, o->key, image, &link))
        return ROVE_E_IDENTITY_TRANSPORT;
    rovei_envelope_encode(&envelope, m->identity);
    m->flags |= (uint8_t)(ROVEI_SPAWN_IDENTITY | (o->force ? ROVEI_SPAWN_FORCE : 0));
    return ROVE_OK;
}

static bool is_asked(const struct rovei_spawns *s, uint64_t id)
{
    ROVEI_LIST_EACH (it, next, &s->asked)
        if (ROVEI_CONTAINER(it, spawn_asked, all)->message.id == id)
            return true;
    return false;
}

static rove_err write_request(const rovei_node *n, const rovei_spawn_order *o,
                              rovei_spawn_message *ret)
{
    uint64_t id;
    do
        id = rovei_rng_u64(&n->env->rng);
    while (!id || is_asked(n->spawns, id));
    *ret = (rovei_spawn_message){.type = ROVEI_SPAWN_REQUEST, .id = id};
    memcpy(ret->kind, o->kind, strlen(o->kind));
    if (o->channel && *o->channel) {
        memcpy(ret->channel, o->channel, strlen(o->channel) + 1);
        ret->flags = ROVEI_SPAWN_CHANNEL;
    }
    return o->key ? seal(n, o, ret) : ROVE_OK;
}

rove_err rovei_node_spawn_there(rovei_node *n, rovei_now now, const rovei_spawn_order *o,
                                uint64_t *ret_request)
{
    struct rovei_spawns *s = n->spawns;
    rove_err err = may_ask(n, o);
    if (err)
        return err;
    spawn_asked *k = ROVEI_NEW(n->alloc, spawn_asked);
    if (!k)
        return ROVE_E_NOMEM;
    rovei_list_add_tail(&s->asked, &k->all);
    s->asked_count++;
    k->owner = s;
    k->peer = o->peer;
    k->incarnation = incarnation_of(n, &o->peer);
    k->pause = n->env->limits.spawn_repeat;
    k->deadline = rovei_time_add(now.mono, n->env->limits.spawn_wait);
    err = rovei_timers_reserve(&n->timers, &k->timer, asked_due, k);
    if (err == ROVE_OK)
        err = write_request(n, o, &k->message);
    if (err == ROVE_OK)
        err = say(n, &k->pipe, &k->peer, &k->message);
    if (err) {
        asked_free(k);
        return err;
    }
    rovei_timer_set(&n->timers, &k->timer,
                    rovei_time_min(rovei_time_add(now.mono, k->pause), k->deadline));
    *ret_request = k->message.id;
    return ROVE_OK;
}

void rovei_spawns_peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    uint64_t incarnation = incarnation_of(n, peer);
    ROVEI_LIST_EACH (it, next, &n->spawns->asked) {
        spawn_asked *k = ROVEI_CONTAINER(it, spawn_asked, all);
        if (!rovei_entity_equal(&k->peer, peer))
            continue;
        if (k->incarnation == incarnation)
            say_again(k);
        else
            give_up(k, now);
    }
}

static void answered(rovei_node *n, const rove_entity *from, const rovei_spawn_message *m)
{
    ROVEI_LIST_EACH (it, next, &n->spawns->asked) {
        spawn_asked *k = ROVEI_CONTAINER(it, spawn_asked, all);
        if (k->message.id != m->id || !rovei_entity_equal(&k->peer, from))
            continue;
        rovei_pipe pipe = k->pipe;
        if (tell(k, m->err, m))
            rovei_pipe_finish(n, &pipe);
        return;
    }
    n->stats.frames_refused++; /* nobody asked it that, or the time was up */
}

/* ---- another node asks ---- */

static void forget(rovei_timer *timer, void *user, rovei_now now)
{
    (void)timer;
    (void)now;
    served_free(user);
}

static void say_answer(rovei_node *n, const spawn_served *k)
{
    rovei_pipe pipe = {0};
    rovei_spawn_message m = {.type = ROVEI_SPAWN_ANSWER,
                             .id = k->key.id,
                             .err = k->err,
                             .daemon = k->daemon,
                             .epoch = k->epoch};
    if (say(n, &pipe, &k->key.peer, &m) == ROVE_OK) /* else it asks again */
        rovei_pipe_finish(n, &pipe);
}

static void conclude(spawn_served *k, rovei_now now, rove_err err, const rove_entity *daemon,
                     uint64_t epoch)
{
    struct rovei_spawns *s = k->owner;
    rovei_node *n = s->node;
    spawn_share *share = rovei_map_get(&s->shares, &k->key.peer);
    rovei_list_remove(&k->all);
    k->ticket = 0;
    s->under_way_count--;
    share->under_way--;
    share->remembered++;
    k->err = rove_err_class_of(err) == ROVE_CLASS_FATAL ? ROVE_E_INTERNAL : err;
    if (err == ROVE_OK) {
        k->daemon = *daemon;
        k->epoch = epoch;
        n->stats.spawns_served++;
    } else {
        n->stats.spawns_refused++;
    }
    rovei_timer_set(&n->timers, &k->timer, rovei_time_add(now.mono, n->env->limits.spawn_memory));
    say_answer(n, k);
}

void rovei_node_spawned_here(rovei_node *n, rovei_now now, uint64_t ticket, rove_err err,
                             const rove_entity *daemon, uint64_t epoch)
{
    ROVEI_LIST_EACH (it, next, &n->spawns->under_way) {
        spawn_served *k = ROVEI_CONTAINER(it, spawn_served, all);
        if (k->ticket == ticket) {
            conclude(k, now, err, daemon, epoch);
            return;
        }
    }
}

static spawn_share *share_of(struct rovei_spawns *s, const rove_entity *peer)
{
    spawn_share *share = rovei_map_get(&s->shares, peer);
    if (share)
        return share;
    share = ROVEI_NEW(s->node->alloc, spawn_share);
    if (!share)
        return NULL;
    share->peer = *peer;
    if (rovei_map_put(&s->shares, peer, share)) {
        ROVEI_DELETE(s->node->alloc, share);
        return NULL;
    }
    return share;
}

/* One place for the request, now and in memory; a quarter of all for one peer. */
static bool has_room(const struct rovei_spawns *s, const spawn_share *share)
{
    const rove_limits *l = &s->node->env->limits;
    return s->under_way_count < l->spawns_max && share->under_way < (l->spawns_max + 3) / 4 &&
           s->served.count < l->spawns_remembered &&
           share->under_way + share->remembered < (l->spawns_remembered + 3) / 4;
}

/* NULL: no room or memory; the request is dropped as if it was lost, and comes again. */
static spawn_served *served_new(struct rovei_spawns *s, const served_key *key)
{
    rovei_node *n = s->node;
    spawn_share *share = share_of(s, &key->peer);
    if (!share)
        return NULL;
    spawn_served *k = has_room(s, share) ? ROVEI_NEW(n->alloc, spawn_served) : NULL;
    if (!k) {
        share_drop(s, share);
        return NULL;
    }
    k->key = *key;
    if (rovei_timers_reserve(&n->timers, &k->timer, forget, k) ||
        rovei_map_put(&s->served, &k->key, k)) {
        rovei_timers_release(&n->timers, &k->timer);
        ROVEI_DELETE(n->alloc, k);
        share_drop(s, share);
        return NULL;
    }
    k->owner = s;
    k->ticket = rovei_node_number(n);
    rovei_list_add_tail(&s->under_way, &k->all);
    s->under_way_count++;
    share->under_way++;
    return k;
}

static rove_err open_identity(const rovei_node *n, const rovei_spawn_message *m,
                              rovei_keypair **ret)
{
    rovei_envelope envelope;
    uint8_t secret[32];
    if (!(m->flags & ROVEI_SPAWN_IDENTITY))
        return ROVE_OK;
    if (rovei_envelope_decode(&envelope, (rove_span){m->identity, sizeof m->identity}) ||
        rovei_keypair_x25519(n->identity, secret))
        return ROVE_E_IDENTITY_TRANSPORT;
    rove_link link = {.origin = rovei_entity_origin(&envelope.signer), .sequence = m->id};
    rove_err err = rovei_envelope_open(ret, n->env, &envelope, secret, &link, &envelope.signer);
    rovei_wipe(secret, sizeof secret);
    return err == ROVE_OK || err == ROVE_E_NOMEM ? err : ROVE_E_IDENTITY_TRANSPORT;
}

/* False: memory is out. */
static bool emit(rovei_node *n, const spawn_served *k, const rovei_spawn_message *m,
                 rovei_keypair *key)
{
    rove_buf *kind = rovei_buf_copy(n->alloc, m->kind, strlen(m->kind));
    size_t size = strlen(m->channel);
    rove_buf *channel = size ? rovei_buf_copy(n->alloc, m->channel, size) : NULL;
    rovei_effect *e = kind && (channel || !size) ? rovei_node_effect(n, ROVEI_EFFECT_SPAWN) : NULL;
    if (!e) {
        rove_buf_unref(kind);
        rove_buf_unref(channel);
        return false;
    }
    e->ticket = k->ticket;
    e->question = ROVEI_ASK_PLACE;
    e->peer = k->key.peer;
    e->daemon_kind = kind;
    e->owner = channel;
    e->force = m->flags & ROVEI_SPAWN_FORCE;
    if (key) {
        e->daemon = *rovei_keypair_entity(key);
        e->key = rovei_keypair_ref(key);
    }
    return true;
}

static void request(rovei_node *n, rovei_now now, const rove_entity *from,
                    const rovei_spawn_message *m)
{
    struct rovei_spawns *s = n->spawns;
    served_key key = {*from, m->id};
    spawn_served *k = rovei_map_get(&s->served, &key);
    rovei_keypair *identity = NULL;
    if (k) {
        n->stats.spawns_repeated++;
        if (!k->ticket)
            say_answer(n, k);
        return;
    }
    k = served_new(s, &key);
    if (!k) {
        n->stats.spawns_dropped++;
        return;
    }
    rove_err err = open_identity(n, m, &identity);
    if (err == ROVE_E_NOMEM || (err == ROVE_OK && !emit(n, k, m, identity))) {
        n->stats.spawns_dropped++;
        served_free(k);
    } else if (err) {
        conclude(k, now, err, NULL, 0);
    }
    rovei_keypair_unref(identity);
}

void rovei_spawns_receive(rovei_node *n, rovei_now now, const rove_entity *from, rove_buf *message)
{
    rovei_spawn_message m;
    if (rovei_entity_is_net(from) || rovei_spawn_decode(&m, rove_buf_span(message))) {
        n->stats.frames_malformed++;
        return;
    }
    if (m.type == ROVEI_SPAWN_REQUEST)
        request(n, now, from, &m);
    else
        answered(n, from, &m);
}

/* ---- invariants ---- */

void rovei_spawns_check(const rovei_node *n)
{
    const struct rovei_spawns *s = n->spawns;
    size_t asked = 0, under_way = 0, shares = 0, it = 0;
    ROVEI_LIST_EACH (at, next, &s->asked) {
        ROVEI_CHECK(rovei_timer_is_set(&ROVEI_CONTAINER(at, spawn_asked, all)->timer));
        asked++;
    }
    ROVEI_LIST_EACH (at, next, &s->under_way) {
        ROVEI_CHECK(ROVEI_CONTAINER(at, spawn_served, all)->ticket);
        under_way++;
    }
    for (const spawn_share *share; (share = rovei_map_next(&s->shares, &it));)
        shares += share->under_way + share->remembered;
    ROVEI_CHECK(asked == s->asked_count && asked <= n->env->limits.spawns_max);
    ROVEI_CHECK(under_way == s->under_way_count && under_way <= n->env->limits.spawns_max);
    ROVEI_CHECK(shares == s->served.count);
}
