/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions over real sockets: strangers, wrong keys, restarts, rekeying, bad datagrams, and
 * everything that keeps a node from starting. */
#include "kit.h"
#include <mesh/packet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void await_drops(spot *s, rovei_drop reason, uint64_t least)
{
    while (spot_stats(s).drops[reason] < least)
        sched_yield();
}

/* Nothing comes in that is not counted once. */
static void assert_accounted(spot *s)
{
    rovei_mesh_stats m = spot_stats(s);
    uint64_t dropped = 0;
    for (int i = 0; i < ROVEI_DROP_COUNT; i++)
        dropped += i == ROVEI_DROP_SUBPROTOCOL ? 0 : m.drops[i];
    assert_int_equal(m.datagrams_received, m.datagrams_accepted + dropped);
}

/* ---- strangers ---- */

static void test_wrong_psk(void **state)
{
    (void)state;
    static const uint8_t other[32] = "the key of quite another mesh...";
    spot a, stranger, friend;
    spot_open(&a, &(spot_config){0});
    spot_open(&stranger, &(spot_config){.psk = other});
    spot_open(&friend, &(spot_config){0});
    assert_ok(rove_node_connect(stranger.node, &a.info.entity, a.info.address));
    await_drops(&a, ROVEI_DROP_MAC, 2);
    assert_int_equal(spot_stats(&a).handshakes_answered, 0);
    spot_meet(&friend, &a);
    await_drops(&a, ROVEI_DROP_MAC, 3); /* it goes on asking, and nobody answers */
    assert_int_equal(rove_node_wait_peer(stranger.node, &a.info.entity, 0), ROVE_E_TIMED_OUT);
    assert_int_equal(rove_node_wait_peer(a.node, &stranger.info.entity, 0), ROVE_E_TIMED_OUT);
    assert_int_equal(spot_sessions(&a), 1);
    assert_int_equal(spot_stats(&stranger).datagrams_received, 0);
    assert_accounted(&a);
    spot_close(&friend);
    spot_close(&stranger);
    spot_close(&a);
}

static void test_wrong_key(void **state)
{
    (void)state;
    spot a, b, c;
    spot_open(&a, &(spot_config){0});
    spot_open(&b, &(spot_config){0});
    spot_open(&c, &(spot_config){0});
    assert_ok(rove_node_connect(b.node, &c.info.entity, a.info.address));
    await_drops(&a, ROVEI_DROP_MAC, 2);
    assert_int_equal(rove_node_wait_peer(b.node, &c.info.entity, 0), ROVE_E_TIMED_OUT);
    assert_int_equal(spot_stats(&a).handshakes_answered, 0);
    spot_meet(&b, &c); /* another address for the same peer */
    assert_int_equal(spot_sessions(&a), 0);
    rove_entity bad = {{2}}; /* the form of a peer of class net, which has no key that is known */
    assert_int_equal(rove_node_connect(a.node, &bad, c.info.address), ROVE_E_NO_IMAGE);
    memset(&bad, 2, sizeof bad);
    assert_int_equal(rove_node_connect(a.node, &bad, c.info.address), ROVE_E_PUBLIC_KEY);
    assert_int_equal(rove_node_connect(a.node, &a.info.entity, c.info.address), ROVE_E_SAME_NODE);
    assert_int_equal(rove_node_connect(a.node, &c.info.entity, "127.0.0.1"), ROVE_E_ADDRESS);
    spot_close(&c);
    spot_close(&b);
    spot_close(&a);
}

/* ---- a path that is not to be trusted ---- */

typedef struct rough {
    uint64_t random;
    relay *relay;
    datagram kept;
    datagram first[8]; /* messages 1 of the dialling side */
    atomic_uint firsts;
    atomic_bool smooth;
    bool marked[2]; /* the direction has had its altered and its doubled datagram */
} rough;

static void alter(uint64_t *random, datagram *d)
{
    if (d->size)
        d->bytes[below(random, d->size)] ^= (uint8_t)(1 + below(random, 255));
}

/* Loses, alters, cuts, doubles and delays datagrams. */
static bool rough_path(void *user, int direction, datagram *d)
{
    rough *r = user;
    if (r->smooth)
        return true;
    if (!r->marked[direction] && d->size > 3 && d->bytes[3] == ROVEI_PACKET_DATA) {
        datagram bad = *d;
        bad.bytes[bad.size - 1] ^= 1;
        relay_inject(r->relay, direction, &bad); /* first: behind the good one it is a replay */
        relay_inject(r->relay, direction, d);
        r->marked[direction] = true;
        return true;
    }
    switch (below(&r->random, 60)) {
    case 0:
    case 1:
    case 2:
        return false;
    case 3:
        alter(&r->random, d);
        return true;
    case 4:
        d->size = (size_t)below(&r->random, d->size + 1);
        return true;
    case 5:
        relay_inject(r->relay, direction, d);
        return true;
    case 6:
        if (r->kept.size)
            relay_inject(r->relay, direction, &r->kept); /* of whichever direction */
        r->kept = *d;
        return false;
    default:
        return true;
    }
}

/* Anything at all, from an address that nobody knows. */
static void throw_garbage(const spot *at, uint64_t *random, const datagram *real, size_t count)
{
    int fd = kit_udp(at->info.address, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        datagram d;
        if (real && i % 2) {
            d = *real;
            alter(random, &d);
            if (i % 4 == 1)
                d.size = (size_t)below(random, d.size + 1);
        } else {
            d.size = (size_t)below(random, 1500);
            random_bytes(random, d.bytes, d.size);
            if (i % 4 == 0) { /* as if it were for us */
                d.bytes[0] = ROVEI_PACKET_MAGIC0;
                d.bytes[1] = ROVEI_PACKET_MAGIC1;
                d.bytes[2] = ROVEI_PACKET_VERSION;
                d.bytes[3] = (uint8_t)(1 + below(random, 5));
            }
        }
        ssize_t sent = send(fd, d.bytes, d.size, 0);
        (void)sent;
    }
    close(fd);
}

static void test_rough_path(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rough path = {.random = 2026};
    relay r;
    path.relay = &r;
    spot a, b;
    spot_with(&a, &control);
    spot_with(&b, &control);
    relay_open(&r, &b, rough_path, &path);
    assert_ok(rove_node_connect(a.node, &b.info.entity, r.address));
    assert_ok(rove_node_wait_peer(a.node, &b.info.entity, PATIENCE));
    assert_ok(rove_node_wait_peer(b.node, &a.info.entity, PATIENCE));
    subject x;
    subject_spawn(&x, &a);
    subject_expect(&x, &b);
    pump of_a, of_b;
    pump_open(&of_a, &a, &x.entity, 1, 4000, 300);
    pump_open(&of_b, &b, &x.entity, 2, 4000, 300);
    pump_start(&of_a);
    pump_start(&of_b);
    /* Those two may find the daemon where they are, all the time; these cross the path. */
    pump across[2];
    for (uint32_t i = 0; i < 2; i++)
        pump_open(&across[i], i ? &a : &b, &x.entity, 3 + i, 600, 300);
    uint64_t random = 77;
    for (uint32_t i = 0; i < 6; i++) {
        throw_garbage(&a, &random, NULL, 300);
        throw_garbage(&b, &random, NULL, 300);
        pump_run(&across[i % 2], 200 * (i / 2 + 1));
        subject_move(&x, i % 2 ? &b : &a, i % 2 ? &a : &b);
    }
    for (uint32_t i = 0; i < 2; i++) {
        pump_finish(&across[i]);
        subject_check(&x, &a, 3 + i, 600);
    }
    pump_join(&of_a);
    pump_join(&of_b);
    path.smooth = true;
    subject_check(&x, &a, 1, 4000);
    subject_check(&x, &a, 2, 4000);
    rovei_mesh_stats of[2] = {spot_stats(&a), spot_stats(&b)};
    for (int i = 0; i < 2; i++) {
        assert_true(of[i].drops[ROVEI_DROP_AUTH] > 0);
        assert_true(of[i].drops[ROVEI_DROP_MAGIC] > 100);
        assert_true(of[i].drops[ROVEI_DROP_TYPE] > 0);
        assert_true(of[i].drops[ROVEI_DROP_REPLAY] > 0);
        assert_int_equal(spot_sessions(i ? &b : &a), 1);
    }
    assert_accounted(&a);
    assert_accounted(&b);
    subject_fini(&x);
    spot_close(&a);
    relay_close(&r);
    spot_close(&b);
    tally_control_fini(&control);
}

/* ---- restarts ---- */

static bool keep_first_messages(void *user, int direction, datagram *d)
{
    rough *r = user;
    if (direction == FORTH && d->size > 3 && d->bytes[3] == ROVEI_PACKET_INITIATION &&
        r->firsts < 8)
        r->first[r->firsts++] = *d;
    return true;
}

static void make_identity(char *file, const char *text)
{
    strcpy(file, "/tmp/rove-e2e-XXXXXX");
    int fd = mkstemp(file);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* Where nobody else listens: a port that such a node leaves is there when it comes back. */
static const char *own_address(void)
{
    static char address[32];
    unsigned pid = (unsigned)getpid();
    snprintf(address, sizeof address, "127.%u.%u.%u:0", 1 + (pid >> 16 & 63), pid >> 8 & 255,
             pid & 255);
    return address;
}

static void drop_identity(const char *file)
{
    char other[80];
    snprintf(other, sizeof other, "%s.state", file);
    unlink(other);
    unlink(file);
}

/* The answering node restarts under its identity; the other one finds it again, and messages 1
 * from before, whole or altered, change nothing at either life of it. */
static void test_restart_and_replay(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    char file[32], seed[65];
    for (size_t i = 0; i < 64; i++)
        seed[i] = "0123456789abcdef"[(i * 7 + (size_t)getpid()) % 16];
    seed[64] = 0;
    make_identity(file, seed);
    rough path = {.random = 5};
    relay r;
    spot a, b;
    spot_with(&a, &control);
    spot_open(&b, &(spot_config){.file = file, .listen = own_address()});
    relay_open(&r, &b, keep_first_messages, &path);
    assert_ok(rove_node_connect(a.node, &b.info.entity, r.address));
    assert_ok(rove_node_wait_peer(b.node, &a.info.entity, PATIENCE));
    subject x;
    subject_spawn(&x, &a);
    for (uint32_t life = 1; life <= 2; life++) {
        pump p;
        assert_int_equal(spot_sessions(&b), 1);
        pump_open(&p, &b, &x.entity, life, 3000, 50);
        pump_run(&p, 1000);
        uint64_t received = spot_stats(&b).datagrams_received;
        assert_true(path.firsts >= life);
        for (int i = 0; i < 50; i++)
            relay_inject(&r, FORTH, &path.first[0]);
        throw_garbage(&b, &path.random, &path.first[0], 200);
        throw_garbage(&a, &path.random, &path.first[0], 200);
        while (spot_stats(&b).datagrams_received < received + 50)
            sched_yield();
        pump_finish(&p);
        assert_int_equal(spot_sessions(&b), 1);
        assert_int_equal(spot_sessions(&a), 1);
        subject_check(&x, &a, life, 3000);
        assert_accounted(&a);
        assert_accounted(&b);
        if (life == 2)
            break;
        rove_node_info before = b.info;
        spot_close(&b); /* says goodbye */
        while (spot_sessions(&a))
            sched_yield();
        spot_open(&b, &(spot_config){.file = file, .listen = before.address});
        assert_memory_equal(&b.info.entity, &before.entity, sizeof before.entity);
        assert_true(b.info.incarnation > before.incarnation);
        /* The old message is the first that the new life sees. */
        relay_inject(&r, FORTH, &path.first[0]);
        assert_ok(rove_node_wait_peer(b.node, &a.info.entity, PATIENCE));
        assert_ok(rove_node_wait_peer(a.node, &b.info.entity, PATIENCE));
    }
    subject_fini(&x);
    spot_close(&a);
    relay_close(&r);
    spot_close(&b);
    drop_identity(file);
    tally_control_fini(&control);
}

/* ---- keys that change ---- */

static void test_rekey_under_load(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    rove_limits limits;
    kit_limits(&limits);
    limits.rekey_packets = 100;
    limits.reject_packets = 400;
    limits.rekey_time = ROVE_SECOND / 10;
    limits.reject_time = 10 * ROVE_SECOND;
    spot a, b;
    spot_open(&a, &(spot_config){.control = &control, .limits = &limits});
    spot_open(&b, &(spot_config){.control = &control, .limits = &limits});
    spot_meet(&a, &b);
    subject x;
    subject_spawn(&x, &a);
    subject_expect(&x, &b);
    pump p[4];
    for (uint32_t i = 0; i < 4; i++) {
        pump_open(&p[i], i % 2 ? &a : &b, &x.entity, i, 5000, 500);
        pump_start(&p[i]);
    }
    for (int i = 0; i < 4; i++)
        subject_move(&x, i % 2 ? &b : &a, i % 2 ? &a : &b);
    for (uint32_t i = 0; i < 4; i++) {
        pump_join(&p[i]);
        subject_check(&x, &a, i, 5000);
    }
    /* Those may have found the daemon where they were; this one crosses the path. */
    pump across;
    pump_open(&across, &b, &x.entity, 4, UINT32_MAX, 500);
    while (spot_stats(&a).rekeys <= 10 || spot_stats(&b).rekeys <= 10)
        pump_run(&across, across.applied + 500);
    pump_drop(&across);
    tally_state t;
    subject_ask(&x, &a, &t);
    assert_int_equal(t.faults, 0);
    assert_int_equal(spot_sessions(&a), 1);
    assert_int_equal(spot_sessions(&b), 1);
    assert_accounted(&a);
    subject_fini(&x);
    spot_close(&b);
    spot_close(&a);
    tally_control_fini(&control);
}

/* ---- a path that changes ---- */

static bool pass_all(void *user, int direction, datagram *d)
{
    (void)user, (void)direction, (void)d;
    return true;
}

/* The peer's port changes under traffic, again and again: one session from the first event to the
 * last. */
static void test_rebinding(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    control.many = true;
    spot a, b;
    relay r;
    spot_with(&a, &control);
    spot_with(&b, &control);
    relay_open(&r, &b, pass_all, NULL);
    assert_ok(rove_node_connect(a.node, &b.info.entity, r.address));
    assert_ok(rove_node_wait_peer(b.node, &a.info.entity, PATIENCE));
    subject at_a, at_b;
    subject_spawn(&at_a, &a);
    subject_spawn(&at_b, &b);
    pump there, back;
    pump_open(&there, &a, &at_b.entity, 1, 10000, 200);
    pump_open(&back, &b, &at_a.entity, 2, 10000, 200);
    uint64_t before[2] = {0};
    for (uint32_t i = 1; i <= 4; i++) {
        pump_run(&there, 2000 * i);
        pump_run(&back, 2000 * i);
        if (i == 1) { /* whatever it took to meet */
            before[0] = spot_stats(&a).handshakes_completed;
            before[1] = spot_stats(&b).handshakes_completed;
        }
        relay_rebind(&r, &b);
        while (spot_stats(&b).paths < i)
            sched_yield();
    }
    pump_finish(&there);
    pump_finish(&back);
    subject_check(&at_b, &b, 1, 10000);
    subject_check(&at_a, &a, 2, 10000);
    assert_int_equal(spot_stats(&a).handshakes_completed, before[0]);
    assert_int_equal(spot_stats(&b).handshakes_completed, before[1]);
    assert_int_equal(spot_stats(&b).paths, 4);
    assert_int_equal(spot_stats(&a).paths, 0);
    subject_fini(&at_a);
    subject_fini(&at_b);
    spot_close(&a);
    relay_close(&r);
    spot_close(&b);
    tally_control_fini(&control);
}

/* ---- both dial ---- */

static bool one_way(void *user, int direction, datagram *d)
{
    (void)user, (void)d;
    return direction == BACK;
}

/* Both open at once, and what one of them says on its own path never arrives. */
static void test_simultaneous_open(void **state)
{
    (void)state;
    for (int blocked = 0; blocked < 2; blocked++) {
        tally_control control;
        tally_control_init(&control);
        spot a, b;
        relay r;
        spot_with(&a, &control);
        spot_with(&b, &control);
        relay_open(&r, &b, one_way, NULL);
        subject x;
        subject_spawn(&x, &a);
        assert_ok(rove_node_connect(a.node, &b.info.entity, blocked ? r.address : b.info.address));
        assert_ok(rove_node_connect(b.node, &a.info.entity, a.info.address));
        assert_ok(rove_node_wait_peer(a.node, &b.info.entity, PATIENCE));
        assert_ok(rove_node_wait_peer(b.node, &a.info.entity, PATIENCE));
        pump p;
        pump_open(&p, &b, &x.entity, 1, 2000, 50);
        pump_finish(&p);
        subject_check(&x, &a, 1, 2000);
        assert_int_equal(spot_sessions(&a), 1);
        assert_int_equal(spot_sessions(&b), 1);
        subject_fini(&x);
        spot_close(&a);
        relay_close(&r);
        spot_close(&b);
        tally_control_fini(&control);
    }
}

/* ---- what keeps a node from starting ---- */

static void test_refused_starts(void **state)
{
    (void)state;
    tally_control control;
    tally_control_init(&control);
    char file[32], bad[32];
    make_identity(file, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n");
    make_identity(bad, "not an identity");
    spot a, other;
    spot_open(&a, &(spot_config){.control = &control, .file = file, .listen = own_address()});
    assert_int_equal(spot_try(&other, &(spot_config){.listen = a.info.address}), ROVE_E_ADDRESS);
    assert_int_equal(spot_try(&other, &(spot_config){.listen = "192.0.2.1:0"}), ROVE_E_ADDRESS);
    assert_int_equal(spot_try(&other, &(spot_config){.listen = "no address"}), ROVE_E_ADDRESS);
    assert_int_equal(spot_try(&other, &(spot_config){.file = file}), ROVE_E_LOCKED);
    assert_int_equal(spot_try(&other, &(spot_config){.file = bad}), ROVE_E_FILE);
    assert_int_equal(spot_try(&other, &(spot_config){.file = "/nowhere/at/all"}), ROVE_E_FILE);
    assert_int_equal(spot_try(&other, &(spot_config){.file = file, .seed = kit_psk}), ROVE_E_USAGE);
    assert_int_equal(chmod(bad, 0644), 0);
    assert_int_equal(spot_try(&other, &(spot_config){.file = bad}), ROVE_E_PERMISSION);
    rove_limits limits;
    kit_limits(&limits);
    limits.suspect_after = limits.heartbeat;
    assert_int_equal(spot_try(&other, &(spot_config){.limits = &limits}), ROVE_E_BOUND);

    rove_runtime *second;
    assert_int_equal(rove_runtime_new(&second, a.node, NULL), ROVE_E_RUNTIME_EXISTS);
    rove_daemon d;
    assert_ok(rove_runtime_spawn(a.rt, "tally", NULL, NULL, &d)); /* the first one goes on */
    rove_runtime_unref(a.rt);
    assert_ok(rove_runtime_new(&a.rt, a.node, NULL));
    spot_close(&a);
    /* The port and the identity are free again. */
    spot_open(&other, &(spot_config){.listen = a.info.address, .file = file});
    spot_close(&other);
    drop_identity(file);
    drop_identity(bad);
    tally_control_fini(&control);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_psk),        cmocka_unit_test(test_wrong_key),
        cmocka_unit_test(test_rough_path),       cmocka_unit_test(test_restart_and_replay),
        cmocka_unit_test(test_rekey_under_load), cmocka_unit_test(test_simultaneous_open),
        cmocka_unit_test(test_refused_starts),   cmocka_unit_test(test_rebinding),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
