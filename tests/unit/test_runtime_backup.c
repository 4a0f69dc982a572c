/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups through the public interface, over real nodes: state and lanes of one point while events
 * come, the way into a file and back, and the chain over the restart. */
#include "nodes.h"
#include "told.h"
#include <compute/lane_codec.h>
#include <host/backup.h>
#include <rove/async.h>
#include <shell/call.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- one point ---- */

/* The sum of all positions of the lanes in a backup. */
static uint64_t positions_of(const rove_snapshot *s)
{
    rovei_reader r = rovei_reader_of(rove_buf_span(s->positions.lanes));
    uint64_t sum = 0;
    assert_int_equal(rovei_read_u8(&r), 1);
    uint32_t lanes = rovei_read_u32(&r);
    for (uint32_t i = 0; i < lanes; i++) {
        (void)rovei_read_span(&r, 32 + 8);
        sum += rovei_read_u64(&r);
        (void)rovei_read_span(&r, 8 + 1);
        uint32_t outcomes = rovei_read_u32(&r);
        rovei_lane_outcome o;
        for (uint32_t k = 0; k < outcomes; k++)
            assert_true(rovei_lane_outcome_read(&r, &o));
    }
    assert_ok(rovei_reader_end(&r));
    return sum;
}

typedef struct traffic {
    place *at;
    rove_entity daemon;
    atomic_bool stop;
    atomic_uint applied;
    pthread_t thread;
} traffic;

static void on_sent(void *user, const rove_sent *sent)
{
    traffic *s = user;
    if (sent->kind == ROVE_SENT_APPLIED)
        atomic_fetch_add(&s->applied, 1);
}

static void *run_traffic(void *arg)
{
    traffic *s = arg;
    rove_sender *sender;
    rove_sender_config cfg;
    rove_sender_config_init(&cfg);
    cfg.sent = on_sent;
    cfg.user = s;
    if (rove_sender_open(&sender, s->at->node, &s->daemon, &cfg))
        abort();
    while (!atomic_load(&s->stop))
        if (rove_sender_send(sender, span_of("x"), true, NULL))
            abort();
    rove_sender_free(sender);
    return NULL;
}

static uint64_t count_in(const rove_snapshot *s)
{
    rove_span state = rove_snapshot_get_info(s).state;
    uint64_t count;
    assert_int_equal(state.size, sizeof count);
    memcpy(&count, state.data, sizeof count);
    return count;
}

static void one_point(bool prompt, unsigned workers)
{
    place a, b;
    rove_kind kind = probe_kind;
    kind.is_prompt = prompt;
    kind.name = "counted";
    place_open(&a, workers);
    assert_ok(rove_runtime_register_kind(a.rt, NULL, &kind, &a.control));
    assert_ok(rove_runtime_start(a.rt));
    place_ready(&b, 1);
    connect_places(&a, &b);
    rove_daemon d;
    traffic streams[3] = {{.at = &a}, {.at = &b}, {.at = &b}};
    assert_ok(rove_runtime_spawn(a.rt, "counted", NULL, NULL, &d));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(rove_runtime_entity(a.rt, d, &streams[i].daemon));
        assert_int_equal(pthread_create(&streams[i].thread, NULL, run_traffic, &streams[i]), 0);
    }
    uint64_t first = 0, last = 0;
    for (unsigned i = 0; i < 300 || last < first + 3000; i++) {
        rove_snapshot *s;
        assert_ok(rove_runtime_backup(a.rt, d, &s, NULL));
        last = count_in(s);
        assert_int_equal(last, positions_of(s));
        assert_int_equal(last, rove_snapshot_get_info(s).through_seq);
        if (i == 0)
            first = last;
        rove_snapshot_unref(s);
    }
    for (size_t i = 0; i < 3; i++) {
        atomic_store(&streams[i].stop, true);
        pthread_join(streams[i].thread, NULL);
    }
    place_close(&b);
    place_close(&a);
}

static void test_one_point(void **state)
{
    (void)state;
    one_point(false, 2);
}

static void test_one_point_prompt(void **state)
{
    (void)state;
    one_point(true, 2);
}

/* ---- into a file and back ---- */

/* Sends one event and gives its only output. */
static void send_one(rove_sender *s, uint64_t number, rove_link *ret_link, char ret_text[24])
{
    rove_sent sent;
    size_t it = 0;
    rove_span payload;
    assert_ok(rove_sender_send(s, span_of("x"), true, NULL));
    do
        assert_ok(rove_sender_next(s, 30 * ROVE_SECOND, &sent));
    while (sent.kind == ROVE_SENT_UNREACHABLE || sent.kind == ROVE_SENT_REACHED);
    assert_int_equal(sent.kind, ROVE_SENT_APPLIED);
    assert_int_equal(sent.number, number);
    assert_true(rove_sent_next(&sent, &it, ret_link, &payload));
    assert_in_range(payload.size, 1, 23);
    memcpy(ret_text, payload.data, payload.size);
    ret_text[payload.size] = '\0';
    rove_sent_fini(&sent);
}

static void assert_same(const rove_snapshot *a, const rove_snapshot *b)
{
    rove_snapshot_info x = rove_snapshot_get_info(a), y = rove_snapshot_get_info(b);
    assert_memory_equal(&x.entity, &y.entity, sizeof x.entity);
    assert_memory_equal(&x.head, &y.head, sizeof x.head);
    assert_int_equal(x.created_at, y.created_at);
    assert_span(x.state, y.state.data, y.state.size);
    assert_true(x.backup && y.backup);
    assert_string_equal(x.kind, y.kind);
    assert_int_equal(x.epoch, y.epoch);
    assert_int_equal(a->image.events_processed, b->image.events_processed);
    rove_span lanes = rove_buf_span(b->positions.lanes);
    assert_span(rove_buf_span(a->positions.lanes), lanes.data, lanes.size);
}

/* `kept` as it comes back out of a file; a snapshot for moves, `light`, goes into none. */
static rove_snapshot *through_a_file(const rove_snapshot *kept, const rove_snapshot *light)
{
    rove_snapshot *back;
    int fd = memfd_create("backup", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(rove_snapshot_write_fd(light, fd), ROVE_E_USAGE); /* it has no lanes */
    assert_ok(rove_snapshot_write_fd(kept, fd));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_ok(rove_snapshot_read_fd(&back, fd, NULL, NULL));
    assert_same(kept, back);
    close(fd);
    assert_int_equal(rove_snapshot_write_fd(kept, -1), ROVE_E_IO);
    assert_int_equal(rove_snapshot_read_fd(&back, -1, NULL, NULL), ROVE_E_IO);
    return back;
}

static void expect_lost(rove_sender *sender, uint64_t first, uint64_t last)
{
    rove_sent sent;
    do
        assert_ok(rove_sender_next(sender, 30 * ROVE_SECOND, &sent));
    while (sent.kind == ROVE_SENT_UNREACHABLE || sent.kind == ROVE_SENT_REACHED);
    assert_int_equal(sent.kind, ROVE_SENT_LOST);
    assert_int_equal(sent.number, first);
    assert_int_equal(sent.last, last);
    rove_sent_fini(&sent);
}

/* The chain goes on from the backup's head on another node, the sender hears what is lost, and the
 * first copy stands aside. */
static void test_back_with_its_chain(void **state)
{
    (void)state;
    place a, b, c;
    place_ready(&a, 1);
    place_ready(&b, 1);
    place_ready(&c, 1);
    connect_places(&a, &b);
    connect_places(&b, &c);
    connect_places(&a, &c);
    rove_identity *id;
    rove_daemon d;
    rove_entity entity;
    rove_sender *sender;
    rove_snapshot *kept, *light, *back;
    rove_spawn_options options;
    rove_link link, head;
    char text[24], head_text[24];
    assert_ok(rove_identity_generate(&id, a.node));
    assert_ok(rove_runtime_spawn(a.rt, "probe", id, NULL, &d));
    entity = rove_identity_entity(id);
    assert_ok(rove_sender_open(&sender, b.node, &entity, NULL));
    for (uint64_t i = 1; i <= 7; i++)
        send_one(sender, i, &head, head_text);
    assert_string_equal(head_text, "7");
    assert_ok(rove_runtime_backup(a.rt, d, &kept, NULL));
    for (uint64_t i = 8; i <= 12; i++)
        send_one(sender, i, &link, text);
    assert_ok(rove_runtime_snapshot(a.rt, d, &light, NULL));
    back = through_a_file(kept, light);

    rove_spawn_options_init(&options);
    rove_daemon there;
    assert_ok(rove_runtime_register_kind(c.rt, "other", &probe_kind, &c.control));
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(c.rt, "other", id, back, &options, &there, NULL),
        ROVE_E_SNAPSHOT_KIND);
    assert_int_equal(
        rove_runtime_spawn_from_snapshot(c.rt, "probe", id, back, &options, &there, NULL),
        ROVE_E_LIVES_ELSEWHERE);
    assert_int_equal(rove_runtime_daemon_count(c.rt), 0);
    options.force = true;
    assert_ok(rove_runtime_spawn_from_snapshot(c.rt, "probe", id, back, &options, &there, NULL));
    rove_snapshot_unref(back);

    expect_lost(sender, 8, 12);
    for (uint64_t i = 13; i <= 15; i++) {
        send_one(sender, i, &link, text);
        assert_ok(rovei_link_validate(&head, span_of(head_text), &link, NULL));
        head = link;
        memcpy(head_text, text, sizeof text);
    }
    assert_string_equal(text, "10");
    /* What stands aside is not kept again, what serves is, under its new right. */
    assert_int_equal(rove_runtime_backup(a.rt, d, &back, NULL), ROVE_E_SUPERSEDED);
    assert_ok(rove_runtime_backup(c.rt, there, &back, NULL));
    assert_int_equal(rove_snapshot_get_info(back).epoch, 1 + ROVEI_EPOCH_FORCED);
    assert_int_equal(back->positions.sinc.number, 1 + ROVEI_EPOCH_FORCED);
    rove_snapshot_unref(back);
    rove_snapshot_unref(kept);
    rove_snapshot_unref(light);
    rove_sender_free(sender);
    rove_identity_free(id);
    place_close(&c);
    place_close(&b);
    place_close(&a);
}

static void test_refusals(void **state)
{
    (void)state;
    place p;
    rove_snapshot *s;
    rove_daemon d;
    rove_detail detail;
    place_open(&p, 1);
    assert_int_equal(rove_runtime_backup(p.rt, (rove_daemon){1}, &s, NULL), ROVE_E_NOT_READY);
    assert_int_equal(rove_runtime_backup(NULL, (rove_daemon){1}, &s, NULL), ROVE_E_USAGE);
    assert_ok(rove_runtime_register_kind(p.rt, NULL, &stateless_kind, &p.control));
    assert_ok(rove_runtime_start(p.rt));
    assert_int_equal(rove_runtime_backup(p.rt, (rove_daemon){1}, &s, NULL), ROVE_E_NOT_FOUND);
    assert_ok(rove_runtime_spawn(p.rt, "stateless", NULL, NULL, &d));
    assert_int_equal(rove_runtime_snapshot(p.rt, d, &s, NULL), ROVE_E_STATELESS);
    assert_ok(rove_runtime_spawn(p.rt, "probe", NULL, NULL, &d));
    p.control.fail_snapshot = true;
    assert_int_equal(rove_runtime_backup(p.rt, d, &s, &detail), ROVE_E_SNAPSHOT_FAILED);
    assert_span(rove_buf_span(detail.text), "not now", 7);
    rove_detail_fini(&detail);
    p.control.fail_snapshot = false;
    deliver_expecting(&p, d, "1"); /* it goes on */
    assert_ok(rove_runtime_stop(p.rt, d));
    assert_int_equal(rove_runtime_backup(p.rt, d, &s, NULL), ROVE_E_NOT_FOUND);
    assert_ok(rove_runtime_shutdown(p.rt));
    assert_int_equal(rove_runtime_backup(p.rt, d, &s, NULL), ROVE_E_SHUTTING_DOWN);
    place_close(&p);
}

/* ---- sinks, sources and memory ---- */

#define LARGE ((size_t)24 << 20)

/* An allocator that knows the most that it had given at any time. */
typedef struct measured {
    rove_alloc alloc;
    size_t now, peak;
} measured;

static pthread_mutex_t measured_lock = PTHREAD_MUTEX_INITIALIZER;

static void measure(measured *m, size_t more, size_t less)
{
    pthread_mutex_lock(&measured_lock);
    m->now = m->now + more - less;
    m->peak = m->now > m->peak ? m->now : m->peak;
    pthread_mutex_unlock(&measured_lock);
}

static void *measured_get(void *user, size_t size)
{
    measure(user, size, 0);
    return malloc(size);
}

static void measured_put(void *user, void *block, size_t size)
{
    measure(user, 0, size);
    free(block);
}

static void *measured_move(void *user, void *block, size_t old_size, size_t size)
{
    measure(user, size, old_size);
    return realloc(block, size);
}

/* The bytes of a container, made and checked as they go by. */
typedef struct tape {
    uint8_t *head, digest[32];
    size_t head_size, at;
    rove_err fails;
} tape;

static size_t tape_size(const tape *t)
{
    return t->head_size + LARGE + sizeof t->digest;
}

static uint8_t tape_byte(const tape *t, size_t at)
{
    if (at < t->head_size)
        return t->head[at];
    at -= t->head_size;
    return at < LARGE ? (uint8_t)(at * 7) : t->digest[at - LARGE];
}

static void tape_make(tape *t, const char *kind)
{
    rovei_container c = {.epoch = 1, .sinc_number = 1, .kind = span_of(kind), .state_size = LARGE};
    c.head.origin = rovei_entity_origin(&c.entity);
    *t = (tape){0};
    assert_ok(rovei_container_head_size(&c, &t->head_size));
    t->head = malloc(t->head_size);
    assert_non_null(t->head);
    rovei_writer w = rovei_writer_of(t->head, t->head_size);
    rovei_container_write_head(&c, &w);
    assert_int_equal(w.err, ROVE_OK);
    uint8_t *large = malloc(LARGE);
    assert_non_null(large);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7);
    assert_ok(rovei_container_digest(&rovei_alloc_libc, (rove_span){t->head, t->head_size},
                                     (rove_span){large, LARGE}, t->digest));
    free(large);
}

static rove_err play(void *user, void *room, size_t size, size_t *ret_size)
{
    tape *t = user;
    size_t left = tape_size(t) - t->at;
    *ret_size = size < left ? size : left;
    for (size_t i = 0; i < *ret_size; i++)
        ((uint8_t *)room)[i] = tape_byte(t, t->at++);
    return t->at > LARGE / 2 ? t->fails : ROVE_OK;
}

static rove_err record(void *user, rove_span bytes)
{
    tape *t = user;
    if (bytes.size > ROVEI_SNAPSHOT_PIECE || t->at + bytes.size > tape_size(t))
        return ROVE_E_INTERNAL;
    for (size_t i = 0; i < bytes.size; i++)
        if (((const uint8_t *)bytes.data)[i] != tape_byte(t, t->at++))
            return ROVE_E_INTERNAL;
    return t->at > LARGE / 2 ? t->fails : ROVE_OK;
}

/* Neither way has a second copy of the state. */
static void test_a_large_state_lies_there_once(void **state)
{
    (void)state;
    tape t;
    measured m = {{measured_get, measured_move, measured_put, &m}, 0, 0};
    rove_snapshot *s;
    tape_make(&t, "large");
    assert_ok(rove_snapshot_read(&s, play, &t, NULL, &m.alloc));
    assert_true(m.peak < LARGE + (1 << 20));
    t.at = 0;
    m.peak = m.now;
    assert_ok(rove_snapshot_write(s, record, &t));
    assert_int_equal(t.at, tape_size(&t));
    assert_true(m.peak < LARGE + (1 << 20));
    rove_snapshot_unref(s);
    assert_int_equal(m.now, 0);
    free(t.head);
}

static void test_sinks_and_sources_that_fail(void **state)
{
    (void)state;
    tape t;
    measured m = {{measured_get, measured_move, measured_put, &m}, 0, 0};
    rove_snapshot *s;
    rove_limits limits;
    tape_make(&t, "large");
    t.fails = ROVE_E_CANCELLED;
    assert_int_equal(rove_snapshot_read(&s, play, &t, NULL, &m.alloc), ROVE_E_CANCELLED);
    assert_int_equal(m.now, 0);
    t.at = 0;
    t.fails = ROVE_OK;
    rove_limits_init(&limits);
    limits.state_max = LARGE - 1;
    assert_int_equal(rove_snapshot_read(&s, play, &t, &limits, &m.alloc), ROVE_E_TOO_LARGE);
    limits.struct_version++;
    assert_int_equal(rove_snapshot_read(&s, play, &t, &limits, &m.alloc), ROVE_E_STRUCT_VERSION);
    assert_int_equal(rove_snapshot_read(&s, NULL, &t, NULL, NULL), ROVE_E_USAGE);
    assert_int_equal(m.now, 0);
    t.at = 0;
    assert_ok(rove_snapshot_read(&s, play, &t, NULL, NULL));
    t.at = 0;
    t.fails = ROVE_E_FULL;
    assert_int_equal(rove_snapshot_write(s, record, &t), ROVE_E_FULL);
    assert_int_equal(rove_snapshot_write(s, NULL, &t), ROVE_E_USAGE);
    rove_snapshot_unref(s);
    free(t.head);
    /* The name of the kind is printed as it is: one that no kind can have. */
    tape_make(&t, "large\x1b[2J");
    assert_int_equal(rove_snapshot_read(&s, play, &t, NULL, &m.alloc), ROVE_E_FORMAT);
    assert_int_equal(m.now, 0);
    free(t.head);
}

/* ---- piece by piece, out of the daemon ---- */

#define ENDLESS ((uint64_t)48 << 20)

/* A state that no memory holds: the n-th byte of it is n * 7. */
static rove_err endless_open(void *self, rove_ctx *ctx, uint64_t *ret_size, void **ret_stream)
{
    (void)self, (void)ctx;
    uint64_t *at = malloc(sizeof *at);
    if (!at)
        return ROVE_E_NOMEM;
    *at = 0;
    *ret_size = ENDLESS;
    *ret_stream = at;
    return ROVE_OK;
}

static rove_err endless_read(void *stream, void *room, size_t size, size_t *ret_size)
{
    uint64_t *at = stream;
    uint64_t left = ENDLESS - *at;
    *ret_size = size < left ? size : (size_t)left;
    for (size_t i = 0; i < *ret_size; i++)
        ((uint8_t *)room)[i] = (uint8_t)(*at + i) * 7;
    *at += *ret_size;
    return ROVE_OK;
}

static void endless_close(void *stream)
{
    free(stream);
}

static rove_err endless_restore_open(void *self, rove_ctx *ctx, uint64_t size, void **ret_stream)
{
    (void)self, (void)ctx, (void)size, (void)ret_stream;
    return ROVE_E_PROCESS;
}

static rove_err endless_write(void *stream, rove_span bytes)
{
    (void)stream, (void)bytes;
    return ROVE_E_PROCESS;
}

static rove_err endless_restore_close(void *stream, rove_ctx *ctx, bool complete)
{
    (void)stream, (void)ctx, (void)complete;
    return ROVE_E_PROCESS;
}

typedef struct reading {
    place *p;
    uint64_t origin;
    rovei_backup_stream *stream;
    rovei_intake in;
    uint64_t bytes, stop_at; /* 0: at the end */
    rove_err begun, err;
    told done;
} reading;

static void on_ready(void *user, rovei_node *core, rovei_now now)
{
    reading *r = user;
    rove_span piece;
    (void)core;
    (void)now;
    do {
        r->err = rovei_backup_stream_next(r->stream, &piece);
        if (r->err == ROVE_E_BUSY)
            return;
        r->bytes += piece.size;
        if (!r->err && piece.size)
            r->err = rovei_intake_add(&r->in, piece);
    } while (!r->err && piece.size && (!r->stop_at || r->bytes < r->stop_at));
    rovei_backup_stream_end(r->stream);
    tell(&r->done, r->err);
}

static void begin_reading(void *arg, rovei_node *core, rovei_now now)
{
    reading *r = arg;
    (void)core;
    (void)now;
    r->begun = rovei_backup_stream_new(&r->stream, r->p->rt, r->origin, NULL, on_ready, r);
}

static void read_stream(reading *r, place *p, rove_daemon d, uint64_t stop_at)
{
    rove_limits limits;
    rove_limits_init(&limits);
    *r = (reading){.p = p, .origin = d.origin, .stop_at = stop_at, .done = TOLD_INIT};
    rovei_intake_init(&r->in, &rovei_alloc_libc, &limits);
    rovei_node_call(p->node, begin_reading, r);
    assert_ok(r->begun);
}

static void test_a_stream_is_never_whole(void **state)
{
    (void)state;
    measured m = {{measured_get, measured_move, measured_put, &m}, 0, 0};
    rove_kind kind = probe_kind;
    place p = {.control.outputs = 1};
    rove_node_config cfg;
    rove_node_config_init(&cfg);
    cfg.listen = "127.0.0.1:0";
    cfg.psk = test_psk;
    cfg.alloc = m.alloc;
    kind.name = "endless";
    kind.snapshot = NULL;
    kind.restore = NULL;
    kind.snapshot_open = endless_open;
    kind.snapshot_read = endless_read;
    kind.snapshot_close = endless_close;
    kind.restore_open = endless_restore_open;
    kind.restore_write = endless_write;
    kind.restore_close = endless_restore_close;
    assert_ok(rove_node_new(&p.node, &cfg));
    assert_ok(rove_runtime_new(&p.rt, p.node, NULL));
    assert_ok(rove_runtime_register_kind(p.rt, NULL, &kind, &p.control));
    assert_ok(rove_runtime_start(p.rt));
    rove_daemon d;
    reading r;
    assert_ok(rove_runtime_spawn(p.rt, "endless", NULL, NULL, &d));
    deliver_expecting(&p, d, "1");

    /* All of it, while events go on. */
    pthread_mutex_lock(&measured_lock);
    m.peak = m.now;
    size_t before = m.now;
    pthread_mutex_unlock(&measured_lock);
    read_stream(&r, &p, d, 0);
    for (int i = 0; i < 50; i++)
        deliver_and_forget(&p, d);
    assert_told(&r.done, ROVE_OK);
    assert_ok(rovei_intake_end(&r.in));
    assert_int_equal(rovei_buf_size(r.in.state), ENDLESS);
    assert_in_range(r.in.container.events_processed, 1, 51);
    assert_int_equal(r.in.container.head.sequence, r.in.container.events_processed);
    rovei_intake_fini(&r.in);
    pthread_mutex_lock(&measured_lock);
    assert_true(m.peak < before + (2 << 20));
    pthread_mutex_unlock(&measured_lock);

    /* Left off in the middle, and of a daemon that ends in the middle. */
    read_stream(&r, &p, d, ENDLESS / 3);
    assert_told(&r.done, ROVE_OK);
    rovei_intake_fini(&r.in);
    read_stream(&r, &p, d, 0);
    assert_ok(rove_runtime_stop(p.rt, d));
    rove_err err = told_await(&r.done, 1);
    assert_true(err == ROVE_E_STALE || err == ROVE_E_STOPPED || err == ROVE_E_NOT_FOUND);
    rovei_intake_fini(&r.in);
    /* Of none, and at the end of everything. */
    read_stream(&r, &p, d, 0);
    assert_told(&r.done, ROVE_E_NOT_FOUND);
    rovei_intake_fini(&r.in);
    assert_ok(rove_runtime_spawn(p.rt, "endless", NULL, NULL, &d));
    read_stream(&r, &p, d, 0);
    rove_runtime_unref(p.rt);
    assert_int_equal(told_times(&r.done), 1);
    rovei_intake_fini(&r.in);
    rove_node_free(p.node);
    assert_int_equal(m.now, 0);
}

/* ---- the key with it ---- */

static void test_sealed(void **state)
{
    (void)state;
    place a, b;
    rove_daemon d, back;
    rove_entity entity, nobody = {{0}};
    rove_snapshot *s, *plain;
    rove_identity *id = NULL;
    place_ready(&a, 1);
    place_ready(&b, 1);
    connect_places(&a, &b);
    assert_ok(rove_runtime_spawn(a.rt, "probe", NULL, NULL, &d));
    assert_ok(rove_runtime_entity(a.rt, d, &entity));
    deliver_expecting(&a, d, "1");
    assert_int_equal(rove_runtime_backup_for(a.rt, d, &nobody, &s, NULL), ROVE_E_NO_IMAGE);
    assert_ok(rove_runtime_backup(a.rt, d, &plain, NULL));
    assert_ok(rove_runtime_backup_for(a.rt, d, &b.info.entity, &s, NULL));
    assert_false(rove_snapshot_get_info(plain).sealed);
    assert_true(rove_snapshot_get_info(s).sealed);
    assert_int_equal(rove_identity_unseal(&id, b.node, plain), ROVE_E_IDENTITY_MISSING);
    assert_int_equal(rove_identity_unseal(&id, a.node, s), ROVE_E_ENVELOPE_OPEN);
    s->envelope[200] ^= 1;
    assert_int_equal(rove_identity_unseal(&id, b.node, s), ROVE_E_ENVELOPE_ATTEST);
    s->envelope[200] ^= 1;
    assert_null(id);
    assert_ok(rove_identity_unseal(&id, b.node, s));
    rove_entity unsealed = rove_identity_entity(id);
    assert_memory_equal(&unsealed, &entity, sizeof entity);
    /* It is a given identity: it lives elsewhere, and comes by force only. */
    rove_spawn_options o;
    rove_spawn_options_init(&o);
    assert_int_equal(rove_runtime_spawn_from_snapshot(b.rt, "probe", id, s, &o, &back, NULL),
                     ROVE_E_LIVES_ELSEWHERE);
    o.force = true;
    assert_ok(rove_runtime_spawn_from_snapshot(b.rt, "probe", id, s, &o, &back, NULL));
    deliver_expecting(&b, back, "2");
    rove_identity_free(id);
    rove_snapshot_unref(plain);
    rove_snapshot_unref(s);
    place_close(&b);
    place_close(&a);
}

/* Its lanes, statistics and key are worth keeping. */
static void test_stateless(void **state)
{
    (void)state;
    place p;
    rove_daemon d, back;
    rove_snapshot *s, *read;
    rove_identity *id;
    int fd = memfd_create("backup", MFD_CLOEXEC);
    assert_true(fd >= 0);
    place_open(&p, 1);
    assert_ok(rove_runtime_register_kind(p.rt, NULL, &stateless_kind, &p.control));
    assert_ok(rove_runtime_start(p.rt));
    assert_ok(rove_runtime_spawn(p.rt, "stateless", NULL, NULL, &d));
    assert_ok(rove_runtime_backup_for(p.rt, d, &p.info.entity, &s, NULL));
    assert_true(rove_snapshot_get_info(s).stateless);
    assert_ok(rove_snapshot_write_fd(s, fd));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_ok(rove_snapshot_read_fd(&read, fd, NULL, NULL));
    assert_true(rove_snapshot_get_info(read).stateless && rove_snapshot_get_info(read).sealed);
    assert_ok(rove_identity_unseal(&id, p.node, read));
    assert_ok(rove_runtime_stop(p.rt, d));
    assert_ok(rove_runtime_spawn_from_snapshot(p.rt, "stateless", id, read, NULL, &back, NULL));
    rove_identity_free(id);
    rove_snapshot_unref(read);
    rove_snapshot_unref(s);
    close(fd);
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_point),
        cmocka_unit_test(test_one_point_prompt),
        cmocka_unit_test(test_back_with_its_chain),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_sealed),
        cmocka_unit_test(test_stateless),
        cmocka_unit_test(test_a_large_state_lies_there_once),
        cmocka_unit_test(test_sinks_and_sources_that_fail),
        cmocka_unit_test(test_a_stream_is_never_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
