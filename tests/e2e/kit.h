/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs over real sockets share: nodes on loopback, a daemon that checks its own
 * events, senders that check their outcomes, a tap that holds messages of a move, a relay between
 * two nodes, and nodes in processes of their own that can be killed. */
#ifndef ROVE_TESTS_KIT_H
#define ROVE_TESTS_KIT_H

#include "../unit/support.h"
#include <compute/ids.h>
#include <inttypes.h>
#include <migration/move_codec.h>
#include <node/node_test.h>
#include <pthread.h>
#include <rove/runtime.h>
#include <rove/sender.h>
#include <shell/call.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

/* How long a test waits for something that has to come. */
#define PATIENCE (60 * ROVE_SECOND)

/* An assertion for any thread: ends the program. */
#define must(what)    ((what) ? (void)0 : kit_failed(__FILE__, __LINE__, #what))
#define must_ok(call) kit_must_ok((call), __FILE__, __LINE__, #call)
_Noreturn void kit_failed(const char *file, int line, const char *what);
void kit_must_ok(rove_err err, const char *file, int line, const char *what);

/* ---- a barrier between threads ---- */

/* A counter that can be waited for. */
typedef struct meter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t value;
} meter;
void meter_init(meter *m);
void meter_fini(meter *m);
void meter_add(meter *m, uint64_t more);
void meter_await(meter *m, uint64_t least);
uint64_t meter_get(meter *m);

/* ---- the daemon ---- */

/* Counts the events of up to 64 sources, each of which numbers its own from 1, and notes every one
 * that is doubled, missing or out of order. An event is {u32 who, u32 number, any bytes}; the
 * output is a tally_output. */
#define TALLY_WHOS 64
#define TALLY_ASK  UINT32_MAX       /* who: the output is the tally_state; not counted */
#define TALLY_SIGN (UINT32_MAX - 1) /* who: the output is the i32 error of rove_sign */
#define TALLY_FAIL (UINT32_MAX - 2) /* who: process refuses the event */

typedef struct tally_state {
    uint64_t count, faults;
    uint32_t last[TALLY_WHOS];
    uint64_t pad_size, pad_sum; /* of the bytes that only make the state larger */
} tally_state;

typedef struct tally_output {
    uint64_t count;
    uint32_t who, number;
    uint64_t sum; /* of the event's bytes */
} tally_output;

/* What all instances of one daemon share, on whichever node of the process they are. */
typedef struct tally_control {
    atomic_int created, destroyed;
    atomic_int inside, overlaps; /* calls of process at this moment; times that there were two */
    bool many;                   /* several daemons use it: overlaps are no fault */
    size_t pad;                  /* of instances that are created */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut, shut_restore; /* process, restore wait at the gate */
    int waiting;             /* there */
} tally_control;
void tally_control_init(tally_control *c);
void tally_control_fini(tally_control *c); /* asserts that every instance was destroyed */
void tally_shut(tally_control *c);
void tally_await(tally_control *c); /* until somebody waits at the gate */
void tally_open(tally_control *c);

extern const rove_kind tally_kind;
uint64_t sum_of(const void *bytes, size_t size);

/* ---- nodes ---- */

/* Holds back what it is told to, for ever: the machines say it again. */
typedef struct tap {
    rovei_node_tap tap;
    unsigned held; /* bit per rovei_move_type */
    meter seen[ROVEI_MOVE_OUTCOME + 1];
} tap;

typedef struct spot {
    rove_node *node;
    rove_runtime *rt;
    rove_node_info info;
    tap tap;
} spot;

typedef struct spot_config {
    tally_control *control; /* NULL: no runtime */
    unsigned workers;       /* one more than wanted; 0: the default */
    bool registering;       /* do not start it */
    const uint8_t *psk, *seed;
    const char *listen, *file;
    const rove_limits *limits;
    rove_policy policy;
} spot_config;

extern const uint8_t kit_psk[32];
void kit_limits(rove_limits *l); /* quick ones, for tests that lose messages */
rove_err spot_try(spot *s, const spot_config *cfg);
void spot_open(spot *s, const spot_config *cfg);
void spot_with(spot *s, tally_control *control); /* the defaults */
void spot_close(spot *s);
void spot_meet(spot *a, spot *b); /* a dials */
rovei_mesh_stats spot_stats(spot *s);
rovei_node_stats spot_counters(spot *s);
size_t spot_sessions(spot *s); /* how many peers are up */
/* What the core knows of a daemon: 0 when it is not listed. */
rovei_daemon_state spot_daemon_state(spot *s, const rove_entity *daemon);
bool spot_is_freezing(spot *s, const rove_entity *daemon); /* the freeze waits for an event */
void spot_hold(spot *s, rovei_move_type type); /* messages of this type that the node sends */
void spot_let(spot *s);                        /* nothing is held any longer */

/* ---- daemons ---- */

typedef struct subject {
    rove_identity *id; /* of the node it was made on */
    rove_entity entity;
    rove_daemon d;
} subject;
void subject_spawn(subject *x, spot *at);
void subject_fini(subject *x);
/* The others may be moved to. */
void subject_expect(const subject *x, spot *at);
rove_err subject_order(const subject *x, spot *from, spot *to, rove_migration *ret);
void subject_move(const subject *x, spot *from, spot *to);
rove_err subject_deliver(const subject *x, spot *at, uint32_t who, uint32_t number,
                         tally_output *ret);
void subject_ask(const subject *x, spot *at, tally_state *ret);
/* All `count` events of `who` were applied, once and in order. */
void subject_check(const subject *x, spot *at, uint32_t who, uint32_t count);

/* Two nodes that have met; the daemon is on `a` and has counted three events of source 1. */
typedef struct pair {
    tally_control control;
    spot a, b;
    subject x;
} pair;
void pair_open(pair *p);
void pair_open_with(pair *p, const spot_config *of_b);
void pair_close(pair *p);
void pair_counts(pair *p, size_t at_a, size_t at_b); /* of daemons */
void await_phase(spot *at, rove_migration m, rove_phase least);

/* A thread that delivers one event after the other, wherever the daemon is, until it is told to
 * stop; it counts those that were applied. */
typedef struct local {
    const subject *x;
    spot *spots;
    size_t spot_count;
    uint32_t who, applied;
    meter progress;
    atomic_bool stop;
    pthread_t thread;
} local;
void local_start(local *l, const subject *x, spot *spots, size_t spot_count, uint32_t who);
void local_stop(local *l);

/* ---- senders ---- */

typedef struct pump {
    rove_sender *sender;
    uint32_t who, target; /* how many events in all */
    uint32_t sent, applied;
    size_t size;    /* of an event; at least 8 */
    uint64_t count; /* of the daemon, in the last output */
    uint8_t *room;
    pthread_t thread;
} pump;
void pump_open(pump *p, spot *at, const rove_entity *daemon, uint32_t who, uint32_t target,
               size_t size);
/* Sends as the window allows, until so many have been applied; checks each outcome. */
void pump_run(pump *p, uint32_t applied);
void pump_finish(pump *p); /* all of it, then ENDED; frees */
void pump_drop(pump *p);
/* The whole of it on a thread of its own. */
void pump_start(pump *p);
void pump_join(pump *p);

/* ---- a relay ---- */

enum { FORTH, BACK };
typedef struct datagram {
    size_t size;
    uint8_t bytes[2048];
} datagram;
/* False drops it; it may be changed. Called on the relay's thread. */
typedef bool relay_fn(void *user, int direction, datagram *d);
typedef struct relay {
    int front, back, wake[2];
    char address[64];
    relay_fn *filter;
    void *user;
    pthread_t thread;
} relay;
/* A node that dials `address` reaches the node `to`, through the filter. */
void relay_open(relay *r, const spot *to, relay_fn *filter, void *user);
/* It reaches the node from another port from now on, as after a mapping that was forgotten. */
void relay_rebind(relay *r, const spot *to);
void relay_inject(relay *r, int direction, const datagram *d);
void relay_close(relay *r);
int kit_udp(const char *to, char *ret_address, size_t room); /* a plain socket, connected or not */

/* ---- nodes in processes of their own ---- */

typedef struct child {
    pid_t pid;
    FILE *to, *from;
    rove_entity entity;
    char address[64];
} child;
/* The programs begin with: if (argc > 1) return child_main(argc, argv); */
int child_main(int argc, char **argv);
void child_start(child *c, const char *identity_file); /* NULL: a key in memory */
/* One order; gives the first word of the answer as a number. */
long child_say(child *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
long child_hear(child *c);
void child_kill(child *c); /* hard */
void child_stop(child *c); /* it stands still when this returns */
void child_end(child *c);
const char *kit_hex(const void *bytes, size_t size); /* static */

#endif
