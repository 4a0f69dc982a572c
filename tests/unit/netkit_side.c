/* SPDX-License-Identifier: Apache-2.0
 *
 * A puppet's side of a session, and what tests ask. */
#include "netkit.h"

const rovei_addr kit_elsewhere = {.family = 4, .ip = {10, 9, 9, 9}, .port = 999};

rove_err kit_say(kit *k, size_t from, size_t to, size_t size)
{
    static const uint8_t bytes[ROVEI_NET_MESSAGE_MAX + 1];
    return rovei_net_send(k->nodes[from].net, k->now, k->nodes[to].node_id, 0x0500,
                          (rove_span){bytes, size});
}

uint64_t kit_drops(const kit *k, size_t i, rovei_net_drop reason)
{
    return rovei_net_stats_get(k->nodes[i].net).drops[reason];
}

bool kit_is_sent_to(const kit *k, const rovei_addr *addr)
{
    rovei_net_info info = kit_info(k, 0, 1);
    return rovei_addr_equal(&info.addr, addr);
}

/* ---- a puppet's side of a session ---- */

void side_dial(kit *k, side *d, size_t self, size_t peer, bool routed)
{
    *d = (side){.self = self, .peer = peer};
    assert_ok(rovei_net_dial(&d->h, &k->nodes[self].self, k->nodes[peer].node_id,
                             k->nodes[peer].public_key, routed, d->first, &d->first_size));
    kit_inject(k, peer, &k->nodes[self].addr, d->first, d->first_size);
}

void side_finish(kit *k, side *d)
{
    rovei_net_packet p;
    size_t count = 0;
    while (kit_got(k, d->self, HANDSHAKE, count, &p))
        count++;
    assert_true(count > 0);
    const kit_packet *last = kit_got(k, d->self, HANDSHAKE, count - 1, &p);
    assert_true(rovei_net_dial_fits(&d->h, &p));
    assert_ok(rovei_net_dial_end(&d->h, &p, last->bytes));
    assert_ok(rovei_net_handshake_session(&d->h, &d->s));
    rovei_net_handshake_fini(&d->h);
}

void side_answer(kit *k, side *d, size_t self, size_t peer, size_t nth)
{
    rovei_net_packet p;
    *d = (side){.self = self, .peer = peer};
    kit_packet *got = kit_got(k, self, HANDSHAKE, nth, &p);
    assert_non_null(got);
    if (p.routed) {
        assert_ok(rovei_net_answer_routed(&d->h, &k->nodes[self].self, &p, got->bytes));
    } else {
        assert_ok(rovei_net_answer_direct(&d->h, &k->nodes[self].self, &p, got->bytes));
        assert_ok(rovei_net_answer_try(&d->h, k->nodes[peer].node_id));
    }
    assert_int_equal(d->h.peer, k->nodes[peer].node_id);
    uint8_t bytes[ROVEI_NET_HANDSHAKE_MAX];
    size_t size;
    assert_ok(rovei_net_answer_write(&d->h, bytes, &size));
    assert_ok(rovei_net_handshake_session(&d->h, &d->s));
    rovei_net_handshake_fini(&d->h);
    kit_inject(k, peer, &k->nodes[self].addr, bytes, size);
}

size_t side_seal(side *d, uint8_t *ret, uint16_t subprotocol, const char *event)
{
    rovei_writer w = rovei_writer_of(ret + ROVEI_NET_HEADER_SIZE, ROVEI_NET_PLAIN_MAX);
    assert_true(rovei_net_frame_write(&w, span_of(event)));
    const rovei_net_header h = {.subprotocol = subprotocol, .stream = subprotocol, .events = 1};
    return rovei_net_session_seal(&d->s, &h, ret, rovei_writer_size(&w));
}

void side_say(kit *k, side *d, uint16_t subprotocol, const char *event)
{
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
    size_t size = side_seal(d, bytes, subprotocol, event);
    kit_inject(k, d->peer, &k->nodes[d->self].addr, bytes, size);
}

void side_beat_from(kit *k, side *d, const rovei_addr *from)
{
    uint8_t bytes[ROVEI_NET_OVERHEAD];
    rovei_net_session_heartbeat(&d->s, bytes);
    kit_inject(k, d->peer, from, bytes, sizeof bytes);
}

size_t side_opened(kit *k, side *d, uint8_t flag)
{
    size_t count = 0;
    rovei_net_packet p;
    for (size_t i = 0;; i++) {
        kit_packet *got = kit_got(k, d->self, flag, i, &p);
        if (!got)
            return count;
        rove_span text;
        uint8_t copy[ROVEI_NET_DATAGRAM_MAX];
        memcpy(copy, got->bytes, got->size);
        if (p.header.session == d->s.id && !rovei_net_session_open(&d->s, &p, copy, &text))
            count++;
    }
}

void side_fini(side *d)
{
    rovei_net_handshake_fini(&d->h);
    rovei_net_session_fini(&d->s);
}

void side_begin(kit *k, side *d, bool routed)
{
    kit_init(k, 2);
    kit_make_puppet(k, 1);
    kit_list(k, 0, 1, false);
    side_dial(k, d, 1, 0, routed);
    kit_run(k, 10 * ROVE_MILLISECOND);
    side_finish(k, d);
}
