/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that strangers flood as quickly as loopback can: its sessions stay, nothing of the traffic
 * is lost or doubled, its memory stays bounded, and what was dropped was counted. With --measure:
 * how much of the traffic's rate is left meanwhile. */
#include "flooder.h"
#include <mesh/packet.h>
#include <sched.h>
#include <shell/node.h>
#include <unistd.h>

/* ---- what strangers may have seen ---- */

typedef struct haul {
    datagram kept[FLOODER_SAMPLES];
    atomic_size_t count;
} haul;

/* Messages 1 and data of a peer that is real, on their way to the node. */
static bool keep_some(void *user, int direction, datagram *d)
{
    haul *h = user;
    if (direction == FORTH && h->count < FLOODER_SAMPLES && d->size > 3 &&
        (d->bytes[3] == ROVEI_PACKET_INITIATION || d->bytes[3] == ROVEI_PACKET_DATA) &&
        d->size <= 1400) {
        h->kept[h->count] = *d;
        h->count++;
    }
    return true;
}

static uint64_t resident(void)
{
    unsigned long size, pages;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%lu %lu", &size, &pages) == 2 && fclose(f) == 0);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void get_unread(void *arg, rovei_node *core, rovei_now now)
{
    (void)core, (void)now;
    struct {
        spot *s;
        uint64_t unread;
    } *a = arg;
    a->unread = rovei_node_unread(a->s->node);
}

static uint64_t unread(spot *s)
{
    struct {
        spot *s;
        uint64_t unread;
    } a = {s, 0};
    rovei_node_call(s->node, get_unread, &a);
    return a.unread;
}

/* ---- two nodes and a flood ---- */

typedef struct field {
    tally_control control;
    spot a, b, c;
    relay r;
    haul haul;
    subject x;
    pump p;
} field;

/* `a` is to be flooded; it has a daemon, to which `b` sends, and a peer `c` behind a path that
 * strangers listen to. */
static void field_open(field *f, uint32_t events)
{
    memset(f, 0, sizeof *f);
    tally_control_init(&f->control);
    spot_with(&f->a, &f->control);
    spot_open(&f->b, &(spot_config){0});
    spot_open(&f->c, &(spot_config){0});
    relay_open(&f->r, &f->a, keep_some, &f->haul);
    must_ok(rove_node_connect(f->c.node, &f->a.info.entity, f->r.address));
    must_ok(rove_node_wait_peer(f->c.node, &f->a.info.entity, PATIENCE));
    spot_meet(&f->b, &f->a);
    subject_spawn(&f->x, &f->a);
    pump_open(&f->p, &f->b, &f->x.entity, 1, events, 200);
    pump q; /* something to listen to */
    pump_open(&q, &f->c, &f->x.entity, 2, 50, 300);
    pump_finish(&q);
    must(f->haul.count > 2);
}

static void field_close(field *f)
{
    subject_fini(&f->x);
    spot_close(&f->c);
    relay_close(&f->r);
    spot_close(&f->b);
    spot_close(&f->a);
    tally_control_fini(&f->control);
}

static uint64_t counted(spot *s)
{
    rovei_mesh_stats m = spot_stats(s);
    uint64_t sum = 0;
    for (int i = 0; i < ROVEI_DROP_COUNT; i++)
        sum += m.drops[i];
    return sum;
}

/* All that the flood is made of has come in since, and there was more than could be taken. */
static bool met_all(spot *s, const rovei_mesh_stats *before)
{
    rovei_mesh_stats now = spot_stats(s);
    const uint64_t *d = now.drops, *was = before->drops;
    return d[ROVEI_DROP_SESSION] > was[ROVEI_DROP_SESSION] &&
           d[ROVEI_DROP_MAC] > was[ROVEI_DROP_MAC] &&
           d[ROVEI_DROP_REPLAY] > was[ROVEI_DROP_REPLAY] &&
           d[ROVEI_DROP_UNPROVED] + d[ROVEI_DROP_REPLAYED_HANDSHAKE] > 0 && unread(s) > 0;
}

static void test_flood(void **state)
{
    (void)state;
    enum { QUIET = 3000, FLOODED = 20000 };
    static field f;
    field_open(&f, QUIET + FLOODED);
    pump_run(&f.p, QUIET);
    rovei_mesh_stats before = spot_stats(&f.a);
    uint64_t memory = resident();
    pid_t flood = flooder_start(f.a.info.address, f.haul.kept, f.haul.count);
    while (counted(&f.a) < 1000)
        sched_yield();
    pump_finish(&f.p);
    while (!met_all(&f.a, &before))
        sched_yield();
    flooder_stop(flood);
    /* A new peer gets in again. While the flood lasts, that is a matter of luck. */
    spot d;
    spot_open(&d, &(spot_config){0});
    spot_meet(&d, &f.a);
    /* What the queue holds is the kernel's, and bounded there. */
    assert_true(resident() < memory + (UINT64_C(64) << 20));
    subject_check(&f.x, &f.a, 1, QUIET + FLOODED);
    rovei_mesh_stats after = spot_stats(&f.a);
    assert_int_equal(after.handshakes_completed, before.handshakes_completed + 1);
    assert_int_equal(spot_stats(&f.b).handshakes_completed, 1);
    while (spot_sessions(&f.a) != 3) /* a peer may have been drowned out for a while */
        sched_yield();
    spot_close(&d);
    field_close(&f);
}

/* A socket that is connected to an address of a peer keeps nobody from the port's other uses: a
 * second node cannot have it, also while there are several. */
static void test_port_stays_taken(void **state)
{
    (void)state;
    spot a, b, other;
    spot_open(&a, &(spot_config){0});
    spot_open(&b, &(spot_config){0});
    spot_meet(&b, &a);
    assert_int_equal(spot_try(&other, &(spot_config){.listen = a.info.address}), ROVE_E_ADDRESS);
    assert_int_equal(spot_try(&other, &(spot_config){.listen = b.info.address}), ROVE_E_ADDRESS);
    spot_close(&b);
    spot_close(&a);
}

/* ---- the measurement ---- */

static double rate(field *f, uint32_t more)
{
    uint64_t begun = rovei_clock_now().mono;
    pump_run(&f->p, f->p.applied + more);
    return more / ((double)(rovei_clock_now().mono - begun) / 1e9);
}

/* In turns, so that whatever else the machine does meets both. */
static int measure(void)
{
    enum { ROUNDS = 5, EVENTS = 40000 };
    static field f;
    double quiet = 0, flooded = 0;
    field_open(&f, 2 * ROUNDS * EVENTS);
    (void)rate(&f, 1000);
    for (int i = 0; i < ROUNDS; i++) {
        quiet += rate(&f, EVENTS - 500);
        pid_t flood = flooder_start(f.a.info.address, f.haul.kept, f.haul.count);
        uint64_t least = counted(&f.a) + 1000;
        while (counted(&f.a) < least)
            sched_yield();
        flooded += rate(&f, EVENTS - 500);
        flooder_stop(flood);
    }
    printf("{\"bench\":\"flood\",\"events_per_s\":%.0f,\"flooded_events_per_s\":%.0f,"
           "\"ratio\":%.2f,\"counted\":%" PRIu64 ",\"unread\":%" PRIu64 "}\n",
           quiet / ROUNDS, flooded / ROUNDS, flooded / quiet, counted(&f.a), unread(&f.a));
    pump_finish(&f.p);
    field_close(&f);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "flood"))
        return flooder_main(argv);
    if (argc == 2 && !strcmp(argv[1], "--measure"))
        return measure();
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_port_stays_taken),
    };
    return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
