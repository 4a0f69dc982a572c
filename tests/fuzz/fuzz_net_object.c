/* SPDX-License-Identifier: Apache-2.0
 *
 * The object of class net between a peer that the input leads, which has a session and so any
 * packet it likes, and another object, on a path that delays, doubles, changes and loses. Memory is
 * refused once. What one object is told of the other is what the other said. */
#include "support.h"

#include <base/buf.h>
#include <crypto/slab.h>
#include <net/net.h>
#include <net/peer.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OBJECTS 2
#define LED     2 /* the peer that is no object */
#define FLYING  16

typedef struct flying {
    size_t to, size;
    uint8_t bytes[512];
} flying;

typedef struct world {
    fuzz_alloc alloc;
    rovei_env env;
    uint64_t random;
    rovei_now now;
    rovei_keypair *id[LED + 1];
    uint64_t node_id[LED + 1];
    uint8_t secret[LED + 1][32], public_key[LED + 1][32], psk[32];
    rovei_net *net[OBJECTS];
    uint64_t said[OBJECTS];           /* messages that it was given to send to the other */
    rovei_net_stream stream[OBJECTS]; /* the one that was opened last */
    rovei_net_session session;
    flying ring[FLYING];
    size_t count;
} world;

static rovei_addr home(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 1};
}

static void fill(void *user, void *ret, size_t size)
{
    uint64_t *state = user;
    for (size_t i = 0; i < size; i++) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
        ((uint8_t *)ret)[i] = (uint8_t)(*state >> 56);
    }
}

static void list(world *w, size_t at, size_t who, bool dial)
{
    rovei_net_listing l = {
        .node_id = w->node_id[who], .has_key = dial, .has_addr = dial, .addr = home(who)};
    memcpy(l.key, w->public_key[who], sizeof l.key);
    rove_err err = rovei_net_list(w->net[at], w->now, &l);
    ROVEI_CHECK(err == ROVE_OK || err == ROVE_E_REFUSED || err == ROVE_E_NOMEM);
}

static void world_init(world *w)
{
    memset(w, 0, sizeof *w);
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    fuzz_alloc_init(&w->alloc, SIZE_MAX);
    w->random = 1;
    w->now = (rovei_now){.mono = ROVE_SECOND, .wall = 1000 * ROVE_SECOND};
    w->env = (rovei_env){.alloc = w->alloc.alloc, .rng = {fill, &w->random}};
    rove_limits_init(&w->env.limits);
    ROVEI_CHECK(rovei_slab_new(&w->env.slab, &w->env.alloc) == ROVE_OK);
    for (size_t i = 0; i <= LED; i++) {
        ROVEI_CHECK(rovei_keypair_generate(&w->id[i], &w->env) == ROVE_OK);
        ROVEI_CHECK(rovei_keypair_x25519(w->id[i], w->secret[i]) == ROVE_OK);
        rovei_x25519_public(w->public_key[i], w->secret[i]);
        w->node_id[i] = rovei_keypair_node_id(w->id[i]);
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        const rovei_net_config cfg = {.env = &w->env, .identity = w->id[i]};
        ROVEI_CHECK(rovei_net_new(&w->net[i], &cfg, w->now) == ROVE_OK);
    }
    list(w, 0, LED, false);
    list(w, 0, 1, true);
    list(w, 1, 0, true);
}

static void world_fini(world *w)
{
    rovei_net_session_fini(&w->session);
    for (size_t i = 0; i < OBJECTS; i++)
        rovei_net_free(w->net[i]);
    for (size_t i = 0; i <= LED; i++)
        rovei_keypair_unref(w->id[i]);
    ROVEI_CHECK(rovei_slab_used(w->env.slab) == 0);
    rovei_slab_free(w->env.slab);
    ROVEI_CHECK(w->alloc.live == 0);
}

static void poll(world *w, size_t at)
{
    rovei_net_event e;
    while (rovei_net_poll(w->net[at], &e)) {
        ROVEI_CHECK((e.kind == ROVEI_NET_MESSAGE || e.kind == ROVEI_NET_DATA) ==
                    (e.message != NULL));
        if (e.message && e.node_id == w->node_id[1 - at]) {
            rove_span said = rove_buf_span(e.message);
            if (e.kind == ROVEI_NET_DATA) {
                rovei_net_frames f = rovei_net_frames_of(said, e.events);
                ROVEI_CHECK(e.events == 1 && rovei_net_frames_next(&f, &said));
            }
            ROVEI_CHECK(said.size == 8 && rovei_load64(said.data) < w->said[1 - at]);
        }
        rove_buf_unref(e.message);
    }
    rovei_net_check(w->net[at]);
}

static void receive(world *w, size_t to, rovei_addr from, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    ROVEI_CHECK(exact);
    if (size)
        memcpy(exact, bytes, size);
    (void)rovei_net_receive(w->net[to], w->now, &from, exact, size);
    free(exact);
    poll(w, to);
}

static void take_off(world *w, size_t from)
{
    static uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr to;
    rovei_net_expire(w->net[from], w->now);
    size_t size = rovei_net_transmit(w->net[from], w->now, bytes, sizeof bytes, &to);
    rovei_addr other = home(1 - from);
    if (!size || size > sizeof w->ring[0].bytes || !rovei_addr_equal(&to, &other))
        return;
    flying *f = &w->ring[w->count++ % FLYING];
    *f = (flying){.to = 1 - from, .size = size};
    memcpy(f->bytes, bytes, size);
}

static void land(world *w, const flying *f, rovei_reader *r)
{
    uint8_t how = rovei_read_u8(r);
    flying copy = *f;
    if (how & 1)
        copy.bytes[rovei_read_u8(r) % f->size] ^= rovei_read_u8(r);
    receive(w, f->to, home(how & 2 ? 9 : 1 - f->to), copy.bytes, f->size);
}

static void carry_all(world *w)
{
    for (size_t i = 0; i < 12; i++) {
        size_t before = w->count;
        take_off(w, i % 2);
        if (w->count > before) {
            const flying *f = &w->ring[before % FLYING];
            receive(w, f->to, home(1 - f->to), f->bytes, f->size);
        }
    }
}

/* The peer that is led gets itself a session, a new one each time. */
static void lead_in(world *w, bool routed)
{
    const rovei_net_self self = {&w->env, w->node_id[LED], w->psk, w->secret[LED],
                                 w->public_key[LED]};
    rovei_net_handshake h;
    static uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size;
    rovei_addr to, own = home(LED);
    if (rovei_net_dial(&h, &self, w->node_id[0], w->public_key[0], routed, bytes, &size))
        return;
    receive(w, 0, own, bytes, size);
    rovei_net_packet p;
    while ((size = rovei_net_transmit(w->net[0], w->now, bytes, sizeof bytes, &to)) != 0) {
        if (!rovei_addr_equal(&to, &own) || rovei_net_packet_read(&p, (rove_span){bytes, size}) ||
            !rovei_net_dial_fits(&h, &p) || rovei_net_dial_end(&h, &p, bytes))
            continue;
        rovei_net_session_fini(&w->session);
        if (rovei_net_handshake_session(&h, &w->session))
            w->session.keys = NULL;
        break;
    }
    rovei_net_handshake_fini(&h);
}

/* A packet with any header and any text, rightly sealed. */
static void lead_packet(world *w, rovei_reader *r)
{
    static const uint16_t subprotocols[8] = {0, 0, 0x0500, 0x0A00, 0x0B00, 0x0B00, 0x0D00, 0x7000};
    static uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    const uint8_t flags = rovei_read_u8(r);
    const unsigned subprotocol = subprotocols[flags & 7] + (flags >> 6);
    const rovei_net_header h = {
        .flags = flags & (ROVEI_NET_FLAG_RELIABLE | ROVEI_NET_FLAG_HEARTBEAT),
        .subprotocol = (uint16_t)subprotocol,
        .stream = rovei_read_u8(r),
        .sequence = rovei_read_u8(r),
        .events = rovei_read_u8(r),
    };
    size_t size = rovei_read_u8(r);
    size = size < rovei_reader_left(r) ? size : rovei_reader_left(r);
    if (!w->session.keys)
        return;
    const rovei_net_route route = {.ttl = 1, .dest = w->node_id[0]};
    rovei_net_route_write(bytes, &route);
    uint8_t *inner = flags & ROVEI_NET_FLAG_HANDSHAKE ? bytes + ROVEI_NET_ROUTE_SIZE : bytes;
    rovei_read_bytes(r, inner + ROVEI_NET_HEADER_SIZE, size);
    size = rovei_net_session_seal(&w->session, &h, inner, size);
    receive(w, 0, home(LED), bytes, size + (size_t)(inner - bytes));
}

/* The same with one frame around the text. */
static void lead_event(world *w, rovei_reader *r)
{
    uint8_t text[256];
    size_t size = rovei_read_u8(r) % 64;
    uint16_t id = (uint16_t)(0x0B00 + size % 4);
    rovei_writer out = rovei_writer_of(text, sizeof text);
    size = size < rovei_reader_left(r) ? size : rovei_reader_left(r);
    ROVEI_CHECK(rovei_net_frame_write(&out, rovei_read_span(r, size)));
    const rovei_net_header h = {.subprotocol = id, .events = 1};
    uint8_t bytes[ROVEI_NET_OVERHEAD + sizeof text];
    if (!w->session.keys)
        return;
    memcpy(bytes + ROVEI_NET_HEADER_SIZE, text, rovei_writer_size(&out));
    size = rovei_net_session_seal(&w->session, &h, bytes, rovei_writer_size(&out));
    receive(w, 0, home(LED), bytes, size);
}

static void raw(world *w, rovei_reader *r)
{
    size_t size = rovei_read_u8(r);
    size = size < rovei_reader_left(r) ? size : rovei_reader_left(r);
    const rove_span bytes = rovei_read_span(r, size);
    receive(w, 0, home(LED), bytes.data, bytes.size);
}

static void say(world *w, size_t from)
{
    uint8_t number[8];
    rovei_store64(number, w->said[from]);
    w->said[from] += !rovei_net_send(w->net[from], w->now, w->node_id[1 - from], 0x0500,
                                     (rove_span){number, sizeof number});
}

/* The same on a stream. */
static void stream_say(world *w, size_t from, uint64_t id)
{
    uint8_t number[8];
    rovei_net_stream *s = &w->stream[from];
    rove_err err =
        rovei_net_stream_open(w->net[from], w->now, w->node_id[1 - from], id % 4, id & 4, s);
    ROVEI_CHECK(!err || rove_err_class_of(err) != ROVE_CLASS_PEER);
    rovei_store64(number, w->said[from]);
    if (s->node_id)
        w->said[from] +=
            !rovei_net_stream_send(w->net[from], w->now, s, (rove_span){number, sizeof number});
}

static void act(world *w, rovei_reader *r)
{
    uint8_t deed = rovei_read_u8(r), what = rovei_read_u8(r);
    switch (deed % 12) {
    case 0:
    case 1:
        take_off(w, what % 2);
        break;
    case 2:
    case 3:
        if (w->count)
            land(w, &w->ring[what % (w->count < FLYING ? w->count : FLYING)], r);
        break;
    case 4:
        carry_all(w);
        break;
    case 5:
        lead_in(w, what % 2);
        break;
    case 6:
    case 7:
        if (what % 4)
            lead_packet(w, r);
        else
            lead_event(w, r);
        break;
    case 8:
        raw(w, r);
        break;
    case 9:
        if (what < 128)
            say(w, what % 2);
        else
            stream_say(w, what % 2, what / 2);
        break;
    case 10:
        w->now.mono += what < 128 ? what * ROVE_MILLISECOND * 10 : (what - 127) * ROVE_SECOND;
        w->now.wall = 999 * ROVE_SECOND + w->now.mono;
        break;
    default:
        if (what < 8)
            rovei_net_fence(w->net[what % 2], w->now, w->node_id[1 - what % 2]);
        else if (what < 64)
            list(w, what % 2, 1 - what % 2, what & 2);
        else
            w->alloc.fail_at = w->alloc.calls + what % 16;
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        rovei_net_expire(w->net[i], w->now);
        poll(w, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w;
    world_init(&w);
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    for (size_t i = 0; rovei_reader_left(&r) > 1 && i < 200; i++)
        act(&w, &r);
    world_fini(&w);
    return 0;
}
