/* SPDX-License-Identifier: Apache-2.0
 *
 * Two transports joined by a link in memory, in virtual time: seeded loss, duplication, delay and
 * reordering, partitions; and an allocator that counts and can refuse. For the tests of the
 * transport. */
#ifndef ROVEI_TESTS_PAIR_H
#define ROVEI_TESTS_PAIR_H

#include <mesh/transport.h>

#define PAIR_ROOM 1150 /* plaintext of a packet */

typedef struct pair_memory {
    size_t bytes, most;  /* in use, and the most so far */
    uint64_t calls;      /* allocations so far */
    uint64_t refuse_at;  /* this call is refused; 0: none */
    uint64_t refuse_for; /* and so many after it */
} pair_memory;

typedef struct pair_rng {
    uint64_t state;
} pair_rng;

typedef struct pair_packet {
    uint64_t at, order;
    size_t to, size;
    uint8_t bytes[PAIR_ROOM];
} pair_packet;

struct pair;
typedef void pair_event_fn(struct pair *p, size_t side, rovei_transport_event *e);

typedef struct pair {
    rovei_env env[2];
    pair_memory memory[2];
    pair_rng random;
    rovei_transport *t[2];
    rovei_now now;

    /* the link; set before running */
    uint64_t delay, jitter; /* nanoseconds each way */
    uint32_t loss, twice;   /* per mille */
    bool cut;
    bool mute[2];    /* a side whose packets are dropped */
    bool no_poll[2]; /* a side that does not take its events */
    uint64_t rate;   /* bytes per second each way, 0: no limit */
    uint64_t queue;  /* bytes that wait for the rate; more are dropped */
    uint64_t busy_until[2];

    pair_packet **queued; /* heap by time, then order */
    size_t count, room;
    uint64_t order;
    uint64_t delivered, dropped;

    pair_event_fn *on_event; /* NULL: events are released */
    void *user;
    rove_err error[2];    /* first error of class PEER */
    uint32_t check_every; /* steps between two walks over the invariants */
    uint64_t steps;
} pair;

uint64_t pair_random(pair_rng *r);
void pair_init(pair *p, uint64_t seed);
/* Makes the transports, after limits and link were set. */
void pair_start(pair *p);
void pair_fini(pair *p);
/* Builds, delivers and fires until `until` says so or `for_ns` have passed; false for the latter.
 */
typedef bool pair_until_fn(pair *p);
bool pair_run(pair *p, uint64_t for_ns, pair_until_fn *until);
/* Nothing is queued, under way or unacknowledged on either side. */
bool pair_quiet(pair *p);

/* Bytes of message `number` of a stream, a function of both. */
void pair_fill(uint8_t *ret, size_t size, uint64_t stream, uint64_t number);

#endif
