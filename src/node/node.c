/* SPDX-License-Identifier: Apache-2.0
 *
 * The composition: one node's mesh, locations, lanes and moves, and the dispatch between them. It
 * holds no rule of its own but this: what came is handled in the order in which it came, and
 * everything that follows from a turn has left (as effects, notes and queued messages) when the
 * turn ends. */
#include <base/alloc.h>
#include <base/check.h>
#include <channel/channel_codec.h>
#include <channel/publisher.h>
#include <compute/spawn_remote.h>
#include <crypto/crypto.h>
#include <durable/journal.h>
#include <mesh/packet.h>
#include <node/announce.h>
#include <node/core.h>
#include <node/node_test.h>
#include <node/peers.h>
#include <string.h>

/* Rounds of messages to itself within one turn; the rest waits for the next, so that the socket is
 * served in between. */
#define LOOPBACK_ROUNDS 8

/* ---- life ---- */

static void node_init(rovei_node *n, const rovei_node_config *cfg)
{
    const rovei_env *env = cfg->env;
    uint64_t seed = rovei_rng_u64(&env->rng);
    n->env = env;
    n->alloc = &env->alloc;
    n->identity = rovei_keypair_ref(cfg->identity);
    n->self = *rovei_keypair_entity(cfg->identity);
    n->incarnation = cfg->incarnation;
    n->ask_policy = cfg->ask_policy;
    rovei_node_set_addrs(n, cfg->addrs, cfg->addr_count);
    rovei_timers_init(&n->timers, n->alloc);
    rovei_map_init(&n->associations, n->alloc, sizeof(rove_entity), seed);
    rovei_map_init_inside(&n->daemons, n->alloc, sizeof(rove_entity),
                          offsetof(rovei_daemon, entity), seed);
    rovei_map_init(&n->cells, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&n->origins, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&n->senders, n->alloc, sizeof(uint64_t), seed);
    rovei_map_init(&n->questions, n->alloc, sizeof(uint64_t), seed);
    rovei_queue_init(&n->loopback, n->alloc, sizeof(rovei_loopback));
    rovei_queue_init(&n->effects, n->alloc, sizeof(rovei_effect));
    rovei_queue_init(&n->notes, n->alloc, sizeof(rovei_note));
    rovei_tokens_init(&n->tokens, env);
    rovei_list_init(&n->busy_lanes);
    rovei_list_init(&n->busy_senders);
}

static rove_err make_net(rovei_node *n, const rovei_node_config *cfg, rovei_now now)
{
    rovei_net_config net = {.env = cfg->env, .identity = cfg->identity};
    memcpy(net.psk, cfg->psk, sizeof net.psk);
    rove_err err = rovei_net_new(&n->net, &net, now);
    rovei_wipe(net.psk, sizeof net.psk);
    return err;
}

rove_err rovei_node_new(rovei_node **ret, const rovei_node_config *cfg, rovei_now now)
{
    rovei_node *n = ROVEI_NEW(&cfg->env->alloc, rovei_node);
    if (!n)
        return ROVE_E_NOMEM;
    node_init(n, cfg);
    rovei_mesh_config mesh = {.env = cfg->env,
                              .identity = cfg->identity,
                              .incarnation = cfg->incarnation,
                              .handshake_time = cfg->handshake_time};
    memcpy(mesh.psk, cfg->psk, sizeof mesh.psk);
    rove_err err = rovei_mesh_new(&n->mesh, &mesh, now);
    rovei_wipe(mesh.psk, sizeof mesh.psk);
    if (!err && cfg->journal)
        err = rovei_journal_new(&n->journal, n);
    if (!err && cfg->net)
        err = make_net(n, cfg, now);
    if (!err)
        err = rovei_index_new(&n->index, n->env);
    if (!err)
        err = rovei_locations_new(&n->locations, n);
    if (!err)
        err = rovei_feeds_new(&n->feeds, n);
    if (!err)
        err = rovei_moves_new(&n->moves, n);
    if (!err)
        err = rovei_net_moves_new(&n->net_moves, n);
    if (!err)
        err = rovei_channels_new(&n->channels, n);
    if (!err)
        err = rovei_announcer_new(&n->announcer, n, now);
    if (!err)
        err = rovei_spawns_new(&n->spawns, n);
    if (err) {
        rovei_node_free(n);
        return err;
    }
    *ret = n;
    return ROVE_OK;
}

static void free_associations(rovei_node *n)
{
    size_t it = 0;
    for (rovei_peer_entry *e; (e = rovei_map_next(&n->associations, &it));)
        ROVEI_DELETE(n->alloc, e);
    rovei_map_fini(&n->associations);
}

static void drain_queues(rovei_node *n)
{
    rovei_effect e;
    while (rovei_queue_pop(&n->effects, &e))
        rovei_effect_fini(&e);
    rovei_note note;
    while (rovei_queue_pop(&n->notes, &note))
        rovei_note_fini(&note);
    rovei_loopback item;
    while (rovei_queue_pop(&n->loopback, &item))
        rove_buf_unref(item.message);
    rovei_queue_fini(&n->effects);
    rovei_queue_fini(&n->notes);
    rovei_queue_fini(&n->loopback);
}

void rovei_node_free(rovei_node *n)
{
    if (!n)
        return;
    rovei_senders_free_all(n);
    size_t it = 0;
    for (rovei_daemon *d; (d = rovei_map_next(&n->daemons, &it)); it = 0)
        rovei_daemon_remove(n, d, ROVE_E_SHUTTING_DOWN);
    rovei_feeds_free(n->feeds);
    rovei_moves_free(n->moves);
    rovei_net_moves_free(n->net_moves);
    rovei_channels_free(n->channels);
    rovei_announcer_free(n->announcer);
    rovei_spawns_free(n->spawns);
    rovei_locations_free(n->locations);
    rovei_index_free(n->index);
    rovei_mesh_free(n->mesh);
    rovei_net_free(n->net);
    rovei_journal_free(n->journal);
    drain_queues(n);
    free_associations(n);
    rovei_questions_free(n);
    rovei_map_fini(&n->daemons);
    rovei_map_fini(&n->cells);
    rovei_map_fini(&n->origins);
    rovei_map_fini(&n->senders);
    rovei_tokens_fini(&n->tokens);
    rovei_timers_fini(&n->timers);
    rovei_keypair_unref(n->identity);
    ROVEI_DELETE(n->alloc, n);
}

rovei_tokens *rovei_node_tokens(rovei_node *n)
{
    return &n->tokens;
}

const rove_entity *rovei_node_entity(const rovei_node *n)
{
    return &n->self;
}

rovei_journal *rovei_node_journal(const rovei_node *n)
{
    return n->journal;
}

rovei_mesh *rovei_node_mesh(rovei_node *n)
{
    return n->mesh;
}

void rovei_node_set_addrs(rovei_node *n, const rovei_addr *addrs, size_t count)
{
    n->addr_count = count < ROVEI_RECORD_ADDRS ? count : ROVEI_RECORD_ADDRS;
    if (n->addr_count)
        memcpy(n->addrs, addrs, n->addr_count * sizeof *addrs);
}

/* ---- data path ---- */

bool rovei_node_receive(rovei_node *n, rovei_now now, const rovei_addr *from, uint8_t *dgram,
                        size_t size)
{
    if (n->net && !rovei_packet_is(dgram, size))
        return rovei_net_receive(n->net, now, from, dgram, size);
    return rovei_mesh_receive(n->mesh, now, from, dgram, size);
}

size_t rovei_node_transmit(rovei_node *n, rovei_now now, uint8_t *ret, size_t room,
                           rovei_addr *ret_to)
{
    size_t size = rovei_mesh_transmit(n->mesh, now, ret, room, ret_to);
    if (!size && n->net)
        size = rovei_net_transmit(n->net, now, ret, room, ret_to);
    return size;
}

uint64_t rovei_node_deadline(const rovei_node *n)
{
    if (n->loopback.count || n->feeds_room)
        return 0;
    uint64_t at = rovei_time_min(rovei_timers_deadline(&n->timers), rovei_mesh_deadline(n->mesh));
    at = rovei_time_min(at, rovei_index_deadline(n->index));
    at = rovei_time_min(at, rovei_announcer_deadline(n));
    return n->net ? rovei_time_min(at, rovei_net_deadline(n->net)) : at;
}

void rovei_node_expire(rovei_node *n, rovei_now now)
{
    rovei_mesh_expire(n->mesh, now);
    if (n->net)
        rovei_net_expire(n->net, now);
    rovei_timers_expire(&n->timers, now);
    rovei_index_expire(n->index, now);
    rovei_announcer_expire(n, now);
}

/* ---- what came ---- */

static void dispatch(rovei_node *n, rovei_now now, const rove_entity *from, const rovei_pipe *via,
                     uint16_t tag, rove_buf *message)
{
    switch (tag) {
    case ROVEI_TAG_LANE:
    case ROVEI_TAG_OUTCOME:
        rovei_lanes_receive(n, now, from, tag, message);
        break;
    case ROVEI_TAG_MOVE:
        rovei_moves_receive(n, now, from, via, message);
        break;
    case ROVEI_TAG_CAPABILITY:
        rovei_announcer_receive(n, now, from, message);
        break;
    case ROVEI_TAG_SPAWN:
        rovei_spawns_receive(n, now, from, message);
        break;
    case ROVEI_TAG_LOCATE:
        rovei_location_receive(n, now, from, message);
        break;
    case ROVEI_TAG_CHANNEL:
        if (rovei_channel_is_to_publisher(rove_buf_span(message)))
            rovei_channels_receive(n, now, from, message);
        else
            rovei_feeds_receive(n, now, from, message);
        break;
    default:
        rovei_mesh_drop_message(n->mesh);
        break;
    }
}

static rovei_peer_entry *peer_entry(rovei_node *n, const rove_entity *peer)
{
    rovei_peer_entry *p = rovei_map_get(&n->associations, peer->bytes);
    if (p)
        return p;
    p = ROVEI_NEW(n->alloc, rovei_peer_entry);
    if (!p)
        return NULL;
    p->peer = *peer;
    if (rovei_map_put(&n->associations, peer->bytes, p)) {
        ROVEI_DELETE(n->alloc, p);
        return NULL;
    }
    return p;
}

static void peer_up(rovei_node *n, rovei_now now, const rove_entity *peer)
{
    rovei_location_peer_up(n, now, peer);
    rovei_moves_peer_up(n, now, peer);
    rovei_lanes_peer_up(n, now, peer);
    rovei_channels_peer_up(n, now, peer);
    rovei_feeds_peer_up(n, now, peer);
    rovei_announcer_peer_up(n, now, peer);
    rovei_spawns_peer_up(n, now, peer);
}

static void peer_gone(rovei_node *n, rovei_now now, const rovei_mesh_event *e)
{
    rovei_peer_entry *p = rovei_map_get(&n->associations, e->peer.bytes);
    if (!p || p->association != e->association)
        return;
    rovei_map_remove(&n->associations, e->peer.bytes);
    ROVEI_DELETE(n->alloc, p);
    rovei_moves_peer_gone(n, now, &e->peer);
    rovei_lanes_peer_gone(n, now, &e->peer);
    rovei_channels_peer_gone(n, now, &e->peer);
    rovei_feeds_peer_gone(n, now, &e->peer);
    rovei_announcer_peer_gone(n, now, &e->peer);
}

static void peer_state(rovei_node *n, rovei_now now, const rovei_mesh_event *e)
{
    rovei_peer_entry *p = e->kind == ROVEI_MESH_UP ? peer_entry(n, &e->peer)
                                                   : rovei_map_get(&n->associations, e->peer.bytes);
    n->peer_missed |= !p && e->kind == ROVEI_MESH_UP;
    if (!p)
        return;
    if (e->kind == ROVEI_MESH_UP) {
        p->association = e->association;
        p->failed = false;
        if (n->net)
            rovei_net_fence(n->net, now, rovei_entity_node_id(&e->peer));
        peer_up(n, now, &e->peer);
    } else if (e->kind == ROVEI_MESH_ALIVE) {
        bool was = p->failed;
        p->failed = false;
        if (was)
            peer_up(n, now, &e->peer);
    } else if (e->kind == ROVEI_MESH_FAILED) {
        p->failed = true;
        rovei_moves_peer_failed(n, now, &e->peer);
        rovei_lanes_peer_failed(n, now, &e->peer);
        rovei_channels_peer_failed(n, now, &e->peer);
        rovei_feeds_peer_failed(n, now, &e->peer);
        rovei_announcer_peer_gone(n, now, &e->peer);
    }
}

static void note_peer(rovei_node *n, const rove_entity *peer)
{
    rovei_note *note = rovei_node_note(n, ROVEI_NOTE_PEER);
    if (note)
        note->peer = *peer;
}

static void mesh_event(rovei_node *n, rovei_now now, rovei_mesh_event *e)
{
    switch (e->kind) {
    case ROVEI_MESH_MESSAGE:
        dispatch(n, now, &e->peer, &(rovei_pipe){e->association, e->stream}, e->tag, e->message);
        rove_buf_unref(e->message);
        break;
    case ROVEI_MESH_UP:
    case ROVEI_MESH_SUSPECT:
    case ROVEI_MESH_FAILED:
    case ROVEI_MESH_ALIVE:
        peer_state(n, now, e);
        note_peer(n, &e->peer);
        break;
    case ROVEI_MESH_GONE:
        peer_gone(n, now, e);
        note_peer(n, &e->peer);
        break;
    case ROVEI_MESH_UNANSWERED:
        note_peer(n, &e->peer);
        break;
    case ROVEI_MESH_FINISHED:
    case ROVEI_MESH_RESET:
    case ROVEI_MESH_REFUSED:
        break; /* frames are self-contained: what is missing is asked for by its owner's timer */
    case ROVEI_MESH_TIME: {
        rovei_note *note = rovei_node_note(n, ROVEI_NOTE_HANDSHAKE_TIME);
        if (note)
            note->value = e->value;
        break;
    }
    }
}

static void drain_mesh(rovei_node *n, rovei_now now)
{
    rovei_mesh_event e;
    while (rovei_mesh_poll(n->mesh, &e))
        mesh_event(n, now, &e);
}

/* Memory was out when an association came up: it is taken in now. */
static void find_missed(rovei_node *n, rovei_now now)
{
    if (!n->peer_missed)
        return;
    n->peer_missed = false;
    rovei_peer_info info;
    size_t it = 0;
    while (rovei_mesh_peer_next(n->mesh, &it, &info))
        if (info.association && !rovei_map_get(&n->associations, info.entity.bytes))
            peer_state(n, now,
                       &(rovei_mesh_event){.kind = ROVEI_MESH_UP,
                                           .peer = info.entity,
                                           .association = info.association});
}

static void drain_loopback(rovei_node *n, rovei_now now)
{
    rovei_loopback item;
    for (size_t left = n->loopback.count; left && rovei_queue_pop(&n->loopback, &item); left--) {
        const rove_entity *from = rovei_entity_is_zero(&item.from) ? &n->self : &item.from;
        dispatch(n, now, from, &(rovei_pipe){0}, item.tag, item.message);
        rove_buf_unref(item.message);
    }
}

void rovei_node_turn(rovei_node *n, rovei_now now)
{
    drain_mesh(n, now);
    rovei_node_drain_net(n, now);
    find_missed(n, now);
    for (int round = 0; round < LOOPBACK_ROUNDS; round++) {
        drain_loopback(n, now);
        rovei_feeds_turn(n, now);
        rovei_lanes_turn(n, now);
        rovei_moves_turn(n, now);
        rovei_net_moves_turn(n, now);
        rovei_channels_turn(n, now);
        if (!n->loopback.count && !n->feeds_room)
            break;
    }
    rovei_announcer_turn(n, now);
    if (n->journal)
        rovei_journal_turn(n->journal, now);
}

/* ---- the whole ---- */

void rovei_node_shutdown(rovei_node *n, rovei_now now)
{
    size_t it = 0;
    for (rovei_daemon *d; (d = rovei_map_next(&n->daemons, &it)); it = 0) {
        rovei_moves_detach(n, now, d, ROVE_E_SHUTTING_DOWN);
        rovei_feeds_leave(d, now);
        rovei_daemon_remove(n, d, ROVE_E_SHUTTING_DOWN);
    }
    rovei_orders_shutdown(n, now);
}

rovei_node_stats rovei_node_stats_get(const rovei_node *n)
{
    rovei_node_stats s = n->stats;
    s.daemons = n->daemons.count;
    s.senders = n->senders.count;
    return s;
}

void rovei_node_check(const rovei_node *n)
{
    rovei_mesh_check(n->mesh);
    rovei_lanes_check(n);
    rovei_feeds_check(n);
    rovei_moves_check(n);
    rovei_net_moves_check(n);
    rovei_channels_check(n);
    rovei_spawns_check(n);
    if (n->journal)
        rovei_journal_check(n->journal);
    size_t it = 0;
    for (const rovei_peer_entry *p; (p = rovei_map_next(&n->associations, &it));) {
        rovei_peer_info info;
        ROVEI_CHECK(rovei_mesh_peer(n->mesh, &p->peer, &info) == ROVE_OK);
    }
}

/* ---- tests ---- */

void rovei_node_set_tap(rovei_node *n, rovei_node_tap *tap)
{
    n->tap = tap;
}

void rovei_node_inject(rovei_node *n, rovei_now now, const rove_entity *from, uint16_t tag,
                       rove_buf *message)
{
    (void)now;
    rovei_loopback *item = rovei_queue_push(&n->loopback);
    if (!item)
        return;
    item->from = *from;
    item->tag = tag;
    item->message = rove_buf_ref(message);
}
