/* SPDX-License-Identifier: Apache-2.0
 *
 * Draining a node of many daemons, to and fro between two, idle and while events go to some of them
 * without a pause. An event that is not applied fails the run. */
#include "bench.h"
#include "blob.h"
#include "mesh.h"

#include <pthread.h>
#include <rove/drain.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define EVENT_SIZE 64
#define SENDERS    16

struct flow {
    rove_sender *senders[SENDERS];
    atomic_bool stop;
    uint64_t sent, applied;
    pthread_t thread;
};

static void take(struct flow *f, rove_sender *s, uint64_t wait)
{
    rove_sent o;
    while (rove_sender_next(s, wait, &o) == ROVE_OK) {
        if (o.kind != ROVE_SENT_APPLIED)
            bench_must(o.err ? o.err : ROVE_E_INTERNAL, "outcome");
        f->applied++;
        rove_sent_fini(&o);
        wait = 0;
    }
}

static void *flow(void *arg)
{
    struct flow *f = arg;
    uint8_t payload[EVENT_SIZE] = {0};
    while (!atomic_load(&f->stop))
        for (size_t i = 0; i < SENDERS; i++) {
            rove_err err =
                rove_sender_send(f->senders[i], (rove_span){payload, sizeof payload}, false, NULL);
            if (err != ROVE_E_WINDOW)
                bench_must(err, "send");
            f->sent += err == ROVE_OK;
            take(f, f->senders[i], 0);
        }
    for (size_t i = 0; f->applied < f->sent; i++)
        take(f, f->senders[i % SENDERS], ROVE_MILLISECOND);
    return NULL;
}

static double drain_once(bench_node *from, bench_node *at, rove_daemon *daemons, size_t count,
                         bool busy)
{
    struct flow f = {.stop = false};
    rove_drain_report report;
    for (size_t i = 0; busy && i < SENDERS; i++)
        f.senders[i] = bench_sender(at, from, daemons[i * count / SENDERS]);
    if (busy && pthread_create(&f.thread, NULL, flow, &f))
        bench_fail("no thread");
    bench_must(rove_runtime_drain(from->rt, NULL, &report), "drain");
    if (report.moved != count)
        bench_fail("not all have moved");
    atomic_store(&f.stop, true);
    if (busy)
        pthread_join(f.thread, NULL);
    for (size_t i = 0; busy && i < SENDERS; i++)
        rove_sender_free(f.senders[i]);
    bench_must(rove_runtime_cordon(from->rt, false), "undo");
    return (double)report.elapsed / 1e6;
}

void bench_drain(void)
{
    bench_node a, b;
    size_t count = (size_t)bench_scale(1000), rounds = (size_t)bench_scale(10);
    if (count < SENDERS)
        count = SENDERS;
    rove_daemon *daemons = calloc(count, sizeof *daemons);
    double *idle = calloc(rounds, sizeof *idle), *busy = calloc(rounds, sizeof *busy);
    if (!daemons || !idle || !busy)
        bench_fail("no memory");
    bench_node_open(&a, NULL);
    bench_node_open(&b, NULL);
    bench_join(&a, &b);
    bench_must(rove_runtime_accept_kind(a.rt, NULL, true), "accept");
    bench_must(rove_runtime_accept_kind(b.rt, NULL, true), "accept");
    for (size_t i = 0; i < count; i++)
        daemons[i] = bench_blob(&a, BENCH_BLOB_CLOCK);
    for (size_t i = 0; i < rounds; i++) {
        idle[i] = drain_once(&a, &b, daemons, count, false);
        busy[i] = drain_once(&b, &a, daemons, count, true);
    }
    bench_samples("drain.1000.idle", "ms", idle, rounds);
    bench_samples("drain.1000.traffic", "ms", busy, rounds);
    free(daemons);
    free(idle);
    free(busy);
    bench_node_close(&a);
    bench_node_close(&b);
}
