/* SPDX-License-Identifier: Apache-2.0
 *
 * One event at a time: from the send to its outcome, beside an echo over plain UDP. */
#include "bench.h"
#include "blob.h"
#include "mesh.h"
#include "udp_echo.h"

#include <stdlib.h>

#define PAYLOAD 64
#define TRIPS   4000

struct lane_trips {
    rove_sender *sender;
    double *samples;
    size_t count;
};

static bool lane_round(void *arg, double *ret)
{
    struct lane_trips *t = arg;
    uint8_t payload[PAYLOAD] = {0};
    for (size_t i = 0; i < t->count; i++) {
        rove_outcome_kind kind;
        uint64_t start = bench_now();
        bench_must(rove_sender_send(t->sender, (rove_span){payload, sizeof payload}, true, NULL),
                   "send");
        do {
            rove_sent o;
            bench_must(rove_sender_next(t->sender, 5 * ROVE_SECOND, &o), "outcome");
            kind = o.kind;
            rove_sent_fini(&o);
        } while (kind != ROVE_SENT_APPLIED);
        t->samples[i] = (double)(bench_now() - start) / 1000.0;
    }
    ret[0] = bench_percentile(t->samples, t->count, 0.5);
    ret[1] = bench_percentile(t->samples, t->count, 0.99);
    return true;
}

void bench_round_trip(void)
{
    static const char *const figures[] = {"p50", "p99", NULL};
    bench_node a, b;
    bench_node_open(&a, NULL);
    bench_node_open(&b, NULL);
    bench_join(&a, &b);
    size_t count = (size_t)bench_scale(TRIPS);
    double *samples = calloc(count, sizeof *samples);
    if (!samples)
        bench_fail("no memory");
    struct lane_trips lane = {bench_sender(&a, &b, bench_blob(&b, BENCH_BLOB_SINK)), samples,
                              count};
    bench_udp_echo blocking = {false, PAYLOAD, count, samples};
    bench_udp_echo busy = {true, PAYLOAD, count, samples};
    const bench_case cases[] = {
        {"round_trip.64B.lane.blocking", "us", figures, lane_round, &lane},
        {"round_trip.64B.udp.blocking", "us", figures, bench_udp_echo_round, &blocking},
        {"round_trip.64B.udp.busy", "us", figures, bench_udp_echo_round, &busy},
    };
    bench_rounds(cases, sizeof cases / sizeof cases[0], bench_round_count());
    bench_ratio("round_trip.64B.lane.blocking.p50", "round_trip.64B.udp.blocking.p50");
    rove_sender_free(lane.sender);
    free(samples);
    bench_node_close(&a);
    bench_node_close(&b);
}
