/* SPDX-License-Identifier: Apache-2.0
 *
 * A process that writes records and states is killed at random points; whatever it said to be
 * durable is there afterwards, and nothing is there in part. Not what a machine does that loses its
 * power: a killed process leaves what it wrote to the system. ROVE_STORE_KILLS says how often. */
#include "store_kit.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS      25
#define STATE_SIZE 20000
#define ACKS_MAX   40 /* heard before a kill */
#define SPIN_MAX   400000

/* Batch n: three records that belong together, one of them large now and then, and the number of
 * the last batch. */
static size_t make_batch(uint8_t *ret, size_t room, uint64_t n)
{
    static uint8_t value[40000];
    char key[32];
    rovei_writer w = rovei_writer_of(ret, room);
    size_t size = n % 5 ? 40 : sizeof value;
    memset(value, (int)n, sizeof value);
    rovei_batch_write_head(&w);
    for (unsigned part = 0; part < 3; part++) {
        snprintf(key, sizeof key, "r/%010u/%u", (unsigned)n, part);
        rovei_batch_op op = {ROVEI_BATCH_PUT, span_of(key), {value, part ? 20 : size}};
        rovei_batch_write_op(&w, &op);
    }
    rovei_batch_op last = {ROVEI_BATCH_PUT, span_of("last"), {&n, sizeof n}};
    rovei_batch_write_op(&w, &last);
    if (n > 100) { /* so that pages are used again */
        snprintf(key, sizeof key, "r/%010u/", (unsigned)n - 100);
        rovei_batch_op old = {.what = ROVEI_BATCH_DELETE_PREFIX, .key = span_of(key)};
        rovei_batch_write_op(&w, &old);
    }
    assert_ok(w.err);
    return rovei_writer_size(&w);
}

/* ---- the one that is killed ---- */

typedef struct writer {
    rovei_store_task task;
    int out;
    uint64_t n;
    rovei_store *store;
    uint8_t bytes[64000];
} writer;

static void acknowledge(const writer *w, char what, uint64_t n)
{
    char line[9] = {what};
    memcpy(line + 1, &n, sizeof n);
    if (write(w->out, line, sizeof line) != (ssize_t)sizeof line)
        _exit(0); /* nobody listens any more */
}

static void post_next(writer *w);

static void written(rovei_store_task *t, rove_err err)
{
    writer *w = ROVEI_CONTAINER(t, writer, task);
    if (err)
        _exit(3);
    acknowledge(w, 'r', w->n);
    post_next(w);
}

static void post_next(writer *w)
{
    w->n++;
    w->task.batch = (rove_span){w->bytes, make_batch(w->bytes, sizeof w->bytes, w->n)};
    rovei_store_post(w->store, &w->task);
}

static void fill_state(uint8_t *ret, uint64_t n)
{
    uint64_t random = n;
    random_bytes(&random, ret, STATE_SIZE);
}

/* One state over and over, by this thread; records by the store's. */
static _Noreturn void write_until_killed(store_bed *b, uint64_t n, uint64_t state, int out)
{
    static writer w;
    static uint8_t bytes[STATE_SIZE];
    if (store_open(b, STORE_MAP))
        _exit(2);
    w = (writer){.task.done = written, .out = out, .n = n, .store = b->store};
    post_next(&w);
    for (;;) {
        rovei_stored_writer s;
        fill_state(bytes, ++state);
        if (rovei_stored_begin(&s, b->store, "state") ||
            rovei_stored_write(&s, (rove_span){bytes, sizeof bytes}) || rovei_stored_commit(&s))
            _exit(4);
        acknowledge(&w, 's', state);
    }
}

/* ---- the one that looks afterwards ---- */

typedef struct heard {
    uint64_t record, state;
} heard;

static bool hear(int in, heard *h)
{
    char line[9];
    uint64_t n;
    if (read(in, line, sizeof line) != (ssize_t)sizeof line)
        return false;
    memcpy(&n, line + 1, sizeof n);
    if (line[0] == 'r') {
        assert_int_equal(n, h->record + 1);
        h->record = n;
    } else {
        assert_int_equal(n, h->state + 1);
        h->state = n;
    }
    return true;
}

static void kill_one(store_bed *b, heard *h, uint64_t *random)
{
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        close(pipes[0]);
        write_until_killed(b, h->record, h->state, pipes[1]);
    }
    close(pipes[1]);
    for (uint64_t acks = 1 + below(random, ACKS_MAX); acks; acks--)
        assert_true(hear(pipes[0], h));
    for (volatile uint64_t spin = below(random, SPIN_MAX); spin;)
        spin = spin - 1; /* into the middle of something */
    assert_int_equal(kill(child, SIGKILL), 0);
    while (hear(pipes[0], h))
        ;
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static rove_err check_record(void *user, rove_span key, rove_span value)
{
    char name[32] = "";
    unsigned n, part;
    assert_true(key.size < sizeof name);
    memcpy(name, key.data, key.size);
    assert_int_equal(sscanf(name, "r/%010u/%u", &n, &part), 2);
    assert_int_equal(value.size, part ? 20 : n % 5 ? 40 : 40000);
    for (size_t i = 0; i < value.size; i++)
        assert_int_equal(((const uint8_t *)value.data)[i], (uint8_t)n);
    ++*(uint64_t *)user;
    return ROVE_OK;
}

/* The next batch and state may have come through without having been heard of, none beyond. */
static void check_all(store_bed *b, heard *h)
{
    static uint8_t bytes[STATE_SIZE], got[STATE_SIZE];
    uint64_t last = 0, count = 0;
    rove_buf *buf;
    assert_ok(store_open(b, STORE_MAP));
    rove_err err = rovei_store_get(b->store, span_of("last"), NULL, &buf, b->what);
    if (!err) {
        assert_int_equal(rove_buf_span(buf).size, sizeof last);
        memcpy(&last, rove_buf_span(buf).data, sizeof last);
        rove_buf_unref(buf);
    }
    assert_true(last == h->record || last == h->record + 1);
    assert_ok(rovei_store_each(b->store, span_of("r/"), check_record, &count, b->what));
    assert_int_equal(count, 3 * (last < 100 ? last : 100));
    h->record = last;
    rovei_stored_reader r;
    size_t size = 0;
    err = rovei_stored_open(&r, b->store, "state");
    if (err == ROVE_E_NOT_FOUND) {
        assert_int_equal(h->state, 0);
    } else {
        assert_ok(err);
        assert_ok(rovei_stored_read(&r, got, sizeof got, &size));
        assert_int_equal(size, sizeof got);
        rovei_stored_close(&r);
        fill_state(bytes, h->state);
        if (!h->state || memcmp(bytes, got, sizeof got) != 0) {
            fill_state(bytes, ++h->state);
            assert_memory_equal(bytes, got, sizeof got);
        }
    }
    store_close(b);
}

static void test_killed(void **state)
{
    store_bed *b = *state;
    heard h = {0, 0};
    uint64_t random = 20;
    const char *asked = getenv("ROVE_STORE_KILLS");
    unsigned long kills = asked ? strtoul(asked, NULL, 10) : KILLS;
    for (unsigned long i = 0; i < kills; i++) {
        kill_one(b, &h, &random);
        check_all(b, &h);
    }
    print_message("%lu kills, %llu batches, %llu states\n", kills, (unsigned long long)h.record,
                  (unsigned long long)h.state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed, store_bed_make, store_bed_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
