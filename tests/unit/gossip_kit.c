/* SPDX-License-Identifier: Apache-2.0
 *
 * One node's gossip and the parties around it. */
#include "gossip_kit.h"
#include <stdio.h>

static int set_up(void **state, bool take_unsigned)
{
    kit *k = calloc(1, sizeof *k);
    assert_non_null(k);
    test_env_init(&k->env, 11);
    uint8_t seed[32] = {0x77};
    assert_ok(rovei_keypair_from_seed(&k->self, &k->env.env, seed));
    k->id = rovei_keypair_node_id(k->self);
    for (int i = 0; i < PARTIES; i++) {
        party *p = &k->of[i];
        seed[0] = (uint8_t)i;
        seed[1] = 1;
        assert_ok(rovei_keypair_from_seed(&p->key, &k->env.env, seed));
        p->entity = rovei_keypair_entity(p->key);
        p->id = rovei_keypair_node_id(p->key);
    }
    k->now = (rovei_now){ROVE_SECOND, UINT64_C(1700000000) * ROVE_SECOND};
    assert_ok(rovei_index_new(&k->index, &k->env.env));
    rovei_gossip_config cfg = {
        .env = &k->env.env, .identity = k->self, .index = k->index, .take_unsigned = take_unsigned};
    assert_ok(rovei_gossip_new(&k->g, &cfg, k->now));
    *state = k;
    return 0;
}

int kit_setup(void **state)
{
    return set_up(state, false);
}

int kit_setup_unsigned(void **state)
{
    return set_up(state, true);
}

int kit_teardown(void **state)
{
    kit *k = *state;
    rovei_gossip_check(k->g);
    rovei_index_check(k->index);
    rovei_gossip_free(k->g);
    rovei_index_free(k->index);
    for (int i = 0; i < PARTIES; i++)
        rovei_keypair_unref(k->of[i].key);
    rovei_keypair_unref(k->self);
    test_env_fini(&k->env);
    caps_kit_clear();
    free(k);
    return 0;
}

kit_text kit_say(const kit *k, said s)
{
    const rovei_keypair *key = s.of == SELF ? k->self : k->of[s.of].key;
    char tag[40];
    snprintf(tag, sizeof tag, "version:%llu", (unsigned long long)s.version);
    rovei_announcement plain = {.node_id = rovei_keypair_node_id(key),
                                .entity = s.entity ? *s.entity : *rovei_keypair_entity(key),
                                .version = s.version,
                                .timestamp = s.timestamp ? s.timestamp : k->now.wall,
                                .ttl = s.ttl ? s.ttl : 300,
                                .set = caps_of(s.tags ? s.tags : tag, s.metadata)};
    rovei_announcement *a;
    kit_text text;
    assert_ok(rovei_announcement_new(&a, &rovei_alloc_libc, &plain));
    if (!s.no_signature)
        assert_ok(rovei_announcement_sign(a, s.signer ? s.signer : key));
    text.size = rovei_announcement_write(a, s.hops, text.bytes, sizeof text.bytes - 1);
    assert_true(text.size > 0);
    text.bytes[text.size] = 0;
    rovei_announcement_unref(a);
    return text;
}

void kit_up(kit *k, int who, bool proved)
{
    assert_ok(rovei_gossip_peer_up(k->g, k->now, k->of[who].id, proved ? k->of[who].entity : NULL));
}

void kit_pass(kit *k, uint64_t duration)
{
    while (duration) {
        uint64_t step = rovei_time_min(duration, 100 * ROVE_MILLISECOND);
        k->now.mono += step;
        k->now.wall += step;
        duration -= step;
        if (rovei_gossip_deadline(k->g) <= k->now.mono)
            rovei_gossip_expire(k->g, k->now);
        assert_true(rovei_gossip_deadline(k->g) > k->now.mono);
    }
}

static void hear(kit *k, int from, const kit_text *text, rovei_gossip_drop why)
{
    rovei_gossip_stats before = rovei_gossip_stats_get(k->g);
    uint64_t from_id = from == SELF ? k->id : k->of[from].id;
    rovei_gossip_receive(k->g, k->now, from_id, (rove_span){text->bytes, text->size});
    rovei_gossip_stats after = rovei_gossip_stats_get(k->g);
    assert_int_equal(after.received, before.received + 1);
    assert_int_equal(after.accepted, before.accepted + (why == ROVEI_GOSSIP_DROP_COUNT));
    for (rovei_gossip_drop d = 0; d < ROVEI_GOSSIP_DROP_COUNT; d++)
        if (after.drops[d] != before.drops[d] + (d == why))
            fail_msg("%s: %llu, was %llu", rovei_gossip_drop_name(d),
                     (unsigned long long)after.drops[d], (unsigned long long)before.drops[d]);
    assert_int_equal(after.announced, before.announced);
    rovei_gossip_check(k->g);
    rovei_index_check(k->index);
}

void kit_taken(kit *k, int from, const kit_text *text)
{
    hear(k, from, text, ROVEI_GOSSIP_DROP_COUNT);
}

void kit_dropped(kit *k, int from, const kit_text *text, rovei_gossip_drop why)
{
    rovei_index_stats before = rovei_index_stats_get(k->index);
    hear(k, from, text, why);
    rovei_index_stats after = rovei_index_stats_get(k->index);
    assert_int_equal(after.applied, before.applied);
    assert_int_equal(after.entries, before.entries);
}

int kit_sent(kit *k, kit_text *ret)
{
    uint64_t to;
    rove_buf *text;
    if (!rovei_gossip_poll(k->g, &to, &text))
        return -1;
    assert_true(rovei_buf_size(text) <= ROVEI_ANNOUNCEMENT_MAX);
    if (ret) {
        ret->size = rovei_buf_size(text);
        memcpy(ret->bytes, rovei_buf_data(text), ret->size);
        ret->bytes[ret->size] = 0;
    }
    rove_buf_unref(text);
    for (int i = 0; i < PARTIES; i++)
        if (k->of[i].id == to)
            return i;
    fail_msg("sent to nobody");
    return -1;
}

size_t kit_flush(kit *k)
{
    size_t n = 0;
    while (kit_sent(k, NULL) >= 0)
        n++;
    return n;
}

uint64_t kit_version(const kit *k, int of)
{
    const rovei_index_entry *e = rovei_index_get(k->index, of == SELF ? k->id : k->of[of].id);
    return e ? e->generation : 0;
}

bool kit_has_tag(const kit *k, int of, const char *tag)
{
    const rovei_index_entry *e = rovei_index_get(k->index, of == SELF ? k->id : k->of[of].id);
    return e && rovei_caps_has(&e->caps, rovei_span_of(tag));
}

bool kit_pinned(const kit *k, int who)
{
    rove_entity e;
    bool pinned = rovei_gossip_pinned(k->g, k->of[who].id, &e);
    assert_true(!pinned || rovei_entity_equal(&e, k->of[who].entity));
    return pinned;
}
