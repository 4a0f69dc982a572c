/* SPDX-License-Identifier: Apache-2.0
 *
 * Events over lanes between two nodes, each acknowledged as applied, by one thread that fills the
 * windows of its senders and takes the outcomes. ZeroMQ, NATS and Erlang beside them, which
 * acknowledge nothing and encrypt nothing. */
#include "lanes.h"
#include "bench.h"
#include "blob.h"
#include "erlang.h"
#include "nats.h"
#include "zeromq.h"

#include <stdio.h>
#include <stdlib.h>

#define SENDERS BENCH_LANE_SENDERS
#define WAIT    (10 * ROVE_SECOND)

/* What one sender has sent and what of it is applied. */
struct progress {
    uint64_t sent, done;
};

static void fill(rove_sender *s, struct progress *p, uint64_t most, rove_span payload)
{
    while (p->sent < most) {
        rove_err err = rove_sender_send(s, payload, false, NULL);
        if (err == ROVE_E_WINDOW)
            return;
        bench_must(err, "send");
        p->sent++;
    }
}

/* Waits for the first outcome of a burst, then takes what is there. */
static void drain(rove_sender *s, struct progress *p)
{
    rove_sent o;
    uint64_t wait = WAIT;
    while (p->done < p->sent) {
        rove_err err = rove_sender_next(s, wait, &o);
        if (err == ROVE_E_TIMED_OUT && wait == 0)
            return;
        bench_must(err, "outcome");
        wait = 0;
        if (o.kind == ROVE_SENT_APPLIED)
            p->done++;
        else if (o.kind != ROVE_SENT_REACHED && o.kind != ROVE_SENT_UNREACHABLE)
            bench_must(o.err ? o.err : ROVE_E_INTERNAL, "outcome");
        rove_sent_fini(&o);
    }
}

bool bench_lanes_round(void *arg, double *ret)
{
    const bench_lane_set *l = arg;
    uint8_t *payload = calloc(1, l->size);
    if (!payload)
        bench_fail("no memory");
    struct progress p[SENDERS] = {{0, 0}};
    uint64_t each = l->events / l->count, left = l->count;
    uint64_t start = bench_now();
    while (left) {
        left = 0;
        for (size_t i = 0; i < l->count; i++)
            fill(l->senders[i], &p[i], each, (rove_span){payload, l->size});
        for (size_t i = 0; i < l->count; i++) {
            drain(l->senders[i], &p[i]);
            left += p[i].done < each;
        }
    }
    *ret = (double)(each * l->count) * 1e9 / (double)(bench_now() - start);
    free(payload);
    return true;
}

/* Everything of one payload takes turns. */
static void bench_size(rove_sender **sinks, rove_sender **echos, const char *label, size_t size,
                       uint64_t events)
{
    bench_lane_set lanes[4];
    bench_zeromq zeromq[2];
    bench_nats nats = {size, events};
    bench_erlang erlang = {BENCH_ERLANG_ONE_WAY, size, events};
    bench_case cases[8];
    size_t at = 0;
    for (size_t i = 0; i < 4; i++) {
        size_t count = i % 2 ? SENDERS : 1;
        lanes[i] = (bench_lane_set){i < 2 ? sinks : echos, count, size, events};
        bench_case *c = &cases[at++];
        *c = (bench_case){"", "events/s", NULL, bench_lanes_round, &lanes[i]};
        (void)snprintf(c->name, sizeof c->name, "lanes.%s.%s.%zu_sender%s", label,
                       i < 2 ? "no_output" : "one_output", count, count > 1 ? "s" : "");
    }
    for (size_t i = 0; i < 2; i++) {
        zeromq[i] = (bench_zeromq){i ? SENDERS : 1, size, events};
        bench_case *c = &cases[at++];
        *c = (bench_case){"", "messages/s", NULL, bench_zeromq_round, &zeromq[i]};
        (void)snprintf(c->name, sizeof c->name, "zeromq.%s.%s", label,
                       i ? "8_senders" : "1_sender");
    }
    cases[at] = (bench_case){"", "messages/s", NULL, bench_nats_round, &nats};
    (void)snprintf(cases[at].name, sizeof cases[at].name, "nats.%s", label);
    at++;
    /* Not the name of the deliver measure, which has rounds of its own. */
    cases[at] = (bench_case){"", "messages/s", NULL, bench_erlang_round, &erlang};
    (void)snprintf(cases[at].name, sizeof cases[at].name, "erlang.%s.one_way_beside_lanes", label);
    at++;
    bench_rounds(cases, at, bench_round_count());
    bench_ratio(cases[0].name, cases[4].name);
    bench_ratio(cases[1].name, cases[5].name);
    bench_ratio(cases[0].name, cases[6].name);
    bench_ratio(cases[2].name, cases[0].name);
}

void bench_lanes(void)
{
    bench_node a, b;
    bench_node_open(&a, NULL);
    bench_node_open(&b, NULL);
    bench_join(&a, &b);
    rove_daemon sink = bench_blob(&b, BENCH_BLOB_SINK), echo = bench_blob(&b, BENCH_BLOB_ECHO);
    rove_sender *sinks[SENDERS], *echos[SENDERS];
    for (size_t i = 0; i < SENDERS; i++) {
        sinks[i] = bench_sender(&a, &b, sink);
        echos[i] = bench_sender(&a, &b, echo);
    }
    bench_size(sinks, echos, "64B", 64, bench_scale(400000));
    bench_size(sinks, echos, "1KiB", 1024, bench_scale(100000));
    bench_size(sinks, echos, "64KiB", 65536, bench_scale(3000));
    for (size_t i = 0; i < SENDERS; i++) {
        rove_sender_free(sinks[i]);
        rove_sender_free(echos[i]);
    }
    bench_nats_close();
    bench_erlang_close();
    bench_node_close(&a);
    bench_node_close(&b);
}
