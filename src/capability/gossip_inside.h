/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of rovei_gossip, shared by its files. */
#ifndef ROVEI_CAPABILITY_GOSSIP_INSIDE_H
#define ROVEI_CAPABILITY_GOSSIP_INSIDE_H

#include <base/list.h>
#include <base/map.h>
#include <capability/gossip.h>
#include <capability/index.h>

#define ROVEI_GOSSIP_REANNOUNCE (150 * ROVE_SECOND)

/* What is held because of one peer. */
typedef struct gossip_source {
    rovei_list nodes, seen; /* in the order in which they came */
    rovei_list texts;       /* nodes whose text is kept, the oldest text first */
    uint64_t node_count, seen_count, text_bytes;
} gossip_source;

typedef struct gossip_peer {
    rovei_list link;
    uint64_t id;
    bool pinned, heard;
    rove_entity entity;
    uint64_t heard_version; /* of the last that it announced itself, when `heard` */
    uint64_t next_look;     /* when its share of signature checks is used up to */
    gossip_source from;
    rovei_list late;           /* while it is told what was known before it came */
    uint64_t up_at, late_next; /* since when; the node id from which on it was not told */
} gossip_peer;

/* Another node that is in the index. */
typedef struct gossip_node {
    rovei_list link;
    gossip_source *from;
    uint64_t id, version, came; /* the last announcement */
    rove_buf *text;             /* that announcement as it is sent on; NULL: not kept */
    rovei_list text_link;
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
    bool forwarded, late;
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
    uint64_t text_bytes;   /* of all sources */
    rovei_list late;       /* peers */
    uint64_t late_at;
    rovei_list outs;
    rovei_gossip_stats stats;
};

/* Sends `text` to all peers but two; 0 for none. Memory out: as if lost. */
void rovei_gossip_spread(rovei_gossip *g, rove_buf *text, bool forwarded, uint64_t but,
                         uint64_t nor);

/* To one peer; NULL: memory out. */
gossip_out *rovei_gossip_send(rovei_gossip *g, rove_buf *text, uint64_t to);

/* ---- gossip_late.c ---- */
/* A peer gets, bit by bit, what others have announced before its session stood. */
void rovei_gossip_late_begin(rovei_gossip *g, rovei_now now, gossip_peer *p);
void rovei_gossip_late_turn(rovei_gossip *g, rovei_now now);
/* Keeps the text of the node's last announcement in the place of an older one, as there is room;
 * NULL: there is none. */
void rovei_gossip_keep_text(rovei_gossip *g, gossip_node *n, rove_buf *text);

/* ---- gossip_tables.c ---- */
void rovei_gossip_source_init(gossip_source *s);
/* What was held because of `s` is nobody's from now on. */
void rovei_gossip_orphan(rovei_gossip *g, gossip_source *s);
bool rovei_gossip_was_seen(const rovei_gossip *g, const gossip_seen_key *key);
ROVE_MUST_USE rove_err rovei_gossip_note_seen(rovei_gossip *g, rovei_now now, gossip_source *from,
                                              const gossip_seen_key *key);
/* The same announcement is news again. */
void rovei_gossip_forget_seen(rovei_gossip *g, const gossip_seen_key *key);
/* Who holds most of what is shared. */
typedef enum gossip_share { GOSSIP_NODES, GOSSIP_SEEN, GOSSIP_TEXTS } gossip_share;
gossip_source *rovei_gossip_largest(rovei_gossip *g, gossip_share of);
/* Room for one more node because of `from`; false: it holds most itself. */
bool rovei_gossip_make_room(rovei_gossip *g, const gossip_source *from);
ROVE_MUST_USE rove_err rovei_gossip_keep_node(rovei_gossip *g, rovei_now now, gossip_source *from,
                                              const rovei_announcement *a, rove_buf *text);
void rovei_gossip_drop_node(rovei_gossip *g, gossip_node *n);
/* Forgets what is old; and what has left the index. */
void rovei_gossip_collect(rovei_gossip *g, rovei_now now);
void rovei_gossip_sweep(rovei_gossip *g, rovei_now now);
void rovei_gossip_free_tables(rovei_gossip *g);

#endif
