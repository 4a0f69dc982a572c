/* SPDX-License-Identifier: Apache-2.0
 *
 * One event at a time: from the send to its outcome, beside an echo over plain UDP. With nodes that
 * have threads of their own, and with nodes that the two ends drive themselves, sleeping or not. */
#include "bench.h"
#include "blob.h"
#include "mesh.h"
#include "udp_echo.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PAYLOAD 64
#define TRIPS   4000
#define WAIT    (5 * ROVE_SECOND)

/* How an end waits for its node. */
typedef enum waiting {
    BY_LIBRARY, /* the node has a thread */
    ASLEEP,     /* driven: in poll */
    AWAKE,      /* driven: again and again */
} waiting;

struct trips {
    waiting how;
    bench_node a, b;
    rove_sender *sender;
    double *samples;
    size_t count;
};

/* ---- driving ---- */

struct driver {
    rove_node *node;
    waiting how;
    atomic_bool driving, stop;
    pthread_t thread;
};

static void drive_once(rove_node *node, waiting how)
{
    if (how == ASLEEP) {
        uint64_t deadline = rove_node_deadline(node), now = bench_now();
        uint64_t left = deadline > now ? (deadline - now) / ROVE_MILLISECOND : 0;
        struct pollfd p = {.fd = rove_node_fd(node), .events = POLLIN};
        (void)poll(&p, 1, left < 10 ? (int)left : 10); /* to see a stop soon */
    }
    bench_must(rove_node_process(node), "process");
}

static void *drive(void *arg)
{
    struct driver *d = arg;
    do {
        drive_once(d->node, d->how);
        atomic_store_explicit(&d->driving, true, memory_order_release);
    } while (!atomic_load_explicit(&d->stop, memory_order_relaxed));
    return NULL;
}

/* The node is the new thread's when it returns. */
static void driver_start(struct driver *d, rove_node *node, waiting how)
{
    d->node = node;
    d->how = how;
    atomic_init(&d->driving, false);
    atomic_init(&d->stop, false);
    if (pthread_create(&d->thread, NULL, drive, d))
        bench_fail("no thread");
    while (!atomic_load_explicit(&d->driving, memory_order_acquire))
        sched_yield();
}

/* The node is the caller's when it returns. */
static void driver_stop(struct driver *d)
{
    atomic_store(&d->stop, true);
    pthread_join(d->thread, NULL);
    bench_must(rove_node_process(d->node), "process");
}

/* ---- rounds ---- */

/* The next outcome, however long it takes. */
static rove_outcome_kind next_outcome(const struct trips *t)
{
    rove_sent o;
    rove_err err;
    while ((err = rove_sender_next(t->sender, t->how == BY_LIBRARY ? WAIT : 0, &o)) ==
               ROVE_E_TIMED_OUT &&
           t->how != BY_LIBRARY)
        drive_once(t->a.node, t->how);
    bench_must(err, "outcome");
    rove_outcome_kind kind = o.kind;
    rove_sent_fini(&o);
    return kind;
}

static void trip(const struct trips *t)
{
    uint8_t payload[PAYLOAD] = {0};
    bench_must(rove_sender_send(t->sender, (rove_span){payload, sizeof payload},
                                t->how == BY_LIBRARY, NULL),
               "send");
    while (next_outcome(t) != ROVE_SENT_APPLIED)
        ;
}

static bool lane_round(void *arg, double *ret)
{
    struct trips *t = arg;
    struct driver far;
    if (t->how != BY_LIBRARY)
        driver_start(&far, t->b.node, t->how);
    for (size_t i = 0; i < t->count; i++) {
        uint64_t start = bench_now();
        trip(t);
        t->samples[i] = (double)(bench_now() - start) / 1000.0;
    }
    if (t->how != BY_LIBRARY)
        driver_stop(&far);
    ret[0] = bench_percentile(t->samples, t->count, 0.5);
    ret[1] = bench_percentile(t->samples, t->count, 0.99);
    return true;
}

/* ---- the measure ---- */

static void open_trips(struct trips *t, waiting how, double *samples, size_t count)
{
    *t = (struct trips){.how = how, .samples = samples, .count = count};
    struct driver near, far;
    if (how == BY_LIBRARY) {
        bench_node_open(&t->a, NULL);
        bench_node_open(&t->b, NULL);
    } else {
        bench_node_open_driven(&t->a);
        bench_node_open_driven(&t->b);
    }
    rove_daemon d = bench_blob(&t->b, BENCH_BLOB_SINK);
    if (how != BY_LIBRARY) {
        driver_start(&near, t->a.node, ASLEEP);
        driver_start(&far, t->b.node, ASLEEP);
    }
    bench_join(&t->a, &t->b);
    t->sender = bench_sender(&t->a, &t->b, d);
    if (how != BY_LIBRARY) {
        driver_stop(&near);
        driver_stop(&far);
    }
}

static void close_trips(struct trips *t)
{
    rove_sender_free(t->sender);
    bench_node_close(&t->a);
    bench_node_close(&t->b);
}

void bench_round_trip(void)
{
    static const char *const figures[] = {"p50", "p99", NULL};
    size_t count = (size_t)bench_scale(TRIPS);
    double *samples = calloc(count, sizeof *samples);
    if (!samples)
        bench_fail("no memory");
    struct trips threads, asleep, awake;
    open_trips(&threads, BY_LIBRARY, samples, count);
    open_trips(&asleep, ASLEEP, samples, count);
    open_trips(&awake, AWAKE, samples, count);
    bench_udp_echo blocking = {false, PAYLOAD, count, samples};
    bench_udp_echo busy = {true, PAYLOAD, count, samples};
    const bench_case cases[] = {
        {"round_trip.64B.lane.blocking", "us", figures, lane_round, &threads},
        {"round_trip.64B.lane.driven", "us", figures, lane_round, &asleep},
        {"round_trip.64B.udp.blocking", "us", figures, bench_udp_echo_round, &blocking},
        {"round_trip.64B.lane.busy", "us", figures, lane_round, &awake},
        {"round_trip.64B.udp.busy", "us", figures, bench_udp_echo_round, &busy},
    };
    bench_rounds(cases, sizeof cases / sizeof cases[0], bench_round_count());
    bench_ratio("round_trip.64B.lane.blocking.p50", "round_trip.64B.udp.blocking.p50");
    bench_ratio("round_trip.64B.lane.driven.p50", "round_trip.64B.udp.blocking.p50");
    bench_ratio("round_trip.64B.lane.busy.p50", "round_trip.64B.udp.busy.p50");
    close_trips(&threads);
    close_trips(&asleep);
    close_trips(&awake);
    free(samples);
}
