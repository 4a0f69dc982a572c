/* SPDX-License-Identifier: Apache-2.0
 *
 * A node: one identity, one UDP socket, one loop thread, one place in the mesh. Several nodes live
 * in one process. Everything else (runtime, senders) hangs on a node and is freed before it. */
#ifndef ROVE_NODE_H
#define ROVE_NODE_H

#include <rove/limits.h>

ROVE_BEGIN_DECLS

typedef struct rove_node rove_node;

#define ROVE_NODE_CONFIG_VERSION 1

typedef struct rove_node_config {
    uint32_t struct_version;
    uint32_t reserved;
    const char *listen; /* "ADDR:PORT", "[V6]:PORT"; port 0 lets the system choose. Copied */
    const uint8_t *psk; /* 32 bytes that every node of the mesh shares. Copied */
    /* The identity: a file (docs/protocol.md, "Identity files") that is locked while the node lives
     * and has FILE.state beside it; or NULL for a key that lives in memory only, from `seed` (32
     * bytes, copied) or, when that is NULL too, drawn at random. */
    const char *identity_file;
    const uint8_t *seed;
    rove_alloc alloc; /* `alloc` NULL: the C library's */
    rove_limits limits;
} rove_node_config;

/* Fills in the defaults for the version the caller was compiled with. Threads: any. */
ROVE_API void rove_node_config_init_version(rove_node_config *cfg, uint32_t version);
static inline void rove_node_config_init(rove_node_config *cfg)
{
    rove_node_config_init_version(cfg, ROVE_NODE_CONFIG_VERSION);
}

/* Binds the socket, locks the identity and starts the loop thread.
 * Ownership: the caller frees with rove_node_free; `cfg` is only read during the call.
 * Errors: ROVE_E_USAGE, ROVE_E_STRUCT_VERSION, ROVE_E_BOUND (limits), ROVE_E_ADDRESS (taken or not
 * local), ROVE_E_FILE, ROVE_E_PERMISSION, ROVE_E_LOCKED, ROVE_E_RESERVED_ID, ROVE_E_NOMEM,
 * ROVE_E_IO. Threads: any. Blocking: for file access only. */
ROVE_API ROVE_MUST_USE rove_err rove_node_new(rove_node **ret, const rove_node_config *cfg);

/* Says goodbye to all peers, stops the loop thread and frees. A runtime must have been freed, all
 * senders too. NULL is ignored. Threads: not the node's own. Blocking: until the loop has ended. */
ROVE_API void rove_node_free(rove_node *node);

typedef struct rove_node_info {
    rove_entity entity;
    uint64_t node_id;
    uint8_t x25519[32];
    char address[64]; /* as bound, "ADDR:PORT" */
    uint64_t incarnation;
} rove_node_info;
/* Never fails, never blocks. Threads: any. */
ROVE_API void rove_node_get_info(const rove_node *node, rove_node_info *ret);

/* Keeps a session with a peer from now on. `address` is "HOST:PORT". Returns at once;
 * rove_node_wait_peer tells when the session stands. Errors: ROVE_E_ADDRESS, ROVE_E_PUBLIC_KEY,
 * ROVE_E_NO_IMAGE, ROVE_E_SAME_NODE, ROVE_E_RESERVED_ID, ROVE_E_FULL, ROVE_E_NOMEM. Threads: any.
 * Blocking: for the resolution of HOST and until the loop has taken the order. docs/protocol.md,
 * "Sessions". */
ROVE_API ROVE_MUST_USE rove_err rove_node_connect(rove_node *node, const rove_entity *peer,
                                                  const char *address);

/* Waits until a session with the peer stands. Errors: ROVE_E_TIMED_OUT, ROVE_E_WOULD_BLOCK (on the
 * node's own thread). Threads: any but the node's own. Blocking: up to `timeout_ns`. */
ROVE_API ROVE_MUST_USE rove_err rove_node_wait_peer(rove_node *node, const rove_entity *peer,
                                                    uint64_t timeout_ns);

ROVE_END_DECLS

#endif
