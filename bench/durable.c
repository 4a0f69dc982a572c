/* SPDX-License-Identifier: Apache-2.0
 *
 * Durable records: writers that each have one record under way and put the next when it is on the
 * disk, through a node's journal, whose batches they share; beside them one write to the disk for
 * each record, by the same store and by the least that a program can do, an append and its sync. */
#include "bench.h"

#include <crypto/crypto.h>
#include <durable/batch.h>
#include <durable/journal.h>
#include <fcntl.h>
#include <ftw.h>
#include <rove/node.h>
#include <semaphore.h>
#include <shell/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/store.h>
#include <string.h>
#include <unistd.h>

#define VALUE        100
#define TURNS        200 /* records of each writer in a round */
#define KEYS         16  /* of each writer, used in turn */
#define WRITERS_MAX  512
#define TURNS_OF_ALL 20000 /* at most so many records in a round */

static const uint8_t value[VALUE];

struct bed {
    char dir[256];
    rove_node *node;
    rovei_store *store;
    int append_fd;
};

/* One round of one case: how many a second, and how long each took. */
struct measured {
    struct bed *bed;
    size_t writers; /* 0: no journal */
    rove_err (*write_one)(struct bed *b, uint64_t number);
    double per_second, p50, p99;
};

static size_t key_of(char ret[32], size_t writer, uint64_t number)
{
    return (size_t)snprintf(ret, 32, "w/%03zu/%02u", writer, (unsigned)(number % KEYS));
}

static void judge(struct measured *m, double *samples, size_t count, uint64_t time)
{
    m->per_second = (double)count * 1e9 / (double)time;
    m->p50 = bench_percentile(samples, count, 0.5);
    m->p99 = bench_percentile(samples, count, 0.99);
    free(samples);
}

static double *samples_for(size_t count)
{
    double *samples = calloc(count, sizeof *samples);
    if (!samples)
        bench_fail("out of memory");
    return samples;
}

/* ---- through the journal ---- */

typedef struct writer {
    rovei_journal_wait wait;
    struct run *run;
    size_t index;
    uint64_t put, begun;
} writer;

struct run { /* on the loop thread, until `over` */
    rovei_journal *journal;
    writer writers[WRITERS_MAX];
    size_t count, each, running, taken;
    double *samples;
    sem_t over;
};

static void durable(rovei_journal_wait *w, rovei_now now, rove_err err);

static void put_next(writer *w)
{
    char key[32];
    size_t size = key_of(key, w->index, w->put++);
    w->begun = bench_now();
    bench_must(rovei_journal_put(w->run->journal, (rove_span){key, size},
                                 (rove_span){value, sizeof value}),
               "put");
    if (!rovei_journal_await(w->run->journal, &w->wait, rovei_journal_mark(w->run->journal),
                             durable))
        bench_fail("durable before it was written");
}

static void durable(rovei_journal_wait *wait, rovei_now now, rove_err err)
{
    writer *w = (writer *)(void *)((char *)wait - offsetof(writer, wait));
    struct run *r = w->run;
    (void)now;
    bench_must(err, "store");
    r->samples[r->taken++] = (double)(bench_now() - w->begun) / 1e3;
    if (w->put < r->each)
        put_next(w);
    else if (!--r->running)
        sem_post(&r->over);
}

static void begin(void *arg, rovei_node *core, rovei_now now)
{
    struct run *r = arg;
    (void)now;
    r->journal = rovei_node_journal(core);
    r->running = r->count;
    for (size_t i = 0; i < r->count; i++) {
        r->writers[i] = (writer){.run = r, .index = i};
        put_next(&r->writers[i]);
    }
}

static void run_journal(struct measured *m)
{
    struct run *r = calloc(1, sizeof *r);
    if (!r)
        bench_fail("out of memory");
    uint64_t each = TURNS_OF_ALL / m->writers < TURNS ? TURNS_OF_ALL / m->writers : TURNS;
    r->count = m->writers;
    r->each = bench_scale(each);
    r->samples = samples_for(r->count * r->each);
    sem_init(&r->over, 0, 0);
    uint64_t start = bench_now();
    rovei_node_call(m->bed->node, begin, r);
    while (sem_wait(&r->over))
        ;
    judge(m, r->samples, r->count * r->each, bench_now() - start);
    sem_destroy(&r->over);
    free(r);
}

/* ---- one write for each ---- */

static rove_err append_one(struct bed *b, uint64_t number)
{
    (void)number;
    bool done = write(b->append_fd, value, sizeof value) == (ssize_t)sizeof value &&
                fdatasync(b->append_fd) == 0;
    return done ? ROVE_OK : ROVE_E_IO;
}

static rove_err store_one(struct bed *b, uint64_t number)
{
    char key[32];
    uint8_t batch[VALUE + 64];
    rovei_batch_op op = {ROVEI_BATCH_PUT, {key, key_of(key, 0, number)}, {value, sizeof value}};
    rovei_writer w = rovei_writer_of(batch, sizeof batch);
    rovei_batch_write_head(&w);
    rovei_batch_write_op(&w, &op);
    return rovei_store_write(b->store, (rove_span){batch, rovei_writer_size(&w)});
}

static void run_alone(struct measured *m)
{
    size_t count = bench_scale(TURNS);
    double *samples = samples_for(count);
    uint64_t start = bench_now();
    for (size_t i = 0; i < count; i++) {
        uint64_t begun = bench_now();
        bench_must(m->write_one(m->bed, i), "write");
        samples[i] = (double)(bench_now() - begun) / 1e3;
    }
    judge(m, samples, count, bench_now() - start);
}

/* ---- cases ---- */

static bool rate_round(void *arg, double *ret)
{
    struct measured *m = arg;
    if (m->writers)
        run_journal(m);
    else
        run_alone(m);
    *ret = m->per_second;
    return true;
}

/* Of the round that was just run. */
static bool time_round(void *arg, double *ret)
{
    const struct measured *m = arg;
    ret[0] = m->p50;
    ret[1] = m->p99;
    return true;
}

static void open_bed(struct bed *b)
{
    static const uint8_t psk[32] = {1}, seed[32] = {2};
    char path[300], what[ROVEI_STORE_WHAT];
    const char *parent = getenv("TMPDIR");
    (void)snprintf(b->dir, sizeof b->dir, "%s/rove-bench-XXXXXX", parent ? parent : "/var/tmp");
    if (!mkdtemp(b->dir))
        bench_fail("no folder can be made in TMPDIR or /var/tmp");
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    cfg.seed = seed;
    (void)snprintf(path, sizeof path, "%s/node", b->dir);
    cfg.data = path;
    bench_must(rove_node_new(&b->node, &cfg), "node");
    rove_node_info info;
    rove_node_get_info(b->node, &info);
    (void)snprintf(path, sizeof path, "%s/store", b->dir);
    bench_must(rovei_store_open(&b->store, path, &info.entity, UINT64_C(1) << 30, what), "store");
    (void)snprintf(path, sizeof path, "%s/append", b->dir);
    b->append_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (b->append_fd < 0)
        bench_fail("no file can be made");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void close_bed(struct bed *b)
{
    rove_node_free(b->node);
    rovei_store_close(b->store);
    close(b->append_fd);
    (void)nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define RATE(what, m)                                                                              \
    {                                                                                              \
        "durable.records." what, "records/s", NULL, rate_round, &(m)                               \
    }
#define TIMES(what, m)                                                                             \
    {                                                                                              \
        "durable.acknowledged." what, "us", figures, time_round, &(m)                              \
    }
#define BOTH(what, m) RATE(what, m), TIMES(what, m)

static void bench_durable(void)
{
    static const char *const figures[] = {"p50", "p99", NULL};
    struct bed b;
    open_bed(&b);
    struct measured m[] = {{&b, 1, NULL, 0, 0, 0},      {&b, 8, NULL, 0, 0, 0},
                           {&b, 64, NULL, 0, 0, 0},     {&b, 512, NULL, 0, 0, 0},
                           {&b, 0, store_one, 0, 0, 0}, {&b, 0, append_one, 0, 0, 0}};
    const bench_case cases[] = {
        BOTH("append_and_sync", m[5]),    BOTH("one_by_one", m[4]),
        BOTH("journal.1_writer", m[0]),   BOTH("journal.8_writers", m[1]),
        BOTH("journal.64_writers", m[2]), BOTH("journal.512_writers", m[3]),
    };
    bench_rounds(cases, sizeof cases / sizeof cases[0], bench_round_count());
    bench_ratio("durable.records.journal.64_writers", "durable.records.one_by_one");
    bench_ratio("durable.records.journal.512_writers", "durable.records.one_by_one");
    bench_ratio("durable.records.journal.1_writer", "durable.records.append_and_sync");
    close_bed(&b);
}

int main(int argc, char **argv)
{
    bool json = false, quick = false;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            json = true;
        else if (!strcmp(argv[i], "--quick"))
            quick = true;
        else {
            fputs("usage: durable [--quick] [--json]\n",
                  !strcmp(argv[i], "--help") ? stdout : stderr);
            return strcmp(argv[i], "--help") ? 2 : 0;
        }
    }
    bench_set(json, quick);
    if (!json)
        puts("durable: records on the disk, alone and in groups");
    bench_durable();
    return 0;
}
