/* SPDX-License-Identifier: Apache-2.0
 *
 * A state that is far larger than the memory its move may take, between two processes and under
 * traffic: `e2e_large [MiB]`. The daemon's state is a pattern that lies nowhere: each side makes
 * or checks it as it passes, so whatever memory the move costs shows in the peak of the process. */
#include "kit.h"
#include <sys/wait.h>
#include <unistd.h>

/* A move takes at most so much beside the state, on either side. */
#define MEMORY_MAX (UINT64_C(256) << 20)
#define EVENTS     3000u

/* Bytes of the pattern; less where every access is watched, and the peak says nothing anyway. */
#ifdef ROVEI_SANITIZED
static uint64_t large = UINT64_C(16) << 20;
#else
static uint64_t large = UINT64_C(192) << 20;
#endif

/* ---- the daemon: a count, and a long pattern behind it ---- */

typedef struct pile {
    const rove_alloc *alloc;
    uint64_t count, pattern;
} pile;

#define HEAD 16 /* of the state: count, length of the pattern */

static uint8_t pattern_at(uint64_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 17);
}

static rove_err pile_create(void **ret, const rove_alloc *alloc, void *user)
{
    pile *p = alloc->alloc(alloc->user, sizeof *p);
    if (!p)
        return ROVE_E_NOMEM;
    *p = (pile){.alloc = alloc, .pattern = *(const uint64_t *)user};
    *ret = p;
    return ROVE_OK;
}

static void pile_destroy(void *self)
{
    pile *p = self;
    p->alloc->free(p->alloc->user, p, sizeof *p);
}

/* Every event is the next of the one sender. */
static rove_err pile_process(void *self, rove_ctx *ctx, const rove_event *event)
{
    pile *p = self;
    uint32_t head[2];
    if (event->payload.size < sizeof head)
        return rove_fail(ctx, "too short");
    memcpy(head, event->payload.data, sizeof head);
    if (head[1] != p->count + 1)
        return rove_fail(ctx, "lost, doubled or late");
    p->count++;
    tally_output out = {p->count, head[0], head[1],
                        sum_of(event->payload.data, event->payload.size)};
    return rove_emit(ctx, (rove_span){&out, sizeof out});
}

typedef struct passing {
    pile *p;
    uint64_t at, size;
    uint64_t head[2];
} passing;

static rove_err passing_new(pile *p, uint64_t size, void **ret)
{
    passing *s = p->alloc->alloc(p->alloc->user, sizeof *s);
    if (!s)
        return ROVE_E_NOMEM;
    *s = (passing){.p = p, .size = size, .head = {p->count, p->pattern}};
    *ret = s;
    return ROVE_OK;
}

static void passing_free(passing *s)
{
    s->p->alloc->free(s->p->alloc->user, s, sizeof *s);
}

static rove_err pile_read_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret)
{
    pile *p = self;
    (void)ctx;
    *ret_size = HEAD + p->pattern;
    return passing_new(p, HEAD + p->pattern, ret);
}

static rove_err pile_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    passing *s = stream;
    uint8_t *to = room;
    size_t i = 0;
    for (; i < size && s->at < s->size; i++, s->at++)
        to[i] = s->at < HEAD ? ((uint8_t *)s->head)[s->at] : pattern_at(s->at);
    *ret_size = i;
    return ROVE_OK;
}

static void pile_read_close(void *stream)
{
    passing_free(stream);
}

static rove_err pile_write_open(void *self, rove_ctx *ctx, uint64_t size, void **ret)
{
    return size < HEAD ? rove_fail(ctx, "too short") : passing_new(self, size, ret);
}

static rove_err pile_write(void *stream, rove_span bytes)
{
    passing *s = stream;
    const uint8_t *from = bytes.data;
    for (size_t i = 0; i < bytes.size; i++, s->at++) {
        if (s->at < HEAD)
            ((uint8_t *)s->head)[s->at] = from[i];
        else if (from[i] != pattern_at(s->at))
            return ROVE_E_RESTORE_FAILED;
    }
    return ROVE_OK;
}

static rove_err pile_write_close(void *stream, rove_ctx *ctx, bool complete)
{
    passing *s = stream;
    bool good = s->size == HEAD + s->head[1];
    if (complete && good) {
        s->p->count = s->head[0];
        s->p->pattern = s->head[1];
    }
    passing_free(s);
    return complete && !good ? rove_fail(ctx, "the pattern is cut") : ROVE_OK;
}

static const rove_kind pile_kind = {
    .abi = ROVE_ABI,
    .size = sizeof(rove_kind),
    .name = "pile",
    .create = pile_create,
    .destroy = pile_destroy,
    .process = pile_process,
    .is_stateful = true,
    .snapshot_open = pile_read_open,
    .snapshot_read = pile_read,
    .snapshot_close = pile_read_close,
    .restore_open = pile_write_open,
    .restore_write = pile_write,
    .restore_close = pile_write_close,
};

/* ---- the two sides ---- */

static void open_side(spot *s, uint64_t *pattern, uint64_t state_max)
{
    rove_limits limits;
    rove_runtime_config rc;
    rove_limits_init(&limits);
    limits.state_max = state_max;
    spot_open(s, &(spot_config){.limits = &limits});
    rove_runtime_config_init(&rc);
    must_ok(rove_runtime_new(&s->rt, s->node, &rc));
    must_ok(rove_runtime_register_kind(s->rt, NULL, &pile_kind, pattern));
    must_ok(rove_runtime_start(s->rt));
}

/* Kilobytes of this process: now, or at their peak. */
static uint64_t memory_of(const char *field)
{
    char line[256];
    unsigned long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    must(f);
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, field, strlen(field)))
            must(sscanf(line + strlen(field), " %lu", &kb) == 1);
    fclose(f);
    return (uint64_t)kb << 10;
}

typedef struct hello {
    rove_entity entity;
    char address[64];
} hello;

static void tell(int fd, const void *bytes, size_t size)
{
    must(write(fd, bytes, size) == (ssize_t)size);
}

static void hear(int fd, void *ret, size_t size)
{
    must(read(fd, ret, size) == (ssize_t)size);
}

/* The target: expects a daemon when it is told one, and gives its growth when that is asked for. */
static void target_main(int from, int to, uint64_t state_max)
{
    spot s;
    uint64_t none = 0, origin;
    hello h;
    open_side(&s, &none, state_max);
    h.entity = s.info.entity;
    memcpy(h.address, s.info.address, sizeof h.address);
    uint64_t before = memory_of("VmRSS:");
    tell(to, &h, sizeof h);
    hear(from, &origin, sizeof origin);
    must_ok(rove_runtime_expect_migration(s.rt, "pile", origin, NULL));
    tell(to, &origin, sizeof origin);
    uint8_t asked;
    hear(from, &asked, 1);
    uint64_t growth = memory_of("VmHWM:") - before;
    tell(to, &growth, sizeof growth);
    while (read(from, &asked, 1) > 0)
        ;
    spot_close(&s);
}

typedef struct scene {
    uint64_t pattern;
    spot a;
    pid_t pid;
    int to, from;
    hello target;
    rove_daemon d;
    rove_entity entity;
    uint64_t before;
} scene;

static void scene_open(scene *s, uint64_t pattern, uint64_t here_max, uint64_t there_max)
{
    int to[2], from[2];
    *s = (scene){.pattern = pattern};
    must(pipe(to) == 0 && pipe(from) == 0);
    s->pid = fork();
    must(s->pid >= 0);
    if (s->pid == 0) { /* nothing has a thread yet */
        close(to[1]);
        close(from[0]);
        target_main(to[0], from[1], there_max);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    s->to = to[1];
    s->from = from[0];
    open_side(&s->a, &s->pattern, here_max);
    hear(s->from, &s->target, sizeof s->target);
    must_ok(rove_runtime_spawn(s->a.rt, "pile", NULL, NULL, &s->d));
    must_ok(rove_runtime_entity(s->a.rt, s->d, &s->entity));
    tell(s->to, &s->d.origin, sizeof s->d.origin);
    hear(s->from, &s->d.origin, sizeof s->d.origin);
    must_ok(rove_node_connect(s->a.node, &s->target.entity, s->target.address));
    must_ok(rove_node_wait_peer(s->a.node, &s->target.entity, PATIENCE));
    s->before = memory_of("VmRSS:");
}

static void scene_close(scene *s)
{
    int status;
    close(s->to);
    close(s->from);
    must(waitpid(s->pid, &status, 0) == s->pid);
    assert_int_equal(status, 0);
    spot_close(&s->a);
}

static rove_err move(scene *s, rove_migration_info *ret)
{
    rove_migration m;
    must_ok(rove_runtime_start_migration(s->a.rt, s->d, &s->target.entity, &m));
    return rove_migration_wait_with_timeout(s->a.rt, m, 10 * PATIENCE, ret);
}

/* Sanitizers keep what is freed, so there the peak says nothing. */
static void assert_growth(const char *who, uint64_t growth)
{
#ifndef ROVEI_SANITIZED
    assert_true(growth < MEMORY_MAX);
    assert_true(growth < large / 2); /* it was never all there */
#endif
    printf("# %s: %" PRIu64 " MiB of memory for a state of %" PRIu64 " MiB\n", who, growth >> 20,
           large >> 20);
}

/* ---- tests ---- */

static void test_a_large_state_passes_by(void **state)
{
    (void)state;
    scene s;
    pump p;
    rove_migration_info info;
    scene_open(&s, large, UINT64_C(1) << 31, UINT64_C(1) << 31);
    pump_open(&p, &s.a, &s.entity, 1, EVENTS, 64);
    pump_run(&p, EVENTS / 3);
    pump_start(&p);
    assert_ok(move(&s, &info));
    assert_int_equal(info.bytes, HEAD + large);
    pump_join(&p); /* each event applied once and in order, before and behind the move */
    uint64_t growth, here = memory_of("VmHWM:") - s.before;
    tell(s.to, "?", 1);
    hear(s.from, &growth, sizeof growth);
    assert_growth("source", here);
    assert_growth("target", growth);
    printf("# %.0f MB/s\n", (double)large * 1e3 / (double)info.blackout);
    scene_close(&s);
}

/* One byte too much, for the source or for the target: the daemon stays and goes on. */
static void test_a_state_beyond_the_bound(void **state)
{
    (void)state;
    const uint64_t bound = UINT64_C(4) << 20;
    for (int there = 0; there < 2; there++) {
        for (uint64_t over = 0; over < 2; over++) {
            scene s;
            pump p;
            rove_migration_info info;
            scene_open(&s, bound - HEAD + over, there ? bound * 2 : bound,
                       there ? bound : bound * 2);
            pump_open(&p, &s.a, &s.entity, 1, 500, 64);
            pump_run(&p, 200);
            assert_int_equal(move(&s, &info), over ? ROVE_E_TOO_LARGE : ROVE_OK);
            pump_finish(&p);
            assert_int_equal(rove_runtime_daemon_count(s.a.rt), over);
            tell(s.to, "?", 1);
            uint64_t growth;
            hear(s.from, &growth, sizeof growth);
            scene_close(&s);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_large_state_passes_by),
        cmocka_unit_test(test_a_state_beyond_the_bound),
    };
    if (argc > 1)
        large = strtoull(argv[1], NULL, 10) << 20;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
