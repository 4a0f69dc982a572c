/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of tokens: their bytes, every rule by which one is judged in its order, revocation. */
#include "token_kit.h"

#include <crypto/crypto.h>
#include <identity/token_floors.h>

static rove_token_chain chain_of(rove_token only)
{
    return (rove_token_chain){.count = 1, .links = {only}};
}

/* Identity 1 to 2 to 3 to ...: `count` links, each a second later. */
static rove_token_chain long_chain(const token_kit *k, uint32_t count, uint32_t scope)
{
    rove_token_chain c = chain_of(token_of(k, 1, 2, scope, SENSORS_TEMP, 20));
    for (uint32_t i = 1; i < count; i++)
        assert_ok(rovei_token_chain_extend(&c, &k->t.env.rng, k->key[i + 1], entity_at(k, i + 2),
                                           scope, EPOCH + i));
    return c;
}

static rovei_token_demand demand_of(const token_kit *k, size_t root, size_t presenter)
{
    return (rovei_token_demand){.action = SUB,
                                .channel = SENSORS_TEMP,
                                .presenter = entity_at(k, presenter),
                                .roots = entity_at(k, root),
                                .root_count = 1,
                                .now = EPOCH + 200};
}

/* The two ways of judging differ in the signatures alone. */
static void assert_judged(const rove_token_chain *c, rovei_token_demand d, rove_err want)
{
    assert_int_equal(rovei_token_chain_verify(c, &d), want);
    d.presigned = true;
    assert_int_equal(rovei_token_chain_verify(c, &d), want);
}

static void test_known(void **state)
{
    (void)state;
    token_kit k;
    rovei_token_floors floors;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX];
    token_kit_init(&k);
    rovei_token_floors_init(&floors, &k.t.env, 4);
    rove_token t1 = token_of(&k, 1, 2, PUB | SUB | DELEG, SENSORS_TEMP, 2);
    t1.nonce = UINT64_C(0x1122334455667788);
    resign(&k, 1, &t1);
    rove_token t2 = token_of(&k, 2, 3, SUB, SENSORS_TEMP, 1);
    t2.not_before = EPOCH + 100;
    t2.nonce = UINT64_C(0x99aabbccddeeff00);
    resign(&k, 2, &t2);
    rove_token_chain c = {.count = 2, .links = {t1, t2}};
    assert_int_equal(rovei_token_chain_encode(&c, bytes), 339);
    struct rovei_digest *digest = rovei_digest_new(&k.t.env.alloc);
    uint8_t sum[32];
    rovei_digest_add(digest, bytes, 339);
    rovei_digest_end(digest, sum);
    rovei_digest_free(digest);
    assert_hex(sum, 32, "1b7a43a6e95e29ed644aa3dc908ba7ec3d187cd783b0672837b0a053db019a1c");
    rovei_token_demand d = demand_of(&k, 1, 3);
    d.floors = &floors;
    assert_judged(&c, d, ROVE_OK);
    d.action = PUB;
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    d.action = SUB;
    d.presenter = entity_at(&k, 2);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    d.presenter = entity_at(&k, 3);
    d.now = EPOCH + 3600;
    assert_judged(&c, d, ROVE_E_TOKEN_EXPIRED);
    d.now = EPOCH + 50;
    assert_judged(&c, d, ROVE_E_TOKEN_EARLY);
    d.skew = 60;
    assert_judged(&c, d, ROVE_OK);
    assert_ok(rovei_token_floors_raise(&floors, entity_at(&k, 1), 1));
    assert_judged(&c, d, ROVE_E_TOKEN_REVOKED);
    assert_int_equal(rovei_token_chain_expiry(&c), EPOCH + 3600);
    rovei_token_floors_fini(&floors);
    token_kit_fini(&k);
}

static void test_bytes(void **state)
{
    (void)state;
    token_kit k;
    uint8_t bytes[ROVE_TOKEN_CHAIN_MAX + ROVE_TOKEN_SIZE + 1] = {0}, again[ROVE_TOKEN_CHAIN_MAX];
    rove_token_chain back = {.count = 77};
    token_kit_init(&k);
    for (uint32_t count = 1; count <= ROVE_TOKEN_LINKS; count++) {
        rove_token_chain c = long_chain(&k, count, SUB | DELEG);
        size_t size = rovei_token_chain_encode(&c, bytes);
        assert_int_equal(size, 1 + 169 * count);
        assert_ok(rovei_token_chain_decode(&back, (rove_span){bytes, size}));
        assert_int_equal(back.count, count);
        assert_int_equal(rovei_token_chain_encode(&back, again), size);
        assert_memory_equal(bytes, again, size);
        /* every other length */
        for (size_t other = 0; other < sizeof bytes; other += other + 2 < size ? 7 : 1)
            if (other != size)
                assert_int_equal(rovei_token_chain_decode(&back, (rove_span){bytes, other}),
                                 ROVE_E_TOKEN_FORMAT);
        assert_int_equal(back.count, count);
    }
    bytes[0] = 0;
    assert_int_equal(rovei_token_chain_decode(&back, (rove_span){bytes, 1}), ROVE_E_TOKEN_FORMAT);
    bytes[0] = 9;
    assert_int_equal(rovei_token_chain_decode(&back, (rove_span){bytes, 1 + 9 * 169}),
                     ROVE_E_TOKEN_FORMAT);
    bytes[0] = 255;
    assert_int_equal(rovei_token_chain_decode(&back, (rove_span){bytes, sizeof bytes}),
                     ROVE_E_TOKEN_FORMAT);
    assert_int_equal(rovei_token_chain_decode(&back, (rove_span){NULL, 0}), ROVE_E_TOKEN_FORMAT);
    token_kit_fini(&k);
}

static void test_extend(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    const rovei_rng *rng = &k.t.env.rng;
    rove_token_chain c = long_chain(&k, ROVE_TOKEN_LINKS, SUB | DELEG);
    assert_judged(&c, demand_of(&k, 1, 9), ROVE_OK);
    assert_int_equal(rovei_token_chain_extend(&c, rng, k.key[9], entity_at(&k, 10), SUB, EPOCH + 9),
                     ROVE_E_TOKEN_EXHAUSTED);
    assert_int_equal(c.count, ROVE_TOKEN_LINKS);
    c.count = 0;
    assert_int_equal(rovei_token_chain_extend(&c, rng, k.key[2], entity_at(&k, 3), SUB, EPOCH),
                     ROVE_E_TOKEN_FORMAT);
    c = chain_of(token_of(&k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1));
    assert_int_equal(rovei_token_chain_extend(&c, rng, k.key[3], entity_at(&k, 3), SUB, EPOCH),
                     ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(c.count, 1);
    assert_ok(rovei_token_chain_extend(&c, rng, k.key[2], entity_at(&k, 3), SUB | DELEG, EPOCH));
    assert_int_equal(rovei_token_chain_extend(&c, rng, k.key[3], entity_at(&k, 4), SUB, EPOCH),
                     ROVE_E_TOKEN_EXHAUSTED);
    token_kit_fini(&k);
}

static void test_anchor(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rove_token_chain own = chain_of(token_of(&k, 2, 2, SUB, SENSORS_TEMP, 0));
    rove_token_chain c = chain_of(token_of(&k, 1, 2, SUB, SENSORS_TEMP, 0));
    rovei_token_demand d = demand_of(&k, 1, 2);
    assert_judged(&own, d, ROVE_E_TOKEN_NOT_AUTHORIZED); /* issued by the presenter himself */
    assert_judged(&c, d, ROVE_OK);
    rove_entity roots[] = {*entity_at(&k, 5), *entity_at(&k, 6), *entity_at(&k, 1)};
    d.roots = roots;
    d.root_count = 3;
    assert_judged(&c, d, ROVE_OK);
    d.root_count = 2;
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    d.root_count = 0;
    d.roots = NULL;
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    d = demand_of(&k, 1, 3); /* minted for another subject */
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    c.count = 0;
    assert_judged(&c, d, ROVE_E_TOKEN_FORMAT);
    c.count = ROVE_TOKEN_LINKS + 1;
    assert_judged(&c, d, ROVE_E_TOKEN_FORMAT);
    token_kit_fini(&k);
}

/* What is allowed is what every link allows, those in the middle too. */
static void test_every_link(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    for (size_t weak = 0; weak < 3; weak++) {
        rove_token_chain c = long_chain(&k, 3, SUB | PUB | DELEG);
        rovei_token_demand d = demand_of(&k, 1, 4);
        assert_judged(&c, d, ROVE_OK);
        c.links[weak].scope = PUB | DELEG;
        resign(&k, weak + 1, &c.links[weak]);
        assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
        d.action = PUB;
        assert_judged(&c, d, ROVE_OK);
        c.links[weak].channel = SENSORS_LIDAR;
        resign(&k, weak + 1, &c.links[weak]);
        assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
        c.links[weak].scope |= WILD;
        resign(&k, weak + 1, &c.links[weak]);
        assert_judged(&c, d, ROVE_OK);
        c.links[weak].not_before = 0;
        c.links[weak].not_after = ROVE_TOKEN_LIFE_MAX + EPOCH + 1;
        resign(&k, weak + 1, &c.links[weak]);
        assert_judged(&c, d, ROVE_E_TOKEN_LONG);
    }
    token_kit_fini(&k);
}

static void test_forged(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    for (size_t at = 0; at < 3; at++) {
        rove_token_chain c = long_chain(&k, 3, SUB | DELEG);
        rovei_token_demand d = demand_of(&k, 1, 4);
        c.links[at].nonce ^= 1;
        assert_int_equal(rovei_token_chain_verify(&c, &d), ROVE_E_TOKEN_SIGNATURE);
        d.presigned = true; /* said by who has verified it, and only by him */
        assert_int_equal(rovei_token_chain_verify(&c, &d), ROVE_OK);
        /* signed by somebody else than it says */
        c = long_chain(&k, 3, SUB | DELEG);
        rove_entity issuer = c.links[at].issuer;
        resign(&k, 7, &c.links[at]);
        c.links[at].issuer = issuer;
        d.presigned = false;
        assert_int_equal(rovei_token_chain_verify(&c, &d), ROVE_E_TOKEN_SIGNATURE);
    }
    token_kit_fini(&k);
}

/* The steps over pairs, each with the later ones failing as well. */
static void test_pairs(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rovei_token_demand d = demand_of(&k, 1, 3);
    rove_token parent = token_of(&k, 1, 2, SUB, SENSORS_TEMP, 1);
    rove_token stranger = token_of(&k, 5, 3, SUB, SENSORS_TEMP, 1);
    rove_token_chain c = {.count = 2, .links = {parent, stranger}};
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED); /* not connected */
    c.links[1] = token_of(&k, 2, 3, SUB, SENSORS_TEMP, 1);
    assert_judged(&c, d, ROVE_E_TOKEN_NO_DELEGATE);
    c.links[0] = token_of(&k, 1, 2, SUB | DELEG, SENSORS_TEMP, 1);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED); /* depth does not fall */
    c.links[1] = token_of(&k, 2, 3, SUB, SENSORS_TEMP, 2);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    c.links[1] = token_of(&k, 2, 3, SUB, SENSORS_TEMP, 0);
    assert_judged(&c, d, ROVE_OK);
    c.links[0] = token_of(&k, 1, 2, SUB | DELEG, SENSORS_TEMP, 9); /* may fall by more than one */
    assert_judged(&c, d, ROVE_OK);
    c.links[1].not_before = EPOCH - 1;
    resign(&k, 2, &c.links[1]);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    c.links[1].not_before = EPOCH;
    c.links[1].not_after = EPOCH + 3601;
    resign(&k, 2, &c.links[1]);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED); /* over-wide */
    c.links[1].not_after = EPOCH + 3600;
    resign(&k, 2, &c.links[1]);
    assert_judged(&c, d, ROVE_OK);
    token_kit_fini(&k);
}

/* All links are judged before any pair: a broken pair does not hide what is wrong further on. */
static void test_links_before_pairs(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    rovei_token_demand d = demand_of(&k, 1, 4);
    rove_token_chain c = {.count = 3,
                          .links = {token_of(&k, 1, 2, SUB, SENSORS_TEMP, 0),
                                    token_of(&k, 8, 3, SUB, SENSORS_TEMP, 5),
                                    token_of(&k, 3, 4, SUB, SENSORS_TEMP, 5)}};
    c.links[2].not_after = EPOCH + 1;
    resign(&k, 3, &c.links[2]);
    assert_judged(&c, d, ROVE_E_TOKEN_EXPIRED);
    /* of one link: time before revocation before scope */
    rovei_token_floors floors;
    rovei_token_floors_init(&floors, &k.t.env, 4);
    assert_ok(rovei_token_floors_raise(&floors, entity_at(&k, 3), 1));
    d.floors = &floors;
    assert_judged(&c, d, ROVE_E_TOKEN_EXPIRED);
    c.links[2] = token_of(&k, 3, 4, PUB, SENSORS_TEMP, 5);
    assert_judged(&c, d, ROVE_E_TOKEN_REVOKED);
    rovei_token_floors_fini(&floors);
    token_kit_fini(&k);
}

/* A child has its parent's generation, and the floor that counts is that of its own issuer. */
static void test_revocation(void **state)
{
    (void)state;
    token_kit k;
    rovei_token_floors floors;
    token_kit_init(&k);
    rovei_token_floors_init(&floors, &k.t.env, 16);
    rove_token_chain c = long_chain(&k, 3, SUB | DELEG);
    rove_token_chain bare = chain_of(c.links[2]);
    rove_token_chain sibling = chain_of(token_of(&k, 1, 5, SUB | DELEG, SENSORS_TEMP, 20));
    assert_ok(
        rovei_token_chain_extend(&sibling, &k.t.env.rng, k.key[5], entity_at(&k, 6), SUB, EPOCH));
    rovei_token_demand d = demand_of(&k, 1, 4), own = demand_of(&k, 3, 4),
                       other = demand_of(&k, 1, 6);
    d.floors = own.floors = other.floors = &floors;
    assert_judged(&c, d, ROVE_OK);
    assert_ok(rovei_token_floors_raise(&floors, entity_at(&k, 2), 1));
    assert_judged(&c, d, ROVE_E_TOKEN_REVOKED);
    assert_judged(&bare, own, ROVE_OK);
    assert_judged(&sibling, other, ROVE_OK);
    assert_ok(rovei_token_floors_raise(&floors, entity_at(&k, 1), 1));
    assert_judged(&c, d, ROVE_E_TOKEN_REVOKED);
    assert_judged(&bare, own, ROVE_OK);
    assert_judged(&sibling, other, ROVE_E_TOKEN_REVOKED);
    /* issued anew with the generation that counts now */
    rove_token_chain fresh = chain_of(token_of(&k, 1, 4, SUB, SENSORS_TEMP, 0));
    fresh.links[0].generation = 1;
    resign(&k, 1, &fresh.links[0]);
    assert_judged(&fresh, d, ROVE_OK);
    rovei_token_floors_fini(&floors);
    token_kit_fini(&k);
}

/* An agent's tools: the owner to a machine, the machine to its gateway, that one to a helper which
 * hands nothing on. */
static void test_gateway(void **state)
{
    (void)state;
    token_kit k;
    token_kit_init(&k);
    const rovei_rng *rng = &k.t.env.rng;
    uint64_t channel = rovei_xxh3("net.mcp.capability-invoke", 25);
    assert_int_equal(channel, UINT64_C(0x6b37b1a6fd3ee94f));
    rove_token_chain c = chain_of(token_of(&k, 1, 2, SUB | DELEG, channel, 4));
    assert_ok(rovei_token_chain_extend(&c, rng, k.key[2], entity_at(&k, 3), SUB | DELEG, EPOCH));
    rovei_token_demand d = demand_of(&k, 1, 3);
    d.channel = channel;
    assert_judged(&c, d, ROVE_OK);
    assert_ok(rovei_token_chain_extend(&c, rng, k.key[3], entity_at(&k, 4), SUB, EPOCH));
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED); /* it is the helper's now */
    d.presenter = entity_at(&k, 4);
    assert_judged(&c, d, ROVE_OK);
    d.roots = entity_at(&k, 2);
    assert_judged(&c, d, ROVE_E_TOKEN_NOT_AUTHORIZED);
    assert_int_equal(rovei_token_chain_extend(&c, rng, k.key[4], entity_at(&k, 5), SUB, EPOCH),
                     ROVE_E_TOKEN_NO_DELEGATE);
    c = chain_of(token_of(&k, 1, 2, SUB | DELEG, channel, 0));
    assert_int_equal(
        rovei_token_chain_extend(&c, rng, k.key[2], entity_at(&k, 3), SUB | DELEG, EPOCH),
        ROVE_E_TOKEN_EXHAUSTED);
    token_kit_fini(&k);
}

static void test_floors(void **state)
{
    (void)state;
    token_kit k;
    rovei_token_floors f;
    token_kit_init(&k);
    rovei_token_floors_init(&f, &k.t.env, 3);
    const rove_entity *e = entity_at(&k, 1);
    assert_int_equal(rovei_token_floors_get(&f, e), 0);
    assert_ok(rovei_token_floors_raise(&f, e, 0));
    assert_int_equal(rovei_token_floors_count(&f), 0);
    SWEEP_NOMEM(&k.t.alloc, rovei_token_floors_raise(&f, e, 5));
    assert_ok(rovei_token_floors_raise(&f, e, 4)); /* never down */
    assert_int_equal(rovei_token_floors_get(&f, e), 5);
    assert_ok(rovei_token_floors_raise(&f, e, UINT32_MAX));
    assert_int_equal(rovei_token_floors_get(&f, e), UINT32_MAX);
    rove_token t = token_of(&k, 1, 2, SUB, 1, 0);
    t.generation = UINT32_MAX;
    assert_false(rovei_token_floors_revoked(&f, &t));
    t.generation--;
    assert_true(rovei_token_floors_revoked(&f, &t));
    t.issuer = *entity_at(&k, 2);
    assert_false(rovei_token_floors_revoked(&f, &t));
    /* the bound: others are refused, those that are there still rise */
    assert_ok(rovei_token_floors_raise(&f, entity_at(&k, 2), 1));
    assert_ok(rovei_token_floors_raise(&f, entity_at(&k, 3), 1));
    assert_int_equal(rovei_token_floors_raise(&f, entity_at(&k, 4), 1), ROVE_E_FULL);
    assert_ok(rovei_token_floors_raise(&f, entity_at(&k, 4), 0));
    assert_ok(rovei_token_floors_raise(&f, entity_at(&k, 3), 2));
    assert_int_equal(rovei_token_floors_get(&f, entity_at(&k, 3)), 2);
    size_t it = 0, seen = 0;
    rove_entity issuer;
    uint32_t generation;
    for (; rovei_token_floors_next(&f, &it, &issuer, &generation); seen++)
        assert_int_equal(rovei_token_floors_get(&f, &issuer), generation);
    assert_int_equal(seen, 3);
    rovei_token_floors_fini(&f);
    token_kit_fini(&k);
}

/* Random chains of sound and broken links against the rules said once more, in another way. */
static rove_err judge(const rove_token_chain *c, const rovei_token_demand *d)
{
    bool anchored = rovei_entity_equal(&c->links[0].issuer, d->roots);
    if (!anchored || !rovei_entity_equal(&c->links[c->count - 1].subject, d->presenter))
        return ROVE_E_TOKEN_NOT_AUTHORIZED;
    for (size_t i = 0; i < c->count; i++) {
        const rove_token *t = &c->links[i];
        if (d->now < t->not_before)
            return ROVE_E_TOKEN_EARLY;
        if (d->now >= t->not_after)
            return ROVE_E_TOKEN_EXPIRED;
        if (!(t->scope & d->action) || (!(t->scope & WILD) && t->channel != d->channel))
            return ROVE_E_TOKEN_NOT_AUTHORIZED;
    }
    for (size_t i = 0; i + 1 < c->count; i++) {
        const rove_token *a = &c->links[i], *b = &c->links[i + 1];
        if (memcmp(&b->issuer, &a->subject, 32))
            return ROVE_E_TOKEN_NOT_AUTHORIZED;
        if (!(a->scope & DELEG))
            return ROVE_E_TOKEN_NO_DELEGATE;
        if (b->depth >= a->depth || b->not_before < a->not_before || b->not_after > a->not_after)
            return ROVE_E_TOKEN_NOT_AUTHORIZED;
    }
    return ROVE_OK;
}

static void test_random(void **state)
{
    (void)state;
    token_kit k;
    uint64_t random = 7;
    size_t accepted = 0;
    token_kit_init(&k);
    for (size_t round = 0; round < 400; round++) {
        uint32_t count = 1 + (uint32_t)below(&random, 4);
        rove_token_chain c = long_chain(&k, count, SUB | DELEG);
        rovei_token_demand d = demand_of(&k, 1, count + 1);
        size_t at = below(&random, count);
        rove_token *t = &c.links[at];
        switch (below(&random, 9)) {
        case 0:
            t->scope = (uint32_t)below(&random, 32);
            break;
        case 1:
            t->channel ^= below(&random, 2);
            break;
        case 2:
            t->depth = (uint8_t)below(&random, 24);
            break;
        case 3:
            t->not_before = EPOCH - 3 + below(&random, 400);
            break;
        case 4:
            t->not_after = EPOCH + below(&random, 400);
            break;
        case 5:
            t->subject = *entity_at(&k, 1 + below(&random, TOKEN_KEYS));
            break;
        case 6:
            d.presenter = entity_at(&k, 1 + below(&random, TOKEN_KEYS));
            break;
        case 7:
            d.roots = entity_at(&k, 1 + below(&random, 2));
            break;
        default:
            d.now = EPOCH - 2 + below(&random, 4000);
            break;
        }
        resign(&k, at + 1, t);
        rove_err want = judge(&c, &d);
        assert_judged(&c, d, want);
        accepted += want == ROVE_OK;
    }
    assert_true(accepted > 40 && accepted < 360);
    token_kit_fini(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),      cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_extend),     cmocka_unit_test(test_anchor),
        cmocka_unit_test(test_every_link), cmocka_unit_test(test_forged),
        cmocka_unit_test(test_pairs),      cmocka_unit_test(test_links_before_pairs),
        cmocka_unit_test(test_revocation), cmocka_unit_test(test_gateway),
        cmocka_unit_test(test_floors),     cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
