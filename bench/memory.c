/* SPDX-License-Identifier: Apache-2.0
 *
 * What a daemon, a lane and a session hold while they are idle: counted exactly at the allocator
 * that a node is given, and for daemons beside it what the process grew by, which also has what the
 * C library adds to each block, the guarded pages of the keys and the tables of liburcu. */
#include "bench.h"
#include "blob.h"
#include "mesh.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAEMONS    100000
#define LANES      1024
#define SESSIONS   64
#define KEYS       64
#define PER_DAEMON 16 /* lanes of one sender to one daemon (limit lanes_per_sender) */
#define WAIT       (30 * ROVE_SECOND)

const rove_kind *bench_counter_kind(void); /* examples/counter.c */

/* ---- an allocator that counts ---- */

struct counted {
    _Atomic int64_t bytes;
    rove_alloc alloc;
};

static void *counted_alloc(void *user, size_t size)
{
    void *block = malloc(size);
    if (block)
        atomic_fetch_add(&((struct counted *)user)->bytes, (int64_t)size);
    return block;
}

static void *counted_realloc(void *user, void *block, size_t old_size, size_t size)
{
    void *moved = realloc(block, size);
    if (moved)
        atomic_fetch_add(&((struct counted *)user)->bytes, (int64_t)size - (int64_t)old_size);
    return moved;
}

static void counted_free(void *user, void *block, size_t size)
{
    atomic_fetch_sub(&((struct counted *)user)->bytes, (int64_t)size);
    free(block);
}

static void counted_init(struct counted *c)
{
    atomic_init(&c->bytes, 0);
    c->alloc = (rove_alloc){counted_alloc, counted_realloc, counted_free, c};
}

static double bytes_since(const struct counted *c, int64_t before, size_t count)
{
    return (double)(atomic_load(&c->bytes) - before) / (double)count;
}

static double resident_bytes(void)
{
    char line[128], *at = line;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || !fgets(line, sizeof line, f))
        bench_fail("no /proc/self/statm");
    (void)fclose(f);
    (void)strtol(line, &at, 10); /* the address space; then what is resident */
    long pages = strtol(at, NULL, 10);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* ---- keys: what a daemon cannot be without ---- */

static void keys(void)
{
    struct counted c;
    bench_node n;
    rove_identity *held[KEYS];
    counted_init(&c);
    bench_node_open(&n, &c.alloc);
    int64_t before = atomic_load(&c.bytes);
    for (size_t i = 0; i < KEYS; i++)
        bench_must(rove_identity_generate(&held[i], n.node), "identity");
    bench_value("memory.key.counted", "B", bytes_since(&c, before, KEYS));
    for (size_t i = 0; i < KEYS; i++)
        rove_identity_free(held[i]);
    bench_node_close(&n);
}

/* ---- daemons ---- */

static void daemons(void)
{
    struct counted c;
    bench_node n;
    counted_init(&c);
    bench_node_open(&n, &c.alloc);
    bench_must(rove_runtime_register_kind(n.rt, NULL, bench_counter_kind(), NULL), "kind");
    rove_daemon d;
    bench_must(rove_runtime_spawn(n.rt, "counter", NULL, NULL, &d), "spawn");
    size_t count = (size_t)bench_scale(DAEMONS);
    int64_t before = atomic_load(&c.bytes);
    malloc_trim(0);
    double resident = resident_bytes();
    for (size_t i = 0; i < count; i++)
        bench_must(rove_runtime_spawn(n.rt, "counter", NULL, NULL, &d), "spawn");
    bench_value("memory.idle_daemon.counted", "B", bytes_since(&c, before, count));
    bench_value("memory.idle_daemon.resident", "B", (resident_bytes() - resident) / (double)count);
    bench_node_close(&n);
}

/* ---- lanes ---- */

static void use(rove_sender *s)
{
    rove_outcome_kind kind;
    bench_must(rove_sender_send(s, (rove_span){"x", 1}, true, NULL), "send");
    do {
        rove_sent o;
        bench_must(rove_sender_next(s, WAIT, &o), "outcome");
        kind = o.kind;
        rove_sent_fini(&o);
    } while (kind != ROVE_SENT_APPLIED);
}

static void lanes(void)
{
    struct counted c[2];
    bench_node a, b;
    counted_init(&c[0]);
    counted_init(&c[1]);
    bench_node_open(&a, &c[0].alloc);
    bench_node_open(&b, &c[1].alloc);
    bench_join(&a, &b);
    size_t count = (size_t)bench_scale(LANES);
    rove_daemon *d = calloc(count / PER_DAEMON + 1, sizeof *d);
    rove_sender **senders = calloc(count, sizeof *senders);
    if (!d || !senders)
        bench_fail("no memory");
    for (size_t i = 0; i <= count / PER_DAEMON; i++)
        d[i] = bench_blob(&b, BENCH_BLOB_SINK);
    rove_sender *first = bench_sender(&a, &b, d[count / PER_DAEMON]);
    use(first);
    int64_t before[2] = {atomic_load(&c[0].bytes), atomic_load(&c[1].bytes)};
    for (size_t i = 0; i < count; i++) {
        senders[i] = bench_sender(&a, &b, d[i / PER_DAEMON]);
        use(senders[i]);
    }
    bench_value("memory.lane.sender_side", "B", bytes_since(&c[0], before[0], count));
    bench_value("memory.lane.daemon_side", "B", bytes_since(&c[1], before[1], count));
    for (size_t i = 0; i < count; i++)
        rove_sender_free(senders[i]);
    rove_sender_free(first);
    free(senders);
    free(d);
    bench_node_close(&a);
    bench_node_close(&b);
}

/* ---- sessions ---- */

static void sessions(void)
{
    struct counted c;
    bench_node hub, spokes[SESSIONS + 1];
    counted_init(&c);
    bench_node_open(&hub, &c.alloc);
    size_t count = (size_t)bench_scale(SESSIONS);
    int64_t before = 0;
    for (size_t i = 0; i <= count; i++) {
        bench_node_open(&spokes[i], NULL);
        bench_join(&spokes[i], &hub);
        if (i == 0)
            before = atomic_load(&c.bytes);
    }
    bench_value("memory.session", "B", bytes_since(&c, before, count));
    for (size_t i = 0; i <= count; i++)
        bench_node_close(&spokes[i]);
    bench_node_close(&hub);
}

void bench_memory(void)
{
    keys();
    daemons();
    lanes();
    sessions();
}
