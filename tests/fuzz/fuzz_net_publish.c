/* SPDX-License-Identifier: Apache-2.0
 *
 * What a peer of class net says on streams of channels. The input is a list of steps: packets, and
 * a listener that is held and let go. Another listener takes all: what it gets are exactly the
 * events of the packets that are well formed, under numbers without a gap. The first one gets the
 * same ones, or a gap for exactly those that it missed. */
#include "support.h"

#include <base/buf.h>
#include <channel/feeds.h>
#include <channel/name.h>
#include <channel/publisher.h>
#include <crypto/crypto.h>
#include <crypto/slab.h>
#include <net/wire.h>
#include <node/core.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TAKER   1
#define HELD    2
#define NODES   2
#define STEP    (10 * ROVE_MILLISECOND)
#define CHANNEL "sensors/lidar"

static rovei_now now = {.mono = 1000 * ROVE_SECOND, .wall = 1000 * ROVE_SECOND};
static rovei_env env;
static rovei_node *nodes[NODES]; /* the publisher, and who listens */
static uint64_t ids[NODES];
static uint64_t numbers[HELD + 1]; /* the last that a listener was told of */
static bool subscribed[HELD + 1], held;

static rove_span channel(void)
{
    return (rove_span){CHANNEL, sizeof CHANNEL - 1};
}

static rovei_addr addr_of(size_t i)
{
    return (rovei_addr){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 4000};
}

/* ---- two nodes that have met ---- */

static void make_node(size_t i, uint8_t ret_key[32])
{
    rovei_node_config cfg = {.env = &env, .incarnation = 1, .net = true};
    uint8_t secret[32];
    do {
        rovei_keypair_unref(cfg.identity);
        ROVEI_CHECK(rovei_keypair_generate(&cfg.identity, &env) == ROVE_OK);
    } while (rovei_node_id_is_reserved(rovei_keypair_node_id(cfg.identity)));
    ids[i] = rovei_keypair_node_id(cfg.identity);
    ROVEI_CHECK(rovei_keypair_x25519(cfg.identity, secret) == ROVE_OK);
    rovei_x25519_public(ret_key, secret);
    ROVEI_CHECK(rovei_node_new(&nodes[i], &cfg, now) == ROVE_OK);
    rovei_keypair_unref(cfg.identity);
}

static void list(size_t at, size_t who, const uint8_t key[32])
{
    rovei_net_listing l = {.node_id = ids[who], .has_key = true, .has_addr = true};
    l.addr = addr_of(who);
    memcpy(l.key, key, sizeof l.key);
    ROVEI_CHECK(rovei_net_list(rovei_node_net(nodes[at]), now, &l) == ROVE_OK);
}

/* Its notes, until the packet's events are compared with them. */
typedef struct told {
    rovei_reader frames; /* of the packet; nothing else is published */
    uint64_t events;     /* that the taker got */
} told;

static void hear(const rovei_note *note, told *t)
{
    rove_span event;
    if (note->kind == ROVEI_NOTE_SUBSCRIBED && note->request <= HELD)
        subscribed[note->request] = !note->err;
    if (note->kind == ROVEI_NOTE_FEED_GAP) {
        ROVEI_CHECK(note->request == HELD && note->number == numbers[HELD] + 1);
        ROVEI_CHECK(note->value >= note->number);
        numbers[HELD] = note->value;
    }
    if (note->kind != ROVEI_NOTE_PUBLISHED)
        return;
    ROVEI_CHECK(note->request == TAKER || note->request == HELD);
    ROVEI_CHECK(note->number == numbers[note->request] + 1);
    numbers[note->request] = note->number;
    if (note->request != TAKER)
        return;
    event = rovei_read_span(&t->frames, rovei_read_u32(&t->frames));
    ROVEI_CHECK(rovei_reader_ok(&t->frames) && note->text.size == event.size);
    ROVEI_CHECK(!event.size || memcmp(note->text.data, event.data, event.size) == 0);
    t->events++;
}

static void drain(size_t i, told *t)
{
    rovei_note note;
    rovei_effect e;
    while (rovei_node_poll_effect(nodes[i], &e))
        rovei_effect_fini(&e);
    while (rovei_node_poll_note(nodes[i], &note)) {
        if (i == 1)
            hear(&note, t);
        rovei_note_fini(&note);
    }
}

static void carry(void)
{
    static uint8_t dgram[ROVEI_NET_DATAGRAM_MAX];
    rovei_addr to;
    told none = {0};
    for (size_t i = 0; i < NODES; i++) {
        rovei_addr from = addr_of(i);
        if (rovei_node_deadline(nodes[i]) <= now.mono)
            rovei_node_expire(nodes[i], now);
        rovei_node_turn(nodes[i], now);
        drain(i, &none);
        for (size_t n; (n = rovei_node_transmit(nodes[i], now, dgram, sizeof dgram, &to)) != 0;)
            (void)rovei_node_receive(nodes[1 - i], now, &from, dgram, n);
    }
    now.mono += STEP;
    now.wall += STEP;
}

static void make_nodes(void)
{
    uint8_t keys[NODES][32];
    ROVEI_CHECK(rovei_crypto_init() == ROVE_OK);
    env.alloc = rovei_alloc_libc;
    env.rng = rovei_rng_system;
    rove_limits_init(&env.limits);
    ROVEI_CHECK(rovei_slab_new(&env.slab, &env.alloc) == ROVE_OK);
    for (size_t i = 0; i < NODES; i++)
        make_node(i, keys[i]);
    for (size_t i = 0; i < NODES; i++)
        list(i, 1 - i, keys[1 - i]);
    rove_entity publisher = rovei_entity_of_net(ids[0]);
    for (unsigned n = 0; !rovei_node_reaches(nodes[1], &publisher); n++) {
        ROVEI_CHECK(n < 10000);
        carry();
    }
    rovei_channel_config c = {.name = channel()};
    ROVEI_CHECK(rovei_channels_create(nodes[0], now, &c, false) == ROVE_OK);
    for (uint64_t request = TAKER; request <= HELD; request++) {
        rovei_feed_order o = {.publisher = ids[0], .channel = channel(), .request = request};
        ROVEI_CHECK(rovei_feeds_subscribe(nodes[1], now, &o) == ROVE_OK);
    }
    for (unsigned n = 0; !subscribed[TAKER] || !subscribed[HELD]; n++) {
        ROVEI_CHECK(n < 10000);
        carry();
    }
}

/* ---- the steps ---- */

/* As the format says it: `count` times a length and so many bytes, and nothing behind. */
static bool is_well_formed(rove_span frames, uint16_t count)
{
    rovei_reader r = rovei_reader_of(frames);
    for (; count && rovei_reader_ok(&r); count--)
        (void)rovei_read_span(&r, rovei_read_u32(&r));
    return !count && rovei_reader_ok(&r) && !rovei_reader_left(&r);
}

static void packet(uint8_t what, rovei_reader *r)
{
    const uint64_t right = rovei_channel_stream(rovei_channel_hash(channel()));
    const uint64_t streams[] = {right, right, right ^ 1, right & ~rovei_channel_stream(0)};
    uint16_t count = rovei_read_u16(r);
    rove_span frames = rovei_read_span(r, rovei_read_u16(r) % (ROVEI_NET_PLAIN_MAX + 1));
    if (!rovei_reader_ok(r))
        return;
    uint64_t stream = streams[what >> 2 & 3], peer = ids[what >> 4 & 1];
    bool ours = stream == right && peer == ids[0], good = is_well_formed(frames, count);
    /* Behind other bytes, as it lies in its datagram. */
    size_t before = what >> 5;
    rove_buf *owner = rovei_buf_alloc(NULL, before + frames.size);
    ROVEI_CHECK(owner);
    uint8_t *at = (uint8_t *)rovei_buf_data(owner) + before;
    memset(rovei_buf_data(owner), 0xa5, before);
    if (frames.size)
        memcpy(at, frames.data, frames.size);
    uint64_t malformed = rovei_node_stats_get(nodes[1]).frames_malformed;
    told t = {.frames = rovei_reader_of(frames)};
    ROVEI_CHECK(rovei_feeds_net_data(nodes[1], now, peer, stream, 0, count,
                                     (rove_span){at, frames.size}, owner) == ours);
    rovei_feeds_turn(nodes[1], now);
    drain(1, &t);
    rove_buf_unref(owner);
    ROVEI_CHECK(t.events == (ours && good ? count : 0));
    ROVEI_CHECK(held || !t.events || numbers[HELD] == numbers[TAKER]);
    ROVEI_CHECK(rovei_node_stats_get(nodes[1]).frames_malformed - malformed == (ours && !good));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!nodes[0])
        make_nodes();
    rovei_reader r = rovei_reader_of((rove_span){data, size});
    while (rovei_reader_left(&r) && rovei_reader_ok(&r)) {
        uint8_t what = rovei_read_u8(&r);
        if ((what & 3) == 0) {
            held = what & 4;
            rovei_feeds_hold(nodes[1], now, HELD, held);
            rovei_feeds_turn(nodes[1], now);
        } else {
            packet(what, &r);
        }
        rovei_feeds_check(nodes[1]);
        ROVEI_CHECK(numbers[HELD] <= numbers[TAKER]);
    }
    return 0;
}
