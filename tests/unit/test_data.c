/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes with a data directory: what their journal takes is there at the next start, and a directory
 * that is not the one used last is refused. */
#include "support.h"

#include <durable/journal.h>
#include <ftw.h>
#include <rove/node.h>
#include <semaphore.h>
#include <shell/call.h>
#include <shell/data.h>
#include <shell/files.h>
#include <stdio.h>
#include <store/store.h>
#include <unistd.h>

typedef struct bed {
    char parent[64], id[80], data[80], copy[80];
    uint8_t seed[32];
    rove_node *node;
    bool driven;
} bed;

static int make(void **state)
{
    bed *b = calloc(1, sizeof *b);
    if (!b || rovei_crypto_init())
        return -1;
    snprintf(b->parent, sizeof b->parent, "/tmp/rove-data-XXXXXX");
    if (!mkdtemp(b->parent))
        return -1;
    snprintf(b->id, sizeof b->id, "%s/id", b->parent);
    snprintf(b->data, sizeof b->data, "%s/data", b->parent);
    snprintf(b->copy, sizeof b->copy, "%s/copy", b->parent);
    memset(b->seed, 5, sizeof b->seed);
    *state = b;
    return rovei_files_create_hex32(b->id, b->seed);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int clean(void **state)
{
    bed *b = *state;
    rove_node_free(b->node);
    int result = nftw(b->parent, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(b);
    return result;
}

static rove_err start(bed *b, const char *id, const char *data)
{
    static const uint8_t psk[32] = {1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    cfg.identity_file = id;
    cfg.seed = id ? NULL : b->seed;
    cfg.data = data;
    cfg.driven = b->driven;
    cfg.no_detect = true;
    assert_null(b->node);
    rove_err err = rove_node_new(&b->node, &cfg);
    assert_true((err == ROVE_OK) == (b->node != NULL));
    return err;
}

static void stop(bed *b)
{
    rove_node_free(b->node);
    b->node = NULL;
}

static uint64_t incarnation(bed *b)
{
    rove_node_info info;
    rove_node_get_info(b->node, &info);
    return info.incarnation;
}

/* ---- the journal of a node ---- */

typedef struct call {
    rovei_journal_wait wait;
    const char *key;
    unsigned count; /* records */
    bool waits;
    sem_t told;
    rove_err err;
} call;

static void on_durable(rovei_journal_wait *w, rovei_now now, rove_err err)
{
    call *c = ROVEI_CONTAINER(w, call, wait);
    (void)now;
    c->err = err;
    sem_post(&c->told);
}

static void put_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    call *c = arg;
    rovei_journal *j = rovei_node_journal(core);
    (void)now;
    for (unsigned i = 0; i < c->count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s/%u", c->key, i);
        assert_ok(rovei_journal_put(j, span_of(key), span_of(c->key)));
    }
    if (c->waits)
        assert_true(rovei_journal_await(j, &c->wait, rovei_journal_mark(j), on_durable));
}

static void put(bed *b, const char *key, unsigned count, bool waits)
{
    call c = {.key = key, .count = count, .waits = waits};
    sem_init(&c.told, 0, 0);
    rovei_node_call(b->node, put_on_loop, &c);
    if (waits)
        while (sem_wait(&c.told))
            ;
    assert_ok(c.err);
    sem_destroy(&c.told);
}

static rove_err count_one(void *user, rove_span key, rove_span value)
{
    assert_true(key.size > value.size && memcmp(key.data, value.data, value.size) == 0);
    ++*(unsigned *)user;
    return ROVE_OK;
}

/* How many records with the prefix lie in the directory of the node, which is stopped. */
static unsigned count(bed *b, const char *prefix)
{
    char what[ROVEI_STORE_WHAT];
    uint8_t secret[64];
    rove_entity entity;
    rovei_store *s;
    unsigned n = 0;
    rovei_ed25519_from_seed(b->seed, secret, &entity);
    assert_ok(rovei_store_open(&s, b->data, &entity, UINT64_C(64) << 20, what));
    assert_ok(rovei_store_each(s, span_of(prefix), count_one, &n, what));
    rovei_store_close(s);
    return n;
}

static void test_kept(void **state)
{
    bed *b = *state;
    assert_ok(start(b, b->id, b->data));
    put(b, "first", 3, true);
    put(b, "second", 100, true);
    put(b, "third", 7, false); /* nobody waits: it is written at the end */
    stop(b);
    assert_int_equal(count(b, "first/"), 3);
    assert_int_equal(count(b, "second/"), 100);
    assert_int_equal(count(b, "third/"), 7);
    assert_ok(start(b, b->id, b->data));
    put(b, "fourth", 1, true);
    stop(b);
    assert_int_equal(count(b, "third/"), 7);
    assert_int_equal(count(b, "fourth/"), 1);
}

static void test_driven(void **state)
{
    bed *b = *state;
    b->driven = true;
    assert_ok(start(b, b->id, b->data));
    put(b, "first", 3, false);
    assert_ok(rove_node_process(b->node)); /* it is with the store, or further */
    put(b, "second", 4, false);
    stop(b);
    assert_int_equal(count(b, "first/"), 3);
    assert_int_equal(count(b, "second/"), 4);
}

/* ---- whose it is ---- */

static void test_incarnation(void **state)
{
    bed *b = *state;
    assert_ok(start(b, b->id, b->data));
    uint64_t first = incarnation(b);
    stop(b);
    assert_ok(start(b, b->id, b->data));
    assert_true(incarnation(b) > first);
    uint64_t last = incarnation(b);
    stop(b);
    /* With a seed alone the directory is what remembers. */
    assert_ok(start(b, NULL, b->data));
    assert_true(incarnation(b) > last);
    stop(b);
    assert_ok(start(b, b->id, b->data));
    stop(b);
    /* What stops between the two writes leaves the directory ahead. */
    uint64_t time;
    assert_ok(rovei_identity_state_load(b->id, &last, &time));
    assert_ok(rovei_identity_state_store(b->id, last - 1, time));
    assert_ok(start(b, b->id, b->data));
    assert_true(incarnation(b) > last);
}

static void test_rolled_back(void **state)
{
    bed *b = *state;
    char command[256];
    assert_ok(start(b, b->id, b->data));
    stop(b);
    snprintf(command, sizeof command, "cp -a %s %s", b->data, b->copy);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): two paths of our own */
    assert_ok(start(b, b->id, b->data));
    stop(b);
    assert_int_equal(start(b, b->id, b->copy), ROVE_E_STORE_ROLLED_BACK);
    assert_ok(start(b, b->id, b->data));
    stop(b);
    assert_ok(start(b, b->id, NULL)); /* without it */
    stop(b);
    assert_int_equal(start(b, b->id, b->data), ROVE_E_STORE_ROLLED_BACK);
}

static void test_refused(void **state)
{
    bed *b = *state;
    static const uint8_t psk[32] = {1};
    rove_node *other = NULL;
    rove_node_config cfg;
    assert_ok(start(b, b->id, b->data));
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = psk;
    cfg.data = b->data;
    assert_int_equal(rove_node_new(&other, &cfg), ROVE_E_USAGE); /* nobody's in particular */
    cfg.seed = b->seed;
    assert_int_equal(rove_node_new(&other, &cfg), ROVE_E_STORE_LOCKED);
    stop(b);
    uint8_t seed[32] = {9};
    cfg.seed = seed;
    assert_int_equal(rove_node_new(&other, &cfg), ROVE_E_STORE_FOREIGN);
    assert_null(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kept),        TEST(test_driven),  TEST(test_incarnation),
        TEST(test_rolled_back), TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
