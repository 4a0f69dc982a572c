/* SPDX-License-Identifier: Apache-2.0
 *
 * The streams of a session of class net with a peer that sends anything. The input is a list of
 * steps: packets with events, events of control packets, packets that the owner sends, and time.
 * What decodes is written to the same bytes; what is sent decodes. */
#include "support.h"

#include <net/flow.h>
#include <net/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 7, size);
}

static void round_trip(uint16_t id, rove_span event)
{
    rovei_flow_message m;
    if (rovei_flow_read(id, event, &m))
        return;
    uint8_t out[ROVEI_FLOW_RANGES_HEAD + ROVEI_FLOW_RANGES_MAX * ROVEI_FLOW_RANGE_SIZE];
    rovei_writer w = rovei_writer_of(out, sizeof out);
    rovei_flow_write(&w, &m);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_size(&w) == event.size);
    ROVEI_CHECK(memcmp(out, event.data, event.size) == 0);
}

static void drain(rovei_flow *f, uint64_t now)
{
    static uint8_t plain[ROVEI_NET_PLAIN_MAX];
    rovei_flow_out out;
    for (unsigned n = 0; rovei_flow_transmit(f, now, plain, &out); n++) {
        ROVEI_CHECK(n < 10000 && out.size <= sizeof plain);
        if (!out.subprotocol)
            continue;
        rovei_net_frames frames = rovei_net_frames_of((rove_span){plain, out.size}, out.events);
        rove_span event;
        uint16_t count = 0;
        rovei_flow_message m;
        for (; rovei_net_frames_next(&frames, &event); count++)
            ROVEI_CHECK(rovei_flow_read(out.subprotocol, event, &m) == ROVE_OK);
        ROVEI_CHECK(count > 0 && count == out.events);
    }
    ROVEI_CHECK(!rovei_flow_ready(f));
    rovei_flow_event e;
    for (unsigned n = 0; rovei_flow_poll(f, &e); n++)
        ROVEI_CHECK(n < 10000);
}

static void step(rovei_flow *f, uint64_t *now, rovei_reader *r)
{
    uint8_t what = rovei_read_u8(r);
    uint8_t which = rovei_read_u8(r);
    uint64_t stream = which % 8 | (which & 0x10 ? ROVEI_FLOW_PUBLISH_BIT : 0);
    if (what % 4 == 0) {
        uint64_t sequence = what & 0x40 ? rovei_read_u64(r) : rovei_read_u8(r);
        (void)rovei_flow_receive_packet(f, *now, stream, sequence, what & 0x80,
                                        rovei_read_u16(r) % ROVEI_NET_PLAIN_MAX);
    } else if (what % 4 == 1) {
        uint16_t id = (uint16_t)(ROVEI_FLOW_WINDOW_ID + which % 8 % 5);
        rove_span event = rovei_read_span(r, rovei_read_u8(r));
        if (!rovei_reader_ok(r))
            return;
        round_trip(id, event);
        rovei_flow_receive_control(f, *now, id, event);
    } else if (what % 4 == 2) {
        static const uint8_t bytes[ROVEI_NET_PLAIN_MAX];
        if (what & 0x20) {
            uint16_t count = 1 + rovei_read_u16(r) % ROVEI_NET_EVENTS_MAX;
            const rovei_flow_frames empty = {{bytes, ROVEI_NET_FRAME_HEAD * (size_t)count}, count};
            if (what & 0x10)
                (void)rovei_flow_publish_waiting(f, *now, stream, what & 0x80, &empty);
            else
                (void)rovei_flow_publish(f, *now, stream, what & 0x80, &empty);
            (void)rovei_flow_publish_is_full(f, stream);
            return;
        }
        (void)rovei_flow_open(f, stream, what & 0x80, what & 0x40 ? 4096 : ROVEI_FLOW_WINDOW);
        (void)rovei_flow_put(f, *now, stream, (rove_span){bytes, rovei_read_u16(r) % sizeof bytes});
    } else {
        *now += rovei_read_u16(r) * ROVE_MILLISECOND / 8;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_alloc a;
    fuzz_alloc_init(&a, data[0] ? data[0] : SIZE_MAX);
    rovei_env env = {.alloc = a.alloc, .rng = {fill, NULL}};
    rove_limits_init(&env.limits);
    env.limits.net_streams = 5;
    rovei_flow_stats stats = {0};
    rovei_flow f;
    rovei_flow_init(&f, &env, &stats);
    uint64_t now = ROVE_SECOND;
    rovei_reader r = rovei_reader_of((rove_span){data + 1, size - 1});
    while (rovei_reader_left(&r) > 0 && rovei_reader_ok(&r)) {
        step(&f, &now, &r);
        rovei_flow_expire(&f, now);
        rovei_flow_check(&f);
        drain(&f, now);
        rovei_flow_check(&f);
    }
    rovei_flow_fini(&f);
    ROVEI_CHECK(a.live == 0);
    return 0;
}
