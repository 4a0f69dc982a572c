/* SPDX-License-Identifier: Apache-2.0
 *
 * A world: a few nodes, the network between them, the cells that run their daemons, clients and
 * faults, all in one thread and all derived from one 64-bit seed. Time is virtual and jumps from
 * one thing to the next.
 *
 * Order: things happen by (time, order in which they were planned); a thing comes before a node's
 * deadline of the same time, and a node with a lower number before one with a higher. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "net.h"
#include "rng.h"
#include "story.h"
#include <base/env.h>
#include <identity/entity.h>
#include <node/node.h>
#include <node/node_test.h>

#define SIM_NODES_MAX   5
#define SIM_SEATS       10 /* channels: sim/publishing.h */
#define SIM_DAEMONS_MAX 8

typedef struct sim_thing sim_thing;
typedef struct sim_world sim_world;
typedef struct sim_node sim_node;
typedef struct sim_cell sim_cell;
typedef struct sim_daemon sim_daemon;
typedef struct sim_client sim_client;
typedef struct sim_event sim_event;
typedef struct sim_message sim_message;

/* Something planned. `run` owns it; so does `drop`, at the end of the world. */
struct sim_thing {
    uint64_t at, order;
    void (*run)(sim_world *w, sim_thing *t);
    void (*drop)(sim_world *w, sim_thing *t); /* NULL: free() */
};

/* What occurs in a seed; the sums over all seeds are printed. X(field, name in the output) */
#define SIM_TOTALS(X)                                                                              \
    X(seeds, true)                                                                                 \
    X(moves_completed, true)                                                                       \
    X(moves_aborted, true)                                                                         \
    X(moves_refused, true)                                                                         \
    X(moves_cancelled, true)                                                                       \
    X(net_completed, true)                                                                         \
    X(net_aborted, true)                                                                           \
    X(net_forged, true)                                                                            \
    X(events_sent, true)                                                                           \
    X(events_applied, true)                                                                        \
    X(events_resent, true)                                                                         \
    X(events_refused, true)                                                                        \
    X(events_unknown, true)                                                                        \
    X(events_lost, false)                                                                          \
    X(packets_sent, true)                                                                          \
    X(packets_lost, true)                                                                          \
    X(packets_doubled, true)                                                                       \
    X(packets_reordered, true)                                                                     \
    X(packets_late, true)                                                                          \
    X(packets_stolen, true)                                                                        \
    X(packets_flooded, true)                                                                       \
    X(addresses, true)                                                                             \
    X(paths, true)                                                                                 \
    X(cookies, true)                                                                               \
    X(partitions, true)                                                                            \
    X(crashes, true)                                                                               \
    X(redirects, true)                                                                             \
    X(local_delivers, true)                                                                        \
    X(local_diverted, true)                                                                        \
    X(spawns, true)                                                                                \
    X(published, true)                                                                             \
    X(subscribed, true)                                                                            \
    X(unsubscribed, true)                                                                          \
    X(tokens_revoked, true)                                                                        \
    X(publications_applied, true)                                                                  \
    X(publications_lost, true)                                                                     \
    X(stops, false)                                                                                \
    X(memory_refused, true)                                                                        \
    X(rekeys, true)                                                                                \
    X(restarts_marked, true)                                                                       \
    X(operator_cells, false)                                                                       \
    X(daemons_gone, false)                                                                         \
    X(steps, true)
typedef struct sim_totals {
#define SIM_TOTALS_FIELD(name, must) uint64_t name;
    SIM_TOTALS(SIM_TOTALS_FIELD)
#undef SIM_TOTALS_FIELD
} sim_totals;

struct sim_node {
    sim_world *world;
    unsigned index;
    char name[4]; /* "A" and so on */
    rovei_addr addr;
    uint32_t place; /* counts changes of the address */
    uint8_t seed[32];
    rove_entity entity;
    rovei_keypair *identity;
    bool up, gone;                        /* gone: never returns */
    uint32_t life;                        /* counts starts, from 1 */
    uint64_t incarnation, handshake_time; /* as in the identity's state file */
    int64_t wall_skew;
    rovei_env env;
    sim_rng entropy;
    rovei_node *core;
    rovei_node_tap tap;
    uint64_t datagrams_given; /* to this life of the core */
    sim_cell *cells;          /* list; those that were forgotten leave it */
    uint64_t accepted_before; /* sim/check.c: around one datagram */
    rovei_peer_info peer_before;
    uint64_t epochs[SIM_DAEMONS_MAX]; /* highest that this life has known */
    /* sim/publishing.c */
    uint32_t generation;            /* of the token that it holds */
    uint32_t floors[SIM_NODES_MAX]; /* below which those of others hold nothing here */
};

typedef enum sim_purpose {
    SIM_FOR_SHAPE = 1, /* how many nodes, which limits */
    SIM_FOR_NET,
    SIM_FOR_NEMESIS,
    SIM_FOR_WORK,
    SIM_FOR_CELLS,
    SIM_FOR_CLOCKS,
    SIM_FOR_KEYS,
    SIM_FOR_MEMORY,
    SIM_FOR_PUBLISHING,
    SIM_FOR_ENTROPY, /* + 16 x node + life */
} sim_purpose;

/* Allocations of everything in the world that takes an allocator. */
typedef struct sim_memory {
    uint64_t blocks, bytes, peak;
    bool inside;      /* a core is at work: only there memory may run out */
    uint32_t refusal; /* of 100,000 allocations, while inside */
    sim_rng rng;
    uint64_t refused;
} sim_memory;

struct sim_world {
    uint64_t seed;
    uint64_t now; /* virtual time, nanoseconds */
    uint64_t steps, steps_at_now;
    uint64_t next_order;
    sim_thing **heap;
    size_t heap_count, heap_room;

    sim_memory memory;
    rove_alloc alloc;
    struct rovei_slab *slab;
    rove_limits limits;
    uint8_t psk[32];
    sim_rng rng[SIM_FOR_ENTROPY];

    unsigned node_count;
    sim_node nodes[SIM_NODES_MAX];
    sim_net net;
    sim_daemon *daemons[SIM_DAEMONS_MAX];
    unsigned daemon_count;
    sim_client *clients; /* list */
    sim_event **events;  /* by id - 1 */
    size_t event_count, event_room;
    uint64_t next_cell;
    unsigned next_client;
    struct sim_attempt *attempts; /* every order to move */
    size_t attempt_count, attempt_room;
    /* A scenario's look at the messages of the core; true swallows one. */
    bool (*tap)(sim_node *n, const rove_entity *to, const sim_message *m, rove_span bytes);

    const struct sim_guest *guest; /* or NULL */
    bool publishes;                /* nodes have channels: sim/publishing.c */
    bool forgets;                  /* channels keep little: publications may be lost, and counted */
    uint64_t lost, left_out;       /* publications: counted by nodes; by us */
    bool shortages;                /* memory runs out at times */
    bool strikes;                  /* faults aim at moves, too */
    bool tight;                    /* nodes have limits of their own, smaller than others' */
    bool forced;    /* an operator has forced something: two copies may stand for a while */
    bool calm;      /* faults are over */
    bool scripted;  /* a scenario: nothing is drawn that is not asked for */
    bool full_mesh; /* every node dials every other one */
    uint32_t shore; /* bits by node: between those in it and the others there is class net alone */
    struct sim_stranger *stranger; /* one more peer of class net, which lies; or NULL */
    sim_story story;
    sim_totals totals;
    bool failed;
    char failure[512];
};

/* ---- life of a world ---- */
typedef struct sim_shape {
    uint64_t seed;
    unsigned nodes; /* 0 = drawn */
    bool scripted;
    FILE *echo, *history;
    const struct sim_guest *guest; /* a kind of one's own, or NULL; outlives the world */
} sim_shape;
sim_world *sim_world_new(const sim_shape *shape);
/* Frees everything that the nodes own and checks that nothing of it is left: true when nothing
 * failed. Verdict, story and totals can still be read. */
bool sim_world_close(sim_world *w);
void sim_world_free(sim_world *w);
void sim_node_start(sim_node *n);
void sim_node_crash(sim_node *n);
/* Ends in order: its daemons and moves end, and its peers may hear of it before it is gone. */
void sim_node_shutdown(sim_node *n);
void sim_node_connect(sim_node *n, sim_node *to);
/* Whether `n` dials `to` at each of its starts. */
bool sim_node_dials(const sim_node *n, const sim_node *to);

/* ---- time ---- */
void sim_plan(sim_world *w, uint64_t at, sim_thing *t);
/* A thing without content, for short plans. */
void sim_plan_call(sim_world *w, uint64_t at, void (*call)(sim_world *w, void *user), void *user);
/* One thing; false when nothing is planned any more or something failed. */
bool sim_step(sim_world *w);
/* All that is due until `until`; false after a failure. */
bool sim_run(sim_world *w, uint64_t until);
/* Around calls into a core: memory may be refused in between. */
void sim_core_enter(sim_world *w);
void sim_core_leave(sim_world *w);
/* Lets a node do what its core wants: turn, effects, notes, datagrams. Call after every command. */
void sim_pump(sim_node *n);
rovei_now sim_now(const sim_node *n);

/* ---- verdicts and words ---- */
/* The first failure stays; the run ends with it. */
void sim_fail(sim_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define sim_say(w, who, ...) sim_story_say(&(w)->story, (w)->now, (who), __VA_ARGS__)
sim_node *sim_node_of(sim_world *w, const rove_entity *entity);
const char *sim_name_of(sim_world *w, const rove_entity *entity); /* "?" for a stranger */

#endif
