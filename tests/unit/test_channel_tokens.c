/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens at the gates of a publisher: what a subscriber may show in bad faith, and that each such
 * thing has the same answer and leaves nothing behind but a count; rights that end later. */
#include "channels_kit.h"

#include <channel/feeds.h>
#include <channel/inside.h>

#define OWNER 0 /* nodes: the publisher, whose key is the root */
#define GUEST 1 /* who asks */
#define OTHER 2

#define SUB   ROVE_SCOPE_SUBSCRIBE
#define DELEG ROVE_SCOPE_DELEGATE
#define WILD  ROVE_SCOPE_WILDCARD

static kit k;
static uint64_t hash_c;

static int setup(void **state)
{
    (void)state;
    kit_init(&k);
    hash_c = rovei_channel_hash(span_of("c"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_fini(&k);
    return 0;
}

static void gated(const char *name, bool prefix, rovei_group_policy groups)
{
    rovei_channel_config c = {.name = span_of(name),
                              .prefix = prefix,
                              .roots = &k.w.nodes[OWNER].entity,
                              .root_count = 1,
                              .groups = groups};
    assert_ok(rovei_channels_create(k.node, k.w.now, &c, false));
}

static uint64_t seconds(void)
{
    return k.w.now.wall / ROVE_SECOND;
}

/* A link for an hour. */
static rove_token link_of(size_t issuer, size_t subject, uint32_t scope, uint64_t hash,
                          uint8_t depth)
{
    rove_token t;
    assert_ok(rovei_token_issue(&t, &k.w.nodes[0].t.env.rng, k.w.nodes[issuer].id,
                                &(rovei_token_grant){.subject = k.w.nodes[subject].entity,
                                                     .channel = hash,
                                                     .not_before = seconds(),
                                                     .life = 3600,
                                                     .scope = scope,
                                                     .depth = depth}));
    return t;
}

static void sign(rove_token *t, size_t issuer)
{
    assert_ok(rovei_token_sign(t, k.w.nodes[issuer].id));
}

static int show(const char *channel, const rove_token_chain *c, const char *group)
{
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    return kit_subscribe(&k, GUEST, channel, (rove_span){bytes, rovei_token_chain_encode(c, bytes)},
                         group);
}

static int show_one(const char *channel, rove_token t)
{
    return show(channel, &(rove_token_chain){.count = 1, .links = {t}}, "");
}

static int show_two(rove_token a, rove_token b)
{
    return show("c", &(rove_token_chain){.count = 2, .links = {a, b}}, "");
}

static unsigned failures(void)
{
    const rovei_channel_peer *p =
        rovei_channel_peer_of(k.node->channels, &k.w.nodes[GUEST].entity, false);
    return p ? p->throttle.failures : 0;
}

/* How a publisher stands that let nobody in; `refused` requests were not authorised. */
static void assert_refused(int reason, unsigned refused)
{
    rovei_channels_stats s = rovei_channels_stats_get(k.node);
    assert_int_equal(reason, ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(s.unauthorized, refused);
    assert_int_equal(failures(), refused);
    assert_int_equal(s.unknown + s.throttled + s.too_many + s.malformed, 0);
    assert_int_equal(s.members, 0);
    assert_int_equal(s.subscribed, 0);
    assert_int_equal(k.node->channels->guard.pairs.count, 0);
    assert_int_equal(k.node->tokens.cache.count, 0);
    assert_false(rovei_guard_may(
        &k.node->channels->guard,
        (rovei_principal){ROVEI_PRINCIPAL_NODE, rovei_entity_node_id(&k.w.nodes[GUEST].entity)},
        hash_c));
    assert_int_equal(kit_count(&k, GUEST, ROVEI_CHANNEL_BEGIN, NULL), 0);
}

/* Honest tokens do, and make the count of failures 0 again. */
static void assert_let_in(int reason)
{
    assert_int_equal(reason, ROVEI_REASON_NONE);
    assert_int_equal(failures(), 0);
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_true(kit_member(&k, GUEST, "c").gated);
    assert_int_equal(k.node->tokens.cache.count, 0); /* what was shown is not the node's own */
}

/* ---- one link ---- */

static void test_forged(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    k.w.nodes[0].t.env.limits.auth_failures = 65535 - 1;
    rove_token good = link_of(OWNER, GUEST, SUB, hash_c, 0);
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain c = {.count = 1, .links = {good}};
    rove_span all = {bytes, rovei_token_chain_encode(&c, bytes)};
    unsigned refused = 0;
    for (size_t at = 0; at < all.size; at += 5) { /* of the count, every field, the signature */
        bytes[at] ^= 0x10;
        assert_refused(kit_subscribe(&k, GUEST, "c", all, ""), ++refused);
        bytes[at] ^= 0x10;
    }
    good.issuer = k.w.nodes[OWNER].entity; /* by somebody who says that he is the owner */
    sign(&good, OTHER);
    good.issuer = k.w.nodes[OWNER].entity;
    assert_refused(show_one("c", good), ++refused);
    assert_let_in(kit_subscribe(&k, GUEST, "c", all, ""));
}

static void test_not_his(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    unsigned refused = 0;
    /* another's, which that one may well use */
    rove_token his = link_of(OWNER, OTHER, SUB, hash_c, 0);
    assert_refused(show_one("c", his), ++refused);
    /* signed by himself, or by somebody who is no root */
    assert_refused(show_one("c", link_of(GUEST, GUEST, SUB | WILD, hash_c, 0)), ++refused);
    assert_refused(show_one("c", link_of(OTHER, GUEST, SUB, hash_c, 0)), ++refused);
    /* for something else */
    assert_refused(show_one("c", link_of(OWNER, GUEST, ROVE_SCOPE_ALL & ~SUB, hash_c, 9)),
                   ++refused);
    assert_refused(show_one("c", link_of(OWNER, GUEST, 0, hash_c, 0)), ++refused);
    assert_refused(show_one("c", link_of(OWNER, GUEST, WILD, 0, 0)), ++refused);
    assert_refused(show_one("c", link_of(OWNER, GUEST, SUB, 0, 0)), ++refused);
    assert_refused(show_one("c", link_of(OWNER, GUEST, SUB, rovei_channel_hash(span_of("d")), 0)),
                   ++refused);
    assert_let_in(show_one("c", link_of(OWNER, GUEST, SUB | WILD, 0, 0)));
    /* The one that was tried by another is as good as ever for the one whose it is. */
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain c = {.count = 1, .links = {his}};
    rove_span all = {bytes, rovei_token_chain_encode(&c, bytes)};
    assert_int_equal(kit_subscribe(&k, OTHER, "c", all, ""), ROVEI_REASON_NONE);
}

static void test_window(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    unsigned refused = 0;
    rove_token t = link_of(OWNER, GUEST, SUB, hash_c, 0);
    t.not_before = seconds() - 100;
    t.not_after = seconds(); /* the first second in which it no longer holds is this one */
    sign(&t, OWNER);
    assert_refused(show_one("c", t), ++refused);
    t.not_before = seconds() + 1;
    t.not_after = seconds() + 100;
    sign(&t, OWNER);
    assert_refused(show_one("c", t), ++refused);
    t.not_before = seconds();
    t.not_after = t.not_before + ROVE_TOKEN_LIFE_MAX + 1;
    sign(&t, OWNER);
    assert_refused(show_one("c", t), ++refused);
    t.not_after = 0; /* before it begins */
    sign(&t, OWNER);
    assert_refused(show_one("c", t), ++refused);
    t.not_before = 0;
    t.not_after = UINT64_MAX;
    sign(&t, OWNER);
    assert_refused(show_one("c", t), ++refused);
    t.not_before = seconds();
    t.not_after = t.not_before + ROVE_TOKEN_LIFE_MAX;
    sign(&t, OWNER);
    assert_let_in(show_one("c", t));
}

/* ---- chains ---- */

static void test_delegated(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    unsigned refused = 0;
    rove_token a = link_of(OWNER, OTHER, SUB | DELEG, hash_c, 1), b;
    rove_token child = link_of(OTHER, GUEST, SUB, hash_c, 0);
    child.not_before = a.not_before;
    child.not_after = a.not_after;
    sign(&child, OTHER);
    /* wider than what it comes from: longer, earlier, deeper, elsewhere, for more */
    b = child;
    b.not_after++;
    sign(&b, OTHER);
    assert_refused(show_two(a, b), ++refused);
    b = child;
    b.not_before--;
    sign(&b, OTHER);
    assert_refused(show_two(a, b), ++refused);
    b = child;
    b.depth = 1;
    sign(&b, OTHER);
    assert_refused(show_two(a, b), ++refused);
    uint64_t hash_d = rovei_channel_hash(span_of("d"));
    assert_refused(show_two(link_of(OWNER, OTHER, SUB | DELEG, hash_d, 1), child), ++refused);
    b = child;
    b.scope |= WILD;
    sign(&b, OTHER);
    assert_refused(show_two(link_of(OWNER, OTHER, SUB | DELEG, hash_d, 1), b), ++refused);
    assert_refused(show_two(link_of(OWNER, OTHER, ROVE_SCOPE_PUBLISH | DELEG, hash_c, 1), child),
                   ++refused);
    /* handed on without the right to; with no depth left */
    assert_refused(show_two(link_of(OWNER, OTHER, SUB, hash_c, 1), child), ++refused);
    assert_refused(show_two(link_of(OWNER, OTHER, SUB | DELEG, hash_c, 0), child), ++refused);
    /* not connected: by somebody else than the subject; links in the wrong order; the end alone */
    b = child;
    sign(&b, GUEST);
    assert_refused(show_two(a, b), ++refused);
    assert_refused(show_two(child, a), ++refused);
    assert_refused(show_one("c", child), ++refused);
    assert_refused(show_one("c", a), ++refused);
    assert_let_in(show_two(a, child));
}

/* A chain of `count` links from the owner to the guest, by way of the other and back. */
static rove_token_chain long_chain(uint32_t count)
{
    rove_token_chain c = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        size_t issuer = i ? 1 + i % 2 : OWNER, subject = i + 1 == count ? GUEST : 1 + (i + 1) % 2;
        c.links[i] = link_of(issuer, subject, SUB | DELEG, hash_c, (uint8_t)(20 - i));
    }
    return c;
}

static void test_form(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    unsigned refused = 0;
    static uint8_t bytes[ROVEI_MEMBERSHIP_TOKEN_MAX];
    rove_token_chain c = long_chain(8);
    size_t size = rovei_token_chain_encode(&c, bytes);
    bytes[0] = 9; /* the ninth is one more of the eighth */
    memcpy(bytes + size, bytes + size - ROVE_TOKEN_SIZE, ROVE_TOKEN_SIZE);
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size + ROVE_TOKEN_SIZE}, ""),
                   ++refused);
    bytes[0] = 8;
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size + ROVE_TOKEN_SIZE}, ""),
                   ++refused);
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size + 1}, ""), ++refused);
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size - 1}, ""), ++refused);
    bytes[0] = 7;
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size}, ""), ++refused);
    bytes[0] = 0;
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, 1}, ""), ++refused);
    assert_refused(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, sizeof bytes}, ""), ++refused);
    assert_refused(kit_join(&k, GUEST, "c"), ++refused);
    bytes[0] = 8;
    assert_let_in(kit_subscribe(&k, GUEST, "c", (rove_span){bytes, size}, ""));
}

static void test_revoked(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    rovei_token_floors *floors = &k.node->tokens.floors;
    unsigned refused = 0;
    rove_token a = link_of(OWNER, OTHER, SUB | DELEG, hash_c, 1);
    rove_token b = link_of(OTHER, GUEST, SUB, hash_c, 0);
    assert_ok(rovei_token_floors_raise(floors, &k.w.nodes[OTHER].entity, 1));
    assert_refused(show_two(a, b), ++refused); /* by the one who handed it on */
    b.generation = 1;
    sign(&b, OTHER);
    assert_ok(rovei_token_floors_raise(floors, &k.w.nodes[OWNER].entity, 3));
    assert_refused(show_two(a, b), ++refused); /* by the owner */
    a.generation = 2;
    sign(&a, OWNER);
    assert_refused(show_two(a, b), ++refused);
    a.generation = 3;
    sign(&a, OWNER);
    assert_let_in(show_two(a, b));
}

/* ---- names ---- */

static void test_prefix(void **state)
{
    (void)state;
    gated("p/", true, ROVEI_GROUPS_ANY);
    static const char *others[] = {"p/", "p", "p/y", "p/x/", "p/xx"};
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t hash = rovei_channel_hash(span_of(others[i]));
        assert_refused(show_one("p/x", link_of(OWNER, GUEST, SUB, hash, 0)), ++refused);
    }
    uint64_t hash = rovei_channel_hash(span_of("p/x"));
    rovei_channel_info info;
    assert_int_equal(rovei_channels_get(k.node, span_of("p/x"), &info), ROVE_E_NOT_FOUND);
    assert_int_equal(show_one("p/x", link_of(OWNER, GUEST, SUB, hash, 0)), ROVEI_REASON_NONE);
    assert_int_equal(failures(), 0);
    assert_int_equal(kit_info(&k, "p/x").members, 1);
    /* Nor does that one open the channel beside it. */
    assert_int_equal(show_one("p/y", link_of(OWNER, GUEST, SUB, hash, 0)),
                     ROVEI_REASON_UNAUTHORIZED);
}

static rove_token_chain for_group(const char *group)
{
    uint64_t hash = rovei_channel_group_hash(span_of("c"), span_of(group));
    return (rove_token_chain){.count = 1, .links = {link_of(OWNER, GUEST, SUB, hash, 0)}};
}

static void test_groups(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_TOKEN);
    unsigned refused = 0;
    rove_token_chain g = for_group("g"), h = for_group("h");
    rove_token_chain plain = {.count = 1, .links = {link_of(OWNER, GUEST, SUB, hash_c, 0)}};
    assert_refused(show("c", &h, "g"), ++refused);
    assert_refused(show("c", &plain, "g"), ++refused);
    assert_refused(show("c", &g, ""), ++refused); /* a group's right is not the channel's */
    assert_let_in(show("c", &g, "g"));
    /* Refused, it stays what it is. */
    assert_int_equal(show("c", &g, "h"), ROVEI_REASON_UNAUTHORIZED);
    assert_int_equal(kit_member(&k, GUEST, "c").group.size, 1);
    assert_memory_equal(kit_member(&k, GUEST, "c").group.data, "g", 1);
}

/* A request for a group that there is no room for: neither its seat nor its right is another. */
static void test_no_room_for_group(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.channel_groups = 0;
    gated("c", false, ROVEI_GROUPS_TOKEN);
    rove_token brief = link_of(OWNER, GUEST, SUB, hash_c, 0);
    brief.not_after = seconds() + 10;
    sign(&brief, OWNER);
    assert_let_in(show_one("c", brief));
    rove_token_chain g = for_group("g"); /* holds for an hour */
    assert_int_equal(show("c", &g, "g"), ROVEI_REASON_TOO_MANY_CHANNELS);
    assert_int_equal(kit_info(&k, "c").members, 1);
    world_run(&k.w, 11 * ROVE_SECOND);
    rovei_channels_judge(k.node, k.w.now);
    assert_int_equal(kit_info(&k, "c").members, 0);
}

/* ---- one after the other ---- */

static void test_throttled(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    rove_token good = link_of(OWNER, GUEST, SUB, hash_c, 0), bad = good;
    bad.signature[63] ^= 1;
    for (unsigned i = 1; i <= 16; i++)
        assert_refused(show_one("c", bad), i);
    assert_int_equal(show_one("c", good), ROVEI_REASON_RATE_LIMITED);
    assert_int_equal(show_one("c", bad), ROVEI_REASON_RATE_LIMITED);
    rovei_channels_stats s = rovei_channels_stats_get(k.node);
    assert_int_equal(s.throttled, 2);
    assert_int_equal(s.unauthorized, 16); /* what is not looked at is not judged */
    assert_int_equal(s.members, 0);
    world_run(&k.w, k.node->env->limits.auth_throttle);
    assert_let_in(show_one("c", good));
}

/* ---- rights that end ---- */

static void test_ends_within_a_sweep(void **state)
{
    (void)state;
    k.w.nodes[0].t.env.limits.token_sweep_interval = 5 * ROVE_SECOND;
    gated("c", false, ROVEI_GROUPS_ANY);
    rove_token t = link_of(OWNER, GUEST, SUB, hash_c, 0);
    t.not_after = seconds() + 7;
    sign(&t, OWNER);
    assert_let_in(show_one("c", t));
    while (seconds() + 1 < t.not_after)
        world_run(&k.w, ROVE_SECOND);
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_int_equal(kit_count(&k, GUEST, ROVEI_CHANNEL_ENDED, NULL), 0);
    while (seconds() < t.not_after + 5)
        world_run(&k.w, ROVE_SECOND);
    rovei_channel_frame f;
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_int_equal(kit_count(&k, GUEST, ROVEI_CHANNEL_ENDED, &f), 1);
    assert_int_equal(f.reason, ROVEI_ENDED_UNAUTHORIZED);
    assert_int_equal(rovei_channels_stats_get(k.node).evicted, 1);
    assert_int_equal(k.node->channels->guard.pairs.count, 0);
}

/* A floor that rises ends what it ends, and nothing beside it. */
static void test_revoked_at_once(void **state)
{
    (void)state;
    gated("c", false, ROVEI_GROUPS_ANY);
    rove_token a = link_of(OWNER, GUEST, SUB, hash_c, 0), b = link_of(OWNER, OTHER, SUB, hash_c, 0);
    b.generation = 1;
    sign(&b, OWNER);
    assert_let_in(show_one("c", a));
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain c = {.count = 1, .links = {b}};
    rove_span all = {bytes, rovei_token_chain_encode(&c, bytes)};
    assert_int_equal(kit_subscribe(&k, OTHER, "c", all, ""), ROVEI_REASON_NONE);
    assert_ok(rovei_token_floors_raise(&k.node->tokens.floors, &k.w.nodes[OWNER].entity, 1));
    rovei_channels_judge(k.node, k.w.now);
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_int_equal(kit_member(&k, OTHER, "c").node_id,
                     rovei_entity_node_id(&k.w.nodes[OTHER].entity));
    kit_turn(&k);
    assert_int_equal(kit_count(&k, GUEST, ROVEI_CHANNEL_ENDED, NULL), 1);
    assert_int_equal(kit_count(&k, OTHER, ROVEI_CHANNEL_ENDED, NULL), 0);
}

/* ---- two nodes ---- */

static bool noted(const world *w, size_t node, rovei_note_kind kind, rove_err err)
{
    for (size_t i = 0; i < w->nodes[node].note_count; i++)
        if (w->nodes[node].notes[i].kind == kind && w->nodes[node].notes[i].request == 1 &&
            w->nodes[node].notes[i].err == err)
            return true;
    return false;
}

static void test_subscriber_is_told(void **state)
{
    (void)state;
    rovei_node_set_tap(k.node, NULL); /* what is said is sent */
    gated("c", false, ROVEI_GROUPS_ANY);
    world_node *guest = &k.w.nodes[GUEST];
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain c = {.count = 1, .links = {link_of(OWNER, GUEST, SUB, hash_c, 0)}};
    rovei_feed_order o = {
        .publisher = rovei_entity_node_id(&k.w.nodes[OWNER].entity),
        .channel = span_of("c"),
        .token = {bytes, rovei_token_chain_encode(&c, bytes)},
        .request = 1,
    };
    assert_ok(rovei_feeds_subscribe(guest->node, k.w.now, &o));
    world_until(&k.w, 8 * ROVE_SECOND, noted(&k.w, GUEST, ROVEI_NOTE_SUBSCRIBED, ROVE_OK));
    assert_int_equal(kit_info(&k, "c").members, 1);
    assert_ok(rovei_token_floors_raise(&k.node->tokens.floors, &k.w.nodes[OWNER].entity, 1));
    rovei_channels_judge(k.node, k.w.now);
    assert_int_equal(kit_info(&k, "c").members, 0);
    world_until(&k.w, 8 * ROVE_SECOND,
                noted(&k.w, GUEST, ROVEI_NOTE_FEED_ENDED, ROVE_E_CHANNEL_UNAUTHORIZED));
    world_run(&k.w, 3 * ROVE_SECOND); /* it asks again, and is refused */
    assert_int_equal(kit_info(&k, "c").members, 0);
    assert_true(rovei_channels_stats_get(k.node).unauthorized > 0);
    rovei_node_check(guest->node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_his, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_delegated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room_for_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throttled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends_within_a_sweep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revoked_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_subscriber_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
