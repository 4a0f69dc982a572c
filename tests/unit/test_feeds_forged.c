/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets of class net that pretend to be a channel's: node 1 listens to "c" of node 0, and nodes 0
 * and 2 say what no honest publisher says. Each has its outcome: a counter, or events once each. */
#include "moves_world.h"

#include <channel/feeds.h>
#include <channel/name.h>
#include <channel/publisher.h>
#include <net/peer.h>

#define REQUEST 5

static world w;

typedef struct outcome {
    uint64_t heard, unwanted, malformed, replayed, unformed;
} outcome;

static uint64_t id_of(size_t node)
{
    return rovei_entity_node_id(&w.nodes[node].entity);
}

static uint64_t stream_of(const char *name)
{
    return rovei_channel_stream(rovei_channel_hash(span_of(name)));
}

static size_t heard(const rovei_note **ret)
{
    size_t count = 0;
    *ret = NULL;
    for (size_t i = 0; i < w.nodes[1].note_count; i++) {
        if (w.nodes[1].notes[i].kind != ROVEI_NOTE_PUBLISHED)
            continue;
        *ret = &w.nodes[1].notes[i];
        count++;
    }
    return count;
}

/* All that node 1 has counted. */
static outcome counted(void)
{
    const rovei_note *last;
    rovei_node *n = w.nodes[1].node;
    rovei_net_stats net = rovei_net_stats_get(rovei_node_net(n));
    return (outcome){.heard = heard(&last),
                     .unwanted = rovei_node_stats_get(n).net_data_dropped,
                     .malformed = rovei_node_stats_get(n).frames_malformed,
                     .replayed = net.drops[ROVEI_NET_DROP_REPLAY],
                     .unformed = net.drops[ROVEI_NET_DROP_FORMAT]};
}

/* What was counted since `before` is this, and nothing else. */
static void assert_since(const outcome *before, outcome wanted)
{
    outcome now = counted();
    assert_int_equal(now.heard - before->heard, wanted.heard);
    assert_int_equal(now.unwanted - before->unwanted, wanted.unwanted);
    assert_int_equal(now.malformed - before->malformed, wanted.malformed);
    assert_int_equal(now.replayed - before->replayed, wanted.replayed);
    assert_int_equal(now.unformed - before->unformed, wanted.unformed);
    rovei_feeds_check(w.nodes[1].node);
}

/* A datagram that a node's session with node 1 has sealed, whatever its header says. */
typedef struct datagram {
    size_t from, size;
    uint8_t bytes[ROVEI_NET_DATAGRAM_MAX];
} datagram;

static datagram seal(size_t from, const rovei_net_header *h, rove_span text)
{
    datagram d = {.from = from};
    rovei_net_link *l = rovei_net_link_of(w.nodes[from].node->net, id_of(1));
    assert_true(l && l->current && text.size <= ROVEI_NET_PLAIN_MAX);
    if (text.size)
        memcpy(d.bytes + ROVEI_NET_HEADER_SIZE, text.data, text.size);
    d.size = rovei_net_session_seal(&l->current->session, h, d.bytes, text.size);
    return d;
}

/* Brings the first `size` bytes of it to node 1. */
static void bring(const datagram *d, size_t size)
{
    datagram copy = *d; /* it is opened in place */
    rovei_net_info info;
    assert_ok(rovei_net_peer(w.nodes[1].node->net, id_of(d->from), &info));
    rovei_node_receive(w.nodes[1].node, w.now, &info.addr, copy.bytes, size);
    world_run(&w, 20 * ROVE_MILLISECOND);
}

static void forge(size_t from, const rovei_net_header *h, rove_span text)
{
    datagram d = seal(from, h, text);
    bring(&d, d.size);
}

static const char two[] = "\1\0\0\0a\2\0\0\0bc";
static const rove_span frames = {two, sizeof two - 1};

static void listen_to(const char *name)
{
    rovei_channel_config c = {.name = span_of(name)};
    rovei_feed_order o = {.publisher = id_of(0), .channel = span_of(name), .request = REQUEST};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
    assert_ok(rovei_feeds_subscribe(w.nodes[1].node, w.now, &o));
    world_run(&w, 200 * ROVE_MILLISECOND);
}

static int setup(void **state)
{
    (void)state;
    world_init_apart(&w, 3);
    world_run(&w, 12 * ROVE_SECOND);
    listen_to("c");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rovei_node_check(w.nodes[1].node);
    world_fini(&w);
    return 0;
}

/* Only the session says whose the events are: what the header says of origin and channel beside the
 * stream counts for nothing. */
static void a_forged_origin(void **state)
{
    (void)state;
    outcome before = counted();
    const rovei_note *note;
    forge(0,
          &(rovei_net_header){.stream = stream_of("c"),
                              .events = 2,
                              .origin = rovei_entity_origin(&w.nodes[2].entity),
                              .channel = 0xffff},
          frames);
    assert_since(&before, (outcome){.heard = 2});
    heard(&note);
    assert_int_equal(rovei_entity_node_id(&note->peer), id_of(0));
    assert_int_equal(note->number, 2);
    assert_memory_equal(note->text.data, "bc", 2);
}

/* The publisher's origin and channel from a node that is not the publisher. */
static void of_another_node(void **state)
{
    (void)state;
    outcome before = counted();
    forge(2,
          &(rovei_net_header){.stream = stream_of("c"),
                              .events = 2,
                              .origin = rovei_entity_origin(&w.nodes[0].entity),
                              .channel = (uint16_t)stream_of("c")},
          frames);
    assert_since(&before, (outcome){.unwanted = 1});
}

/* Channels that this node has not joined, that there are not, and a stream that is no channel's. */
static void of_another_channel(void **state)
{
    (void)state;
    rovei_channel_config c = {.name = span_of("d")};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
    outcome before = counted();
    forge(0, &(rovei_net_header){.stream = stream_of("d"), .events = 2}, frames);
    forge(0, &(rovei_net_header){.stream = stream_of("no/such"), .events = 2}, frames);
    forge(0, &(rovei_net_header){.stream = stream_of("c") ^ 1, .events = 2}, frames);
    assert_since(&before, (outcome){.unwanted = 3});
    uint64_t bare = stream_of("c") & ~rovei_channel_stream(0);
    forge(0, &(rovei_net_header){.stream = bare, .events = 2}, frames);
    forge(0, &(rovei_net_header){.stream = 0, .events = 2}, frames);
    assert_since(&before, (outcome){.unwanted = 5});
}

/* Before the publisher has accepted, and after the last listener has left. */
static void not_subscribed(void **state)
{
    (void)state;
    rovei_feed_order o = {.publisher = id_of(0), .channel = span_of("late"), .request = 6};
    rovei_channel_config c = {.name = span_of("late")};
    assert_ok(rovei_channels_create(w.nodes[0].node, w.now, &c, false));
    world_cut(&w, 0, 1, true); /* what it asks does not come there */
    assert_ok(rovei_feeds_subscribe(w.nodes[1].node, w.now, &o));
    outcome before = counted();
    forge(0, &(rovei_net_header){.stream = stream_of("late"), .events = 2}, frames);
    assert_since(&before, (outcome){.unwanted = 1});
    o = (rovei_feed_order){.publisher = id_of(0), .channel = span_of("c"), .request = REQUEST};
    assert_ok(rovei_feeds_unsubscribe(w.nodes[1].node, w.now, &o));
    forge(0, &(rovei_net_header){.stream = stream_of("c"), .events = 2}, frames);
    assert_since(&before, (outcome){.unwanted = 2});
}

/* Cut short on the way: none of it authenticates. Cut short by who sealed it: its frames are not
 * what it says. Neither takes numbers from the events that follow. */
static void truncated(void **state)
{
    (void)state;
    outcome before = counted();
    rovei_net_header h = {.stream = stream_of("c"), .events = 2};
    datagram d = seal(0, &h, frames);
    bring(&d, d.size - 1);
    bring(&d, ROVEI_NET_HEADER_SIZE + 1);
    bring(&d, ROVEI_NET_HEADER_SIZE);
    assert_since(&before, (outcome){.unformed = 3});
    bring(&d, d.size);
    assert_since(&before, (outcome){.unformed = 3, .heard = 2});
    for (size_t size = 0; size < frames.size; size++) {
        h.sequence++;
        forge(0, &h, (rove_span){two, size});
    }
    assert_since(&before, (outcome){.unformed = 3, .heard = 2, .malformed = frames.size});
    h.sequence++;
    forge(0, &h, frames);
    const rovei_note *note;
    assert_int_equal(heard(&note), 4);
    assert_int_equal(note->number, 4);
}

/* Lengths and counts beyond the packet, and the most that a packet has. */
static void oversized(void **state)
{
    (void)state;
    outcome before = counted();
    static uint8_t full[ROVEI_NET_PLAIN_MAX];
    rovei_net_header h = {.stream = stream_of("c"), .events = 1};
    forge(0, &h, (rove_span){"\377\377\377\377x", 5});
    h.sequence++;
    forge(0, &h, (rove_span){"\2\0\0\0x", 5});
    h.sequence++;
    h.events = ROVEI_NET_EVENTS_MAX;
    forge(0, &h, frames);
    h.sequence++;
    h.events = 1;
    forge(0, &h, frames);
    assert_since(&before, (outcome){.malformed = 4});
    h.sequence++;
    h.events = UINT16_MAX; /* more than a packet can have */
    forge(0, &h, frames);
    assert_since(&before, (outcome){.malformed = 4, .unformed = 1});
    h.events = ROVEI_NET_EVENTS_MAX;
    forge(0, &h, (rove_span){full, (size_t)ROVEI_NET_EVENTS_MAX * ROVEI_NET_FRAME_HEAD});
    assert_since(&before, (outcome){.malformed = 4, .unformed = 1, .heard = ROVEI_NET_EVENTS_MAX});
    h.sequence++;
    h.events = 1;
    full[0] = ROVEI_NET_EVENT_MAX & 0xff;
    full[1] = ROVEI_NET_EVENT_MAX >> 8;
    forge(0, &h, (rove_span){full, sizeof full});
    const rovei_note *note;
    assert_int_equal(heard(&note), ROVEI_NET_EVENTS_MAX + 1);
    assert_int_equal(note->text.size, ROVEI_NET_EVENT_MAX);
}

/* A datagram comes once, whoever sends it again. The same packet sealed again is said by the
 * publisher itself: of a reliable stream it is known by its sequence, of another one nothing tells
 * it from a further publish. */
static void replay(bool reliable)
{
    outcome before = counted();
    rovei_net_header h = {
        .flags = reliable ? ROVEI_NET_FLAG_RELIABLE : 0, .stream = stream_of("c"), .events = 2};
    datagram d = seal(0, &h, frames);
    bring(&d, d.size);
    assert_since(&before, (outcome){.heard = 2});
    bring(&d, d.size);
    bring(&d, d.size);
    assert_since(&before, (outcome){.heard = 2, .replayed = 2});
    uint64_t more = reliable ? 0 : 2;
    forge(0, &h, frames);
    assert_since(&before, (outcome){.heard = 2 + more, .replayed = 2});
    h.sequence = 1;
    forge(0, &h, frames);
    h.sequence = 0;
    forge(0, &h, frames);
    assert_since(&before, (outcome){.heard = 4 + 2 * more, .replayed = 2});
}

static void replayed(void **state)
{
    (void)state;
    replay(false);
}

static void replayed_on_a_reliable_stream(void **state)
{
    (void)state;
    replay(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_forged_origin),    TEST(of_another_node),
        TEST(of_another_channel), TEST(not_subscribed),
        TEST(truncated),          TEST(oversized),
        TEST(replayed),           TEST(replayed_on_a_reliable_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
