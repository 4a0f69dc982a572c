/* SPDX-License-Identifier: Apache-2.0
 *
 * Where this node would put a daemon: the scheduler's choices over what it knows of other nodes,
 * with its sessions and their round trips. (docs/protocol/placement.md, "Choosing") */
#ifndef ROVEI_NODE_PLACING_H
#define ROVEI_NODE_PLACING_H

#include <capability/scheduler.h>
#include <capability/where.h>
#include <node/node.h>

/* What nodes have announced; the gossip fills it. */
struct rovei_index *rovei_node_index(rovei_node *n);

/* What is asked for. */
typedef struct rovei_placing {
    const rovei_where *requires; /* NULL: nothing */
    const rovei_where *prefers;  /* each that holds makes a candidate better */
    size_t prefer_count;
    bool move; /* of a daemon of this node to another one; else: a place to spawn at, which this
                  node may be */
    /* To spawn: others have to announce that they take this kind in; whether this node has it is
     * known. NULL: any kind. */
    const char *kind;
    bool has_kind;
} rovei_placing;

/* One node of the index, judged. */
typedef struct rovei_candidate {
    uint64_t node_id;
    rove_entity entity; /* as the calls of this node take it */
    bool eligible;
    double score;   /* when eligible */
    uint64_t rtt;   /* nanoseconds; 0: not measured */
    rovei_text why; /* not eligible: what rejected it; else how the score came about */
} rovei_candidate;
void rovei_node_judge(const rovei_node *n, const rovei_placing *p, const rovei_index_entry *e,
                      rovei_candidate *ret);
/* Of a move: E_NO_TARGET; else E_NO_CANDIDATE. *ret_entity is as in rovei_candidate. */
ROVE_MUST_USE rove_err rovei_node_place(const rovei_node *n, const rovei_placing *p,
                                        rovei_placement *ret, rove_entity *ret_entity);

#endif
