/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens through the public interface, and what a running node holds and revokes. */
#include "nodes.h"

#include <node/tokens.h>
#include <rove/token.h>
#include <shell/call.h>
#include <time.h>

#define assert_usage(call) assert_int_equal((call), ROVE_E_USAGE)

typedef struct setting {
    place p;
    rove_identity *owner, *guest;
    rove_token_options options; /* of a token of the owner for the node */
    uint64_t channel;
} setting;

static void setting_open(setting *s, const rove_limits *limits)
{
    const uint8_t owner[32] = {1}, guest[32] = {2};
    place_open_with(&s->p, 1, limits);
    assert_ok(rove_identity_from_seed(&s->owner, s->p.node, owner));
    assert_ok(rove_identity_from_seed(&s->guest, s->p.node, guest));
    assert_ok(rove_token_channel(span_of("sensors/temp"), (rove_span){NULL, 0}, &s->channel));
    rove_token_options_init(&s->options);
    s->options.subject = s->p.info.entity;
    s->options.scope = ROVE_SCOPE_SUBSCRIBE;
    s->options.channel = s->channel;
}

static void setting_close(setting *s)
{
    rove_identity_free(s->owner);
    rove_identity_free(s->guest);
    place_close(&s->p);
}

/* What the node would present now. */
typedef struct finding {
    rove_entity subject;
    uint64_t channel;
    rove_token_chain chain;
    rove_err err;
} finding;

static void find_on_loop(void *arg, rovei_node *core, rovei_now now)
{
    finding *f = arg;
    rovei_tokens *t = rovei_node_tokens(core);
    f->err = rovei_token_cache_find(&t->cache, &f->subject, ROVE_SCOPE_SUBSCRIBE, f->channel,
                                    rovei_token_time(now), &t->floors, &f->chain);
}

static rove_err find(const setting *s, rove_token_chain *ret)
{
    finding f = {.subject = s->p.info.entity, .channel = s->channel};
    rovei_node_call(s->p.node, find_on_loop, &f);
    if (ret)
        *ret = f.chain;
    return f.err;
}

static void test_channel(void **state)
{
    (void)state;
    uint64_t hash = 0;
    char name[257];
    rove_span none = {NULL, 0};
    memset(name, 'a', sizeof name);
    assert_ok(rove_token_channel(span_of("sensors/temp"), none, &hash));
    assert_int_equal(hash, UINT64_C(0xe477434ef307172d));
    assert_ok(rove_token_channel(span_of("jobs/render"), span_of("workers"), &hash));
    assert_int_equal(hash, UINT64_C(0x84467fe888704eb9));
    assert_int_equal(rove_token_channel(none, none, &hash), ROVE_E_CHANNEL_EMPTY);
    assert_int_equal(rove_token_channel(span_of("jobs#a"), none, &hash), ROVE_E_CHANNEL_CHAR);
    assert_int_equal(rove_token_channel((rove_span){name, 256}, none, &hash), ROVE_E_CHANNEL_LONG);
    assert_int_equal(rove_token_channel(span_of("a"), (rove_span){name, 256}, &hash),
                     ROVE_E_CHANNEL_LONG);
    assert_int_equal(hash, UINT64_C(0x84467fe888704eb9));
}

static void test_made_and_judged(void **state)
{
    (void)state;
    setting s;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    size_t size = 0;
    rove_token_chain c, back;
    setting_open(&s, NULL);
    rove_entity owner = rove_identity_entity(s.owner), guest = rove_identity_entity(s.guest);
    s.options.subject = guest;
    s.options.scope |= ROVE_SCOPE_DELEGATE;
    s.options.depth = 1;
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_ok(rove_token_delegate(&c, s.guest, &s.p.info.entity, ROVE_SCOPE_SUBSCRIBE, 0));
    assert_int_equal(c.count, 2);
    assert_ok(rove_token_chain_encode(&c, bytes, &size));
    assert_int_equal(size, 339);
    assert_ok(rove_token_chain_decode(&back, (rove_span){bytes, size}));
    rove_token_demand d;
    rove_token_demand_init(&d);
    d.action = ROVE_SCOPE_SUBSCRIBE;
    d.channel = s.channel;
    d.presenter = s.p.info.entity;
    d.roots = &owner;
    d.root_count = 1;
    assert_ok(rove_token_chain_verify(&back, &d));
    const rove_token_floor floors[] = {{guest, 0}, {owner, 1}};
    d.floors = floors;
    d.floor_count = 1;
    assert_ok(rove_token_chain_verify(&back, &d));
    d.floor_count = 2;
    assert_int_equal(rove_token_chain_verify(&back, &d), ROVE_E_TOKEN_REVOKED);
    d.floor_count = 0;
    d.now = c.links[0].not_after + ROVE_TOKEN_SKEW_MAX;
    d.skew = UINT64_MAX; /* no more than may be */
    assert_int_equal(rove_token_chain_verify(&back, &d), ROVE_E_TOKEN_EXPIRED);
    d.now--;
    assert_ok(rove_token_chain_verify(&back, &d));
    /* one token is a chain of its own */
    assert_ok(rove_token_chain_decode(&back, (rove_span){bytes + 1, ROVE_TOKEN_SIZE}));
    assert_int_equal(back.count, 1);
    assert_int_equal(rove_token_chain_decode(&back, (rove_span){bytes, size - 1}),
                     ROVE_E_TOKEN_FORMAT);
    setting_close(&s);
}

static void test_refused(void **state)
{
    (void)state;
    setting s;
    rove_identity *half;
    rove_token_chain c = {0};
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    setting_open(&s, NULL);
    rove_entity owner = rove_identity_entity(s.owner);
    s.options.life = 0;
    assert_int_equal(rove_token_issue(&c, s.owner, &s.options), ROVE_E_TOKEN_NO_LIFE);
    s.options.life = ROVE_TOKEN_LIFE_MAX + 1;
    assert_int_equal(rove_token_issue(&c, s.owner, &s.options), ROVE_E_TOKEN_LONG);
    s.options.life = 60;
    assert_ok(rove_identity_public_only(&half, s.p.node, &owner));
    assert_int_equal(rove_token_issue(&c, half, &s.options), ROVE_E_READ_ONLY);
    rove_identity_free(half);
    assert_int_equal(rove_token_chain_encode(&c, bytes, NULL), ROVE_E_TOKEN_FORMAT);
    assert_int_equal(rove_node_add_token(s.p.node, &c), ROVE_E_TOKEN_FORMAT);
    assert_int_equal(rove_token_delegate(&c, s.owner, &owner, 1, 0), ROVE_E_TOKEN_FORMAT);
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_int_equal(rove_token_delegate(&c, s.guest, &owner, 1, 0), ROVE_E_TOKEN_EXHAUSTED);
    assert_int_equal(rove_token_delegate(&c, s.guest, &owner, 1, 1), ROVE_E_TOKEN_EARLY);
    c.links[0].nonce++;
    assert_int_equal(rove_node_add_token(s.p.node, &c), ROVE_E_TOKEN_SIGNATURE);
    assert_int_equal(find(&s, NULL), ROVE_E_TOKEN_NOT_AUTHORIZED);
    s.options.struct_version++;
    assert_int_equal(rove_token_issue(&c, s.owner, &s.options), ROVE_E_STRUCT_VERSION);
    rove_token_demand d = {0};
    assert_int_equal(rove_token_chain_verify(&c, &d), ROVE_E_STRUCT_VERSION);
    setting_close(&s);
}

static void test_nulls(void **state)
{
    (void)state;
    setting s;
    rove_token_chain c;
    rove_token_demand d;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rove_span broken = {NULL, 1};
    setting_open(&s, NULL);
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_usage(rove_token_issue(NULL, s.owner, &s.options));
    assert_usage(rove_token_issue(&c, NULL, &s.options));
    assert_usage(rove_token_issue(&c, s.owner, NULL));
    assert_usage(rove_token_delegate(NULL, s.owner, &s.p.info.entity, 1, 0));
    assert_usage(rove_token_delegate(&c, NULL, &s.p.info.entity, 1, 0));
    assert_usage(rove_token_delegate(&c, s.owner, NULL, 1, 0));
    assert_usage(rove_token_chain_encode(NULL, bytes, NULL));
    assert_usage(rove_token_chain_encode(&c, NULL, NULL));
    assert_usage(rove_token_chain_decode(NULL, broken));
    assert_usage(rove_token_chain_decode(&c, broken));
    assert_usage(rove_token_channel(broken, broken, &s.channel));
    assert_usage(rove_token_channel(span_of("a"), broken, &s.channel));
    assert_usage(rove_token_channel(span_of("a"), span_of(""), NULL));
    rove_token_demand_init(&d);
    assert_usage(rove_token_chain_verify(NULL, &d));
    assert_usage(rove_token_chain_verify(&c, NULL));
    d.root_count = 1;
    assert_usage(rove_token_chain_verify(&c, &d));
    rove_token_demand_init(&d);
    d.floor_count = 1;
    assert_usage(rove_token_chain_verify(&c, &d));
    assert_usage(rove_node_add_token(NULL, &c));
    assert_usage(rove_node_add_token(s.p.node, NULL));
    assert_usage(rove_node_revoke(NULL, &s.p.info.entity, 1));
    assert_usage(rove_node_revoke(s.p.node, NULL, 1));
    setting_close(&s);
}

static void test_node(void **state)
{
    (void)state;
    setting s;
    rove_token_chain c, got;
    setting_open(&s, NULL);
    rove_entity owner = rove_identity_entity(s.owner);
    s.options.generation = 2;
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_int_equal(find(&s, NULL), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(rove_node_add_token(s.p.node, &c));
    assert_ok(find(&s, &got));
    assert_int_equal(got.links[0].nonce, c.links[0].nonce);
    assert_ok(rove_node_revoke(s.p.node, &owner, 2));
    assert_ok(find(&s, NULL));
    assert_ok(rove_node_revoke(s.p.node, &owner, 3));
    assert_int_equal(find(&s, NULL), ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_ok(rove_node_revoke(s.p.node, &owner, 1)); /* never down */
    assert_int_equal(find(&s, NULL), ROVE_E_TOKEN_NOT_AUTHORIZED);
    s.options.generation = 3;
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_ok(rove_node_add_token(s.p.node, &c));
    assert_ok(find(&s, NULL));
    setting_close(&s);
}

static void test_bounds(void **state)
{
    (void)state;
    setting s;
    rove_limits limits;
    rove_token_chain c;
    rove_limits_init(&limits);
    assert_ok(rove_limits_set(&limits, "token_slots", "1"));
    assert_ok(rove_limits_set(&limits, "token_floors", "1"));
    assert_ok(rove_limits_set(&limits, "token_skew", "60"));
    setting_open(&s, &limits);
    rove_entity owner = rove_identity_entity(s.owner);
    s.options.not_before = (uint64_t)time(NULL) + 30; /* by the skew */
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_ok(rove_node_add_token(s.p.node, &c));
    assert_ok(find(&s, NULL));
    s.options.channel++;
    assert_ok(rove_token_issue(&c, s.owner, &s.options));
    assert_int_equal(rove_node_add_token(s.p.node, &c), ROVE_E_FULL);
    assert_ok(find(&s, NULL));
    assert_ok(rove_node_revoke(s.p.node, &s.p.info.entity, 1));
    assert_int_equal(rove_node_revoke(s.p.node, &owner, 1), ROVE_E_FULL);
    assert_ok(rove_node_revoke(s.p.node, &s.p.info.entity, 2));
    setting_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channel), cmocka_unit_test(test_made_and_judged),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_node),    cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
