/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node announces of itself: the tags that it is given, and those that follow what its
 * runtime takes in. */
#include "nodes.h"
#include <capability/index.h>
#include <capability/tag.h>
#include <node/announce.h>
#include <rove/drain.h>
#include <shell/call.h>

typedef struct question {
    const char *tag, *key;
    bool there, announced;
    char value[64];
} question;

static void look(void *arg, rovei_node *core, rovei_now now)
{
    question *q = arg;
    const rovei_announcement *own = rovei_gossip_own(rovei_node_gossip(core));
    rove_span value;
    (void)now;
    q->announced = own != NULL;
    q->there = own && q->tag && rovei_caps_has(&own->set, rovei_span_of(q->tag));
    if (own && q->key && rovei_caps_meta(&own->set, rovei_span_of(q->key), &value))
        snprintf(q->value, sizeof q->value, "%.*s", (int)value.size, (const char *)value.data);
}

static void await(place *p, const char *tag, bool there)
{
    question q = {.tag = tag};
    uint64_t until = rovei_clock_now().mono + 20 * ROVE_SECOND;
    do {
        rovei_node_call(p->node, look, &q);
        assert_true(rovei_clock_now().mono < until);
    } while (!q.announced || q.there != there);
}

static void test_what_a_runtime_takes_in(void **state)
{
    (void)state;
    place p;
    place_open(&p, 1);
    await(&p, "subprotocol:0x0500", true);
    assert_ok(rove_runtime_accept_kind(p.rt, "probe", true));
    await(&p, "rove:kind:probe", false);
    assert_ok(rove_runtime_start(p.rt));
    await(&p, "rove:kind:probe", true);
    assert_ok(rove_runtime_cordon(p.rt, true));
    await(&p, "rove:cordoned", true);
    assert_ok(rove_runtime_cordon(p.rt, false));
    await(&p, "rove:cordoned", false);
    await(&p, "rove:kind:probe", true);
    assert_ok(rove_runtime_accept_kind(p.rt, NULL, false));
    await(&p, "rove:kind:probe", false);
    assert_ok(rove_runtime_drain(p.rt, NULL, NULL));
    await(&p, "rove:cordoned", true);
    await(&p, "subprotocol:0x0500", true);
    place_close(&p);
}

static void test_the_end_of_a_runtime(void **state)
{
    (void)state;
    place p;
    place_ready(&p, 1);
    assert_ok(rove_runtime_accept_kind(p.rt, NULL, true));
    await(&p, "rove:kind:probe", true);
    assert_ok(rove_runtime_shutdown(p.rt));
    await(&p, "rove:kind:probe", false);
    place_close(&p);
}

static rove_err open_with(place *p, const char *const *tags, const char *const *metadata)
{
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.tags = tags;
    cfg.metadata = metadata;
    cfg.no_detect = true;
    return rove_node_new(&p->node, &cfg);
}

static void test_what_is_given(void **state)
{
    (void)state;
    static const char *const tags[] = {"hardware.gpu.vendor=amd", "zone=near", NULL};
    static const char *const metadata[] = {"site=lab", "note=a=b", "site=hall", NULL};
    place p = {0};
    assert_ok(open_with(&p, tags, metadata));
    await(&p, "hardware.gpu.vendor=amd", true);
    await(&p, "zone=near", true);
    question q = {.key = "site"};
    rovei_node_call(p.node, look, &q);
    assert_string_equal(q.value, "hall");
    q.key = "note";
    rovei_node_call(p.node, look, &q);
    assert_string_equal(q.value, "a=b");
    q = (question){.tag = "software.os=linux"};
    rovei_node_call(p.node, look, &q);
    assert_false(q.there);
    rove_node_free(p.node);
}

static void test_what_cannot_be_given(void **state)
{
    (void)state;
    static const struct {
        const char *tag, *metadata;
        rove_err err;
    } cases[] = {
        {"causal:1", NULL, ROVE_E_REFUSED},
        {"dataforts:x", NULL, ROVE_E_REFUSED},
        {"fork-of:1", NULL, ROVE_E_REFUSED},
        {"heat:1=2", NULL, ROVE_E_REFUSED},
        {"scope:tenant:a", NULL, ROVE_E_REFUSED},
        {"rove:kind:probe", NULL, ROVE_E_REFUSED},
        {"rove:cordoned", NULL, ROVE_E_REFUSED},
        {"", NULL, ROVE_E_FORMAT},
        {"\xff", NULL, ROVE_E_FORMAT},
        {NULL, "site", ROVE_E_FORMAT},
        {NULL, "=lab", ROVE_E_FORMAT},
        {NULL, "site=\xff", ROVE_E_FORMAT},
        {"dataforts.blob.storage", NULL, ROVE_OK},
        {NULL, "site=", ROVE_OK},
    };
    static char long_value[9000] = "k=";
    memset(long_value + 2, 'x', sizeof long_value - 3);
    place p = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *tags[] = {cases[i].tag, NULL}, *metadata[] = {cases[i].metadata, NULL};
        assert_int_equal(open_with(&p, tags, metadata), cases[i].err);
        if (cases[i].err == ROVE_OK)
            rove_node_free(p.node);
    }
    const char *large[] = {long_value, NULL};
    assert_int_equal(open_with(&p, NULL, large), ROVE_E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_runtime_takes_in),
        cmocka_unit_test(test_the_end_of_a_runtime),
        cmocka_unit_test(test_what_is_given),
        cmocka_unit_test(test_what_cannot_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
