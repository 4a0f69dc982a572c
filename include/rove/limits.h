/* SPDX-License-Identifier: Apache-2.0
 *
 * Every limit and timer that an operator or a test may set, in one table: its name, unit, default,
 * least and greatest value, and why the default is what it is. `rove node --set NAME=VALUE` and
 * rove_limits_set take these names. Bounds that are part of a format are not here but beside the
 * format. */
#ifndef ROVE_LIMITS_H
#define ROVE_LIMITS_H

#include <rove/types.h>

ROVE_BEGIN_DECLS

/* Units: T = a time, kept in nanoseconds and written in seconds; B = bytes; N = a count. */
#define ROVE_LIMIT_LIST(X)                                                                         \
    /* sessions (docs/protocol.md, "Sessions") */                                                  \
    X(rekey_time, T, 120 * ROVE_SECOND, ROVE_SECOND / 10, 3600 * ROVE_SECOND,                      \
      "age of a session key at which its successor is negotiated")                                 \
    X(rekey_packets, N, UINT64_C(1) << 48, 16, UINT64_C(1) << 60,                                  \
      "packets under one key after which its successor is negotiated")                             \
    X(reject_time, T, 180 * ROVE_SECOND, ROVE_SECOND / 5, 7200 * ROVE_SECOND,                      \
      "age of a session key at which nothing more is sent or accepted under it")                   \
    X(reject_packets, N, UINT64_C(1) << 60, 32, UINT64_C(1) << 62,                                 \
      "packets under one key after which nothing more is sent under it")                           \
    X(handshake_retry, T, ROVE_SECOND / 4, ROVE_MILLISECOND, 60 * ROVE_SECOND,                     \
      "first interval at which an unanswered handshake is repeated; doubles to 4 s")               \
    X(handshake_load, N, 200, 1, 1000000,                                                          \
      "first messages a second above which a cookie is asked for")                                 \
    X(handshake_source, N, 20, 1, 1000000,                                                         \
      "handshakes a second that one source may begin while cookies are asked for")                 \
    X(cookie_life, T, 120 * ROVE_SECOND, ROVE_SECOND, 3600 * ROVE_SECOND,                          \
      "age at which the secret behind cookies is drawn anew")                                      \
    X(unconfirmed_life, T, 5 * ROVE_SECOND, ROVE_SECOND / 10, 60 * ROVE_SECOND,                    \
      "time for which an answered but unconfirmed session is kept")                                \
    X(heartbeat, T, ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                               \
      "silence after which a peer is sent a heartbeat")                                            \
    X(suspect_after, T, 3 * ROVE_SECOND, ROVE_MILLISECOND, 600 * ROVE_SECOND,                      \
      "silence of a peer after which it is suspected")                                             \
    X(fail_after, T, 10 * ROVE_SECOND, ROVE_MILLISECOND, 3600 * ROVE_SECOND,                       \
      "silence of a peer after which it counts as failed")                                         \
    X(peers_max, N, 4096, 1, 65536, "peers with a session; more are refused")                      \
    /* streams */                                                                                  \
    X(streams_max, N, 16384, 4, 1048576, "streams a peer may have open towards this node")         \
    X(stream_window, B, UINT64_C(16) << 20, 65536, UINT64_C(1) << 30,                              \
      "bytes of one stream that may be under way unread")                                          \
    X(peer_window, B, UINT64_C(64) << 20, 65536, UINT64_C(1) << 32,                                \
      "bytes of all streams of a peer that may be under way unread")                               \
    X(send_buffer, B, UINT64_C(256) << 20, 65536, UINT64_C(1) << 34,                               \
      "bytes queued towards one peer; at the bound a send is refused with FULL")                   \
    X(net_streams, N, 1024, 1, 65536,                                                              \
      "streams kept per session of class net; above it the one that was silent for longest goes")  \
    X(datagram_max, B, 1200, 512, 1452,                                                            \
      "largest datagram sent; 1200 passes every path that carries IPv6")                           \
    /* sessions of class net (docs/protocol/net.md) */                                             \
    X(net_peers, N, 256, 1, 4096, "peers of class net that may be listed")                         \
    X(net_retry, T, 5 * ROVE_SECOND, 10 * ROVE_MILLISECOND, 60 * ROVE_SECOND,                      \
      "interval at which a peer of class net is dialled; after two minutes it grows")              \
    X(net_handshakes, N, 100, 1, 1000000,                                                          \
      "handshake messages of class net a second that are looked at, of strangers and of known "    \
      "addresses each")                                                                            \
    X(net_keep, T, 30 * ROVE_SECOND, ROVE_SECOND, 600 * ROVE_SECOND,                               \
      "how long a session of class net that was replaced still receives")                          \
    X(net_heartbeat, T, 5 * ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                       \
      "interval of heartbeats to peers of class net")                                              \
    X(net_suspect, T, 60 * ROVE_SECOND, ROVE_MILLISECOND, 3600 * ROVE_SECOND,                      \
      "silence of a peer of class net after which it is suspected")                                \
    X(net_fail, T, 90 * ROVE_SECOND, ROVE_MILLISECOND, 7200 * ROVE_SECOND,                         \
      "silence of a peer of class net after which it counts as failed")                            \
    X(net_queue, N, 1024, 16, 65536, "messages that may wait to be sent to one peer of class net") \
    /* events, states, lanes */                                                                    \
    X(event_max, B, UINT64_C(1) << 20, 64, UINT64_C(16) << 20, "largest payload of one event")     \
    X(state_max, B, UINT64_C(1) << 30, 1024, UINT64_C(1) << 40, "largest state of a daemon")       \
    X(state_whole, B, UINT64_C(256) << 10, 0, UINT64_C(64) << 20,                                  \
      "largest state that moves in one buffer; a larger one goes in pieces where its kind can")    \
    X(lane_events, N, 256, 1, 65536, "events of a lane that may be unacknowledged")                \
    X(lane_bytes, B, UINT64_C(1) << 20, 64, UINT64_C(1) << 30,                                     \
      "bytes of a lane that may be unacknowledged; one event always may")                          \
    X(lanes_per_daemon, N, 4096, 1, 1048576, "lanes that a daemon keeps, closed ones included")    \
    X(lanes_per_sender, N, 16, 1, 65536, "lanes that one sender may have to one daemon")           \
    X(outputs_max, B, UINT64_C(64) << 20, 4096, UINT64_C(1) << 34,                                 \
      "unconfirmed outputs kept per daemon; at the bound such lanes wait")                         \
    X(mailbox_bytes, B, UINT64_C(64) << 20, 4096, UINT64_C(1) << 34,                               \
      "events waiting for one daemon; more are not taken, and asked for again later")              \
    X(send_giveup, T, 600 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,                    \
      "age at which a sender gives an event up as unknown")                                        \
    X(lane_expiry, T, 3600 * ROVE_SECOND, 3 * ROVE_MILLISECOND, 604800 * ROVE_SECOND,              \
      "idle time after which a host forgets a lane; above send_giveup plus a key's life")          \
    X(horizon_origins, N, 65536, 1, 1048576, "origins in a daemon's horizon")                      \
    X(daemons_max, N, 1048576, 1, 16777216, "daemons on this node")                                \
    X(client_keep, T, 600 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,                    \
      "how long outcomes are kept for a client of the control socket that lost its connection")    \
    X(clients_kept, N, 256, 0, 65536,                                                              \
      "such clients; above it the one that left first is forgotten")                               \
    X(client_outcomes, B, UINT64_C(64) << 20, 0, UINT64_C(1) << 34,                                \
      "outcomes kept for such clients; above it the one that left first is forgotten")             \
    /* locations and moves */                                                                      \
    X(record_life, T, 86400 * ROVE_SECOND, ROVE_SECOND, 31536000 * ROVE_SECOND,                    \
      "time for which the addresses of a location record are believed")                            \
    X(records_max, N, 65536, 16, 16777216, "location records of other nodes' daemons kept")        \
    X(locate_wait, T, ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                             \
      "how long a spawn of a given identity waits for other nodes' records")                       \
    X(locate_backoff, T, 30 * ROVE_SECOND, ROVE_MILLISECOND, 3600 * ROVE_SECOND,                   \
      "longest pause between two searches for a daemon that nobody knows")                         \
    X(move_stall, T, 15 * ROVE_SECOND, ROVE_MILLISECOND, 3600 * ROVE_SECOND,                       \
      "time without progress after which a phase of a move before the commit ends it")             \
    X(move_repeat, T, ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                             \
      "interval at which a step of a move is said again; doubles to ten times as much")            \
    X(divert_events, N, 1000000, 1, 100000000, "local events diverted during one move")            \
    X(divert_bytes, B, UINT64_C(64) << 20, 64, UINT64_C(1) << 34,                                  \
      "bytes of local events diverted during one move")                                            \
    X(outcomes_kept, N, 64, 1, 65536, "outcomes of moves kept per daemon")                         \
    X(outcome_life, T, 600 * ROVE_SECOND, ROVE_SECOND, 604800 * ROVE_SECOND,                       \
      "how long the outcome of a move is kept")                                                    \
    X(moves_max, N, 64, 1, 65536, "moves under way away from this node, and towards it; each")     \
    X(orders_max, N, 256, 0, 65536,                                                                \
      "moves under way that other nodes ordered, and that this node ordered elsewhere; each")      \
    X(retry_not_ready, T, 30 * ROVE_SECOND, 0, 86400 * ROVE_SECOND,                                \
      "how long a move is offered again to a target that is not ready; 0 = not")                   \
    X(guests_kept, N, 65536, 1, 16777216,                                                          \
      "daemons that came by an accepted kind and have left, remembered; the first is forgotten")   \
    X(drain_parallel, N, 16, 1, 4096, "moves that a drain has under way at once")                  \
    /* moves with peers of class net */                                                            \
    X(net_reassemblies, N, 64, 1, 65536,                                                           \
      "snapshots that are put together from chunks at once; a quarter of them for one peer")       \
    X(net_reassembly_bytes, B, UINT64_C(256) << 20, 65536, UINT64_C(1) << 40,                      \
      "memory of all of them together; more is refused as not ready")                              \
    X(net_reassembly_age, T, 300 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,             \
      "time without a further chunk after which one is given up")                                  \
    X(net_move_stall, T, 100 * ROVE_SECOND, ROVE_MILLISECOND, 14400 * ROVE_SECOND,                 \
      "as move_stall, to a node of class net, which says nothing while it receives")               \
    /* channels (docs/protocol/channels.md) */                                                     \
    X(channels_max, N, 16384, 1, 1048576, "channels of this node, and their configurations, each") \
    X(channels_per_peer, N, 1024, 1, 1048576,                                                      \
      "channels of this node that one other may subscribe to; more are refused")                   \
    X(channel_groups, N, 64, 0, 65536, "queue groups of one channel; more are refused")            \
    X(channel_history, N, 65536, 1, UINT64_C(1) << 24,                                             \
      "events that a channel keeps for subscribers that are behind")                               \
    X(channel_history_bytes, B, UINT64_C(16) << 20, 4096, UINT64_C(1) << 34,                       \
      "bytes of events that a channel keeps; one event always is")                                 \
    X(channels_history_bytes, B, UINT64_C(256) << 20, 65536, UINT64_C(1) << 40,                    \
      "bytes of events that all channels keep; above it the largest gives its oldest up")          \
    X(channel_window, N, 1024, 1, 65536,                                                           \
      "events that may be under way to a subscriber before it says that it took them")             \
    X(channel_window_bytes, B, UINT64_C(1) << 20, 64, UINT64_C(1) << 30,                           \
      "bytes likewise; one event always may")                                                      \
    X(channel_keep, T, 90 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,                    \
      "how long a subscriber that cannot be reached, or takes nothing, is kept or waited for")     \
    X(membership_ack_wait, T, 5 * ROVE_SECOND, ROVE_MILLISECOND, 600 * ROVE_SECOND,                \
      "how long the answer to a request to join or leave a channel is waited for")                 \
    X(daemon_subscriptions, N, 1024, 1, 65536, "channels that a daemon may be subscribed to")      \
    X(listeners_max, N, 4096, 1, 65536, "local subscriptions of this node that are no daemon's")   \
    X(rebind_wait, T, ROVE_SECOND / 2, 0, 60 * ROVE_SECOND,                                        \
      "how long a move waits until the target's subscriptions are answered")                       \
    X(rebind_retry, T, ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                            \
      "first interval at which a subscription that was not accepted is asked for again; doubles "  \
      "to 30 times as much")                                                                       \
    X(token_sweep_interval, T, 30 * ROVE_SECOND, 0, 31536000 * ROVE_SECOND,                        \
      "interval at which the tokens of all subscribers are judged anew; a year: never")            \
    X(auth_failures, N, 16, 1, 65535,                                                              \
      "requests of one node in auth_window that may fail; 65535 = any number")                     \
    X(auth_window, T, 60 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,                     \
      "time over which they are counted")                                                          \
    X(auth_throttle, T, 30 * ROVE_SECOND, ROVE_MILLISECOND, 86400 * ROVE_SECOND,                   \
      "how long every request of that node is then refused")                                       \
    /* permission tokens (docs/protocol/tokens.md) */                                              \
    X(token_skew, T, 0, 0, 300 * ROVE_SECOND,                                                      \
      "how far another node's clock may be from this one's when a token's time is judged")         \
    X(token_slots, N, 65536, 1, 1048576,                                                           \
      "subjects and channels for which the node holds tokens of its own; more are refused")        \
    X(token_floors, N, 65536, 1, 1048576, "issuers of which tokens are revoked; more are refused") \
    /* spawning elsewhere (docs/protocol/placement.md) */                                          \
    X(spawn_wait, T, 15 * ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                         \
      "how long another node's answer to a spawn is waited for")                                   \
    X(spawn_repeat, T, ROVE_SECOND, ROVE_MILLISECOND, 60 * ROVE_SECOND,                            \
      "first interval at which such a spawn is asked for again; doubles to 8 times as much")       \
    X(spawn_memory, T, 180 * ROVE_SECOND, 120 * ROVE_SECOND, 86400 * ROVE_SECOND,                  \
      "how long the answer to another node's spawn is remembered; above the greatest spawn_wait")  \
    X(spawns_max, N, 1024, 1, 65536,                                                               \
      "spawns asked for elsewhere, and here by others, under way, each; a quarter for one peer")   \
    X(spawns_remembered, N, 65536, 4, 16777216,                                                    \
      "such answers remembered; a quarter for one peer; more requests are dropped")                \
    /* what nodes announce (docs/protocol/placement.md) */                                         \
    X(index_nodes, N, 16384, 1, 1048576,                                                           \
      "nodes whose announcements are kept; above it only those that speak for themselves")         \
    X(index_bytes, B, UINT64_C(64) << 20, 16384, UINT64_C(1) << 34,                                \
      "memory of the announcements that are kept")                                                 \
    /* capabilities (docs/protocol/capabilities.md) */                                             \
    X(capability_nodes, N, 16384, 16, 1048576,                                                     \
      "other nodes in the index of capabilities; above it the peer of whom most is held gives "    \
      "way")                                                                                       \
    X(capability_seen, N, 65536, 64, 16777216,                                                     \
      "announcements remembered for ten minutes as seen; shared in the same way")                  \
    X(capability_life, T, 3600 * ROVE_SECOND, 300 * ROVE_SECOND, UINT32_MAX * ROVE_SECOND,         \
      "longest life of another node's announcement from its arrival, whatever it says")            \
    X(capability_texts, B, UINT64_C(16) << 20, 16384, UINT64_C(1) << 32,                           \
      "their texts, kept for sessions that begin later; above it the peer of whom most is kept "   \
      "gives way")                                                                                 \
    X(capability_rate, N, 1000, 1, 1000000,                                                        \
      "new announcements of one peer a second that are looked at; four times as many at once")     \
    /* data directory (docs/data-directory.md) */                                                  \
    X(journal_bytes, B, UINT64_C(64) << 20, 4096, UINT64_C(1) << 40,                               \
      "changes of records that wait for the disk; one always may")                                 \
    X(store_map, B, UINT64_C(16) << 30, UINT64_C(1) << 20, UINT64_C(1) << 46,                      \
      "size that the file of the records may reach; only address space until then")                \
    X(store_retry, T, ROVE_SECOND, ROVE_MILLISECOND, 3600 * ROVE_SECOND,                           \
      "interval at which records are written again to a disk that was full")                       \
    /* embedding: rove/observer.h, rove/async.h */                                                 \
    X(dump_bytes, B, UINT64_C(1) << 20, 16384, UINT64_C(1) << 30, "text of one dump")              \
    X(observers_max, N, 64, 1, 65536, "observers of one daemon")                                   \
    X(pending_calls, N, 65536, 1, 16777216,                                                        \
      "calls with a completion under way at once, of the node and of its runtime each")            \
    X(pending_events, N, 65536, 1, 16777216,                                                       \
      "events delivered with a completion and not told; they do not count as calls")               \
    X(pending_bytes, B, UINT64_C(256) << 20, 64, UINT64_C(1) << 40,                                \
      "bytes of events delivered with a completion and not told; one event always may")

/* The table as a struct, one 64-bit field each. */
typedef struct rove_limits {
    uint32_t struct_version;
    uint32_t reserved;
#define ROVE_LIMIT_FIELD(name, unit, preset, least, most, why) uint64_t name;
    ROVE_LIMIT_LIST(ROVE_LIMIT_FIELD)
#undef ROVE_LIMIT_FIELD
} rove_limits;

#define ROVE_LIMITS_VERSION 1

/* Fills in the defaults. Threads: any. Blocking: never. */
ROVE_API void rove_limits_init(rove_limits *limits);

/* Sets one limit from text: seconds with decimals for times, a number with an optional suffix K, M
 * or G (powers of 1024) otherwise. Errors: ROVE_E_NOT_FOUND (no such name), ROVE_E_USAGE (not a
 * number), ROVE_E_BOUND (outside of what the table allows); nothing is changed then. Threads: any,
 * one at a time per struct. */
ROVE_API ROVE_MUST_USE rove_err rove_limits_set(rove_limits *limits, const char *name,
                                                const char *value);

/* Checks that the values fit together (rekey below reject, heartbeat below suspect, suspect below
 * fail, fail below the stall of a move, giving up plus twice a key's life below the expiry of a
 * lane, and each within its own bounds). Errors: ROVE_E_BOUND: *ret_name, unless NULL, then names
 * the limit to change, and *ret_rule, unless NULL, says what it breaks ("must be above heartbeat");
 * both static. ROVE_E_STRUCT_VERSION when rove_limits_init did not fill the struct. Threads: any.
 */
ROVE_API ROVE_MUST_USE rove_err rove_limits_check(const rove_limits *limits, const char **ret_name,
                                                  const char **ret_rule);

/* One row of the table, for help texts: false when `index` is past the last. Strings are static.
 * Threads: any. */
typedef struct rove_limit_info {
    const char *name;
    char unit; /* 'T', 'B' or 'N' */
    uint64_t preset, least, most;
    const char *why;
} rove_limit_info;
ROVE_API bool rove_limits_info(size_t index, rove_limit_info *ret);

ROVE_END_DECLS

#endif
