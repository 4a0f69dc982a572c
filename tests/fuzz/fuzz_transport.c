/* SPDX-License-Identifier: Apache-2.0
 *
 * A transport with streams of its own open and a peer that sends anything, while one allocation is
 * refused. The input is the number of that allocation, then a list of steps: frames of a packet as
 * they are, or something that the owner does. */
#include "support.h"

#include <mesh/frames.h>
#include <mesh/transport.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
    rovei_env env;
    rovei_transport *t;
    rovei_now now;
    uint64_t next; /* number of the peer's next packet */
    uint64_t sent; /* number of the last packet that was built */
    uint64_t opened;
    bool broken; /* the peer broke the protocol: the owner would end it here */
} world;

static void fill(void *user, void *ret, size_t size)
{
    (void)user;
    memset(ret, 7, size);
}

static void build_all(world *w)
{
    uint8_t out[600];
    size_t size, packets = 0;
    while ((size = rovei_transport_build(w->t, w->now, out, 300 + w->next % 300)) > 0) {
        ROVEI_CHECK(size <= 300 + w->next % 300 && ++packets < 100000);
        w->sent = rovei_load64(out);
        rovei_reader r = rovei_reader_of((rove_span){out + 8, size - 8});
        rovei_frame f;
        while (rovei_reader_left(&r) > 0)
            ROVEI_CHECK(rovei_frame_read(&r, &f) == ROVE_OK);
    }
    /* Nothing can be built, so the owner is not called at once for that. */
    rovei_transport_expire(w->t, w->now);
    while (rovei_transport_build(w->t, w->now, out, sizeof out) > 0) {
        w->sent = rovei_load64(out);
        ROVEI_CHECK(++packets < 100000);
    }
    ROVEI_CHECK(rovei_transport_deadline(w->t) > w->now.mono);
}

static void poll_all(world *w)
{
    rovei_transport_event e;
    while (rovei_transport_poll(w->t, &e)) {
        ROVEI_CHECK((e.kind == ROVEI_TRANSPORT_MESSAGE) == (e.message != NULL));
        rove_buf_unref(e.message);
    }
}

static void receive(world *w, uint64_t number, const uint8_t *frames, size_t size)
{
    uint8_t *packet = malloc(size + 8);
    ROVEI_CHECK(packet);
    rovei_store64(packet, number);
    if (size > 0)
        memcpy(packet + 8, frames, size);
    rove_err err = rovei_transport_receive(w->t, w->now, packet, size + 8);
    w->broken = rove_err_class_of(err) == ROVE_CLASS_PEER;
    free(packet);
}

static void owner(world *w, uint8_t what, uint8_t arg)
{
    static const uint8_t bytes[256];
    uint64_t id = w->opened > 0 ? 1 + arg % w->opened : 1;
    rove_buf *body = NULL;
    switch (what % 8) {
    case 0:
        w->opened += rovei_transport_open(w->t, arg, &id) == ROVE_OK;
        break;
    case 1:
        (void)!rovei_transport_send(w->t, id, (rove_span){bytes, arg}, NULL);
        break;
    case 2:
        if (rove_buf_new(&body, (rove_span){bytes, sizeof bytes}, NULL) == ROVE_OK)
            (void)!rovei_transport_send(w->t, id, (rove_span){bytes, arg}, body);
        rove_buf_unref(body);
        break;
    case 3:
        rovei_transport_finish(w->t, id);
        break;
    case 4:
        rovei_transport_reset(w->t, id);
        break;
    case 5:
        rovei_transport_ping(w->t);
        break;
    case 6:
        rovei_transport_wake(w->t, w->now);
        break;
    default:
        poll_all(w);
        break;
    }
}

/* Bytes of a stream of 12-byte messages; on stream 1 a large one comes first, on stream 8 they are
 * empty. */
static uint8_t pattern(uint64_t id, uint64_t at)
{
    static const uint8_t large[4] = {0x0c, 0x00, 0x01, 0x00};
    if (id == 8)
        return 0;
    if (id == 1 && at < sizeof large)
        return large[at];
    if (id == 1 && at < 0x10010)
        return (uint8_t)at;
    return at % 16 == 0 ? 12 : 0;
}

/* A frame that is nearly what an honest peer would send. */
static void stream_frame(world *w, uint8_t op, const uint8_t *arg)
{
    uint8_t data[256], out[512];
    size_t size = arg[0];
    uint64_t id = 1 + (op & 7u), offset = (uint64_t)arg[1] << (arg[2] & 15u);
    offset += arg[2] >> 4;
    for (size_t i = 0; i < size; i++)
        data[i] = pattern(id, offset + i);
    rovei_frame f = {
        .type = op & 8 ? ROVEI_FRAME_STREAM_FIN : ROVEI_FRAME_STREAM,
        .stream = {
            .stream = id, .offset = offset, .tag = 1, .fin = (op & 8u) != 0, .data = {data, size}}};
    if (op >= 0x50 && op < 0x58 && arg[2] >= 0xc0) /* words about our own streams */
        f = op & 1 ? (rovei_frame){.type = ROVEI_FRAME_REFUSED, .refused = id}
                   : (rovei_frame){.type = ROVEI_FRAME_MAX_STREAM_DATA,
                                   .max_stream_data = {id, offset + 65536}};
    else if (op >= 0x58 && arg[0] < 0x80)
        f = (rovei_frame){.type = ROVEI_FRAME_RESET,
                          .reset = {.stream = id, .final = offset, .tag = 1}};
    rovei_writer writer = rovei_writer_of(out, sizeof out);
    rovei_frame_write(&writer, &f);
    receive(w, w->next++, out, rovei_writer_size(&writer));
}

/* The last packet and, below a gap, some before it were received. */
static void acknowledge(world *w, uint8_t arg)
{
    uint64_t last = w->sent - (w->sent > (arg & 3u) ? arg & 3u : 0);
    uint64_t gap = 1 + (arg >> 2 & 3u), more = arg >> 4;
    rovei_frame f = {.type = ROVEI_FRAME_ACK, .ack = {.count = 1, .ranges = {{last, last}}}};
    if (last > gap + more + 1) {
        f.ack.count = 2;
        f.ack.ranges[1] = (rovei_range){last - gap - more - 1, last - gap - 1};
    }
    uint8_t frame[64];
    rovei_writer out = rovei_writer_of(frame, sizeof frame);
    rovei_frame_write(&out, &f);
    receive(w, w->next++, frame, rovei_writer_size(&out));
}

/* One step; gives how many bytes of the input it took. */
static size_t step(world *w, const uint8_t *data, size_t size)
{
    uint8_t op = data[0];
    if (op >= 0x40 && op < 0x60 && size >= 4) {
        stream_frame(w, op, data + 1);
        return 4;
    }
    if (op < 0x60) { /* the next packet of the peer, or an old or later one */
        size_t n = size > 1 ? data[1] : 0, head = size > 1 ? 2 : 1;
        n = n < size - head ? n : size - head;
        uint64_t number = op < 0x20 ? w->next++ : op < 0x30 ? op - 0x20u : w->next + op - 0x30u;
        receive(w, number, data + head, n);
        return head + n;
    }
    if (op < 0xc0) {
        owner(w, op, size > 1 ? data[1] : 0);
        return size > 1 ? 2 : 1;
    }
    if (op >= 0xe0 && w->sent > 0) { /* packets of ours came, all but a few */
        acknowledge(w, size > 1 ? data[1] : 0);
        return size > 1 ? 2 : 1;
    }
    if (op < 0xe0)
        w->now.mono += (uint64_t)(op - 0xbf) * (op - 0xbf) * ROVE_MILLISECOND;
    build_all(w);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fuzz_alloc memory;
    fuzz_alloc_init(&memory, SIZE_MAX);
    uint8_t first = data[0];
    data++;
    size--;
    world w = {.now = {.mono = ROVE_SECOND}, .next = 1};
    w.env.alloc = memory.alloc;
    w.env.rng = (rovei_rng){fill, NULL};
    rove_limits_init(&w.env.limits);
    w.env.limits.streams_max = first % 2 ? 3 : 16;
    w.env.limits.stream_window = 65536;
    w.env.limits.peer_window = 131072;
    ROVEI_CHECK(rovei_transport_new(&w.t, &w.env, w.now) == ROVE_OK);
    if (first >= 200)
        memory.fail_at = memory.calls + first - 200u;
    for (int i = 0; i < 5; i++)
        owner(&w, 0, (uint8_t)i);
    while (size > 0 && !w.broken) {
        size_t taken = step(&w, data, size);
        data += taken;
        size -= taken;
        rovei_transport_check(w.t);
    }
    rovei_transport_free(w.t);
    ROVEI_CHECK(memory.live == 0);
    return 0;
}
