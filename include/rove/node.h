/* SPDX-License-Identifier: Apache-2.0
 *
 * A node: one identity, one UDP socket, one place in the mesh. Several nodes live in one process.
 * Everything else (runtime, senders) hangs on a node and is freed before it.
 *
 * The node's own thread does its work: a loop thread that the node starts, or, for a *driven* node
 * (`driven` in the configuration), the thread that called rove_node_process or rove_node_deadline
 * last; until somebody has, the one that made the node. What calls do there, with either kind:
 *
 *   - What blocks "for a turn of the node's thread" is done in place, without waiting.
 *   - What would have to wait for another node, another thread or a time is ROVE_E_WOULD_BLOCK, and
 *     nothing is done. Its form with a completion (rove/async.h) never waits.
 *   - What ends a sender, a runtime or the node, and what makes a daemon, drives a driven node
 * until that is done: callbacks run in it as in rove_node_process.
 *
 * On every other thread calls are handed over, and wait until the node's own thread has had its
 * turn; while nobody drives a driven node they wait for that. Nobody ever waits for himself.
 *
 * Callbacks (of senders, policies, completions) run on the node's own thread, inside of its turn.
 * What is said above holds for them too, except that inside of a turn nothing can be ended, and no
 * daemon be made by a call that waits. docs/embedding.md has a table of all this. */
#ifndef ROVE_NODE_H
#define ROVE_NODE_H

#include <rove/limits.h>

ROVE_BEGIN_DECLS

typedef struct rove_node rove_node;

#define ROVE_NODE_CONFIG_VERSION 1

typedef struct rove_node_config {
    uint32_t struct_version;
    bool driven;        /* no loop thread: the caller drives the node. Default false */
    const char *listen; /* "ADDR:PORT", "[V6]:PORT"; port 0 lets the system choose. Copied */
    const uint8_t *psk; /* 32 bytes that every node of the mesh shares. Copied */
    /* The identity: a file (docs/protocol.md, "Identity files") that is locked while the node lives
     * and has FILE.state and FILE.floors beside it; or NULL for a key that lives in memory only,
     * from `seed` (32 bytes, copied) or, when that is NULL too, drawn at random. */
    const char *identity_file;
    const uint8_t *seed;
    /* The directory in which the node keeps what has to outlive its process, made when it is not
     * there; locked while the node lives. It belongs to this one identity, which has to be given.
     * NULL: nothing is kept. Copied. docs/data-directory.md. */
    const char *data;
    /* Serves peers of the reference's session class `net` as well: those that rove_node_list_net
     * lists, and nobody else. What that class does not protect stands in SECURITY.md. Default
     * false. */
    bool compat_net;
    rove_alloc alloc; /* `alloc` NULL: the C library's */
    rove_limits limits;
    /* What the node announces besides what it finds out about the machine and what its runtime
     * takes in (docs/protocol/capabilities.md): tags, and metadata as "KEY=VALUE". Each list ends
     * with NULL; NULL: none. Copied. What is detected never overrules a tag with the same key. */
    const char *const *tags;
    const char *const *metadata;
    bool no_detect; /* nothing is found out about the machine. Default false */
} rove_node_config;

/* Fills in the defaults for the version the caller was compiled with. Threads: any. */
ROVE_API void rove_node_config_init_version(rove_node_config *cfg, uint32_t version);
static inline void rove_node_config_init(rove_node_config *cfg)
{
    rove_node_config_init_version(cfg, ROVE_NODE_CONFIG_VERSION);
}

/* Binds the socket, locks the identity and starts the loop thread, if it is to have one.
 * Ownership: the caller frees with rove_node_free; `cfg` is only read during the call.
 * Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION, ROVE_E_BOUND (limits), ROVE_E_REFUSED (a tag with a
 * prefix that only the mesh writes, or `rove:`), ROVE_E_FORMAT (a tag or metadata that is empty,
 * not UTF-8 or without its `=`), ROVE_E_TOO_LARGE (more than can be announced), ROVE_E_ADDRESS
 * (taken or not local), ROVE_E_FILE, ROVE_E_PERMISSION, ROVE_E_LOCKED, ROVE_E_FULL (FILE.floors has
 * more than `token_floors`); for the data directory ROVE_E_STORE_ACCESS (open to others, or another
 * user's), ROVE_E_STORE_LOCKED, ROVE_E_STORE_FOREIGN (another node's, or no data directory),
 * ROVE_E_STORE_NEWER, ROVE_E_STORE_CORRUPT, ROVE_E_STORE_ROLLED_BACK (it was used by an earlier
 * start than the identity's last one), ROVE_E_STORE_READ_ONLY, ROVE_E_STORE_FULL, ROVE_E_STORE_MAP,
 * ROVE_E_STORE_IO; ROVE_E_RESERVED_ID, ROVE_E_REENTRANT (inside of a daemon),
 * ROVE_E_NOMEM, ROVE_E_IO. Threads: any. Blocking: for file access only. */
ROVE_API ROVE_MUST_USE rove_err rove_node_new(rove_node **ret, const rove_node_config *cfg);

/* Says goodbye to all peers, stops the loop thread and frees. A runtime must have been freed, all
 * senders too. NULL is ignored. Threads: any, but not inside of the node's callbacks or of a
 * daemon; for a driven node while nobody else is in one of its calls (all checked). Blocking: until
 * the loop has ended, or, for a driven node, until every completion that is still due has been
 * told. */
ROVE_API void rove_node_free(rove_node *node);

/* ---- driving a node ----
 *
 * All a loop has to do, here with poll:
 *
 *   for (;;) {
 *       uint64_t deadline = rove_node_deadline(node);
 *       struct pollfd p = {.fd = rove_node_fd(node), .events = POLLIN};
 *       ppoll(&p, 1, ..., what is left until `deadline`; none for ROVE_TIME_NEVER);
 *       err = rove_node_process(node);
 *   }
 *
 * Several nodes and other descriptors fit into the same loop. Who would rather burn a processor
 * than sleep calls rove_node_process alone, over and over. docs/embedding.md has more. */

/* A descriptor that is readable when the node has something to do before its deadline: a datagram,
 * a task of another thread, or what this thread itself ordered after it had asked for the deadline.
 * For poll, select, epoll and their like, level or edge; to be neither read nor closed. -1 for a
 * node with a loop thread, and for NULL. Threads: any. Re-entry: allowed. Blocking: never. */
ROVE_API int rove_node_fd(const rove_node *node);

/* When to call rove_node_process at the latest: monotonic nanoseconds (CLOCK_MONOTONIC), 0 = at
 * once, ROVE_TIME_NEVER = when the descriptor is readable. To be asked before each wait: only from
 * then on the descriptor tells of tasks. Nothing is missed, and nothing is late, by whoever sleeps
 * exactly until then or until the descriptor is readable. For a node with a loop thread
 * or NULL ROVE_TIME_NEVER; inside of a callback or a daemon 0, and nothing is done. Threads: the
 * one that drives. Blocking: never. */
ROVE_API uint64_t rove_node_deadline(rove_node *node);

/* Does what is due: takes in what the socket and other threads have, runs timers, callbacks and,
 * with a runtime without workers, daemons; sends. What one call does is bounded; the rest makes the
 * deadline 0. May be called at any time, due or not.
 * Errors, each without anything done: ROVE_E_USAGE (the node has a loop thread); ROVE_E_REENTRANT
 * (inside of a daemon, whatever the node, or of a callback); ROVE_E_BUSY (another thread is inside
 * just now: two of them drive the node, or the former one is in a call of its own; nothing is lost
 * by calling again). Threads: any, one at a time; it is the node's own from then on. Blocking:
 * never, except as the callbacks do. */
ROVE_API ROVE_MUST_USE rove_err rove_node_process(rove_node *node);

typedef struct rove_node_info {
    rove_entity entity;
    uint64_t node_id;
    uint8_t x25519[32];
    char address[64]; /* as bound, "ADDR:PORT" */
    uint64_t incarnation;
} rove_node_info;
/* Never fails, never blocks. Threads: any. Re-entry: allowed. */
ROVE_API void rove_node_get_info(const rove_node *node, rove_node_info *ret);

/* Keeps a session with a peer from now on. `address` is "HOST:PORT". Returns at once;
 * rove_node_wait_peer tells when the session stands. Errors: ROVE_E_ADDRESS, ROVE_E_PUBLIC_KEY,
 * ROVE_E_NO_IMAGE, ROVE_E_SAME_NODE, ROVE_E_RESERVED_ID, ROVE_E_FULL, ROVE_E_USAGE,
 * ROVE_E_REENTRANT (inside of a daemon), ROVE_E_NOMEM. Threads: any.
 * Blocking: for the resolution of HOST and until the loop has taken the order. docs/protocol.md,
 * "Sessions". */
ROVE_API ROVE_MUST_USE rove_err rove_node_connect(rove_node *node, const rove_entity *peer,
                                                  const char *address);

/* Lists a peer of class net, for a node that has `compat_net`: from now on it may connect. With its
 * static X25519 key (32 bytes, copied) daemons can be moved to it with their identity; with an
 * `address` ("HOST:PORT") too it is dialled and kept. Either may be NULL, but no address goes
 * without a key. Once more for the same id replaces both. Elsewhere such a peer is named by
 * rove_entity_of_net. Errors: ROVE_E_USAGE (NULL, no class net, an address without a key),
 * ROVE_E_ADDRESS, ROVE_E_RESERVED_ID (0, or an id that looks like a packet), ROVE_E_SAME_NODE (this
 * node's id, or its low half), ROVE_E_EXISTS (another listed id has the same low half, which is all
 * that a handshake shows), ROVE_E_REFUSED (the id is that of a node of class rove),
 * ROVE_E_WEAK_SECRET (no key that a node can have), ROVE_E_FULL (net_peers), ROVE_E_REENTRANT
 * (inside of a daemon), ROVE_E_NOMEM. Threads: any. Blocking: as rove_node_connect.
 * docs/protocol/net.md. */
ROVE_API ROVE_MUST_USE rove_err rove_node_list_net(rove_node *node, uint64_t node_id,
                                                   const uint8_t *x25519, const char *address);

/* Waits until a session with the peer stands; with `timeout_ns` 0 it only looks. Errors:
 * ROVE_E_TIMED_OUT (it does not), ROVE_E_WOULD_BLOCK (nor here: on the node's own thread),
 * ROVE_E_REENTRANT (inside of a daemon), ROVE_E_USAGE, ROVE_E_NOMEM. Threads: any. Blocking: up to
 * `timeout_ns`. */
ROVE_API ROVE_MUST_USE rove_err rove_node_wait_peer(rove_node *node, const rove_entity *peer,
                                                    uint64_t timeout_ns);

ROVE_END_DECLS

#endif
