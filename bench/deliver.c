/* SPDX-License-Identifier: Apache-2.0
 *
 * Local delivers: without an output nothing but the daemon's state moves; with one the chain gets a
 * link. Two threads deliver to a daemon each. Erlang beside them: messages one way between two
 * processes, in windows that it is quickest with. */
#include "bench.h"
#include "blob.h"
#include "erlang.h"
#include "mesh.h"

#include <pthread.h>
#include <stdio.h>

#define EVENTS      1000000
#define MESSAGES    1000000
#define ROUND_TRIPS 100000
#define PAYLOAD     64

struct lot { /* what one thread delivers */
    rove_runtime *rt;
    rove_daemon daemon;
    uint64_t events, origin;
};

struct delivers {
    struct lot lots[2];
    size_t threads;
};

static void *deliver_lot(void *arg)
{
    const struct lot *lot = arg;
    uint8_t payload[PAYLOAD] = {0};
    rove_event e = {.link.origin = lot->origin, .payload = {payload, sizeof payload}};
    for (uint64_t i = 0; i < lot->events; i++) {
        rove_result r;
        e.link.sequence++;
        bench_must(rove_runtime_deliver(lot->rt, lot->daemon, &e, 0, &r, NULL, NULL), "deliver");
        rove_result_fini(&r);
    }
    return NULL;
}

static bool deliver_round(void *arg, double *ret)
{
    struct delivers *d = arg;
    pthread_t other = pthread_self();
    uint64_t start = bench_now();
    if (d->threads == 2 && pthread_create(&other, NULL, deliver_lot, &d->lots[1]))
        bench_fail("no thread");
    (void)deliver_lot(&d->lots[0]);
    if (d->threads == 2)
        pthread_join(other, NULL);
    *ret = (double)(d->threads * d->lots[0].events) * 1e9 / (double)(bench_now() - start);
    return true;
}

static void prepare(struct delivers *d, bench_node *n, uint8_t mode, size_t threads)
{
    d->threads = threads;
    for (size_t i = 0; i < threads; i++)
        d->lots[i] = (struct lot){n->rt, bench_blob(n, mode), bench_scale(EVENTS), 7 + i};
}

void bench_deliver(void)
{
    bench_node n;
    bench_node_open(&n, NULL);
    struct delivers d[4];
    prepare(&d[0], &n, BENCH_BLOB_SINK, 1);
    prepare(&d[1], &n, BENCH_BLOB_ECHO, 1);
    prepare(&d[2], &n, BENCH_BLOB_SINK, 2);
    prepare(&d[3], &n, BENCH_BLOB_ECHO, 2);
    bench_erlang one_way = {BENCH_ERLANG_ONE_WAY, PAYLOAD, bench_scale(MESSAGES)};
    bench_erlang round_trip = {BENCH_ERLANG_ROUND_TRIP, PAYLOAD, bench_scale(ROUND_TRIPS)};
    const bench_case cases[] = {
        {"deliver.64B.no_output.1_thread", "events/s", NULL, deliver_round, &d[0]},
        {"erlang.64B.one_way", "messages/s", NULL, bench_erlang_round, &one_way},
        {"deliver.64B.one_output.1_thread", "events/s", NULL, deliver_round, &d[1]},
        {"erlang.64B.round_trips", "messages/s", NULL, bench_erlang_round, &round_trip},
        {"deliver.64B.no_output.2_threads", "events/s", NULL, deliver_round, &d[2]},
        {"deliver.64B.one_output.2_threads", "events/s", NULL, deliver_round, &d[3]},
    };
    bench_rounds(cases, sizeof cases / sizeof cases[0], bench_round_count());
    bench_ratio("deliver.64B.no_output.1_thread", "erlang.64B.one_way");
    bench_ratio("deliver.64B.no_output.2_threads", "erlang.64B.one_way");
    bench_ratio("deliver.64B.one_output.1_thread", "erlang.64B.round_trips");
    bench_ratio("deliver.64B.no_output.2_threads", "deliver.64B.no_output.1_thread");
    bench_ratio("deliver.64B.one_output.2_threads", "deliver.64B.one_output.1_thread");
    bench_erlang_close();
    bench_node_close(&n);
}
