/* SPDX-License-Identifier: Apache-2.0
 *
 * Class net as somebody with the psk can feed it: payloads sealed into real handshake messages;
 * handshakes whose datagrams are changed before the right ones come; and the packets of a session,
 * changed, doubled and out of order. */
#include "support.h"

#include <crypto/slab.h>
#include <net/handshake.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INITIATOR UINT64_C(0x1122334455667788)
#define RESPONDER UINT64_C(0x99AABBCCDDEEFF00)

typedef struct world {
    fuzz_alloc alloc;
    rovei_env env;
    uint64_t random;
    uint8_t secret[2][32], public_key[2][32], psk[32];
    rovei_net_self self[2];
    rovei_net_handshake h[2];
} world;

static void fill(void *user, void *ret, size_t size)
{
    uint64_t *state = user;
    for (size_t i = 0; i < size; i++) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)ret)[i] = (uint8_t)(*state >> 56);
    }
}

static void world_init(world *w)
{
    memset(w, 0, sizeof *w);
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    fuzz_alloc_init(&w->alloc, SIZE_MAX);
    w->random = 1;
    w->env = (rovei_env){.alloc = w->alloc.alloc, .rng = {fill, &w->random}};
    rove_limits_init(&w->env.limits);
    ROVEI_CHECK(rovei_slab_new(&w->env.slab, &w->env.alloc) == ROVE_OK);
    for (int i = 0; i < 2; i++) {
        rovei_rng_fill(&w->env.rng, w->secret[i], 32);
        rovei_x25519_public(w->public_key[i], w->secret[i]);
        w->self[i] = (rovei_net_self){&w->env, i ? RESPONDER : INITIATOR, w->psk, w->secret[i],
                                      w->public_key[i]};
    }
}

static void world_fini(world *w)
{
    rovei_net_handshake_fini(&w->h[0]);
    rovei_net_handshake_fini(&w->h[1]);
    ROVEI_CHECK(rovei_slab_used(w->env.slab) == 0);
    rovei_slab_free(w->env.slab);
    ROVEI_CHECK(w->alloc.live == 0);
}

/* A datagram of exactly its size, so that what reads beyond it is noticed. */
static uint8_t *exact(const uint8_t *dgram, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    ROVEI_CHECK(copy);
    memcpy(copy, dgram, size);
    return copy;
}

/* Reads a datagram as message 1, in the framing that it has; gives E_FORMAT for what is none. */
static rove_err answer(world *w, const uint8_t *dgram, size_t size)
{
    uint8_t *copy = exact(dgram, size);
    rovei_net_packet p;
    rove_err err = rovei_net_packet_read(&p, (rove_span){copy, size});
    if (!err && p.type != ROVEI_NET_PACKET_HANDSHAKE)
        err = ROVE_E_FORMAT;
    if (!err && p.routed) {
        err = rovei_net_answer_routed(&w->h[1], &w->self[1], &p, copy);
    } else if (!err) {
        err = rovei_net_answer_direct(&w->h[1], &w->self[1], &p, copy);
        if (!err)
            err = rovei_net_answer_try(&w->h[1], INITIATOR);
    }
    if (err)
        rovei_net_handshake_fini(&w->h[1]);
    free(copy);
    return err;
}

static rove_err end(world *w, const uint8_t *dgram, size_t size)
{
    uint8_t *copy = exact(dgram, size);
    rovei_net_packet p;
    rove_err err = rovei_net_packet_read(&p, (rove_span){copy, size});
    if (!err && !rovei_net_dial_fits(&w->h[0], &p))
        err = ROVE_E_FORMAT;
    if (!err)
        err = rovei_net_dial_end(&w->h[0], &p, copy);
    free(copy);
    return err;
}

static void check_equal_sessions(world *w, rovei_net_session s[2])
{
    for (int i = 0; i < 2; i++)
        ROVEI_CHECK(rovei_net_handshake_session(&w->h[i], &s[i]) == ROVE_OK);
    ROVEI_CHECK(s[0].id == s[1].id && s[0].initiator && !s[1].initiator);
    ROVEI_CHECK(memcmp(s[0].keys, s[1].keys + 32, 32) == 0);
    ROVEI_CHECK(memcmp(s[1].keys, s[0].keys + 32, 32) == 0);
}

/* Changes up to eight bytes, or the length. */
static size_t change(uint8_t *dgram, size_t size, rovei_reader *r)
{
    for (uint8_t left = rovei_read_u8(r) % 8; left; left--) {
        size_t at = rovei_read_u8(r);
        dgram[at % size] ^= rovei_read_u8(r);
    }
    uint8_t cut = rovei_read_u8(r);
    return cut < 32 ? size * cut / 32 : size;
}

/* Changed messages come before the right ones: those are taken all the same. */
static void check_changed(world *w, rovei_reader *r)
{
    uint8_t first[ROVEI_NET_HANDSHAKE_MAX], second[ROVEI_NET_HANDSHAKE_MAX], bad[sizeof first];
    size_t first_size, second_size;
    rovei_net_session s[2];
    bool routed = rovei_read_u8(r) % 2;
    ROVEI_CHECK(rovei_net_dial(&w->h[0], &w->self[0], RESPONDER, w->public_key[1], routed, first,
                               &first_size) == ROVE_OK);
    for (int i = 0; i < 2; i++) {
        memcpy(bad, first, first_size);
        size_t size = change(bad, first_size, r);
        size_t noise = first_size - (routed ? ROVEI_NET_NOISE_ROUTED : ROVEI_NET_NOISE);
        bool same = size == first_size && memcmp(bad + noise, first + noise, size - noise) == 0;
        if (answer(w, bad, size) == ROVE_OK)
            ROVEI_CHECK(same && w->h[1].peer == INITIATOR);
        rovei_net_handshake_fini(&w->h[1]);
    }
    ROVEI_CHECK(answer(w, first, first_size) == ROVE_OK);
    ROVEI_CHECK(rovei_net_answer_write(&w->h[1], second, &second_size) == ROVE_OK);
    for (int i = 0; i < 2; i++) {
        memcpy(bad, second, second_size);
        size_t size = change(bad, second_size, r), noise = second_size - ROVEI_NET_NOISE;
        if (end(w, bad, size) == ROVE_OK) {
            ROVEI_CHECK(size == second_size &&
                        memcmp(bad + noise, second + noise, size - noise) == 0);
            return;
        }
    }
    ROVEI_CHECK(end(w, second, second_size) == ROVE_OK);
    check_equal_sessions(w, s);
    rovei_net_session_fini(&s[0]);
    rovei_net_session_fini(&s[1]);
}

/* Any payload in a routed message 1 that Noise made. */
static void check_payload(world *w, rovei_reader *r)
{
    uint8_t dgram[ROVEI_NET_DATAGRAM_MAX], prologue[32];
    const uint32_t source = rovei_read_u32(r);
    const size_t size = rovei_reader_left(r) < 400 ? rovei_reader_left(r) : 400;
    const rove_span payload = rovei_read_span(r, size);
    const rovei_net_route route = {.ttl = 16, .source = source, .dest = RESPONDER};
    const rovei_net_header header = {.flags = ROVEI_NET_FLAG_HANDSHAKE};
    memcpy(prologue, "net-handshake-v1", 16);
    rovei_store64(prologue + 16, source);
    rovei_store64(prologue + 24, RESPONDER & UINT32_MAX);
    const rovei_noise_keys keys = {.remote_static = w->public_key[1], .psk = w->psk};
    rovei_noise n;
    ROVEI_CHECK(rovei_noise_init(&n, &w->env, &rovei_noise_nkpsk0, true, (rove_span){prologue, 32},
                                 &keys) == ROVE_OK);
    rovei_net_route_write(dgram, &route);
    rovei_net_header_write(dgram + ROVEI_NET_ROUTE_SIZE, &header);
    const size_t start = ROVEI_NET_ROUTE_SIZE + ROVEI_NET_HEADER_SIZE;
    ROVEI_CHECK(rovei_noise_write(&n, payload, dgram + start) == ROVE_OK);
    rovei_noise_fini(&n);
    rove_err err = answer(w, dgram, start + ROVEI_NET_NOISE + size);
    const uint8_t *id = payload.data;
    if (size < 8)
        ROVEI_CHECK(err == ROVE_E_SHORT);
    else if (rovei_load32(id) != source)
        ROVEI_CHECK(err == ROVE_E_IDENTITY);
    else
        ROVEI_CHECK(err == ROVE_OK && w->h[1].peer == rovei_load64(id));
}

#define FLYING 16

typedef struct flying {
    uint64_t counter;
    bool taken;
    size_t size;
    uint8_t bytes[ROVEI_NET_OVERHEAD + 256];
} flying;

static void take_off(rovei_net_session *s, flying *f, rovei_reader *r)
{
    const rovei_net_header h = {
        .flags = rovei_read_u8(r) & ROVEI_NET_FLAG_RELIABLE,
        .subprotocol = rovei_read_u16(r),
        .stream = rovei_read_u8(r),
        .events = rovei_read_u8(r),
    };
    size_t size = rovei_read_u8(r);
    *f = (flying){.counter = s->sent};
    memset(f->bytes + ROVEI_NET_HEADER_SIZE, (int)size, size);
    if (size % 8 == 0) {
        rovei_net_session_heartbeat(s, f->bytes);
        f->size = ROVEI_NET_OVERHEAD;
    } else {
        f->size = rovei_net_session_seal(s, &h, f->bytes, size);
    }
}

static void land(rovei_net_session *s, flying *f, rovei_reader *r)
{
    uint8_t *copy = exact(f->bytes, f->size);
    size_t at = rovei_read_u8(r) % f->size;
    uint8_t with = rovei_read_u8(r);
    bool covered = at != 6 && (at < 12 || at >= 16);
    copy[at] ^= with;
    rovei_net_packet p;
    rove_span plain;
    rove_err err = rovei_net_packet_read(&p, (rove_span){copy, f->size});
    if (!err && p.type != ROVEI_NET_PACKET_HANDSHAKE) {
        err = rovei_net_session_open(s, &p, copy, &plain);
        if (covered && with) {
            ROVEI_CHECK(err == ROVE_E_AUTH || err == ROVE_E_REPLAY);
        } else if (!err) {
            ROVEI_CHECK(!f->taken && plain.size == f->size - ROVEI_NET_OVERHEAD);
            f->taken = true;
        } else {
            bool old =
                s->window.next > f->counter && s->window.next - f->counter > ROVEI_NET_WINDOW;
            ROVEI_CHECK(err == ROVE_E_REPLAY && (f->taken || old));
        }
    } else {
        ROVEI_CHECK(covered && with);
    }
    free(copy);
}

/* Every packet is taken once, if it was not changed and did not fall out of the window. */
static void check_session(world *w, rovei_reader *r)
{
    static flying ring[FLYING];
    static const uint8_t hash[32] = {7};
    rovei_net_session from, to;
    size_t count = 0;
    ROVEI_CHECK(rovei_net_session_init(&from, &w->env, hash, true) == ROVE_OK);
    ROVEI_CHECK(rovei_net_session_init(&to, &w->env, hash, false) == ROVE_OK);
    for (size_t deeds = 0; rovei_reader_left(r) && deeds < 256; deeds++) {
        uint8_t deed = rovei_read_u8(r);
        if (deed % 4 == 0 || !count)
            take_off(&from, &ring[count++ % FLYING], r);
        else if (deed % 4 == 1 && from.sent < UINT64_C(1) << 62)
            from.sent += UINT64_C(1) << (deed / 4 % 62);
        else
            land(&to, &ring[deed / 4 % (count < FLYING ? count : FLYING)], r);
    }
    rovei_net_session_fini(&from);
    rovei_net_session_fini(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    world w;
    world_init(&w);
    rovei_reader r = rovei_reader_of((rove_span){data + 1, size - 1});
    if (data[0] % 4 == 0)
        check_changed(&w, &r);
    else if (data[0] % 4 == 1)
        check_payload(&w, &r);
    else
        check_session(&w, &r);
    world_fini(&w);
    return 0;
}
