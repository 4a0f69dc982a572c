/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of the source half of a move in class net, shared by its files: the snapshot cut into
 * one set of chunks and how it leaves, and the record that a source keeps. */
#ifndef ROVEI_MIGRATION_NET_SOURCE_H
#define ROVEI_MIGRATION_NET_SOURCE_H

#include <migration/net_machine.h>

/* ---- the set of chunks (net_set.c) ---- */
/* Nobody acknowledges a chunk: the set is sent, slowly enough for the receive buffer of one that
 * sleeps, and after a while all of it again. */
typedef struct rovei_net_set {
    rove_buf *bytes; /* the snapshot; one reference */
    uint64_t sequence;
    uint32_t next, total;
    uint32_t rounds; /* sets that have left as a whole */
    uint64_t began;  /* monotonic: the present set */
    uint64_t took;   /* the last whole one */
} rovei_net_set;
/* Takes the reference. */
void rovei_net_set_init(rovei_net_set *set, rove_buf *bytes, uint64_t sequence);
void rovei_net_set_fini(rovei_net_set *set);
void rovei_net_set_again(rovei_net_set *set, rovei_now now);
/* Sends what may leave at once when so many sets are on their way to the same node; when all has
 * left the round is counted. E_UNREACHABLE, E_FULL, E_NOMEM: goes on from there the next time. */
ROVE_MUST_USE rove_err rovei_net_set_burst(rovei_net_set *set, rovei_node *n, rovei_now now,
                                           uint64_t to, uint64_t origin, size_t sharers);
/* From one burst to the next. */
uint64_t rovei_net_set_pause(const rovei_net_set *set, size_t sharers);
/* From the last chunk to the first one of the next round. */
uint64_t rovei_net_set_wait(const rovei_net_set *set, const rove_limits *limits);
static inline bool rovei_net_set_sent(const rovei_net_set *set)
{
    return set->next == set->total;
}
/* Bytes that have left in this round. */
uint64_t rovei_net_set_bytes(const rovei_net_set *set);

/* ---- the record ---- */
typedef enum rovei_net_source_step {
    ROVEI_NET_SOURCE_WAIT,       /* the former move is not closed yet */
    ROVEI_NET_SOURCE_FREEZE,     /* FREEZE is under way */
    ROVEI_NET_SOURCE_PAUSE,      /* the target was not ready: serves here, and begins anew later */
    ROVEI_NET_SOURCE_SEND,       /* frozen: the set is leaving */
    ROVEI_NET_SOURCE_SENT,       /* frozen: all has left; RestoreComplete is to come */
    ROVEI_NET_SOURCE_REPLAY,     /* frozen, restored there: ReplayComplete is to come */
    ROVEI_NET_SOURCE_COMMITTING, /* COMMIT is under way */
    ROVEI_NET_SOURCE_COMMITTED,  /* ActivateAck is to come */
} rovei_net_source_step;

struct rovei_net_source {
    rovei_net_roles roles;
    uint64_t origin; /* of the daemon */
    rovei_attempt *a;
    rovei_daemon *d;
    rovei_net_source_step step;
    bool committed; /* the commit point has passed */
    bool published;
    bool keep_identity;
    uint64_t retry_not_ready;
    rovei_move_outcome ending; /* asked to end, by what, while the freeze is under way */
    rove_err ending_reason;
    rovei_net_stamp mark; /* what the other side sent before this is of an earlier attempt */
    rove_link head;       /* of the chain at the freeze */
    uint64_t state_size;
    rovei_net_set set;
    unsigned wrong_heads; /* ReplayCompletes with another head than that */
    rovei_record record;
    rovei_diverted_list diverted; /* a broken rule of the simulator's: the final batch */
};

/* Whether this node drives its own move; else another node ordered the snapshot. */
static inline bool rovei_net_source_own(const struct rovei_net_source *s)
{
    return s->roles.orchestrator == s->a->node->net_moves->self;
}
/* Who gets the snapshot: the target, or who ordered it. */
static inline uint64_t rovei_net_source_to(const struct rovei_net_source *s)
{
    return rovei_net_source_own(s) ? s->roles.target : s->roles.orchestrator;
}
void rovei_net_source_set_step(struct rovei_net_source *s, rovei_net_source_step step);
/* Frozen, and not on the way to the commit. */
bool rovei_net_source_is_frozen(const struct rovei_net_source *s);
/* The key to which the daemon's identity is sealed for this node. E_TARGET_KEY. */
ROVE_MUST_USE rove_err rovei_net_source_key(const rovei_node *n, uint64_t target, uint8_t ret[32]);
/* The reference's words to an orchestrator about a key that this node does not have. */
void rovei_net_source_no_key_text(uint64_t target, rovei_text *ret);
/* A new record for a daemon that may leave, of a move as rovei_moves_info begins it. */
ROVE_MUST_USE rove_err rovei_net_source_new(struct rovei_net_source **ret, rovei_node *n,
                                            rovei_now now, rovei_daemon *d,
                                            const rovei_move_info *info,
                                            const rovei_net_roles *roles);
/* Asks the cell to be quiesced. */
void rovei_net_source_freeze(struct rovei_net_source *s, rovei_now now);
/* The daemon goes on here, and nothing of the snapshot is kept. False: out of memory. */
bool rovei_net_source_thaw(struct rovei_net_source *s, rovei_now now);
/* Ends it before the commit; while the freeze is under way as soon as that is there. */
void rovei_net_source_abort(struct rovei_net_source *s, rovei_now now, rovei_move_outcome outcome,
                            rove_err err);
/* The present step has all of its time again. */
void rovei_net_source_progress(struct rovei_net_source *s, rovei_now now);
void rovei_net_source_again_in(struct rovei_net_source *s, rovei_now now, uint64_t pause);
/* The next burst of the present set. */
void rovei_net_source_send(struct rovei_net_source *s, rovei_now now);
/* Sends the present set from its start. */
void rovei_net_source_resend(struct rovei_net_source *s, rovei_now now);

/* net_commit.c: the commit and what follows from it */
void rovei_net_source_commit(struct rovei_net_source *s, rovei_now now);
void rovei_net_source_activate_again(struct rovei_net_source *s, rovei_now now);
void rovei_net_source_close(struct rovei_net_source *s, rovei_now now);

#endif
