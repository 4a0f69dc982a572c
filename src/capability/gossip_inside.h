/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rovei_gossip, shared by its files. */
#ifndef ROVEI_CAPABILITY_GOSSIP_INSIDE_H
#define ROVEI_CAPABILITY_GOSSIP_INSIDE_H

#include <base/list.h>
#include <base/map.h>
#include <capability/gossip.h>
#include <capability/index.h>

/* What is held because of one peer. */
typedef struct gossip_source {
    rovei_list nodes, seen; /* in the order in which they came */
    uint64_t node_count, seen_count;
} gossip_source;

typedef struct gossip_peer {
    rovei_list link;
    uint64_t id;
    bool pinned;
    rove_entity entity;
    uint64_t next_look; /* when its share of signature checks is used up to */
    gossip_source from;
} gossip_peer;

/* Another node that is in the index. */
typedef struct gossip_node {
    rovei_list link;
    gossip_source *from;
    uint64_t id, version, expires;
} gossip_node;

typedef struct gossip_seen_key {
    uint64_t node_id, version, direct;
} gossip_seen_key;
typedef struct gossip_seen {
    rovei_list link;
    gossip_source *from;
    gossip_seen_key key;
    uint64_t at;
} gossip_seen;

/* One text to several peers. */
typedef struct gossip_out {
    rovei_list link;
    rove_buf *text;
    bool forwarded;
    size_t count, next;
    uint64_t to[];
} gossip_out;

struct rovei_gossip {
    const rovei_env *env;
    const rove_alloc *alloc;
    rovei_keypair *identity;
    uint64_t self;
    rovei_index *index;
    bool take_unsigned;
    uint32_t ttl;

    rovei_caps_draft set;
    rovei_announcement *own;
    rove_buf *own_text;
    uint64_t last_version;
    bool trailing;       /* to be sent at the end of the window */
    uint64_t window_end; /* 0: none was sent yet */
    uint64_t change_at, reannounce_at, gc_at, sweep_at;

    rovei_list peers;
    rovei_map peer_map;    /* id -> gossip_peer */
    rovei_map nodes;       /* id -> gossip_node */
    rovei_map seen;        /* gossip_seen_key -> gossip_seen */
    gossip_source orphans; /* of peers that are gone */
    rovei_list outs;
    rovei_gossip_stats stats;
};

/* Sends `text` to all peers but two; 0 for none. Memory out: as if lost. */
void rovei_gossip_spread(rovei_gossip *g, rove_buf *text, bool forwarded, uint64_t but,
                         uint64_t nor);

/* ---- gossip_tables.c ---- */
void rovei_gossip_source_init(gossip_source *s);
/* What was held because of `s` is nobody's from now on. */
void rovei_gossip_orphan(rovei_gossip *g, gossip_source *s);
bool rovei_gossip_was_seen(const rovei_gossip *g, const gossip_seen_key *key);
ROVE_MUST_USE rove_err rovei_gossip_note_seen(rovei_gossip *g, rovei_now now, gossip_source *from,
                                              const gossip_seen_key *key);
/* Room for one more node because of `from`; false: it holds most itself. */
bool rovei_gossip_make_room(rovei_gossip *g, const gossip_source *from);
ROVE_MUST_USE rove_err rovei_gossip_keep_node(rovei_gossip *g, rovei_now now, gossip_source *from,
                                              const rovei_announcement *a);
void rovei_gossip_drop_node(rovei_gossip *g, gossip_node *n);
/* Forgets what is old; and what has left the index. */
void rovei_gossip_collect(rovei_gossip *g, rovei_now now);
void rovei_gossip_sweep(rovei_gossip *g, rovei_now now);
void rovei_gossip_free_tables(rovei_gossip *g);

#endif
