/* SPDX-License-Identifier: Apache-2.0
 *
 * A few whole nodes in one thread and virtual time, joined in memory, each with cells that behave
 * as a runtime's do: they apply in order, freeze, divert, commit and forget. */
#ifndef ROVE_TESTS_MOVES_WORLD_H
#define ROVE_TESTS_MOVES_WORLD_H

#include "support.h"

#include <base/buf.h>
#include <migration/machine.h>
#include <node/core.h>
#include <node/node_test.h>
#include <state/chain.h>

#define WORLD_NODES 3
#define WORLD_CELLS 64

typedef struct world_diverted {
    rove_link link;
    rove_buf *payload;
    bool has_result;
    rove_err err;
    rove_buf *outputs;
} world_diverted;

typedef enum world_cell_state {
    CELL_NONE,
    CELL_OPENED,   /* takes its state in pieces */
    CELL_RESTORED, /* not serving yet */
    CELL_SERVING,
    CELL_FROZEN,
    CELL_QUIET, /* frozen, and local events are refused */
    CELL_COMMITTED,
    CELL_ASIDE,
    CELL_FORGOTTEN,
} world_cell_state;

/* The state of the test's daemon: every payload that it applied, each with its length before it.
 * An output per event: the number of events so far, in decimal. */
typedef struct world_cell {
    uint64_t number;
    world_cell_state state;
    rove_entity daemon;
    rovei_keypair *key;
    rovei_attempt_id attempt;
    uint8_t *log;
    size_t log_size, log_room;
    uint64_t applied;
    rovei_chain chain;
    world_diverted *diverted;
    size_t diverted_count;
    rove_err forgotten;
    bool in_pieces;    /* its state was written */
    uint64_t promised; /* how much of it there was to be */
} world_cell;

typedef struct world_node {
    test_env t;
    rovei_keypair *id;
    rove_entity entity;
    rovei_node *node; /* NULL while it is down */
    uint64_t incarnation, handshake_time;
    world_cell cells[WORLD_CELLS];
    uint64_t next_cell;
    rove_err place;       /* what ASK_PLACE is answered */
    rove_err policy;      /* what ASK is answered */
    rove_err restore;     /* what RESTORE is answered */
    rove_err freeze;      /* what FREEZE is answered */
    rove_err read, write; /* what READ_STATE and WRITE_STATE are answered */
    rove_err spawn;       /* what SPAWN is answered */
    size_t spawns;        /* those that were carried out; of the last one: */
    bool spawn_forced;
    size_t spawn_kind_size;
    size_t opened;          /* cells that took a state in pieces */
    rovei_keypair *has_key; /* for daemons that come without one */
    unsigned hold;          /* bit per effect kind: kept until world_release */
    rovei_effect held[512];
    size_t held_count;
    rovei_note *notes; /* all that it ever said */
    size_t note_count, note_room;
    uint8_t swallow; /* type of message that is swallowed as long as swallow_count > 0 */
    unsigned swallow_count;
    bool mute;          /* what it says to senders is swallowed */
    unsigned seen[32];  /* messages sent, by type */
    rove_buf *kept[32]; /* the last message sent of each type */
    rovei_node_tap tap;
} world_node;

struct world;
/* Who else is on the link, beside the nodes (tests/unit/outsiders.h). */
typedef struct world_outside {
    void (*receive)(struct world *w, size_t from, const rovei_addr *to, const uint8_t *bytes,
                    size_t size);
    void (*turn)(struct world *w);
    uint64_t (*deadline)(const struct world *w);
} world_outside;

typedef struct world {
    world_node nodes[WORLD_NODES];
    size_t count;
    const world_outside *outside; /* NULL: nobody */
    bool net;                     /* nodes that start serve class net */
    bool apart;                   /* and know each other by nothing else */
    bool one_apart;               /* so it is with the last node only */
    unsigned lose;                /* of a hundred packets */
    uint64_t chance;
    rovei_now now;
    uint64_t delay;
    bool cut[WORLD_NODES][WORLD_NODES];
    rovei_list packets;
    uint64_t turns;
} world;

void world_init(world *w, size_t count);
void world_init_net(world *w, size_t count, const world_outside *outside);
/* Nodes that are peers of class net to each other: the one of the lower number dials. */
void world_init_apart(world *w, size_t count);
/* Peers of class rove, but for the last one, which is of class net to all others. */
void world_init_one_apart(world *w, size_t count);
void world_fini(world *w);
void world_start(world *w, size_t i); /* also again, as another incarnation that knows nothing */
void world_stop(world *w, size_t i);
void world_cut(world *w, size_t a, size_t b, bool cut); /* both ways */
void world_run(world *w, uint64_t time);
/* Runs until the condition holds, at most for `time`; fails the test otherwise. */
#define world_until(w, time, cond)                                                                 \
    do {                                                                                           \
        uint64_t end_ = (w)->now.mono + (time);                                                    \
        while (!(cond)) {                                                                          \
            assert_true((w)->now.mono < end_);                                                     \
            world_run((w), 5 * ROVE_MILLISECOND);                                                  \
        }                                                                                          \
    } while (0)

/* A daemon on node `i`, serving. Gives its entity; the key stays with the cell. */
rove_entity world_spawn(world *w, size_t i, uint64_t seed);
/* All of a daemon that serves on node `i`, as it is now. */
typedef struct world_backup {
    rovei_image image;
    rovei_backup positions;
    rovei_keypair *key;
} world_backup;
void world_backup_take(world *w, size_t i, const rove_entity *daemon, world_backup *ret);
void world_backup_fini(world_backup *b);
/* Asks for a daemon from it on node `i`; the request is the number of its cell. */
rove_err world_spawn_from(world *w, size_t i, const world_backup *b, bool force,
                          uint64_t *ret_request);
/* The note about a request, or NULL. */
const rovei_note *world_spawned(const world *w, size_t i, uint64_t request);
/* The cell of the daemon on node `i` that is not forgotten, or NULL. */
world_cell *world_cell_of(world *w, size_t i, const rove_entity *daemon);
/* A local deliver: applied, diverted (E_DIVERTED), or E_MOVED. */
rove_err world_deliver(world *w, size_t i, const rove_entity *daemon, const char *text);
rovei_attempt_id world_move(world *w, size_t from, size_t to, const rove_entity *daemon,
                            uint64_t retry);
rovei_move_info world_info(world *w, size_t i, const rovei_attempt_id *attempt);
/* The outcome's note, exactly once or (with `absent`) not at all. */
const rovei_note *world_ended(world *w, size_t i, const rovei_attempt_id *attempt);
void world_release(world *w, size_t i);
/* How often the cell has applied exactly this text. */
size_t world_times(const world_cell *c, const char *text);
/* Copies that can apply an event now, over all nodes. */
size_t world_serving(const world *w, const rove_entity *daemon);
/* Hands the kept message of a type, sent by node `from`, to node `to` once more. */
void world_replay(world *w, size_t from, size_t to, uint8_t type);
rovei_daemon *world_daemon(world *w, size_t i, const rove_entity *daemon);

/* ---- between the files of the world ---- */
world_cell *world_cell_new(world_node *n);
void world_cell_fini(world_cell *c);
void world_carry_out(world *w, world_node *n, rovei_effect *e);

/* ---- what tests have in common ---- */
#define WORLD_LONG (60 * ROVE_SECOND)
rovei_role world_role_of(world *w, size_t i, const rove_entity *daemon);
bool world_completed(world *w, size_t i, const rovei_attempt_id *a);
/* It lives on node `at` alone, is closed there, and is gone from node `from`. */
void world_assert_moved(world *w, size_t from, size_t at, const rove_entity *daemon);
size_t world_notes_of(const world *w, size_t i, rovei_note_kind kind);
void world_send_text(world *w, size_t i, uint64_t sender, const char *text);
/* Starts a move from node 0 to 1 of a daemon with one event, diverts `count` events and stands
 * before the commit (held on node 0). */
rovei_attempt_id world_divert_some(world *w, const rove_entity *d, size_t count);
void world_assert_results(const world_cell *c, size_t count);
void world_assert_diverted_once(world *w, size_t at, const rove_entity *d, size_t count);
/* Starts a move from node 0 to 1 and stands where an effect of a node is held. */
rovei_attempt_id world_move_until(world *w, const rove_entity *d, size_t node,
                                  rovei_effect_kind held);
/* A crash, and another incarnation. */
void world_restart(world *w, size_t i);

#endif
