/* SPDX-License-Identifier: Apache-2.0
 *
 * The kind kv: its events against a plain model, its tree, its state in both forms, streams that
 * stay as they were, and memory that runs out in the middle. */
#include "support.h"
#include <host/cell.h>
#include <stdio.h>

#undef ROVE_KIND_MAIN
#define ROVE_KIND_MAIN kv_kind
#include "kv.c"

/* ---- a context that keeps what a kind says ---- */

typedef struct context {
    rove_ctx ctx;
    char *bytes; /* outputs, or the state */
    size_t size;
    unsigned outputs;
} context;

static rove_err take(rove_ctx *ctx, rove_span bytes)
{
    context *c = (context *)ctx;
    if (bytes.size)
        memcpy(c->bytes + c->size, bytes.data, bytes.size);
    c->size += bytes.size;
    c->outputs++;
    return ROVE_OK;
}

static rove_err reserve(rove_ctx *ctx, uint64_t size)
{
    (void)ctx;
    (void)size;
    return ROVE_OK;
}

static void refuse(rove_ctx *ctx, const char *format, va_list args)
{
    (void)ctx;
    (void)format;
    (void)args;
}

static const rove_ctx_ops ops = {.emit = take, .write = take, .reserve = reserve, .refuse = refuse};
static char room[1 << 21];

static context context_of(void)
{
    return (context){.ctx = {&ops}, .bytes = room};
}

static rove_err event(struct kv *kv, rove_span line, rove_span *ret)
{
    context c = context_of();
    rove_event e = {.payload = line};
    rove_err err = kv_process(kv, &c.ctx, &e);
    if (!err)
        assert_int_equal(c.outputs, 1);
    *ret = (rove_span){room, c.size};
    return err;
}

static void says(struct kv *kv, const char *line, const char *want)
{
    rove_span got;
    assert_ok(event(kv, span_of(line), &got));
    assert_span(got, want, strlen(want));
}

static struct kv *kv_new(const rove_alloc *a)
{
    void *self = NULL;
    return kv_create(&self, a, NULL) ? NULL : self;
}

/* ---- the tree ---- */

/* Heights are right, sides differ by one at most, keys ascend; gives the size of the state. */
static uint64_t check_node(const struct node *n, const struct entry **last)
{
    if (!n)
        return 0;
    uint64_t size = check_node(n->child[0], last);
    int low = height(n->child[0]), high = height(n->child[1]);
    assert_int_equal(n->height, 1 + (low > high ? low : high));
    assert_true(low - high <= 1 && high - low <= 1);
    assert_true(n->refs && n->entry->refs);
    if (*last)
        assert_true(compare(n->entry->bytes, n->entry->key_size, *last) > 0);
    *last = n->entry;
    size += entry_size(n->entry);
    return size + check_node(n->child[1], last);
}

static void check(const struct kv *kv)
{
    const struct entry *last = NULL;
    assert_int_equal(check_node(kv->root, &last), kv->size);
}

/* The whole state, to be freed. */
static char *state_of(struct kv *kv, size_t *ret_size)
{
    context c = context_of();
    char *copy = malloc((size_t)kv->size + 1);
    assert_non_null(copy);
    c.bytes = copy;
    assert_ok(kv_snapshot(kv, &c.ctx));
    assert_int_equal(c.size, kv->size);
    *ret_size = c.size;
    return copy;
}

/* A stream reads these bytes, in pieces of many sizes. */
static void reads(void *stream, const char *want, size_t size, uint64_t *random)
{
    size_t at = 0, n;
    static char piece[700];
    do {
        assert_ok(kv_snapshot_read(stream, piece, 1 + (size_t)below(random, sizeof piece), &n));
        assert_true(n <= size - at);
        assert_memory_equal(piece, want + at, n);
        at += n;
    } while (n);
    assert_int_equal(at, size);
}

/* ---- events ---- */

static void test_events(void **state)
{
    (void)state;
    struct kv *kv = kv_new(&rovei_alloc_libc);
    const char *wrong[] = {"",        "set",    "set a",  "set  a", "get",     "get ",
                           "get a b", "get a ", "del",    "del ",   "del a ",  "SET a b",
                           "put a b", " get a", "seta b", "getx a", "set\ta b"};
    rove_span got;
    says(kv, "get a", "");
    says(kv, "set a 1", "");
    says(kv, "get a", "1");
    says(kv, "set a two words  and more ", "");
    says(kv, "get a", "two words  and more ");
    says(kv, "set b ", "");
    says(kv, "get b", "");
    says(kv, "del a", "");
    says(kv, "del a", "");
    says(kv, "get a", "");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(event(kv, span_of(wrong[i]), &got), ROVE_E_PROCESS);
    assert_ok(event(kv, (rove_span){"set \0\xFF \0 \n", 10}, &got));
    assert_ok(event(kv, (rove_span){"get \0\xFF", 6}, &got));
    assert_span(got, "\0 \n", 3);
    check(kv);
    kv_destroy(kv);
}

/* ---- against a model: keys are small numbers ---- */

#define KEYS 300

static void test_model(void **state)
{
    (void)state;
    static uint32_t model[KEYS]; /* 0: not there */
    memset(model, 0, sizeof model);
    struct kv *kv = kv_new(&rovei_alloc_libc);
    uint64_t random = 7;
    void *streams[3] = {NULL};
    char *states[3];
    size_t sizes[3];
    for (uint32_t round = 1; round <= 20000; round++) {
        char line[64], want[16] = "";
        rove_span got;
        unsigned key = (unsigned)below(&random, round / 4000 % 2 ? KEYS : 20), what = round % 3;
        if (what == 0 || (what == 1 && round < 6000))
            snprintf(line, sizeof line, "set %u %u", key, model[key] = round);
        else if (what == 1)
            snprintf(line, sizeof line, "del %u", key), model[key] = 0;
        else
            snprintf(line, sizeof line, "get %u", key);
        if (what == 2 && model[key])
            snprintf(want, sizeof want, "%u", model[key]);
        assert_ok(event(kv, span_of(line), &got));
        assert_span(got, want, strlen(want));
        unsigned slot = round % 3;
        if (round % 97 == 0 && streams[slot]) {
            reads(streams[slot], states[slot], sizes[slot], &random);
            kv_snapshot_close(streams[slot]);
            free(states[slot]);
            streams[slot] = NULL;
        } else if (round % 89 == 0 && !streams[slot]) {
            uint64_t size;
            states[slot] = state_of(kv, &sizes[slot]);
            assert_ok(kv_snapshot_open(kv, NULL, &size, &streams[slot]));
            assert_int_equal(size, sizes[slot]);
        }
        if (round % 50 == 0)
            check(kv);
    }
    for (int i = 0; i < 3; i++)
        if (streams[i]) {
            kv_snapshot_close(streams[i]); /* unread, and before destroy */
            free(states[i]);
        }
    kv_destroy(kv);
}

/* The same entries put in by other ways give the same state. */
static void test_canonical(void **state)
{
    (void)state;
    struct kv *a = kv_new(&rovei_alloc_libc), *b = kv_new(&rovei_alloc_libc);
    char line[64];
    rove_span got;
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "set k%d v%d", i, i);
        assert_ok(event(a, span_of(line), &got));
        snprintf(line, sizeof line, "set k%d v%d", 1999 - i, 1999 - i);
        assert_ok(event(b, span_of(line), &got));
        check(a);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "set k%d v%d", i, i);
        assert_ok(event(b, span_of(line), &got));
        snprintf(line, sizeof line, "del k%d", 1999 - i);
        assert_ok(event(b, span_of(line), &got));
        check(b);
    }
    size_t first, second;
    char *one = state_of(a, &first), *two = state_of(b, &second);
    assert_int_equal(first, second);
    assert_memory_equal(one, two, first);
    /* And so does the state itself, whole and in pieces. */
    for (size_t piece = 0; piece < 40; piece++) {
        struct kv *c = kv_new(&rovei_alloc_libc);
        context ctx = context_of();
        void *stream;
        if (piece) {
            assert_ok(kv_restore_open(c, &ctx.ctx, first, &stream));
            for (size_t at = 0; at < first; at += piece)
                assert_ok(kv_restore_write(
                    stream, (rove_span){one + at, piece < first - at ? piece : first - at}));
            assert_ok(kv_restore_close(stream, &ctx.ctx, true));
        } else {
            assert_ok(kv_restore(c, &ctx.ctx, (rove_span){one, first}));
        }
        size_t third;
        char *three = state_of(c, &third);
        assert_int_equal(third, first);
        assert_memory_equal(three, one, first);
        free(three);
        kv_destroy(c);
    }
    free(one);
    free(two);
    kv_destroy(a);
    kv_destroy(b);
}

static rove_err restores(const void *bytes, size_t size)
{
    struct kv *kv = kv_new(&rovei_alloc_libc);
    context c = context_of();
    void *stream;
    rove_err err = kv_restore(kv, &c.ctx, (rove_span){bytes, size});
    kv_destroy(kv);
    kv = kv_new(&rovei_alloc_libc);
    assert_ok(kv_restore_open(kv, &c.ctx, size, &stream));
    rove_err streamed = ROVE_OK;
    for (size_t i = 0; i < size && !streamed; i++)
        streamed = kv_restore_write(stream, (rove_span){(const char *)bytes + i, 1});
    rove_err closed = kv_restore_close(stream, &c.ctx, !streamed);
    assert_int_equal(!err, !streamed && !closed); /* both forms take the same */
    kv_destroy(kv);
    return err;
}

static void test_bad_states(void **state)
{
    (void)state;
    const uint8_t whole[] = {1, 0, 0, 0, 2, 0, 0, 0, 'a', 'x', 'y',
                             2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'};
    uint8_t bad[sizeof whole];
    assert_ok(restores(whole, sizeof whole));
    assert_ok(restores(whole, 11));
    assert_ok(restores(whole, 0));
    for (size_t size = 1; size < sizeof whole; size++)
        if (size != 11)
            assert_int_equal(restores(whole, size), ROVE_E_PROCESS);
    memcpy(bad, whole, sizeof bad);
    bad[8] = 'b'; /* out of order */
    assert_int_equal(restores(bad, sizeof bad), ROVE_E_PROCESS);
    memcpy(bad, whole, sizeof bad);
    bad[20] = ' '; /* no key has a space */
    assert_int_equal(restores(bad, sizeof bad), ROVE_E_PROCESS);
    memcpy(bad, whole, sizeof bad);
    memset(bad, 0xFF, 8); /* far more than there is */
    assert_int_equal(restores(bad, sizeof bad), ROVE_E_PROCESS);
    const uint8_t empty[] = {0, 0, 0, 0, 1, 0, 0, 0, 'v'},
                  same[] = {1, 0, 0, 0, 0, 0, 0, 0, 'a', 1, 0, 0, 0, 0, 0, 0, 0, 'a'};
    assert_int_equal(restores(empty, sizeof empty), ROVE_E_PROCESS);
    assert_int_equal(restores(same, sizeof same), ROVE_E_PROCESS);
}

/* ---- memory runs out ---- */

/* Sets and deletes while a stream is open, so that nodes are copied. What fails changes nothing. */
static rove_err work(const rove_alloc *a)
{
    struct kv *kv = kv_new(a);
    rove_err err = kv ? ROVE_OK : ROVE_E_NOMEM;
    void *stream = NULL;
    uint64_t size, random = 3;
    for (int i = 0; i < 120 && !err; i++) {
        char line[32];
        rove_span got;
        size_t before_size, after_size;
        char *before = state_of(kv, &before_size);
        snprintf(line, sizeof line, i % 3 == 2 ? "del %u" : "set %u v",
                 (unsigned)below(&random, 40));
        err = event(kv, span_of(line), &got);
        check(kv);
        char *after = state_of(kv, &after_size);
        if (err) {
            assert_int_equal(err, ROVE_E_NOMEM);
            assert_int_equal(after_size, before_size);
            assert_memory_equal(after, before, before_size);
        }
        free(before);
        free(after);
        if (!err && i % 20 == 10) {
            if (stream)
                kv_snapshot_close(stream);
            stream = NULL;
            err = kv_snapshot_open(kv, NULL, &size, &stream);
        }
    }
    if (stream)
        kv_snapshot_close(stream);
    if (kv)
        kv_destroy(kv);
    return err;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    test_env t;
    test_env_init(&t, 5);
    SWEEP_NOMEM(&t.alloc, work(&t.env.alloc));
    test_env_fini(&t);
}

/* Memory runs out while a state comes in; nothing leaks. */
static rove_err come_in(const rove_alloc *a, const char *bytes, size_t size)
{
    struct kv *kv = kv_new(a);
    if (!kv)
        return ROVE_E_NOMEM;
    context c = context_of();
    void *stream;
    rove_err err = kv_restore_open(kv, &c.ctx, size, &stream);
    if (!err) {
        for (size_t at = 0; at < size && !err; at += 5)
            err = kv_restore_write(stream, (rove_span){bytes + at, size - at < 5 ? size - at : 5});
        rove_err closed = kv_restore_close(stream, &c.ctx, !err);
        err = err ? err : closed;
    }
    kv_destroy(kv);
    return err;
}

static void test_out_of_memory_coming_in(void **state)
{
    (void)state;
    struct kv *kv = kv_new(&rovei_alloc_libc);
    rove_span got;
    char line[32];
    for (int i = 0; i < 30; i++) {
        snprintf(line, sizeof line, "set %d value", i);
        assert_ok(event(kv, span_of(line), &got));
    }
    size_t size;
    char *bytes = state_of(kv, &size);
    test_env t;
    test_env_init(&t, 5);
    SWEEP_NOMEM(&t.alloc, come_in(&t.env.alloc, bytes, size));
    test_env_fini(&t);
    free(bytes);
    kv_destroy(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),        cmocka_unit_test(test_model),
        cmocka_unit_test(test_canonical),     cmocka_unit_test(test_bad_states),
        cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_out_of_memory_coming_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
