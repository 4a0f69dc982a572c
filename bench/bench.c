/* SPDX-License-Identifier: Apache-2.0
 *
 * Rove measured against itself through its public interface, in one run: local delivers with the
 * chain, lanes between two nodes over real sockets, and moves. Each figure is the median of several
 * rounds. `bench [--json] [--quick]`. */
#include "blob.h"

#include <rove/node.h>
#include <rove/runtime.h>
#include <rove/sender.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define MOVES  100

static bool as_json;
static uint64_t scale = 1; /* divides the work: --quick */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ROVE_SECOND + (uint64_t)t.tv_nsec;
}

static void must(rove_err err, const char *what)
{
    if (err) {
        fprintf(stderr, "bench: %s: %s\n", what, rove_strerror(err));
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *values, size_t count, double p)
{
    qsort(values, count, sizeof *values, by_value);
    size_t at = (size_t)(p * (double)(count - 1) + 0.5);
    return values[at];
}

static void report(const char *name, double value, const char *unit)
{
    if (as_json)
        printf("{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
    else
        printf("%-40s %14.1f %s\n", name, value, unit);
    fflush(stdout);
}

/* ---- two nodes with a runtime each, joined ---- */

typedef struct side {
    rove_node *node;
    rove_runtime *rt;
    rove_node_info info;
} side;

static void side_open(side *s)
{
    static const uint8_t psk[32] = {42};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    must(rove_node_new(&s->node, &cfg), "node");
    must(rove_runtime_new(&s->rt, s->node, NULL), "runtime");
    must(rove_runtime_register_kind(s->rt, NULL, bench_blob_kind(), NULL), "kind");
    must(rove_runtime_start(s->rt), "start");
    rove_node_get_info(s->node, &s->info);
}

static void side_close(side *s)
{
    (void)!rove_runtime_shutdown(s->rt);
    rove_runtime_unref(s->rt);
    rove_node_free(s->node);
}

static void join(side *a, side *b)
{
    must(rove_node_connect(a->node, &b->info.entity, b->info.address), "connect");
    must(rove_node_wait_peer(a->node, &b->info.entity, 5 * ROVE_SECOND), "session");
    must(rove_node_wait_peer(b->node, &a->info.entity, 5 * ROVE_SECOND), "session");
}

/* ---- local delivers ---- */

static double deliver_round(rove_runtime *rt, rove_daemon d, const rove_identity *who, uint64_t n)
{
    uint8_t payload[64] = {0};
    rove_event e = {.payload = {payload, sizeof payload}};
    e.link.origin = rove_identity_origin(who);
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        rove_result r;
        e.link.sequence = i + 1;
        must(rove_runtime_deliver(rt, d, &e, 0, &r, NULL, NULL), "deliver");
        rove_result_fini(&r);
    }
    return (double)n * 1e9 / (double)(now_ns() - start);
}

static void bench_deliver(side *s, uint8_t mode, const char *name)
{
    double values[ROUNDS];
    rove_daemon d;
    rove_identity *who;
    must(rove_identity_generate(&who, s->node), "identity");
    must(rove_runtime_spawn(s->rt, "blob", NULL, NULL, &d), "spawn");
    rove_event mode_event = {.link.origin = 1, .link.sequence = 1, .payload = {&mode, 1}};
    rove_result r;
    must(rove_runtime_deliver(s->rt, d, &mode_event, 0, &r, NULL, NULL), "mode");
    rove_result_fini(&r);
    for (int i = 0; i < ROUNDS; i++)
        values[i] = deliver_round(s->rt, d, who, 1000000 / scale);
    must(rove_runtime_stop(s->rt, d), "stop");
    rove_identity_free(who);
    report(name, percentile(values, ROUNDS, 0.5), "events/s");
}

/* ---- lanes ---- */

static double lane_round(rove_sender **senders, size_t count, size_t size, uint64_t n)
{
    uint8_t *payload = calloc(1, size);
    uint64_t start = now_ns();
    uint64_t per = n / count;
    uint64_t *sent = calloc(count, sizeof *sent), *done = calloc(count, sizeof *done);
    for (uint64_t left = per * count; left;) {
        for (size_t s = 0; s < count; s++) {
            rove_err err = ROVE_OK;
            while (sent[s] < per && !err) {
                uint64_t number;
                err = rove_sender_send(senders[s], (rove_span){payload, size}, false, &number);
                if (!err)
                    sent[s]++;
                else if (err != ROVE_E_WINDOW)
                    must(err, "send");
            }
            rove_sent o;
            uint64_t wait = 10 * ROVE_SECOND; /* the first outcome of a burst, then what is there */
            while (done[s] < sent[s] && rove_sender_next(senders[s], wait, &o) == ROVE_OK) {
                wait = 0;
                if (o.kind == ROVE_SENT_APPLIED) {
                    done[s]++;
                    left--;
                } else if (o.kind != ROVE_SENT_REACHED && o.kind != ROVE_SENT_UNREACHABLE) {
                    must(o.err ? o.err : ROVE_E_INTERNAL, "outcome");
                }
                rove_sent_fini(&o);
            }
        }
    }
    double rate = (double)(per * count) * 1e9 / (double)(now_ns() - start);
    free(sent);
    free(done);
    free(payload);
    return rate;
}

static void bench_lane(side *a, side *b, size_t size, size_t count, uint8_t mode, uint64_t n,
                       const char *name)
{
    double values[ROUNDS];
    rove_daemon d;
    rove_entity entity;
    rove_sender *senders[8];
    must(rove_runtime_spawn(b->rt, "blob", NULL, NULL, &d), "spawn");
    must(rove_runtime_entity(b->rt, d, &entity), "entity");
    rove_event mode_event = {.link.origin = 1, .link.sequence = 1, .payload = {&mode, 1}};
    rove_result r;
    must(rove_runtime_deliver(b->rt, d, &mode_event, 0, &r, NULL, NULL), "mode");
    rove_result_fini(&r);
    for (size_t i = 0; i < count; i++)
        must(rove_sender_open(&senders[i], a->node, &entity, NULL), "sender");
    for (int i = 0; i < ROUNDS; i++)
        values[i] = lane_round(senders, count, size, n / scale);
    for (size_t i = 0; i < count; i++)
        rove_sender_free(senders[i]);
    must(rove_runtime_stop(b->rt, d), "stop");
    report(name, percentile(values, ROUNDS, 0.5), "events/s");
}

/* One event at a time: from the send to its outcome. */
static void bench_round_trip(side *a, side *b)
{
    size_t n = 20000 / scale;
    double *values = calloc(n, sizeof *values);
    rove_daemon d;
    rove_entity entity;
    rove_sender *sender;
    must(rove_runtime_spawn(b->rt, "blob", NULL, NULL, &d), "spawn");
    must(rove_runtime_entity(b->rt, d, &entity), "entity");
    must(rove_sender_open(&sender, a->node, &entity, NULL), "sender");
    uint8_t payload[64] = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t start = now_ns(), number;
        rove_sent o;
        must(rove_sender_send(sender, (rove_span){payload, sizeof payload}, true, &number), "send");
        must(rove_sender_next(sender, 5 * ROVE_SECOND, &o), "outcome");
        values[i] = (double)(now_ns() - start) / 1000.0;
        rove_sent_fini(&o);
    }
    report("round trip 64 B p50", percentile(values, n, 0.5), "us");
    report("round trip 64 B p99", percentile(values, n, 0.99), "us");
    rove_sender_free(sender);
    must(rove_runtime_stop(b->rt, d), "stop");
    free(values);
}

/* ---- moves ---- */

static void bench_moves(side *a, side *b, uint32_t state, size_t moves, const char *name)
{
    double *blackout = calloc(moves, sizeof *blackout), *total = calloc(moves, sizeof *total);
    rove_daemon d;
    side *from = a, *to = b;
    must(rove_runtime_spawn(a->rt, "blob", NULL, NULL, &d), "spawn");
    uint8_t size[5] = {BENCH_BLOB_RESIZE, (uint8_t)state, (uint8_t)(state >> 8),
                       (uint8_t)(state >> 16), (uint8_t)(state >> 24)};
    rove_event e = {.link.origin = 1, .link.sequence = 1, .payload = {size, sizeof size}};
    rove_result r;
    must(rove_runtime_deliver(a->rt, d, &e, 0, &r, NULL, NULL), "resize");
    rove_result_fini(&r);
    must(rove_runtime_expect_migration(b->rt, "blob", d.origin, NULL), "expect");
    for (size_t i = 0; i < moves; i++) {
        rove_migration m;
        rove_migration_info info;
        uint64_t start = now_ns();
        must(rove_runtime_start_migration(from->rt, d, &to->info.entity, &m), "move");
        must(rove_migration_wait(from->rt, m, &info), "wait");
        total[i] = (double)(now_ns() - start) / 1000.0;
        blackout[i] = (double)info.blackout / 1000.0;
        side *swap = from;
        from = to;
        to = swap;
    }
    char line[80];
    (void)snprintf(line, sizeof line, "move %s blackout p50", name);
    report(line, percentile(blackout, moves, 0.5), "us");
    (void)snprintf(line, sizeof line, "move %s blackout p99", name);
    report(line, percentile(blackout, moves, 0.99), "us");
    (void)snprintf(line, sizeof line, "move %s total p50", name);
    report(line, percentile(total, moves, 0.5), "us");
    free(blackout);
    free(total);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) {
            as_json = true;
        } else if (!strcmp(argv[i], "--quick")) {
            scale = 10;
        } else {
            fprintf(stderr, "usage: bench [--json] [--quick]\n");
            return 2;
        }
    }
    side a, b;
    side_open(&a);
    side_open(&b);
    join(&a, &b);
    bench_deliver(&a, BENCH_BLOB_ECHO, "deliver 64 B, one output, with chain");
    bench_deliver(&a, BENCH_BLOB_SINK, "deliver 64 B, no output");
    bench_lane(&a, &b, 64, 1, BENCH_BLOB_SINK, 1000000, "lane 64 B, 1 sender, no output");
    bench_lane(&a, &b, 64, 8, BENCH_BLOB_SINK, 1000000, "lane 64 B, 8 senders, no output");
    bench_lane(&a, &b, 64, 1, BENCH_BLOB_ECHO, 500000, "lane 64 B, 1 sender, one output");
    bench_lane(&a, &b, 1024, 1, BENCH_BLOB_SINK, 200000, "lane 1 KiB, 1 sender, no output");
    bench_lane(&a, &b, 65536, 1, BENCH_BLOB_SINK, 10000, "lane 64 KiB, 1 sender, no output");
    bench_round_trip(&a, &b);
    bench_moves(&a, &b, 1024, MOVES, "1 KB");
    bench_moves(&a, &b, 1 << 20, 20, "1 MB");
    side_close(&a);
    side_close(&b);
    return 0;
}
