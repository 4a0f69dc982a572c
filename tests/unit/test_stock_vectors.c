/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stock node of the Net mesh computed, reproduced: ids and signatures, channel names and
 * their hashes, and the chains and snapshots of four daemons. */
#include "support.h"

#include <identity/token.h>
#include <json-c/json.h>
#include <state/chain.h>
#include <state/horizon.h>
#include <state/ledger.h>
#include <state/snapshot.h>

static json_object *member(json_object *o, const char *name)
{
    json_object *found = NULL;
    assert_true(json_object_object_get_ex(o, name, &found));
    return found;
}

static const char *text_of(json_object *o, const char *name)
{
    return json_object_get_string(member(o, name));
}

static uint64_t number_of(json_object *o, const char *name)
{
    char *end;
    const char *text = text_of(o, name);
    uint64_t v = strtoull(text, &end, 16);
    assert_true(*text && !*end);
    return v;
}

static json_object *item(json_object *array, size_t i)
{
    return json_object_array_get_idx(array, i);
}

static rove_buf *buf_of_hex(const char *hex)
{
    rove_buf *buf = rovei_buf_alloc(&rovei_alloc_libc, strlen(hex) / 2);
    assert_non_null(buf);
    hex_to(rovei_buf_data(buf), rovei_buf_size(buf), hex);
    return buf;
}

static int load(void **state)
{
    *state = json_object_from_file(ROVE_SOURCE_ROOT "/tests/vectors/stock-0.36.0.json");
    return *state ? 0 : -1;
}

static int unload(void **state)
{
    json_object_put(*state);
    return 0;
}

static rovei_keypair *keypair_of(const test_env *t, json_object *o)
{
    uint8_t seed[32];
    rovei_keypair *k = NULL;
    assert_int_equal(hex_to(seed, sizeof seed, text_of(o, "seed")), 32);
    assert_ok(rovei_keypair_from_seed(&k, &t->env, seed));
    return k;
}

static void test_identities(void **state)
{
    test_env t;
    test_env_init(&t, 1);
    json_object *all = member(*state, "identity");
    size_t count = json_object_array_length(all);
    assert_int_equal(count, 26);
    for (size_t i = 0; i < count; i++) {
        json_object *one = item(all, i);
        uint8_t sig[64];
        rovei_keypair *k = keypair_of(&t, one);
        assert_hex(rovei_keypair_entity(k)->bytes, 32, text_of(one, "entity_id"));
        assert_int_equal(rovei_keypair_origin(k), number_of(one, "origin_hash"));
        assert_int_equal(rovei_keypair_node_id(k), number_of(one, "node_id"));
        assert_ok(rovei_keypair_sign(k, "abc", 3, sig));
        assert_hex(sig, 64, text_of(one, "sign_abc"));
        assert_ok(rovei_ed25519_verify(rovei_keypair_entity(k), sig, "abc", 3));
        rovei_keypair_unref(k);
    }
    test_env_fini(&t);
}

/* Our error for the words of the stock node. */
static rove_err error_for(const char *text)
{
    static const struct {
        const char *part;
        rove_err err;
    } known[] = {
        {"is empty", ROVE_E_CHANNEL_EMPTY},
        {"too long", ROVE_E_CHANNEL_LONG},
        {"invalid character", ROVE_E_CHANNEL_CHAR},
        {"name format", ROVE_E_CHANNEL_FORMAT},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(text, known[i].part))
            return known[i].err;
    fail();
    return ROVE_OK;
}

static void test_channels(void **state)
{
    json_object *all = member(*state, "channel_hash");
    size_t count = json_object_array_length(all), refused = 0;
    assert_int_equal(count, 17);
    for (size_t i = 0; i < count; i++) {
        json_object *one = item(all, i), *error;
        rove_span name = span_of(text_of(one, "name"));
        if (json_object_object_get_ex(one, "error", &error)) {
            assert_int_equal(rovei_channel_name_check(name),
                             error_for(json_object_get_string(error)));
            refused++;
        } else {
            assert_ok(rovei_channel_name_check(name));
            assert_int_equal(rovei_xxh3(name.data, name.size), number_of(one, "hash"));
        }
    }
    assert_int_equal(refused, 10);
}

/* A host as small as one can be: it observes what comes and links what goes out. */
struct host {
    rovei_keypair *key;
    rovei_horizon *horizon;
    rovei_chain chain;
    rove_buf *state;
};

static void apply(struct host *h, json_object *event)
{
    json_object *outputs = member(event, "outputs");
    assert_ok(rovei_horizon_observe(h->horizon, number_of(event, "origin_hash"),
                                    number_of(event, "sequence")));
    for (size_t i = 0; i < json_object_array_length(outputs); i++) {
        rove_link link;
        rove_buf *payload = buf_of_hex(json_object_get_string(item(outputs, i)));
        assert_ok(rovei_chain_append(&h->chain, payload, rovei_horizon_sketch(h->horizon), &link));
        rove_buf_unref(payload);
    }
}

/* The stock snapshot decodes to what the host holds, and encodes to the same bytes. */
static void compare(const struct host *h, const char *hex)
{
    rove_buf *bytes = buf_of_hex(hex), *again = buf_of_hex(hex);
    rovei_snapshot s;
    size_t size;
    assert_ok(rovei_snapshot_decode(&s, rove_buf_span(bytes)));
    assert_true(rovei_entity_equal(&s.entity, rovei_keypair_entity(h->key)));
    assert_true(rovei_link_equal(&s.link, &h->chain.head));
    assert_int_equal(s.through_seq, h->chain.head.sequence);
    assert_span(s.state, rovei_buf_data(h->state), rovei_buf_size(h->state));
    assert_int_equal(s.bindings.size, 0);
    assert_false(s.has_envelope);

    rovei_snapshot own = {
        .entity = *rovei_keypair_entity(h->key),
        .through_seq = h->chain.head.sequence,
        .link = h->chain.head,
        .created_at = s.created_at,
        .state = rove_buf_span(h->state),
    };
    memset(rovei_buf_data(again), 0, rovei_buf_size(again));
    rovei_writer w = rovei_writer_of(rovei_buf_data(again), rovei_buf_size(again));
    assert_ok(rovei_snapshot_size(&own, &size));
    assert_int_equal(size, rovei_buf_size(bytes));
    rovei_snapshot_encode(&own, &w);
    assert_int_equal(w.err, ROVE_OK);
    assert_memory_equal(rovei_buf_data(again), rovei_buf_data(bytes), size);
    rove_buf_unref(bytes);
    rove_buf_unref(again);
}

static void run_daemon(const test_env *t, json_object *one)
{
    struct host h = {.key = keypair_of(t, one), .state = buf_of_hex(text_of(one, "state"))};
    assert_ok(rovei_horizon_new(&h.horizon, &t->env.alloc, 1, 65536));
    rovei_chain_init(&h.chain, rovei_keypair_origin(h.key));
    json_object *events = member(one, "events"), *snapshots = member(one, "snapshots");
    size_t applied = 0;
    for (size_t i = 0; i < json_object_array_length(snapshots); i++) {
        json_object *snapshot = item(snapshots, i);
        size_t after = (size_t)json_object_get_int(member(snapshot, "after_events"));
        while (applied < after)
            apply(&h, item(events, applied++));
        compare(&h, text_of(snapshot, "bytes"));
    }
    assert_int_equal(applied, json_object_array_length(events));
    rovei_chain_fini(&h.chain);
    rovei_horizon_free(h.horizon);
    rovei_keypair_unref(h.key);
    rove_buf_unref(h.state);
}

static void test_daemons(void **state)
{
    test_env t;
    test_env_init(&t, 2);
    json_object *all = member(*state, "snapshot");
    assert_int_equal(json_object_array_length(all), 4);
    for (size_t i = 0; i < 4; i++)
        run_daemon(&t, item(all, i));
    test_env_fini(&t);
}

static uint32_t scope_of(json_object *names)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } known[] = {{"publish", ROVE_SCOPE_PUBLISH},
                 {"subscribe", ROVE_SCOPE_SUBSCRIBE},
                 {"admin", ROVE_SCOPE_ADMIN},
                 {"delegate", ROVE_SCOPE_DELEGATE}};
    uint32_t scope = 0;
    for (size_t i = 0; i < json_object_array_length(names); i++)
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
            if (strcmp(json_object_get_string(item(names, i)), known[k].name) == 0)
                scope |= known[k].bit;
    return scope;
}

static rove_token token_of_hex(const char *hex)
{
    uint8_t bytes[ROVE_TOKEN_SIZE];
    rove_token t;
    assert_int_equal(hex_to(bytes, sizeof bytes, hex), sizeof bytes);
    assert_ok(rovei_token_decode(&t, (rove_span){bytes, sizeof bytes}));
    return t;
}

/* The same token, signed here, has the same bytes. */
static void sign_again(const test_env *t, const char *seed_hex, rove_token token, const char *hex)
{
    uint8_t seed[32], bytes[ROVE_TOKEN_SIZE];
    rovei_keypair *k;
    hex_to(seed, sizeof seed, seed_hex);
    assert_ok(rovei_keypair_from_seed(&k, &t->env, seed));
    memset(&token.issuer, 0, sizeof token.issuer);
    memset(token.signature, 0, sizeof token.signature);
    assert_ok(rovei_token_sign(&token, k));
    rovei_token_encode(&token, bytes);
    assert_hex(bytes, sizeof bytes, hex);
    rovei_keypair_unref(k);
}

/* Delegates as the stock node was asked to: its refusal, or a child that differs from its own in
 * nonce and signature alone. */
static void delegate_again(const test_env *t, json_object *one, const rove_token *parent)
{
    uint8_t seed[32], to_seed[32], to_secret[64];
    rove_entity to;
    rovei_keypair *k;
    rove_token mine, theirs;
    json_object *found;
    hex_to(seed, sizeof seed, text_of(one, "subject_seed"));
    assert_ok(rovei_keypair_from_seed(&k, &t->env, seed));
    memset(to_seed, 7, sizeof to_seed);
    rovei_ed25519_from_seed(to_seed, to_secret, &to);
    rove_err err = rovei_token_delegate(&mine, &t->env.rng, parent, k, &to, ROVE_SCOPE_SUBSCRIBE,
                                        parent->not_before);
    rovei_keypair_unref(k);
    if (json_object_object_get_ex(one, "delegate_error", &found)) {
        bool exhausted = strstr(json_object_get_string(found), "exhausted");
        assert_int_equal(err, exhausted ? ROVE_E_TOKEN_EXHAUSTED : ROVE_E_TOKEN_NO_DELEGATE);
        return;
    }
    assert_ok(err);
    theirs = token_of_hex(text_of(one, "delegated"));
    mine.nonce = theirs.nonce;
    sign_again(t, text_of(one, "subject_seed"), mine, text_of(one, "delegated"));
    rove_token_chain chain = {.count = 2, .links = {*parent, theirs}};
    rovei_token_demand d = {.action = ROVE_SCOPE_SUBSCRIBE,
                            .channel = parent->channel,
                            .presenter = &to,
                            .roots = &parent->issuer,
                            .root_count = 1,
                            .now = parent->not_before};
    assert_ok(rovei_token_chain_verify(&chain, &d));
}

static void test_tokens(void **state)
{
    test_env t;
    test_env_init(&t, 3);
    json_object *all = member(*state, "token");
    assert_int_equal(json_object_array_length(all), 4);
    for (size_t i = 0; i < 4; i++) {
        json_object *one = item(all, i), *parsed = member(one, "parsed");
        rove_token token = token_of_hex(text_of(one, "token"));
        rove_span channel = span_of(text_of(one, "channel"));
        assert_hex(token.issuer.bytes, 32, text_of(parsed, "issuer"));
        assert_hex(token.subject.bytes, 32, text_of(parsed, "subject"));
        assert_int_equal(token.scope, scope_of(member(parsed, "scope")));
        assert_int_equal(token.channel, number_of(parsed, "channelHash"));
        assert_int_equal(token.channel, rovei_xxh3(channel.data, channel.size));
        assert_int_equal(token.not_before, number_of(parsed, "notBefore"));
        assert_int_equal(token.not_after, number_of(parsed, "notAfter"));
        assert_int_equal(token.nonce, number_of(parsed, "nonce"));
        assert_int_equal(token.depth, json_object_get_int(member(parsed, "delegationDepth")));
        assert_int_equal(token.generation, json_object_get_int(member(parsed, "issuerGeneration")));
        assert_hex(token.signature, 64, text_of(parsed, "signature"));
        assert_ok(rovei_token_verify(&token));
        sign_again(&t, text_of(one, "issuer_seed"), token, text_of(one, "token"));
        delegate_again(&t, one, &token);
    }
    test_env_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_daemons),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
