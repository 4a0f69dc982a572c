/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of a data directory: what is written stays, whole batches or nothing; groups of tasks;
 * a full file, a full disk, damage. */
#include "store_kit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- what is written ---- */

static void test_records(void **state)
{
    store_bed *b = *state;
    assert_ok(store_open(b, STORE_MAP));
    assert_int_equal(store_get(b, "a/1"), ROVE_E_NOT_FOUND);
    assert_string_equal(store_keys(b, ""), "");
    assert_ok(store_put(b, "a/2", "two", 3));
    assert_ok(store_put(b, "b/1", "", 0));
    assert_ok(store_put(b, "a/1", "one", 3));
    assert_ok(store_put(b, "a/2", "other", 5));
    for (int again = 0; again < 2; again++) {
        assert_value(b, "a/1", "one", 3);
        assert_value(b, "a/2", "other", 5);
        assert_value(b, "b/1", "", 0);
        assert_string_equal(store_keys(b, ""), "a/1 a/2 b/1 ");
        assert_string_equal(store_keys(b, "a/"), "a/1 a/2 ");
        assert_string_equal(store_keys(b, "c"), "");
        store_reopen(b);
    }
    assert_ok(store_put(b, "a/1", NULL, 0));
    assert_ok(store_put(b, "nothing", NULL, 0));
    assert_string_equal(store_keys(b, ""), "a/2 b/1 ");
    assert_ok(store_put(b, "a", "", 0));
    assert_ok(store_delete_prefix(b, "a/"));
    assert_ok(store_delete_prefix(b, "nothing"));
    store_reopen(b);
    assert_string_equal(store_keys(b, ""), "a b/1 ");
}

static rove_err stop_at_second(void *user, rove_span key, rove_span value)
{
    (void)key;
    (void)value;
    return ++*(int *)user == 2 ? ROVE_E_CANCELLED : ROVE_OK;
}

static void test_each_ends(void **state)
{
    store_bed *b = *state;
    int seen = 0;
    assert_ok(store_open(b, STORE_MAP));
    for (const char *key = "abc"; *key; key++)
        assert_ok(store_put(b, (char[]){*key, '\0'}, "v", 1));
    assert_int_equal(
        rovei_store_each(b->store, (rove_span){NULL, 0}, stop_at_second, &seen, b->what),
        ROVE_E_CANCELLED);
    assert_int_equal(seen, 2);
}

/* Of a batch that is none nothing is there. */
static void test_whole_or_nothing(void **state)
{
    store_bed *b = *state;
    uint8_t bytes[64];
    rovei_batch_op op = {ROVEI_BATCH_PUT, span_of("a"), span_of("v")};
    assert_ok(store_open(b, STORE_MAP));
    size_t size = store_batch(&op, bytes, sizeof bytes);
    bytes[size] = 9;
    assert_int_equal(rovei_store_write(b->store, (rove_span){bytes, size + 1}), ROVE_E_FLAG);
    assert_int_equal(rovei_store_write(b->store, (rove_span){bytes, size - 1}), ROVE_E_SHORT);
    assert_int_equal(rovei_store_write(b->store, (rove_span){"\x02", 1}), ROVE_E_VERSION);
    assert_string_equal(store_keys(b, ""), "");
    assert_ok(rovei_store_write(b->store, (rove_span){bytes, size})); /* it has not failed */
    assert_string_equal(store_keys(b, ""), "a ");
}

/* ---- tasks ---- */

#define THREADS 4
#define EACH    200

typedef struct task {
    rovei_store_task task;
    uint8_t bytes[64];
    rove_err err;
    atomic_bool done;
} task;

typedef struct poster {
    store_bed *b;
    pthread_t thread;
    unsigned number;
    task tasks[EACH];
} poster;

static void told(rovei_store_task *t, rove_err err)
{
    task *me = ROVEI_CONTAINER(t, task, task);
    me->err = err;
    atomic_store(&me->done, true);
}

/* Every tenth is no batch. */
static void *post_all(void *arg)
{
    poster *p = arg;
    for (unsigned i = 0; i < EACH; i++) {
        task *t = &p->tasks[i];
        char key[32];
        snprintf(key, sizeof key, "%u/%03u", p->number, i);
        rovei_batch_op op = {ROVEI_BATCH_PUT, span_of(key), span_of(key)};
        t->task = (rovei_store_task){.done = told};
        t->task.batch = (rove_span){t->bytes, store_batch(&op, t->bytes, sizeof t->bytes)};
        if (i % 10 == 9)
            t->task.batch.size--;
        rovei_store_post(p->b->store, &t->task);
    }
    return NULL;
}

static void test_tasks(void **state)
{
    store_bed *b = *state;
    poster *p = calloc(THREADS, sizeof *p);
    assert_non_null(p);
    assert_ok(store_open(b, STORE_MAP));
    for (unsigned i = 0; i < THREADS; i++) {
        p[i].b = b;
        p[i].number = i;
        assert_int_equal(pthread_create(&p[i].thread, NULL, post_all, &p[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(p[i].thread, NULL);
    store_reopen(b); /* closing tells all that was posted */
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < EACH; k++) {
            char key[32];
            snprintf(key, sizeof key, "%u/%03u", i, k);
            assert_true(atomic_load(&p[i].tasks[k].done));
            assert_int_equal(p[i].tasks[k].err, k % 10 == 9 ? ROVE_E_SHORT : ROVE_OK);
            if (k % 10 == 9)
                assert_int_equal(store_get(b, key), ROVE_E_NOT_FOUND);
            else
                assert_value(b, key, key, strlen(key));
        }
    free(p);
}

/* ---- no room ---- */

/* Puts until it is refused; gives how many were taken, and the error. */
static unsigned fill(store_bed *b, rove_err *ret)
{
    static uint8_t value[20000];
    char key[32];
    unsigned count = 0;
    for (;; count++) {
        snprintf(key, sizeof key, "k/%06u", count);
        memset(value, (int)count, sizeof value);
        *ret = store_put(b, key, value, sizeof value);
        if (*ret)
            return count;
    }
}

static void assert_filled(store_bed *b, unsigned count)
{
    static uint8_t value[20000];
    char key[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k/%06u", i);
        memset(value, (int)i, sizeof value);
        assert_value(b, key, value, sizeof value);
    }
    snprintf(key, sizeof key, "k/%06u", count);
    assert_int_equal(store_get(b, key), ROVE_E_NOT_FOUND);
}

static void test_map_full(void **state)
{
    store_bed *b = *state;
    rove_err err;
    assert_ok(store_open(b, UINT64_C(1) << 20));
    unsigned count = fill(b, &err);
    assert_int_equal(err, ROVE_E_STORE_MAP);
    assert_true(count > 20);
    assert_filled(b, count);
    store_close(b);
    /* A larger bound: there is room again. */
    assert_ok(store_open(b, UINT64_C(4) << 20));
    assert_filled(b, count);
    assert_ok(store_put(b, "more", "v", 1));
    unsigned more = fill(b, &err);
    assert_int_equal(err, ROVE_E_STORE_MAP);
    assert_true(more > count);
    assert_filled(b, more);
}

/* A limit on the size of files stands for a full disk: a write is cut short by it in the same way.
 * In a process of its own, which can be limited. Its exit status says what was wrong. */
static int on_a_full_disk(store_bed *b)
{
    struct rlimit limit, tight;
    rove_err err;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (store_open(b, STORE_MAP) || getrlimit(RLIMIT_FSIZE, &limit))
        return 1;
    tight = limit;
    tight.rlim_cur = 1000 * 1000;
    if (setrlimit(RLIMIT_FSIZE, &tight))
        return 2;
    unsigned count = fill(b, &err);
    if (err != ROVE_E_STORE_FULL || count < 20)
        return 3;
    if (store_put(b, "k/999999", "", 0) == ROVE_E_STORE_IO)
        return 4; /* it is not said to have failed for good */
    if (store_put(b, "k/999999", NULL, 0) == ROVE_E_STORE_IO || setrlimit(RLIMIT_FSIZE, &limit))
        return 5;
    if (store_put(b, "k/999999", NULL, 0))
        return 6;
    assert_filled(b, count);
    if (store_put(b, "room", "v", 1))
        return 7;
    store_close(b);
    return 0;
}

static void test_disk_full(void **state)
{
    store_bed *b = *state;
    assert_int_equal(in_a_child(on_a_full_disk, b), 0);
    assert_ok(store_open(b, STORE_MAP));
    assert_value(b, "room", "v", 1);
    assert_value(b, "k/000000", (uint8_t[20000]){0}, 20000);
}

/* ---- damage ---- */

/* Where `text` lies in the file of the records. */
static size_t find(const uint8_t *bytes, size_t size, const char *text)
{
    for (size_t at = 0; at + strlen(text) <= size; at++)
        if (memcmp(bytes + at, text, strlen(text)) == 0)
            return at;
    fail();
    return 0;
}

static void test_flipped_bits(void **state)
{
    static const char value[] = "a value that is found in the file";
    store_bed *b = *state;
    char path[160];
    uint8_t *bytes;
    assert_ok(store_open(b, STORE_MAP));
    assert_ok(store_put(b, "a", "v", 1));
    assert_ok(store_put(b, "some \\key\x01", value, sizeof value));
    store_close(b);
    snprintf(path, sizeof path, "%s", store_path(b, "records"));
    size_t size = file_read(path, &bytes), at = find(bytes, size, value);
    for (size_t bit = 0; bit < 8 * (sizeof value + 8); bit++) {
        uint8_t *byte = bytes + at - 8 + bit / 8; /* its hash too */
        *byte ^= (uint8_t)(1u << bit % 8);
        file_write(path, bytes, size);
        *byte ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_CORRUPT);
        assert_string_equal(b->what, "the record some\\20\\5ckey\\01");
    }
    free(bytes);
}

/* A file that is too short is an error, and no crash. */
static void test_cut_short(void **state)
{
    static uint8_t value[30000];
    store_bed *b = *state;
    char path[160];
    uint8_t *bytes;
    assert_ok(store_open(b, STORE_MAP));
    memset(value, 7, sizeof value);
    assert_ok(store_put(b, "k", value, sizeof value));
    store_close(b);
    snprintf(path, sizeof path, "%s", store_path(b, "records"));
    size_t size = file_read(path, &bytes);
    for (size_t cut = 0; cut < size; cut += 1024) {
        file_write(path, bytes, cut);
        b->what[0] = '\0';
        if (store_open(b, STORE_MAP) == ROVE_OK) { /* what is cut off was in use by nothing */
            assert_true(cut > sizeof value);
            assert_value(b, "k", value, sizeof value);
            store_close(b);
        } else {
            assert_true(strcmp(b->what, "records") == 0 || strcmp(b->what, "the record k") == 0);
        }
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_open(b, STORE_MAP), ROVE_E_STORE_CORRUPT);
    free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_bed_make, store_bed_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_records),      TEST(test_each_ends), TEST(test_whole_or_nothing),
        TEST(test_tasks),        TEST(test_map_full),  TEST(test_disk_full),
        TEST(test_flipped_bits), TEST(test_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
