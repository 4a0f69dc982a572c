/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves to and fro between two nodes. Blackout: from the freeze to the word that the target serves,
 * by the source's clock. Under traffic also the gap: the longest time between two events of a lane
 * that were applied one after the other, taken where they are applied. */
#include "bench.h"
#include "blob.h"
#include "mesh.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENT_SIZE 64

struct mover {
    bench_node *from, *to;
    rove_daemon daemon;
    double *blackout, *total, *gap;
    size_t moves;
};

/* A sender that never stops while a move runs. */
struct traffic {
    rove_sender *sender;
    atomic_bool stop;
    pthread_t thread;
};

static void *flow(void *arg)
{
    struct traffic *t = arg;
    uint8_t payload[EVENT_SIZE] = {0};
    while (!atomic_load(&t->stop)) {
        rove_sent o;
        rove_err err =
            rove_sender_send(t->sender, (rove_span){payload, sizeof payload}, false, NULL);
        if (err != ROVE_E_WINDOW)
            bench_must(err, "send");
        uint64_t wait = err == ROVE_E_WINDOW ? 10 * ROVE_SECOND : 0;
        while (rove_sender_next(t->sender, wait, &o) == ROVE_OK) {
            if (o.kind == ROVE_SENT_UNKNOWN || o.kind == ROVE_SENT_REFUSED)
                bench_must(o.err ? o.err : ROVE_E_INTERNAL, "outcome");
            rove_sent_fini(&o);
            wait = 0;
        }
    }
    return NULL;
}

static void traffic_start(struct traffic *t, struct mover *m)
{
    t->sender = bench_sender(m->from, m->from, m->daemon);
    atomic_store(&t->stop, false);
    if (pthread_create(&t->thread, NULL, flow, t))
        bench_fail("no thread");
    bench_blob_wait_applied(1000);
}

static void traffic_stop(struct traffic *t)
{
    atomic_store(&t->stop, true);
    pthread_join(t->thread, NULL);
    rove_sender_free(t->sender);
}

static void move_once(struct mover *m, bool busy, double *ret_blackout, double *ret_total,
                      double *ret_gap)
{
    struct traffic t;
    rove_migration move;
    rove_migration_info info;
    if (busy)
        traffic_start(&t, m);
    bench_blob_gap_reset();
    uint64_t start = bench_now();
    bench_must(rove_runtime_start_migration(m->from->rt, m->daemon, &m->to->info.entity, &move),
               "move");
    bench_must(rove_migration_wait(m->from->rt, move, &info), "move");
    *ret_total = (double)(bench_now() - start) / 1000.0;
    *ret_blackout = (double)info.blackout / 1000.0;
    if (busy) {
        bench_blob_wait_applied(1000);
        *ret_gap = (double)bench_blob_gap() / 1000.0;
        traffic_stop(&t);
    }
    bench_node *swap = m->from;
    m->from = m->to;
    m->to = swap;
}

static void report(const char *label, const char *how, const char *what, double *values,
                   size_t count)
{
    char name[BENCH_NAME_MAX];
    (void)snprintf(name, sizeof name, "moves.%s.%s.%s", label, how, what);
    bench_samples(name, "us", values, count);
}

static void bench_size(bench_node *a, bench_node *b, const char *label, uint32_t size, size_t moves)
{
    double *values[5]; /* blackout and total idle, then blackout, total and gap under traffic */
    struct mover m = {.from = a, .to = b, .daemon = bench_blob(a, BENCH_BLOB_CLOCK)};
    uint8_t order[5] = {BENCH_BLOB_RESIZE, (uint8_t)size, (uint8_t)(size >> 8),
                        (uint8_t)(size >> 16), (uint8_t)(size >> 24)};
    bench_tell(a, m.daemon, order, sizeof order);
    bench_must(rove_runtime_expect_migration(b->rt, "blob", m.daemon.origin, NULL), "expect");
    for (size_t i = 0; i < 5; i++)
        if (!(values[i] = calloc(moves, sizeof **values)))
            bench_fail("no memory");
    /* The first one makes connections and pages; it does not count. */
    move_once(&m, false, &values[0][0], &values[1][0], NULL);
    for (size_t i = 0; i < moves; i++) {
        move_once(&m, false, &values[0][i], &values[1][i], NULL);
        move_once(&m, true, &values[2][i], &values[3][i], &values[4][i]);
    }
    report(label, "idle", "blackout", values[0], moves);
    report(label, "idle", "total", values[1], moves);
    report(label, "traffic", "blackout", values[2], moves);
    report(label, "traffic", "total", values[3], moves);
    report(label, "traffic", "gap", values[4], moves);
    for (size_t i = 0; i < 5; i++)
        free(values[i]);
    bench_must(rove_runtime_stop(m.from->rt, m.daemon), "stop");
}

void bench_moves(void)
{
    bench_node a, b;
    bench_node_open(&a, NULL);
    bench_node_open(&b, NULL);
    bench_join(&a, &b);
    bench_size(&a, &b, "1KB", 1 << 10, (size_t)bench_scale(200));
    bench_size(&a, &b, "1MB", 1 << 20, (size_t)bench_scale(50));
    bench_size(&a, &b, "32MB", 32 << 20, (size_t)bench_scale(10));
    if (!bench_is_quick())
        bench_size(&a, &b, "1GB", 1 << 30, 3);
    bench_node_close(&a);
    bench_node_close(&b);
}
