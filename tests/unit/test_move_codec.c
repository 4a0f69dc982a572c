/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a move's messages: each one there and back, each malformed case with its error. */
#include "support.h"

#include <base/buf.h>
#include <migration/move_codec.h>

#define ROOM 4096

static rove_entity entity_of(uint8_t fill)
{
    rove_entity e;
    memset(e.bytes, fill, sizeof e.bytes);
    return e;
}

static rovei_move_message message_of(rovei_move_type type)
{
    rovei_move_message m;
    memset(&m, 0, sizeof m);
    m.head = (rovei_move_header){.type = type,
                                 .level = ROVEI_LEVEL_MEMORY,
                                 .daemon = entity_of(1),
                                 .epoch = 7,
                                 .sinc = {3, 4},
                                 .source = entity_of(2),
                                 .target = entity_of(3),
                                 .orchestrator = entity_of(2)};
    memset(m.head.attempt.bytes, 0xAB, sizeof m.head.attempt.bytes);
    return m;
}

static size_t encode(const rovei_move_message *m, uint8_t bytes[ROOM])
{
    rovei_writer w = rovei_writer_of(bytes, ROOM);
    rovei_move_encode(m, false, &w);
    assert_int_equal(w.err, ROVE_OK);
    return rovei_writer_size(&w);
}

static rove_err decode(const uint8_t *bytes, size_t size, rovei_move_message *ret)
{
    /* On the heap and of exact size, so that a read too far shows. */
    uint8_t *copy = malloc(size ? size : 1);
    rovei_move_message m;
    assert_non_null(copy);
    if (size)
        memcpy(copy, bytes, size);
    rove_err err = rovei_move_decode(&m, (rove_span){copy, size});
    free(copy);
    if (!err && ret)
        *ret = m;
    return err;
}

/* An example of every type, with all of its fields set. */
static rovei_move_message example(rovei_move_type type)
{
    static const uint8_t events[2 * ROVEI_MOVE_EVENT_HEAD + 3] = {
        [32] = 3, [40] = 'a', [41] = 'b', [42] = 'c'};
    rovei_move_message m = message_of(type);
    switch (type) {
    case ROVEI_MOVE_OFFER:
        m.offer = (rovei_move_offer){.round = 1,
                                     .flags = ROVEI_OFFER_IDENTITY | ROVEI_OFFER_LEVEL_MAY_FALL,
                                     .size_hint = UINT64_C(1) << 40,
                                     .kind = "counter",
                                     .right = {.daemon = entity_of(1),
                                               .epoch = 6,
                                               .holder = entity_of(2),
                                               .not_after = 1,
                                               .giver = entity_of(4)}};
        break;
    case ROVEI_MOVE_ACCEPT:
        m.answer.round = 4;
        break;
    case ROVEI_MOVE_REFUSE:
        m.answer.round = 4;
        m.answer.reason = ROVE_E_TARGET_NOT_READY;
        break;
    case ROVEI_MOVE_STATE:
    case ROVEI_MOVE_POSITIONS:
        m.chunk = (rovei_move_chunk){
            .round = 2, .total = 1000, .offset = 500, .bytes = {events, sizeof events}};
        break;
    case ROVEI_MOVE_EVENTS:
        m.events = (rovei_move_events){
            .done = 5, .first = 6, .count = 2, .items = {events, sizeof events}};
        break;
    case ROVEI_MOVE_ENVELOPE:
        m.envelope.round = 9;
        memset(m.envelope.bytes, 0x77, sizeof m.envelope.bytes);
        break;
    case ROVEI_MOVE_SEALED:
        m.sealed = (rovei_move_sealed){.round = 1,
                                       .flags = ROVEI_SEALED_STATE | ROVEI_SEALED_ENVELOPE,
                                       .state_size = 10,
                                       .positions_size = 20,
                                       .link = {1, 2, 3, 4},
                                       .created_at = 5};
        memset(m.sealed.digest, 0x55, sizeof m.sealed.digest);
        break;
    case ROVEI_MOVE_PREPARED:
        m.prepared = (rovei_move_prepared){.ticket = 99, .addr_count = 2};
        m.prepared.addrs[0] = (rovei_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = 4000};
        m.prepared.addrs[1] = (rovei_addr){.family = 6, .ip = {[15] = 1}, .port = 1};
        break;
    case ROVEI_MOVE_COMMIT:
        m.commit.ticket = 99;
        m.commit.events = 12;
        m.commit.record = (rovei_record){.daemon = entity_of(1),
                                         .epoch = 7,
                                         .holder = entity_of(3),
                                         .not_after = 1,
                                         .giver = entity_of(2)};
        break;
    case ROVEI_MOVE_ACTIVE:
        m.active.serves = true;
        m.active.have = 3;
        break;
    case ROVEI_MOVE_CLOSED:
        break;
    case ROVEI_MOVE_UNKNOWN:
        m.unknown.answers = ROVEI_MOVE_COMMIT;
        break;
    case ROVEI_MOVE_RESULTS:
        m.results = (rovei_move_results){.number = 1,
                                         .err = ROVE_E_PROCESS,
                                         .output_count = 2,
                                         .text = {"went wrong", 10},
                                         .total = 3,
                                         .bytes = {"out", 3}};
        break;
    case ROVEI_MOVE_ABORT:
    case ROVEI_MOVE_CANCEL:
        m.ended.reason = ROVE_E_CANCELLED;
        break;
    case ROVEI_MOVE_PROGRESS:
        m.progress.phase = ROVEI_PHASE_RESTORE;
        m.progress.bytes = 4096;
        break;
    case ROVEI_MOVE_ORDER:
        m.order.flags = ROVEI_OFFER_IDENTITY;
        m.order.deadline = 1;
        m.order.retry_not_ready = 2;
        m.order.origin = 3;
        break;
    case ROVEI_MOVE_OUTCOME:
        m.outcome = (rovei_move_outcome_body){.outcome = ROVEI_OUTCOME_TIMED_OUT,
                                              .reason = ROVE_E_TIMED_OUT,
                                              .phase = ROVEI_PHASE_RESTORE,
                                              .attempts = 2,
                                              .bytes = 4096,
                                              .blackout = 7,
                                              .text = {"went wrong", 10}};
        break;
    }
    return m;
}

static void there_and_back(void **state)
{
    (void)state;
    for (rovei_move_type type = ROVEI_MOVE_OFFER; type <= ROVEI_MOVE_OUTCOME; type++) {
        uint8_t bytes[ROOM], again[ROOM];
        rovei_move_message m = example(type), back;
        size_t size = encode(&m, bytes);
        assert_ok(rovei_move_decode(&back, (rove_span){bytes, size}));
        assert_int_equal(back.head.type, type);
        assert_memory_equal(&back.head.attempt, &m.head.attempt, sizeof m.head.attempt);
        assert_int_equal(back.head.epoch, 7);
        assert_true(rovei_sinc_equal(back.head.sinc, m.head.sinc));
        assert_int_equal(encode(&back, again), size);
        assert_memory_equal(bytes, again, size);
        /* Whatever is cut off, and whatever follows, is noticed. */
        for (size_t cut = 0; cut < size; cut++)
            assert_int_not_equal(decode(bytes, cut, NULL), ROVE_OK);
        bytes[size] = 0;
        assert_int_equal(decode(bytes, size + 1, NULL), ROVE_E_TRAILING);
    }
}

/* What an orchestrator and the source say to each other, byte by byte behind the header. */
static void orders_are_these_bytes(void **state)
{
    (void)state;
    static const uint8_t order[] = {[0] = 1, [4] = 1, [12] = 2, [20] = 3, [27] = 0};
    static const uint8_t cancel[] = {76, 0};
    static const uint8_t outcome[] = {4, 77, 0,   3,   2,   0,   0,   0,   0,   16,  0,   0,  0,
                                      0, 0,  0,   7,   0,   0,   0,   0,   0,   0,   0,   10, 0,
                                      0, 0,  'w', 'e', 'n', 't', ' ', 'w', 'r', 'o', 'n', 'g'};
    uint8_t bytes[ROOM];
    rovei_move_message m = example(ROVEI_MOVE_ORDER), back;
    m.head.epoch = 0; /* nor need the daemon's entity be known */
    memset(&m.head.daemon, 0, sizeof m.head.daemon);
    assert_int_equal(encode(&m, bytes), ROVEI_MOVE_HEADER_SIZE + sizeof order);
    assert_memory_equal(bytes + ROVEI_MOVE_HEADER_SIZE, order, sizeof order);
    assert_ok(decode(bytes, ROVEI_MOVE_HEADER_SIZE + sizeof order, &back));
    assert_int_equal(back.order.origin, 3);
    m = example(ROVEI_MOVE_CANCEL);
    assert_int_equal(encode(&m, bytes), ROVEI_MOVE_HEADER_SIZE + sizeof cancel);
    assert_memory_equal(bytes + ROVEI_MOVE_HEADER_SIZE, cancel, sizeof cancel);
    m = example(ROVEI_MOVE_OUTCOME);
    assert_int_equal(encode(&m, bytes), ROVEI_MOVE_HEADER_SIZE + sizeof outcome);
    assert_memory_equal(bytes + ROVEI_MOVE_HEADER_SIZE, outcome, sizeof outcome);
}

static void fields_arrive(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    rovei_move_message m = example(ROVEI_MOVE_OFFER), back;
    assert_ok(decode(bytes, encode(&m, bytes), &back));
    assert_string_equal(back.offer.kind, "counter");
    assert_int_equal(back.offer.right.epoch, 6);
    assert_int_equal(back.offer.size_hint, UINT64_C(1) << 40);
    m = example(ROVEI_MOVE_RESULTS);
    size_t size = encode(&m, bytes);
    assert_ok(rovei_move_decode(&back, (rove_span){bytes, size}));
    assert_int_equal(back.results.err, ROVE_E_PROCESS);
    assert_span(back.results.text, "went wrong", 10);
    assert_span(back.results.bytes, "out", 3);
    m = example(ROVEI_MOVE_EVENTS);
    size = encode(&m, bytes);
    assert_ok(rovei_move_decode(&back, (rove_span){bytes, size}));
    rovei_reader r = rovei_reader_of(back.events.items);
    rove_link link;
    rove_span payload;
    assert_true(rovei_move_event_read(&r, &link, &payload));
    assert_span(payload, "abc", 3);
    assert_true(rovei_move_event_read(&r, &link, &payload));
    assert_int_equal(payload.size, 0);
    assert_false(rovei_move_event_read(&r, &link, &payload));
}

static void head_only_leaves_the_tail(void **state)
{
    (void)state;
    static const rovei_move_type types[] = {ROVEI_MOVE_STATE, ROVEI_MOVE_POSITIONS,
                                            ROVEI_MOVE_EVENTS, ROVEI_MOVE_RESULTS};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        uint8_t whole[ROOM], head[ROOM];
        rovei_move_message m = example(types[i]);
        size_t size = encode(&m, whole);
        size_t tail = types[i] == ROVEI_MOVE_EVENTS    ? m.events.items.size
                      : types[i] == ROVEI_MOVE_RESULTS ? m.results.bytes.size
                                                       : m.chunk.bytes.size;
        rovei_writer w = rovei_writer_of(head, sizeof head);
        rovei_move_encode(&m, true, &w);
        assert_int_equal(rovei_writer_size(&w), size - tail);
        assert_memory_equal(whole, head, size - tail);
    }
}

/* ---- malformed ---- */

/* The example with one byte set. */
static rove_err with_byte(rovei_move_type type, size_t at, uint8_t value)
{
    uint8_t bytes[ROOM];
    rovei_move_message m = example(type);
    size_t size = encode(&m, bytes);
    assert_true(at < size);
    bytes[at] = value;
    return decode(bytes, size, NULL);
}

static rove_err changed(rovei_move_message m)
{
    uint8_t bytes[ROOM];
    return decode(bytes, encode(&m, bytes), NULL);
}

#define FIELDS ROVEI_MOVE_HEADER_SIZE

static void bad_headers(void **state)
{
    (void)state;
    assert_int_equal(FIELDS, 172);
    assert_int_equal(with_byte(ROVEI_MOVE_CLOSED, 0, 0), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_CLOSED, 0, 20), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_CLOSED, 1, 3), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_CLOSED, 2, 1), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_CLOSED, 3, 1), ROVE_E_FLAG);
    assert_int_equal(decode(NULL, 0, NULL), ROVE_E_SHORT);
    rovei_move_message m = example(ROVEI_MOVE_CLOSED);
    m.head.epoch = 1;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.head.epoch = ROVEI_EPOCH_MAX;
    assert_int_equal(changed(m), ROVE_OK);
    m.head.epoch = ROVEI_EPOCH_MAX + 1;
    assert_int_equal(changed(m), ROVE_E_BOUND);
    m = example(ROVEI_MOVE_CLOSED);
    m.head.target = m.head.source;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
}

static void bad_offers_and_answers(void **state)
{
    (void)state;
    rovei_move_message m = example(ROVEI_MOVE_OFFER);
    m.offer.round = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_OFFER);
    m.offer.flags = 4;
    assert_int_equal(changed(m), ROVE_E_FLAG);
    m = example(ROVEI_MOVE_OFFER);
    m.offer.kind[0] = 0;
    assert_int_equal(changed(m), ROVE_E_BOUND);
    assert_int_equal(with_byte(ROVEI_MOVE_OFFER, FIELDS + 16, 64), ROVE_E_BOUND);
    assert_int_not_equal(with_byte(ROVEI_MOVE_OFFER, FIELDS + 16, 8), ROVE_OK);
    assert_int_not_equal(with_byte(ROVEI_MOVE_OFFER, FIELDS + 16, 6), ROVE_OK);
    m = example(ROVEI_MOVE_OFFER);
    m.offer.right.flags = 4;
    assert_int_equal(changed(m), ROVE_E_FLAG);
    m = example(ROVEI_MOVE_OFFER);
    m.offer.right.addr_count = ROVEI_RECORD_ADDRS + 1;
    assert_int_equal(with_byte(ROVEI_MOVE_OFFER, FIELDS + 25 + 73, m.offer.right.addr_count),
                     ROVE_E_BOUND);
    assert_int_equal(with_byte(ROVEI_MOVE_OFFER, FIELDS + 18, 0), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_OFFER);
    memset(m.offer.channel, 'c', sizeof m.offer.channel - 1);
    assert_ok(changed(m));
    m.offer.channel[4] = 'C';
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_ACCEPT);
    m.answer.round = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_REFUSE);
    m.answer.reason = ROVE_OK;
    assert_int_equal(changed(m), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_REFUSE, FIELDS + 5, 0x7F), ROVE_E_FLAG);
    m = example(ROVEI_MOVE_ABORT);
    m.ended.reason = ROVE_OK;
    assert_int_equal(changed(m), ROVE_E_FLAG);
}

static void bad_sections(void **state)
{
    (void)state;
    static uint8_t large[ROVEI_MOVE_CHUNK + 1 + 512], body[ROVEI_MOVE_CHUNK + 1];
    rovei_move_message m = example(ROVEI_MOVE_STATE);
    m.chunk.offset = 1001;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_STATE);
    m.chunk.total = 500 + m.chunk.bytes.size - 1;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.chunk.offset = UINT64_MAX;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_POSITIONS);
    m.chunk.total = 0;
    m.chunk.offset = 0;
    m.chunk.bytes.size = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.chunk.total = 10;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.chunk.total = sizeof large;
    m.chunk.bytes = (rove_span){body, sizeof body};
    rovei_writer w = rovei_writer_of(large, sizeof large);
    rovei_move_encode(&m, false, &w);
    assert_int_equal(decode(large, rovei_writer_size(&w), NULL), ROVE_E_BOUND);

    m = example(ROVEI_MOVE_SEALED);
    m.sealed.positions_size = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_SEALED);
    m.sealed.flags = ROVEI_SEALED_ENVELOPE;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.sealed.flags = 8;
    assert_int_equal(changed(m), ROVE_E_FLAG);
}

static void bad_events_and_results(void **state)
{
    (void)state;
    rovei_move_message m = example(ROVEI_MOVE_EVENTS);
    m.events.count = 1;
    assert_int_equal(changed(m), ROVE_E_TRAILING);
    m.events.count = 3;
    assert_int_equal(changed(m), ROVE_E_SHORT);
    m.events.count = UINT32_MAX;
    assert_int_equal(changed(m), ROVE_E_SHORT);
    m.events.first = UINT64_MAX;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m.events.first = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_EVENTS);
    m.events.count = 0;
    m.events.items.size = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    /* An event that promises more than there is. */
    assert_int_equal(with_byte(ROVEI_MOVE_EVENTS, FIELDS + 20 + 32 + 7, 0xFF), ROVE_E_SHORT);

    m = example(ROVEI_MOVE_RESULTS);
    m.results.number = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_RESULTS);
    m.results.total = 2;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    m = example(ROVEI_MOVE_RESULTS);
    m.results.bytes.size = 0;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    /* The text's length. */
    assert_int_equal(with_byte(ROVEI_MOVE_RESULTS, FIELDS + 8 + 2 + 4 + 2, 1), ROVE_E_BOUND);
}

static void bad_choices(void **state)
{
    (void)state;
    assert_int_equal(with_byte(ROVEI_MOVE_ACTIVE, FIELDS, 2), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_UNKNOWN, FIELDS, 0), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_UNKNOWN, FIELDS, 20), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_PROGRESS, FIELDS, 0), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_PROGRESS, FIELDS, 7), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_OUTCOME, FIELDS, 5), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_OUTCOME, FIELDS + 3, 7), ROVE_E_FLAG);
    assert_int_equal(with_byte(ROVEI_MOVE_ORDER, FIELDS, 8), ROVE_E_FLAG);
    rovei_move_message m = example(ROVEI_MOVE_OUTCOME);
    m.outcome.outcome = ROVEI_OUTCOME_FAILED;
    m.outcome.reason = ROVE_OK;
    assert_int_equal(changed(m), ROVE_E_FORMAT);
    /* The text's length. */
    assert_int_equal(with_byte(ROVEI_MOVE_OUTCOME, FIELDS + 1 + 2 + 1 + 4 + 8 + 8 + 2, 1),
                     ROVE_E_BOUND);
    assert_int_equal(with_byte(ROVEI_MOVE_PREPARED, FIELDS + 44, 5), ROVE_E_BOUND);
    assert_int_equal(with_byte(ROVEI_MOVE_PREPARED, FIELDS + 45, 5), ROVE_E_FLAG);
}

static void an_error_leaves_the_output(void **state)
{
    (void)state;
    uint8_t bytes[ROOM];
    rovei_move_message m = example(ROVEI_MOVE_SEALED), ret;
    size_t size = encode(&m, bytes);
    memset(&ret, 0x3C, sizeof ret);
    rovei_move_message before = ret;
    assert_int_equal(rovei_move_decode(&ret, (rove_span){bytes, size - 1}), ROVE_E_SHORT);
    assert_memory_equal(&ret, &before, sizeof ret);
}

/* ---- positions ---- */

static void positions_there_and_back(void **state)
{
    (void)state;
    test_alloc t;
    test_alloc_init(&t);
    rovei_move_positions p = {.head = {1, 2, 3, 4},
                              .events_processed = 5,
                              .events_emitted = 6,
                              .errors = 7,
                              .snapshots_taken = 8,
                              .created_at = 9,
                              .head_payload = {"payload", 7},
                              .horizon = {"horizon", 7},
                              .lanes = {"lanes of all", 12}};
    rove_buf *buf = rovei_move_positions_encode(&p, &t.alloc);
    assert_non_null(buf);
    rovei_move_positions back;
    rove_span bytes = rove_buf_span(buf);
    assert_ok(rovei_move_positions_decode(&back, bytes));
    assert_int_equal(back.head.parent, 4);
    assert_int_equal(back.errors, 7);
    assert_int_equal(back.created_at, 9);
    assert_span(back.head_payload, "payload", 7);
    assert_int_equal(back.ledger.size, 0);
    assert_span(back.lanes, "lanes of all", 12);
    for (size_t cut = 0; cut < bytes.size; cut++)
        assert_int_equal(rovei_move_positions_decode(&back, (rove_span){bytes.data, cut}),
                         ROVE_E_SHORT);
    rove_buf_unref(buf);
    t.fail_at = t.calls;
    assert_null(rovei_move_positions_encode(&p, &t.alloc));
    assert_int_equal(t.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(orders_are_these_bytes),
        cmocka_unit_test(fields_arrive),
        cmocka_unit_test(head_only_leaves_the_tail),
        cmocka_unit_test(bad_headers),
        cmocka_unit_test(bad_offers_and_answers),
        cmocka_unit_test(bad_sections),
        cmocka_unit_test(bad_events_and_results),
        cmocka_unit_test(bad_choices),
        cmocka_unit_test(an_error_leaves_the_output),
        cmocka_unit_test(positions_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
