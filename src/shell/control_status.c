/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node tells about itself over the control socket. */
#include <capability/gossip.h>
#include <channel/publisher.h>
#include <durable/journal.h>
#include <host/names.h>
#include <identity/entity.h>
#include <migration/net_moves.h>
#include <node/placing.h>
#include <node/tokens.h>
#include <rove/drain.h>
#include <shell/control_inside.h>
#include <shell/data.h>
#include <shell/udp.h>
#include <stdio.h>
#include <unistd.h>

static size_t count_peers(rovei_node *core)
{
    rovei_peer_info peer;
    size_t count = 0;
    for (size_t it = 0; rovei_node_peer_next(core, &it, &peer);)
        count += peer.state != ROVEI_PEER_CONNECTING;
    return count;
}

/* Daemons that are on this node, in whatever state; not those that left. */
static size_t count_daemons(rovei_node *core)
{
    rovei_daemon_info info;
    size_t count = 0;
    for (size_t it = 0; rovei_node_daemon_next(core, &it, &info);)
        count += info.state != ROVEI_DAEMON_MOVED;
    return count;
}

static void add_net_drop(json_object *drops, const char *prefix, const char *name, uint64_t count)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s%s", prefix, name);
    control_add(drops, key, control_u64(count));
}

/* What class net dropped: datagrams, and messages that nothing here is for. */
static void add_net_drops(json_object *drops, const rovei_net *net)
{
    rovei_net_stats stats = rovei_net_stats_get(net);
    for (unsigned i = 0; i < ROVEI_NET_DROP_COUNT; i++)
        add_net_drop(drops, "net_", rovei_net_drop_name((rovei_net_drop)i), stats.drops[i]);
    for (unsigned i = 0; i < ROVEI_NET_SUBPROTOCOL_COUNT; i++)
        add_net_drop(drops, "net_message_", rovei_net_subprotocol_name((rovei_net_subprotocol)i),
                     stats.dropped_messages[i]);
}

/* Messages of moves in class net that changed nothing, by type. */
static void add_net_moves(json_object *drops, const rovei_node *core)
{
    rovei_net_move_stats stats = rovei_net_moves_stats(core);
    for (unsigned i = 0; i <= ROVEI_NETMOVE_TYPES; i++) {
        const char *name = rovei_netmove_type_name((rovei_netmove_type)i);
        add_net_drop(drops, "net_move_malformed_", name, stats.malformed[i]);
        if (i == ROVEI_NETMOVE_TYPES)
            break;
        add_net_drop(drops, "net_move_refused_", name, stats.refused[i]);
        add_net_drop(drops, "net_move_out_of_phase_", name, stats.out_of_phase[i]);
    }
}

/* The publisher's half of channels, and what subscribers here missed. */
static json_object *channels(const rovei_node *core)
{
    rovei_channels_stats s = rovei_channels_stats_get(core);
    json_object *o = json_object_new_object();
#define CHANNEL_COUNT(name) control_add(o, #name, control_u64(s.name));
    ROVEI_CHANNEL_STATS(CHANNEL_COUNT)
#undef CHANNEL_COUNT
    rovei_node_stats node = rovei_node_stats_get(core);
    control_add(o, "feed_errors", control_u64(node.feed_errors));
    control_add(o, "feed_lost", control_u64(node.feed_lost));
    control_add(o, "feed_dropped", control_u64(node.feed_dropped));
    control_add(o, "spawns_served", control_u64(node.spawns_served));
    control_add(o, "spawns_refused", control_u64(node.spawns_refused));
    control_add(o, "spawns_repeated", control_u64(node.spawns_repeated));
    control_add(o, "spawns_dropped", control_u64(node.spawns_dropped));
    return o;
}

/* What is announced and heard, and the index of it. */
static json_object *capabilities(rovei_node *core)
{
    rovei_gossip_stats s = rovei_gossip_stats_get(rovei_node_gossip(core));
    rovei_index_stats x = rovei_index_stats_get(rovei_node_index(core));
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"announced", s.announced},
        {"received", s.received},
        {"accepted", s.accepted},
        {"sent", s.sent},
        {"forwarded", s.forwarded},
        {"late", s.late},
        {"shortened", s.shortened},
        {"expired", s.expired},
        {"displaced", s.displaced},
        {"nodes", s.nodes},
        {"seen", s.seen},
        {"text_bytes", s.text_bytes},
        {"pins", s.pins},
        {"index_entries", x.entries},
        {"index_bytes", x.bytes},
        {"index_applied", x.applied},
        {"index_stale", x.stale},
        {"index_full", x.full},
        {"index_expired", x.expired},
        {"index_evicted", x.evicted},
        {"index_displaced", x.displaced},
    };
    json_object *o = json_object_new_object(), *drops = json_object_new_object();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        control_add(o, counts[i].name, control_u64(counts[i].count));
    for (unsigned i = 0; i < ROVEI_GOSSIP_DROP_COUNT; i++)
        control_add(drops, rovei_gossip_drop_name((rovei_gossip_drop)i), control_u64(s.drops[i]));
    control_add(o, "drops", drops);
    return o;
}

/* NULL for a node that keeps nothing. */
static json_object *data_directory(rove_node *node, rovei_node *core)
{
    const rovei_data *data = rovei_node_data(node);
    if (!data)
        return NULL;
    rovei_journal_stats s = rovei_journal_stats_get(rovei_node_journal(core));
    json_object *o = json_object_new_object();
    control_add(o, "dir", control_text(rovei_data_dir(data)));
    control_add(o, "batches", control_u64(s.batches));
    control_add(o, "records", control_u64(s.records));
    control_add(o, "bytes", control_u64(s.bytes));
    control_add(o, "waiting", control_u64(s.waiting));
    control_add(o, "refused", control_u64(s.refused));
    control_add(o, "error", s.err ? control_text(rove_err_name(s.err)) : NULL);
    return o;
}

void control_status(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    (void)request;
    rove_node_info info;
    rove_node_get_info(c->control->node, &info);
    rovei_mesh_stats stats = rovei_mesh_stats_get(rovei_node_mesh(core));
    stats.drops[ROVEI_DROP_UNREAD] += rovei_node_unread(c->control->node);
    json_object *drops = json_object_new_object(), *o = json_object_new_object();
    for (unsigned i = 0; i < ROVEI_DROP_COUNT; i++)
        control_add(drops, rovei_drop_name((rovei_drop)i), control_u64(stats.drops[i]));
    const rovei_net *net = rovei_node_net(core);
    if (net) {
        add_net_drops(drops, net);
        add_net_moves(drops, core);
    }
    control_add(o, "entity", control_hex(info.entity.bytes, sizeof info.entity.bytes));
    control_add(o, "node_id", control_id(info.node_id));
    control_add(o, "x25519", control_hex(info.x25519, sizeof info.x25519));
    control_add(o, "addr", control_text(info.address));
    control_add(o, "pid", control_u64((uint64_t)getpid()));
    control_add(o, "incarnation", control_u64(info.incarnation));
    control_add(o, "daemons", control_u64(count_daemons(core)));
    control_add(o, "peers", control_u64(count_peers(core)));
    control_add(o, "handshakes", control_u64(stats.handshakes_completed));
    control_add(o, "paths", control_u64(stats.paths));
    control_add(o, "cordoned",
                json_object_new_boolean(rove_runtime_is_cordoned(c->control->runtime)));
    const rovei_tokens *tokens = rovei_node_tokens(core);
    control_add(o, "tokens", control_u64(tokens->cache.count));
    control_add(o, "floors", control_u64(rovei_token_floors_count(&tokens->floors)));
    control_add(o, "data", data_directory(c->control->node, core));
    control_add(o, "channels", channels(core));
    control_add(o, "capabilities", capabilities(core));
    control_add(o, "drops", drops);
    control_say(c, o);
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

static const char *peer_word(const rovei_peer_info *peer)
{
    return peer->unanswered && peer->state == ROVEI_PEER_CONNECTING
               ? "no_answer"
               : rovei_peer_state_name(peer->state);
}

json_object *control_peer(const rovei_peer_info *peer)
{
    char address[64] = "";
    if (peer->addr.family)
        rovei_address_format(&peer->addr, address, sizeof address);
    json_object *o = json_object_new_object();
    bool net = peer->session_class == ROVEI_CLASS_NET; /* has no entity that anybody knows */
    control_add(o, "entity",
                net ? NULL : control_hex(peer->entity.bytes, sizeof peer->entity.bytes));
    control_add(o, "node_id", control_id(peer->node_id));
    control_add(o, "class", control_text(net ? "net" : "rove"));
    control_add(o, "state", control_text(peer_word(peer)));
    control_add(o, "addr", peer->addr.family ? control_text(address) : NULL);
    control_add(o, "rtt_us", peer->rtt ? control_us(peer->rtt) : NULL);
    return o;
}

void control_peers(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)now;
    (void)request;
    rovei_peer_info peer;
    for (size_t it = 0; !c->closing && rovei_node_peer_next(core, &it, &peer);)
        control_say(c, control_peer(&peer));
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

void control_kinds(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)core;
    (void)now;
    (void)request;
    for (size_t i = 0; !c->closing && i < c->control->kind_count; i++) {
        const rovei_control_kind *kind = &c->control->kinds[i];
        json_object *o = json_object_new_object();
        control_add(o, "kind", control_text(kind->name));
        control_add(o, "abi", control_u64(kind->abi));
        control_add(o, "file", control_text(kind->file));
        control_say(c, o);
    }
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}

void control_moves(connection *c, rovei_node *core, rovei_now now, json_object *request)
{
    (void)request;
    rovei_move_info m;
    for (size_t it = 0; !c->closing && rovei_node_move_next(core, &it, &m);) {
        json_object *o = json_object_new_object();
        control_add(o, "attempt", control_attempt(&m.attempt));
        control_add(o, "origin", control_id(m.origin));
        control_add(o, "from", control_id(rovei_entity_node_id(&m.source)));
        control_add(o, "to", control_id(rovei_entity_node_id(&m.target)));
        control_add(o, "by", control_id(rovei_entity_node_id(&m.orchestrator)));
        control_add(o, "epoch", control_u64(m.epoch));
        control_add(o, "phase", control_text(rovei_phase_name(m.phase)));
        bool ended = m.outcome != ROVEI_OUTCOME_RUNNING;
        control_add(o, "outcome", control_text(ended ? rovei_outcome_name(m.outcome) : NULL));
        control_add(o, "reason", control_move_reason(&m));
        control_add(o, "bytes", control_u64(m.bytes));
        control_add(o, "unbound", control_u64(m.unbound));
        control_add(o, "total_ms", control_ms((m.ended ? m.ended : now.mono) - m.begun));
        control_say(c, o);
    }
    if (!c->closing)
        control_end_err(c, ROVE_OK);
}
