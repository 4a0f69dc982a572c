/* SPDX-License-Identifier: Apache-2.0
 *
 * What one node publishes, fed to daemons of that node and of another one. A round ends when the
 * last of them has applied the last event; its figure counts an event once for each that applied
 * it. Nothing is lost: the publisher holds back. Plain lanes beside it. */
#include "bench.h"
#include "blob.h"
#include "lanes.h"

#include <rove/channel.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MOST    64
#define PAYLOAD 64
#define BATCH   64 /* events of one call */
#define EVENTS  400000

typedef struct fan {
    bench_node *from, *to;
    char channel[32];
    rove_daemon daemons[MOST];
    size_t count;
    uint64_t events, published;
} fan;

static void fan_open(fan *f, bench_node *from, bench_node *to, size_t count)
{
    rove_channel_config config;
    rove_channel_config_init(&config);
    *f = (fan){.from = from, .to = to, .count = count, .events = bench_scale(EVENTS / count)};
    (void)snprintf(f->channel, sizeof f->channel, "%s/%zu", from == to ? "here" : "there", count);
    bench_must(rove_channel_create(from->node, f->channel, &config, false), "channel");
    for (size_t i = 0; i < count; i++) {
        f->daemons[i] = bench_blob(to, BENCH_BLOB_SINK);
        bench_must(rove_runtime_subscribe_channel(to->rt, f->daemons[i], from->info.node_id,
                                                  f->channel, (rove_span){NULL, 0}),
                   "subscription");
    }
}

/* The publisher is done long before this for all but the last of its window: looking from time to
 * time takes nothing from what is measured. */
static void wait_for(const fan *f, rove_daemon d)
{
    const struct timespec pause = {0, 100000};
    rove_subscription s;
    size_t count;
    for (;;) {
        bench_must(rove_runtime_subscriptions(f->to->rt, d, &s, 1, &count), "subscriptions");
        if (s.lost)
            bench_fail("events were lost");
        if (s.position >= f->published)
            return;
        (void)nanosleep(&pause, NULL);
    }
}

static bool fan_round(void *arg, double *ret)
{
    fan *f = arg;
    uint8_t payload[PAYLOAD] = {0};
    rove_span events[BATCH];
    rove_publish_options options;
    rove_publish_options_init(&options);
    options.policy = ROVE_PUBLISH_HOLD;
    for (size_t i = 0; i < BATCH; i++)
        events[i] = (rove_span){payload, sizeof payload};
    uint64_t start = bench_now();
    for (uint64_t left = f->events; left;) {
        size_t count = left < BATCH ? (size_t)left : BATCH;
        bench_must(rove_channel_publish(f->from->node, f->channel, events, count, &options, NULL),
                   "publish");
        left -= count;
    }
    f->published += f->events;
    for (size_t i = 0; i < f->count; i++)
        wait_for(f, f->daemons[i]);
    *ret = (double)(f->events * f->count) * 1e9 / (double)(bench_now() - start);
    return true;
}

void bench_channels(void)
{
    static const size_t counts[] = {1, 8, MOST};
    bench_node a, b;
    fan fans[6];
    bench_case cases[7];
    bench_node_open(&a, NULL);
    bench_node_open(&b, NULL);
    bench_join(&a, &b);
    rove_sender *sender = bench_sender(&a, &b, bench_blob(&b, BENCH_BLOB_SINK));
    bench_lane_set lane = {&sender, 1, PAYLOAD, bench_scale(EVENTS)};
    /* Not the name of the measure of lanes, which has rounds of its own. */
    cases[0] = (bench_case){"lanes.64B.no_output.beside_channels", "events/s", NULL,
                            bench_lanes_round, &lane};
    for (size_t i = 0; i < 6; i++) {
        fan_open(&fans[i], &a, i < 3 ? &a : &b, counts[i % 3]);
        bench_case *c = &cases[i + 1];
        *c = (bench_case){"", "applied/s", NULL, fan_round, &fans[i]};
        (void)snprintf(c->name, sizeof c->name, "channels.64B.%s.%zu_subscriber%s",
                       i < 3 ? "local" : "remote", fans[i].count, fans[i].count > 1 ? "s" : "");
    }
    bench_rounds(cases, 7, bench_round_count());
    for (size_t i = 1; i < 7; i++)
        bench_ratio(cases[i].name, cases[0].name);
    rove_sender_free(sender);
    bench_node_close(&a);
    bench_node_close(&b);
}
