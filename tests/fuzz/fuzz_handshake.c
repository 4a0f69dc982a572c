/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake as somebody with the psk can feed it: payloads by themselves; payloads sealed into
 * real messages; whole datagrams whose mac is made right, given to a mesh that is dialling; and two
 * meshes whose datagrams are delayed, doubled, changed and carried elsewhere. */
#include "support.h"

#include <crypto/slab.h>
#include <mesh/handshake.h>
#include <mesh/mesh.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
    fuzz_alloc alloc;
    rovei_env env;
    uint64_t random;
    rovei_keypair *id[2];
    uint8_t secret[2][32], public_key[2][32], psk[32];
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
        ROVEI_CHECK(rovei_keypair_generate(&w->id[i], &w->env) == ROVE_OK);
        ROVEI_CHECK(rovei_keypair_x25519(w->id[i], w->secret[i]) == ROVE_OK);
        rovei_x25519_public(w->public_key[i], w->secret[i]);
    }
}

static void world_fini(world *w)
{
    rovei_keypair_unref(w->id[0]);
    rovei_keypair_unref(w->id[1]);
    rovei_slab_free(w->env.slab);
    ROVEI_CHECK(w->alloc.live == 0);
}

static void check_payload(const uint8_t *data, size_t size, bool answer)
{
    rovei_hello h;
    if (rovei_hello_read(&h, (rove_span){data, size}, answer))
        return;
    uint8_t back[ROVEI_ANSWER_SIZE];
    rovei_writer w = rovei_writer_of(back, sizeof back);
    rovei_hello_write(&w, &h, answer);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == size);
    ROVEI_CHECK(memcmp(back, data, size) == 0);
    uint16_t version = rovei_hello_choose(&h);
    ROVEI_CHECK(!version || (version >= h.version_min && version <= h.version_max));
}

static void start(world *w, rovei_noise *n, bool initiator)
{
    int self = initiator ? 0 : 1;
    const rovei_noise_keys keys = {w->secret[self], w->public_key[self], w->public_key[1], w->psk};
    ROVEI_CHECK(rovei_handshake_init(n, &w->env, initiator, &keys) == ROVE_OK);
}

/* The payload with the sender's real entity and version where the input says so, so that what comes
 * behind those checks is reached. */
static void payload_of(const world *w, int self, const uint8_t *data, size_t size, uint8_t *ret,
                       size_t ret_size)
{
    memset(ret, 0, ret_size);
    memcpy(ret, data, size < ret_size ? size : ret_size);
    if (size && data[0] & 1)
        memcpy(ret, rovei_keypair_entity(w->id[self])->bytes, 32);
    if (size && data[0] & 2)
        for (size_t i = 56; i < ret_size; i += 2)
            rovei_store16(ret + i, 1);
}

static void mac(uint8_t *dgram, size_t size, const uint8_t psk[32], const rove_entity *receiver)
{
    uint8_t key[32], digest[32];
    const size_t covered = size - 2 * ROVEI_MAC_SIZE;
    rovei_mac_key(key, psk, receiver);
    rovei_blake2s_mac(digest, key, sizeof key, dgram, covered);
    memcpy(dgram + covered, digest, ROVEI_MAC_SIZE);
    memset(dgram + covered + ROVEI_MAC_SIZE, 0, ROVEI_MAC_SIZE);
}

/* Any payload in a message that Noise made: only one that is right is taken, and it comes back as
 * it was. */
static void check_sealed(const uint8_t *data, size_t size)
{
    world w;
    world_init(&w);
    rovei_noise a, b;
    start(&w, &a, true);
    start(&w, &b, false);
    uint8_t dgram[ROVEI_INITIATION_SIZE], payload[ROVEI_ANSWER_SIZE];
    rovei_packet p;
    rovei_hello h;
    const rove_entity *entity[2] = {rovei_keypair_entity(w.id[0]), rovei_keypair_entity(w.id[1])};

    payload_of(&w, 0, data, size, payload, ROVEI_HELLO_SIZE);
    rovei_writer out = rovei_writer_of(dgram, sizeof dgram);
    rovei_packet_write_initiation(&out, 1);
    rovei_noise_bind(&a, (rove_span){dgram, ROVEI_INITIATION_HEADER});
    ROVEI_CHECK(rovei_noise_write(&a, (rove_span){payload, ROVEI_HELLO_SIZE}, out.at) == ROVE_OK);
    mac(dgram, ROVEI_INITIATION_SIZE, w.psk, entity[1]);
    ROVEI_CHECK(rovei_packet_read(&p, (rove_span){dgram, ROVEI_INITIATION_SIZE}) == ROVE_OK);
    if (rovei_initiation_read(&b, &p, &h) == ROVE_OK)
        ROVEI_CHECK(rovei_entity_equal(&h.entity, entity[0]));

    size_t skip = size < 32 ? size : 32;
    payload_of(&w, 1, data + skip, size - skip, payload, ROVEI_ANSWER_SIZE);
    out = rovei_writer_of(dgram, ROVEI_RESPONSE_SIZE);
    rovei_packet_write_response(&out, 2, 1);
    rovei_noise_bind(&b, (rove_span){dgram, ROVEI_RESPONSE_HEADER});
    ROVEI_CHECK(rovei_noise_write(&b, (rove_span){payload, ROVEI_ANSWER_SIZE}, out.at) == ROVE_OK);
    mac(dgram, ROVEI_RESPONSE_SIZE, w.psk, entity[0]);
    ROVEI_CHECK(rovei_packet_read(&p, (rove_span){dgram, ROVEI_RESPONSE_SIZE}) == ROVE_OK);
    if (rovei_response_read(&a, &p, entity[1], &h) == ROVE_OK)
        ROVEI_CHECK(h.version >= h.version_min && h.version <= h.version_max);
    rovei_noise_fini(&a);
    rovei_noise_fini(&b);
    world_fini(&w);
}

/* A datagram from the input: as it stands, or in the form of one kind with its mac made right, or a
 * real message 1 around a payload of the input. */
static size_t datagram_of(world *w, rovei_reader *r, uint32_t opening, uint8_t ret[256])
{
    uint8_t kind = rovei_read_u8(r);
    size_t size = rovei_read_u8(r);
    if (size > rovei_reader_left(r))
        size = rovei_reader_left(r);
    memset(ret, 0, 256);
    rovei_writer out = rovei_writer_of(ret, 256);
    const uint8_t *rest = r->at;
    rovei_noise n;
    switch (kind % 5) {
    case 0:
        rovei_read_bytes(r, ret, size);
        return size;
    case 1:
        rovei_read_bytes(r, ret + ROVEI_INITIATION_HEADER, size < 160 ? size : 160);
        rovei_packet_write_initiation(&out, kind);
        size = ROVEI_INITIATION_SIZE;
        break;
    case 2:
        rovei_read_bytes(r, ret + ROVEI_RESPONSE_HEADER, size < 120 ? size : 120);
        rovei_packet_write_response(&out, kind, kind & 64 ? opening : kind);
        size = ROVEI_RESPONSE_SIZE;
        break;
    case 3:
        rovei_read_bytes(r, ret + ROVEI_DATA_HEADER, size < 200 ? size : 200);
        rovei_packet_write_data(&out, kind, kind);
        return ROVEI_DATA_HEADER + (size < 200 ? size : 200);
    default: {
        uint8_t payload[ROVEI_HELLO_SIZE];
        rovei_read_span(r, size);
        payload_of(w, 0, rest, size, payload, sizeof payload);
        start(w, &n, true);
        rovei_packet_write_initiation(&out, kind);
        rovei_noise_bind(&n, (rove_span){ret, ROVEI_INITIATION_HEADER});
        ROVEI_CHECK(rovei_noise_write(&n, (rove_span){payload, sizeof payload}, out.at) == ROVE_OK);
        rovei_noise_fini(&n);
        size = ROVEI_INITIATION_SIZE;
    }
    }
    if (!(kind & 128))
        mac(ret, size, w->psk, rovei_keypair_entity(w->id[1]));
    return size;
}

/* Datagrams one after the other, given to a mesh that is dialling. */
static void check_mesh(const uint8_t *data, size_t size)
{
    world w;
    world_init(&w);
    const rovei_now now = {.mono = ROVE_SECOND, .wall = 1000 * ROVE_SECOND};
    const rovei_addr addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = 1};
    rovei_mesh_config cfg = {.env = &w.env, .identity = w.id[1], .incarnation = 1};
    rovei_mesh *m;
    ROVEI_CHECK(rovei_mesh_new(&m, &cfg, now) == ROVE_OK);
    ROVEI_CHECK(rovei_mesh_connect(m, now, rovei_keypair_entity(w.id[0]), &addr) == ROVE_OK);
    uint8_t out[1500], dgram[256];
    rovei_addr to;
    ROVEI_CHECK(rovei_mesh_transmit(m, now, out, sizeof out, &to) == ROVEI_INITIATION_SIZE);
    uint32_t opening = rovei_load32(out + 4);
    uint64_t count = 0;
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    for (; rovei_reader_left(&r) > 1 && count < 16; count++) {
        size_t length = datagram_of(&w, &r, opening, dgram);
        uint8_t *exact = malloc(length ? length : 1);
        ROVEI_CHECK(exact);
        memcpy(exact, dgram, length);
        rovei_mesh_receive(m, now, &addr, exact, length);
        free(exact);
        rovei_mesh_check(m);
        while (rovei_mesh_transmit(m, now, out, sizeof out, &to))
            ;
    }
    ROVEI_CHECK(rovei_mesh_stats_get(m).datagrams_received == count);
    rovei_mesh_free(m);
    world_fini(&w);
}

/* ---- two meshes and a path that the input decides about ---- */

#define FLYING 16

typedef struct flying {
    size_t to, size;
    uint8_t bytes[1500];
} flying;

typedef struct pair {
    world w;
    rovei_env env[2];
    rovei_mesh *m[2];
    rovei_now now;
    flying ring[FLYING];
    size_t count;
} pair;

static const rovei_addr homes[2] = {{.family = 4, .ip = {10, 0, 0, 1}, .port = 1},
                                    {.family = 4, .ip = {10, 0, 0, 2}, .port = 1}};

static void take_off(pair *p, size_t from)
{
    flying *f = &p->ring[p->count % FLYING];
    rovei_addr to;
    rovei_mesh_expire(p->m[from], p->now);
    f->size = rovei_mesh_transmit(p->m[from], p->now, f->bytes, sizeof f->bytes, &to);
    f->to = 1 - from;
    p->count += f->size > 0;
}

static void land(pair *p, const flying *f, uint8_t how, uint8_t what)
{
    uint8_t *exact = malloc(f->size);
    ROVEI_CHECK(exact);
    memcpy(exact, f->bytes, f->size);
    if (how & 1)
        exact[what % f->size] ^= (uint8_t)(1 + what / 2);
    rovei_addr from = homes[1 - f->to];
    if (how & 2)
        from.port = (uint16_t)(2 + what % 3);
    rovei_mesh_receive(p->m[f->to], p->now, &from, exact, f->size);
    free(exact);
    rovei_mesh_event e;
    while (rovei_mesh_poll(p->m[f->to], &e))
        rove_buf_unref(e.message);
    rovei_mesh_check(p->m[f->to]);
}

/* Everything arrives, for a few rounds. */
static void carry_all(pair *p)
{
    for (size_t i = 0; i < 8; i++) {
        size_t before = p->count;
        take_off(p, i % 2);
        if (p->count > before)
            land(p, &p->ring[before % FLYING], 0, 0);
    }
}

static void check_pair(const uint8_t *data, size_t size)
{
    static pair p;
    memset(&p, 0, sizeof p);
    world_init(&p.w);
    p.now = (rovei_now){.mono = ROVE_SECOND, .wall = 1000 * ROVE_SECOND};
    for (size_t i = 0; i < 2; i++) {
        p.env[i] = p.w.env;
        p.env[i].limits.handshake_load = 2;
        p.env[i].limits.handshake_source = 1;
        rovei_mesh_config cfg = {.env = &p.env[i], .identity = p.w.id[i], .incarnation = 1};
        ROVEI_CHECK(rovei_mesh_new(&p.m[i], &cfg, p.now) == ROVE_OK);
    }
    for (size_t i = 0; i < 2; i++)
        ROVEI_CHECK(rovei_mesh_connect(p.m[i], p.now, rovei_keypair_entity(p.w.id[1 - i]),
                                       &homes[1 - i]) == ROVE_OK);
    for (size_t i = 0; i + 1 < size && i < 256; i += 2) {
        uint8_t deed = data[i], what = data[i + 1];
        if (deed < 96)
            take_off(&p, deed % 2);
        else if (deed < 128)
            carry_all(&p);
        else if (deed < 224 && p.count)
            land(&p,
                 &p.ring[(deed < 192 ? p.count - 1 : what) % (p.count < FLYING ? p.count : FLYING)],
                 deed % 8 < 5 ? 0 : deed % 4, what);
        else
            p.now.mono += what < 128 ? what * ROVE_MILLISECOND : (what - 127) * ROVE_SECOND / 8;
        p.now.wall = 999 * ROVE_SECOND + p.now.mono;
    }
    for (size_t i = 0; i < 2; i++) {
        rovei_mesh_check(p.m[i]);
        rovei_mesh_free(p.m[i]);
    }
    world_fini(&p.w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    uint8_t mode = data[0] % 8;
    data++;
    size--;
    if (mode == 6)
        check_sealed(data, size);
    else if (mode == 7)
        check_mesh(data, size);
    else if (mode == 5)
        check_pair(data, size);
    else
        check_payload(data, size, mode % 2);
    return 0;
}
