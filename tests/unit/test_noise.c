/* SPDX-License-Identifier: Apache-2.0
 *
 * The Noise engine against the published vectors of both patterns, against the recorded handshakes
 * of the reference with their intermediate values, and against itself with everything changed. */
#include "support.h"

#include <json-c/json.h>
#include <mesh/noise.h>
#include <stdio.h>

/* A generator that gives one prepared value: the ephemeral key. */
typedef struct fixed_env {
    test_env base;
    rovei_env env;
    uint8_t next[32];
} fixed_env;

static void give_next(void *user, void *ret, size_t size)
{
    fixed_env *f = user;
    assert_int_equal(size, sizeof f->next);
    memcpy(ret, f->next, size);
}

static void fixed_init(fixed_env *f)
{
    test_env_init(&f->base, 1);
    f->env = f->base.env;
    f->env.rng = (rovei_rng){give_next, f};
}

static json_object *load(const char *name)
{
    char path[512];
    assert_true(snprintf(path, sizeof path, "%s/tests/vectors/%s", ROVE_SOURCE_ROOT, name) <
                (int)sizeof path);
    json_object *root = json_object_from_file(path);
    assert_non_null(root);
    return root;
}

static const char *text(json_object *o, const char *key)
{
    json_object *v;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

static json_object *member(json_object *o, const char *key)
{
    json_object *v = NULL;
    json_object_object_get_ex(o, key, &v);
    return v;
}

static bool key_of(json_object *o, const char *name, uint8_t ret[32])
{
    const char *hex = text(o, name);
    return hex && hex_to(ret, 32, hex) == 32;
}

/* ---- the published vectors ---- */

typedef struct side {
    rovei_noise noise;
    uint8_t secret[32], public_key[32], psk[32], remote[32], ephemeral[32];
    uint8_t send[32], receive[32];
    uint64_t sent, received;
} side;

static void start(fixed_env *f, side *s, json_object *v, bool initiator)
{
    char name[32];
    const char *prefix = initiator ? "init" : "resp";
#define NAME(what) (snprintf(name, sizeof name, "%s_%s", prefix, what), name)
    uint8_t prologue[64];
    size_t size = hex_to(prologue, sizeof prologue, text(v, NAME("prologue")));
    json_object *psks = member(v, NAME("psks"));
    hex_to(s->psk, 32, json_object_get_string(json_object_array_get_idx(psks, 0)));
    assert_true(key_of(v, NAME("ephemeral"), s->ephemeral));
    rovei_noise_keys keys = {.psk = s->psk};
    if (key_of(v, NAME("static"), s->secret)) {
        rovei_x25519_public(s->public_key, s->secret);
        keys.static_secret = s->secret;
        keys.static_public = s->public_key;
    }
    if (key_of(v, NAME("remote_static"), s->remote))
        keys.remote_static = s->remote;
#undef NAME
    bool ik = strstr(text(v, "protocol_name"), "IKpsk2") != NULL;
    const rovei_noise_pattern *pattern = ik ? &rovei_noise_ikpsk2 : &rovei_noise_nkpsk0;
    assert_string_equal(pattern->name, text(v, "protocol_name"));
    assert_ok(rovei_noise_init(&s->noise, &f->env, pattern, initiator, (rove_span){prologue, size},
                               &keys));
}

static void check_message(fixed_env *f, side *from, side *to, json_object *m, size_t index)
{
    uint8_t payload[64], want[256], got[256], back[256];
    size_t size = hex_to(payload, sizeof payload, text(m, "payload"));
    size_t total = hex_to(want, sizeof want, text(m, "ciphertext"));
    if (index < ROVEI_NOISE_MESSAGES) {
        memcpy(f->next, from->ephemeral, 32);
        assert_int_equal(size + rovei_noise_overhead(from->noise.pattern, (unsigned)index), total);
        assert_ok(rovei_noise_write(&from->noise, (rove_span){payload, size}, got));
        assert_memory_equal(got, want, total);
        assert_ok(rovei_noise_read(&to->noise, (rove_span){got, total}, back));
    } else {
        const rove_span none = {NULL, 0};
        rovei_chachapoly_seal(from->send, from->sent++, none, payload, size, got);
        assert_memory_equal(got, want, total);
        assert_ok(rovei_chachapoly_open(to->receive, to->received++, none, got, total, back));
    }
    assert_memory_equal(back, payload, size);
}

static void test_published(void **state)
{
    (void)state;
    json_object *root = load("noise.json");
    json_object *vectors = member(root, "vectors");
    assert_int_equal(json_object_array_length(vectors), 2);
    for (size_t i = 0; i < 2; i++) {
        json_object *v = json_object_array_get_idx(vectors, i);
        fixed_env f;
        side a = {0}, b = {0};
        fixed_init(&f);
        start(&f, &a, v, true);
        start(&f, &b, v, false);
        json_object *messages = member(v, "messages");
        for (size_t k = 0; k < json_object_array_length(messages); k++) {
            if (k == ROVEI_NOISE_MESSAGES) {
                assert_hex(a.noise.hash, 32, text(v, "handshake_hash"));
                assert_hex(b.noise.hash, 32, text(v, "handshake_hash"));
                rovei_noise_split(&a.noise, a.send, a.receive);
                rovei_noise_split(&b.noise, b.send, b.receive);
            }
            check_message(&f, k % 2 ? &b : &a, k % 2 ? &a : &b,
                          json_object_array_get_idx(messages, k), k);
        }
        assert_int_equal(json_object_array_length(messages), 6);
        rovei_noise_fini(&a.noise);
        rovei_noise_fini(&b.noise);
        test_env_fini(&f.base);
    }
    json_object_put(root);
}

/* ---- the reference's handshakes ---- */

static void check_recorded_initiator(fixed_env *f, json_object *h, json_object *n)
{
    uint8_t psk[32], remote[32], prologue[64], payload[64], message[256];
    assert_true(key_of(h, "psk", psk) && key_of(h, "responder_static_public", remote));
    size_t size = hex_to(prologue, sizeof prologue, text(h, "prologue"));
    rovei_noise noise;
    const rovei_noise_keys keys = {.remote_static = remote, .psk = psk};
    assert_ok(rovei_noise_init(&noise, &f->env, &rovei_noise_nkpsk0, true,
                               (rove_span){prologue, size}, &keys));
    assert_hex(noise.hash, 32, text(n, "h_after_prologue_and_responder_static"));
    assert_true(key_of(h, "initiator_ephemeral_private", f->next));
    size = hex_to(payload, sizeof payload, text(n, "msg1_payload"));
    assert_ok(rovei_noise_write(&noise, (rove_span){payload, size}, message));
    assert_hex(message, size + rovei_noise_overhead(&rovei_noise_nkpsk0, 0), text(n, "msg1"));
    assert_hex(noise.ephemeral_public, 32, text(h, "initiator_ephemeral_public"));
    assert_hex(noise.hash, 32, text(n, "h_after_msg1"));
    assert_hex(noise.chain + 32, 32, text(n, "k_msg1"));
    size = hex_to(message, sizeof message, text(n, "msg2"));
    assert_ok(rovei_noise_read(&noise, (rove_span){message, size}, payload));
    assert_hex(noise.chain + 32, 32, text(n, "k_msg2"));
    assert_hex(noise.hash, 32, text(n, "handshake_hash"));
    rovei_noise_fini(&noise);
}

static void check_recorded_responder(fixed_env *f, json_object *h, json_object *n)
{
    uint8_t psk[32], secret[32], public_key[32], prologue[64], payload[64], message[256];
    assert_true(key_of(h, "psk", psk) && key_of(h, "responder_static_private", secret));
    rovei_x25519_public(public_key, secret);
    assert_hex(public_key, 32, text(h, "responder_static_public"));
    size_t size = hex_to(prologue, sizeof prologue, text(h, "prologue"));
    rovei_noise noise;
    const rovei_noise_keys keys = {
        .static_secret = secret, .static_public = public_key, .psk = psk};
    assert_ok(rovei_noise_init(&noise, &f->env, &rovei_noise_nkpsk0, false,
                               (rove_span){prologue, size}, &keys));
    size = hex_to(message, sizeof message, text(n, "msg1"));
    assert_ok(rovei_noise_read(&noise, (rove_span){message, size}, payload));
    assert_hex(payload, size - rovei_noise_overhead(&rovei_noise_nkpsk0, 0),
               text(n, "msg1_payload"));
    assert_hex(noise.hash, 32, text(n, "h_after_msg1"));
    assert_true(key_of(h, "responder_ephemeral_private", f->next));
    assert_ok(rovei_noise_write(&noise, (rove_span){NULL, 0}, message));
    assert_hex(message, rovei_noise_overhead(&rovei_noise_nkpsk0, 1), text(n, "msg2"));
    assert_hex(noise.hash, 32, text(n, "handshake_hash"));
    rovei_noise_fini(&noise);
}

static void test_recorded(void **state)
{
    (void)state;
    json_object *root = load("handshake-0.36.0.json");
    json_object *handshakes = member(root, "handshakes");
    size_t initiators = 0, responders = 0;
    for (size_t i = 0; i < json_object_array_length(handshakes); i++) {
        json_object *h = json_object_array_get_idx(handshakes, i);
        json_object *n = member(h, "noise");
        fixed_env f;
        fixed_init(&f);
        if (text(h, "initiator_ephemeral_private")) {
            check_recorded_initiator(&f, h, n);
            initiators++;
        }
        if (text(h, "responder_ephemeral_private")) {
            check_recorded_responder(&f, h, n);
            responders++;
        }
        test_env_fini(&f.base);
    }
    assert_true(initiators >= 4 && responders >= 3);
    json_object_put(root);
}

/* ---- the engine against itself ---- */

typedef struct pair {
    test_env t;
    uint8_t secret[2][32], public_key[2][32], psk[32];
    rovei_noise n[2];
} pair;

static void pair_init(pair *p, rove_span prologue)
{
    test_env_init(&p->t, 7);
    for (int i = 0; i < 2; i++) {
        rovei_rng_fill(&p->t.env.rng, p->secret[i], 32);
        rovei_x25519_public(p->public_key[i], p->secret[i]);
    }
    rovei_rng_fill(&p->t.env.rng, p->psk, 32);
    for (int i = 0; i < 2; i++) {
        const rovei_noise_keys keys = {p->secret[i], p->public_key[i], p->public_key[1], p->psk};
        assert_ok(
            rovei_noise_init(&p->n[i], &p->t.env, &rovei_noise_ikpsk2, i == 0, prologue, &keys));
    }
}

static void pair_fini(pair *p)
{
    rovei_noise_fini(&p->n[0]);
    rovei_noise_fini(&p->n[1]);
    rovei_noise_fini(&p->n[1]);
    test_env_fini(&p->t);
}

/* Every changed byte and every other length is refused and leaves the state as it was, so the right
 * message still opens afterwards. */
static void test_forged_leaves_state(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, span_of("label"));
    uint8_t message[256], back[256];
    for (unsigned step = 0; step < 2; step++) {
        rovei_noise *from = &p.n[step], *to = &p.n[1 - step];
        size_t size = 10 + rovei_noise_overhead(&rovei_noise_ikpsk2, step);
        assert_ok(rovei_noise_write(from, span_of("ten bytes!"), message));
        uint8_t hash[32], chain[64];
        memcpy(hash, to->hash, 32);
        memcpy(chain, to->chain, 64);
        for (size_t i = 0; i < size; i++) {
            message[i] ^= 1;
            rove_err err = rovei_noise_read(to, (rove_span){message, size}, back);
            message[i] ^= 1;
            assert_true(err == ROVE_E_AUTH || err == ROVE_E_WEAK_SECRET);
            assert_memory_equal(to->hash, hash, 32);
            assert_memory_equal(to->chain, chain, 64);
            assert_int_equal(to->step, step);
        }
        for (size_t cut = 0; cut < size; cut++)
            assert_int_not_equal(rovei_noise_read(to, (rove_span){message, cut}, back), ROVE_OK);
        assert_ok(rovei_noise_read(to, (rove_span){message, size}, back));
        assert_memory_equal(back, "ten bytes!", 10);
    }
    assert_memory_equal(p.n[1].remote_static, p.public_key[0], 32);
    uint8_t a[2][32], b[2][32];
    rovei_noise_split(&p.n[0], a[0], a[1]);
    rovei_noise_split(&p.n[1], b[0], b[1]);
    assert_memory_equal(a[0], b[1], 32);
    assert_memory_equal(a[1], b[0], 32);
    assert_memory_not_equal(a[0], a[1], 32);
    pair_fini(&p);
}

static void test_too_long(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, span_of("label"));
    uint8_t message[ROVEI_NOISE_MAX + 1] = {0}, back[ROVEI_NOISE_MAX + 1];
    assert_int_equal(rovei_noise_read(&p.n[1], (rove_span){message, sizeof message}, back),
                     ROVE_E_BOUND);
    pair_fini(&p);
}

/* What is bound on one side only, or another prologue, makes the message unreadable. */
static void test_binding(void **state)
{
    (void)state;
    for (int bind = 0; bind < 4; bind++) {
        pair p;
        pair_init(&p, span_of("label"));
        uint8_t message[256], back[256];
        if (bind & 1)
            rovei_noise_bind(&p.n[0], span_of("header"));
        if (bind & 2)
            rovei_noise_bind(&p.n[1], span_of("header"));
        assert_ok(rovei_noise_write(&p.n[0], (rove_span){NULL, 0}, message));
        size_t size = rovei_noise_overhead(&rovei_noise_ikpsk2, 0);
        rove_err err = rovei_noise_read(&p.n[1], (rove_span){message, size}, back);
        assert_int_equal(err, bind == 0 || bind == 3 ? ROVE_OK : ROVE_E_AUTH);
        pair_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_forged_leaves_state),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_binding),
    };
    return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
