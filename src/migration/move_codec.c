/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of the messages of a move, encode beside decode. */
#include <base/alloc.h>
#include <base/check.h>
#include <base/text.h>
#include <channel/name.h>
#include <migration/move_codec.h>
#include <state/chain.h>
#include <string.h>

/* ---- small parts ---- */

static void write_err(rovei_writer *w, rove_err err)
{
    rovei_write_u16(w, (uint16_t)(-(int)err));
}

/* A reason has to be one that this version knows. */
static rove_err read_err(rovei_reader *r)
{
    rove_err err = (rove_err)(-(int)rovei_read_u16(r));
    if (err != ROVE_E_INTERNAL && rove_err_class_of(err) == ROVE_CLASS_FATAL) {
        rovei_reader_fail(r, ROVE_E_FLAG);
        return ROVE_OK;
    }
    return err;
}

static rove_err read_reason(rovei_reader *r)
{
    rove_err err = read_err(r);
    if (rovei_reader_ok(r) && err == ROVE_OK)
        rovei_reader_fail(r, ROVE_E_FLAG);
    return err;
}

static uint32_t read_flags(rovei_reader *r, uint32_t known)
{
    uint32_t flags = rovei_read_u32(r);
    if (flags & ~known)
        rovei_reader_fail(r, ROVE_E_FLAG);
    return flags;
}

static uint8_t read_choice(rovei_reader *r, uint8_t first, uint8_t last)
{
    uint8_t v = rovei_read_u8(r);
    if (rovei_reader_ok(r) && (v < first || v > last))
        rovei_reader_fail(r, ROVE_E_FLAG);
    return v;
}

static uint32_t read_round(rovei_reader *r)
{
    uint32_t round = rovei_read_u32(r);
    if (rovei_reader_ok(r) && !round)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    return round;
}

/* ---- header ---- */

static void write_header(rovei_writer *w, const rovei_move_header *h)
{
    rovei_write_u8(w, (uint8_t)h->type);
    rovei_write_u8(w, (uint8_t)h->level);
    rovei_write_u16(w, 0);
    rovei_write_bytes(w, h->attempt.bytes, sizeof h->attempt.bytes);
    rovei_write_entity(w, &h->daemon);
    rovei_write_u64(w, h->epoch);
    rovei_sinc_write(w, h->sinc);
    rovei_write_entity(w, &h->source);
    rovei_write_entity(w, &h->target);
    rovei_write_entity(w, &h->orchestrator);
}

static void read_header(rovei_reader *r, rovei_move_header *h)
{
    h->type = (rovei_move_type)read_choice(r, ROVEI_MOVE_OFFER, ROVEI_MOVE_OUTCOME);
    h->level = (rovei_level)read_choice(r, ROVEI_LEVEL_MEMORY, ROVEI_LEVEL_STANDBY);
    if (rovei_read_u16(r))
        rovei_reader_fail(r, ROVE_E_FLAG);
    rovei_read_bytes(r, h->attempt.bytes, sizeof h->attempt.bytes);
    h->daemon = rovei_read_entity(r);
    h->epoch = rovei_read_u64(r);
    h->sinc = rovei_sinc_read(r);
    h->source = rovei_read_entity(r);
    h->target = rovei_read_entity(r);
    h->orchestrator = rovei_read_entity(r);
    /* The first epoch belongs to a spawn; a move gives a later one, to another node. Who orders
     * from afar need not know it. */
    bool unknown = h->type >= ROVEI_MOVE_ORDER && h->epoch == 0;
    if (rovei_reader_ok(r) && h->epoch > ROVEI_EPOCH_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    if (rovei_reader_ok(r) &&
        ((h->epoch < 2 && !unknown) ||
         memcmp(h->source.bytes, h->target.bytes, sizeof h->source.bytes) == 0))
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

/* ---- Offer ---- */

static void write_offer(rovei_writer *w, const rovei_move_offer *o)
{
    size_t size = strlen(o->kind);
    rovei_write_u32(w, o->round);
    rovei_write_u32(w, o->flags);
    rovei_write_u64(w, o->size_hint);
    rovei_write_u8(w, (uint8_t)size);
    rovei_write_bytes(w, o->kind, size);
    size = strlen(o->channel);
    rovei_write_u8(w, (uint8_t)size);
    rovei_write_bytes(w, o->channel, size);
    rovei_record_write(w, &o->right);
}

static void read_channel(rovei_reader *r, char ret[ROVEI_CHANNEL_NAME_MAX + 1])
{
    rove_span name = rovei_read_span(r, rovei_read_u8(r));
    if (!rovei_reader_ok(r))
        return;
    memset(ret, 0, ROVEI_CHANNEL_NAME_MAX + 1);
    if (!name.size)
        return;
    if (rovei_channel_name_check(name))
        rovei_reader_fail(r, ROVE_E_FORMAT);
    else
        memcpy(ret, name.data, name.size);
}

static void read_offer(rovei_reader *r, rovei_move_offer *o)
{
    o->round = read_round(r);
    o->flags = read_flags(r, ROVEI_OFFER_IDENTITY | ROVEI_OFFER_LEVEL_MAY_FALL);
    o->size_hint = rovei_read_u64(r);
    uint8_t size = rovei_read_u8(r);
    if (rovei_reader_ok(r) && (size == 0 || size >= sizeof o->kind))
        rovei_reader_fail(r, ROVE_E_BOUND);
    rove_span name = rovei_read_span(r, size);
    if (!rovei_reader_ok(r))
        return;
    memset(o->kind, 0, sizeof o->kind);
    memcpy(o->kind, name.data, name.size);
    if (strlen(o->kind) != name.size)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    read_channel(r, o->channel);
    rovei_record_read(r, &o->right);
}

/* ---- State, Positions ---- */

static void write_chunk(rovei_writer *w, const rovei_move_chunk *c, bool head_only)
{
    rovei_write_u32(w, c->round);
    rovei_write_u64(w, c->total);
    rovei_write_u64(w, c->offset);
    rovei_write_u64(w, c->bytes.size);
    if (!head_only)
        rovei_write_span(w, c->bytes);
}

/* The part [offset, offset + size) has to lie within total and to be of a size that is sent. */
static rove_span read_part(rovei_reader *r, uint64_t total, uint64_t offset)
{
    uint64_t size = rovei_read_u64(r);
    if (!rovei_reader_ok(r))
        return (rove_span){0};
    if (size > ROVEI_MOVE_CHUNK)
        rovei_reader_fail(r, ROVE_E_BOUND);
    else if (offset > total || size > total - offset || (size == 0 && total != 0))
        rovei_reader_fail(r, ROVE_E_FORMAT);
    return rovei_read_span(r, size);
}

static void read_chunk(rovei_reader *r, rovei_move_chunk *c)
{
    c->round = read_round(r);
    c->total = rovei_read_u64(r);
    c->offset = rovei_read_u64(r);
    if (rovei_reader_ok(r) && c->total == 0)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    c->bytes = read_part(r, c->total, c->offset);
}

/* ---- Sealed ---- */

static void write_sealed_fixed(rovei_writer *w, const rovei_move_sealed *s)
{
    rovei_write_u32(w, s->flags);
    rovei_write_u64(w, s->state_size);
    rovei_write_u64(w, s->positions_size);
    rovei_write_link(w, &s->link);
    rovei_write_u64(w, s->created_at);
}

void rovei_move_sealed_fixed(const rovei_move_sealed *s, uint8_t ret[ROVEI_SEALED_FIXED])
{
    rovei_writer w = rovei_writer_of(ret, ROVEI_SEALED_FIXED);
    write_sealed_fixed(&w, s);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
}

static void write_sealed(rovei_writer *w, const rovei_move_sealed *s)
{
    rovei_write_u32(w, s->round);
    write_sealed_fixed(w, s);
    rovei_write_bytes(w, s->digest, sizeof s->digest);
}

static void read_sealed(rovei_reader *r, rovei_move_sealed *s)
{
    s->round = read_round(r);
    s->flags = read_flags(r, ROVEI_SEALED_STATE | ROVEI_SEALED_ENVELOPE);
    s->state_size = rovei_read_u64(r);
    s->positions_size = rovei_read_u64(r);
    s->link = rovei_read_link(r);
    s->created_at = rovei_read_u64(r);
    rovei_read_bytes(r, s->digest, sizeof s->digest);
    if (rovei_reader_ok(r) &&
        ((s->state_size && !(s->flags & ROVEI_SEALED_STATE)) || !s->positions_size))
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

/* ---- Events ---- */

void rovei_move_event_write(rovei_writer *w, const rove_link *link, uint64_t size)
{
    rovei_write_link(w, link);
    rovei_write_u64(w, size);
}

bool rovei_move_event_read(rovei_reader *r, rove_link *ret_link, rove_span *ret_payload)
{
    if (!rovei_reader_ok(r) || rovei_reader_left(r) == 0)
        return false;
    rove_link link = rovei_read_link(r);
    rove_span payload = rovei_read_span(r, rovei_read_u64(r));
    if (!rovei_reader_ok(r))
        return false;
    *ret_link = link;
    *ret_payload = payload;
    return true;
}

static void write_events(rovei_writer *w, const rovei_move_events *e, bool head_only)
{
    rovei_write_u64(w, e->done);
    rovei_write_u64(w, e->first);
    rovei_write_u32(w, e->count);
    if (!head_only)
        rovei_write_span(w, e->items);
}

static void read_events(rovei_reader *r, rovei_move_events *e)
{
    e->done = rovei_read_u64(r);
    e->first = rovei_read_u64(r);
    e->count = rovei_read_u32(r);
    if (!rovei_reader_ok(r))
        return;
    if ((e->first == 0) != (e->count == 0) || e->first > UINT64_MAX - e->count) {
        rovei_reader_fail(r, ROVE_E_FORMAT);
        return;
    }
    const uint8_t *start = r->at;
    for (uint32_t i = 0; i < e->count && rovei_reader_ok(r); i++) {
        (void)rovei_read_link(r);
        (void)rovei_read_span(r, rovei_read_u64(r));
    }
    e->items = (rove_span){start, (size_t)(r->at - start)};
}

/* ---- Prepared, Commit ---- */

static void write_prepared(rovei_writer *w, const rovei_move_prepared *p)
{
    rovei_write_bytes(w, p->digest, sizeof p->digest);
    rovei_write_u64(w, p->ticket);
    rovei_write_u32(w, p->unbound);
    rovei_write_u8(w, p->addr_count);
    for (size_t i = 0; i < p->addr_count; i++)
        rovei_addr_write(w, &p->addrs[i]);
}

static void read_prepared(rovei_reader *r, rovei_move_prepared *p)
{
    rovei_read_bytes(r, p->digest, sizeof p->digest);
    p->ticket = rovei_read_u64(r);
    p->unbound = rovei_read_u32(r);
    p->addr_count = rovei_read_u8(r);
    if (p->addr_count > ROVEI_RECORD_ADDRS) {
        rovei_reader_fail(r, ROVE_E_BOUND);
        p->addr_count = 0;
    }
    for (size_t i = 0; i < p->addr_count && rovei_reader_ok(r); i++)
        p->addrs[i] = rovei_addr_read(r);
}

/* ---- Results ---- */

static void write_results(rovei_writer *w, const rovei_move_results *s, bool head_only)
{
    rovei_write_u64(w, s->number);
    write_err(w, s->err);
    rovei_write_u32(w, s->output_count);
    rovei_write_u32(w, (uint32_t)s->text.size);
    rovei_write_span(w, s->text);
    rovei_write_u64(w, s->total);
    rovei_write_u64(w, s->offset);
    rovei_write_u64(w, s->bytes.size);
    if (!head_only)
        rovei_write_span(w, s->bytes);
}

static void read_results(rovei_reader *r, rovei_move_results *s)
{
    s->number = rovei_read_u64(r);
    s->err = read_err(r);
    s->output_count = rovei_read_u32(r);
    uint32_t text = rovei_read_u32(r);
    if (rovei_reader_ok(r) && text > ROVEI_MOVE_TEXT_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    s->text = rovei_read_span(r, text);
    s->total = rovei_read_u64(r);
    s->offset = rovei_read_u64(r);
    if (rovei_reader_ok(r) && s->number == 0)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    s->bytes = read_part(r, s->total, s->offset);
}

/* ---- Order, Outcome ---- */

static void write_order(rovei_writer *w, const rovei_move_order_body *o)
{
    rovei_write_u32(w, o->flags);
    rovei_write_u64(w, o->deadline);
    rovei_write_u64(w, o->retry_not_ready);
    rovei_write_u64(w, o->origin);
}

static void read_order(rovei_reader *r, rovei_move_order_body *o)
{
    o->flags = read_flags(r, ROVEI_OFFER_IDENTITY | ROVEI_OFFER_LEVEL_MAY_FALL | ROVEI_ORDER_KNOWN);
    o->deadline = rovei_read_u64(r);
    o->retry_not_ready = rovei_read_u64(r);
    o->origin = rovei_read_u64(r);
}

static void write_outcome(rovei_writer *w, const rovei_move_outcome_body *o)
{
    rovei_write_u8(w, (uint8_t)o->outcome);
    write_err(w, o->reason);
    rovei_write_u8(w, (uint8_t)o->phase);
    rovei_write_u32(w, o->attempts);
    rovei_write_u64(w, o->bytes);
    rovei_write_u64(w, o->blackout);
    rovei_write_u32(w, (uint32_t)o->text.size);
    rovei_write_span(w, o->text);
}

static void read_outcome(rovei_reader *r, rovei_move_outcome_body *o)
{
    o->outcome = (rovei_move_outcome)read_choice(r, ROVEI_OUTCOME_RUNNING, ROVEI_OUTCOME_TIMED_OUT);
    o->reason = read_err(r);
    if (rovei_reader_ok(r) && o->outcome == ROVEI_OUTCOME_FAILED && o->reason == ROVE_OK)
        rovei_reader_fail(r, ROVE_E_FORMAT);
    o->phase = (rovei_phase)read_choice(r, ROVEI_PHASE_NONE, ROVEI_PHASE_COMPLETE);
    o->attempts = rovei_read_u32(r);
    o->bytes = rovei_read_u64(r);
    o->blackout = rovei_read_u64(r);
    uint32_t text = rovei_read_u32(r);
    if (rovei_reader_ok(r) && text > ROVEI_MOVE_TEXT_MAX)
        rovei_reader_fail(r, ROVE_E_BOUND);
    o->text = rovei_read_span(r, text);
    if (rovei_reader_ok(r) && !rovei_is_utf8(o->text))
        rovei_reader_fail(r, ROVE_E_FORMAT);
}

/* ---- all of them ---- */

static void write_fields(const rovei_move_message *m, bool head_only, rovei_writer *w)
{
    switch (m->head.type) {
    case ROVEI_MOVE_OFFER:
        write_offer(w, &m->offer);
        break;
    case ROVEI_MOVE_ACCEPT:
        rovei_write_u32(w, m->answer.round);
        break;
    case ROVEI_MOVE_REFUSE:
        rovei_write_u32(w, m->answer.round);
        write_err(w, m->answer.reason);
        break;
    case ROVEI_MOVE_STATE:
    case ROVEI_MOVE_POSITIONS:
        write_chunk(w, &m->chunk, head_only);
        break;
    case ROVEI_MOVE_EVENTS:
        write_events(w, &m->events, head_only);
        break;
    case ROVEI_MOVE_ENVELOPE:
        rovei_write_u32(w, m->envelope.round);
        rovei_write_bytes(w, m->envelope.bytes, sizeof m->envelope.bytes);
        break;
    case ROVEI_MOVE_SEALED:
        write_sealed(w, &m->sealed);
        break;
    case ROVEI_MOVE_PREPARED:
        write_prepared(w, &m->prepared);
        break;
    case ROVEI_MOVE_COMMIT:
        rovei_write_u64(w, m->commit.ticket);
        rovei_write_u64(w, m->commit.events);
        rovei_record_write(w, &m->commit.record);
        break;
    case ROVEI_MOVE_ACTIVE:
        rovei_write_u8(w, m->active.serves);
        rovei_write_u64(w, m->active.have);
        break;
    case ROVEI_MOVE_CLOSED:
        break;
    case ROVEI_MOVE_UNKNOWN:
        rovei_write_u8(w, (uint8_t)m->unknown.answers);
        break;
    case ROVEI_MOVE_RESULTS:
        write_results(w, &m->results, head_only);
        break;
    case ROVEI_MOVE_ABORT:
    case ROVEI_MOVE_CANCEL:
        write_err(w, m->ended.reason);
        break;
    case ROVEI_MOVE_PROGRESS:
        rovei_write_u8(w, (uint8_t)m->progress.phase);
        rovei_write_u64(w, m->progress.bytes);
        break;
    case ROVEI_MOVE_ORDER:
        write_order(w, &m->order);
        break;
    case ROVEI_MOVE_OUTCOME:
        write_outcome(w, &m->outcome);
        break;
    }
}

static void read_fields(rovei_reader *r, rovei_move_message *m)
{
    switch (m->head.type) {
    case ROVEI_MOVE_OFFER:
        read_offer(r, &m->offer);
        break;
    case ROVEI_MOVE_ACCEPT:
        m->answer.round = read_round(r);
        break;
    case ROVEI_MOVE_REFUSE:
        m->answer.round = read_round(r);
        m->answer.reason = read_reason(r);
        break;
    case ROVEI_MOVE_STATE:
    case ROVEI_MOVE_POSITIONS:
        read_chunk(r, &m->chunk);
        break;
    case ROVEI_MOVE_EVENTS:
        read_events(r, &m->events);
        break;
    case ROVEI_MOVE_ENVELOPE:
        m->envelope.round = read_round(r);
        rovei_read_bytes(r, m->envelope.bytes, sizeof m->envelope.bytes);
        break;
    case ROVEI_MOVE_SEALED:
        read_sealed(r, &m->sealed);
        break;
    case ROVEI_MOVE_PREPARED:
        read_prepared(r, &m->prepared);
        break;
    case ROVEI_MOVE_COMMIT:
        m->commit.ticket = rovei_read_u64(r);
        m->commit.events = rovei_read_u64(r);
        rovei_record_read(r, &m->commit.record);
        break;
    case ROVEI_MOVE_ACTIVE:
        m->active.serves = read_choice(r, 0, 1) == 1;
        m->active.have = rovei_read_u64(r);
        break;
    case ROVEI_MOVE_CLOSED:
        break;
    case ROVEI_MOVE_UNKNOWN:
        m->unknown.answers = (rovei_move_type)read_choice(r, ROVEI_MOVE_OFFER, ROVEI_MOVE_OUTCOME);
        break;
    case ROVEI_MOVE_RESULTS:
        read_results(r, &m->results);
        break;
    case ROVEI_MOVE_ABORT:
    case ROVEI_MOVE_CANCEL:
        m->ended.reason = read_reason(r);
        break;
    case ROVEI_MOVE_PROGRESS:
        m->progress.phase = (rovei_phase)read_choice(r, ROVEI_PHASE_SNAPSHOT, ROVEI_PHASE_COMPLETE);
        m->progress.bytes = rovei_read_u64(r);
        break;
    case ROVEI_MOVE_ORDER:
        read_order(r, &m->order);
        break;
    case ROVEI_MOVE_OUTCOME:
        read_outcome(r, &m->outcome);
        break;
    }
}

void rovei_move_encode(const rovei_move_message *m, bool head_only, rovei_writer *w)
{
    write_header(w, &m->head);
    write_fields(m, head_only, w);
}

rove_err rovei_move_decode(rovei_move_message *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_move_message m;
    memset(&m, 0, sizeof m);
    read_header(&r, &m.head);
    if (rovei_reader_ok(&r))
        read_fields(&r, &m);
    rove_err err = rovei_reader_end(&r);
    if (err == ROVE_OK)
        *ret = m;
    return err;
}

/* ---- Positions ---- */

static void write_part(rovei_writer *w, rove_span part)
{
    rovei_write_u64(w, part.size);
    rovei_write_span(w, part);
}

static rove_span read_counted(rovei_reader *r)
{
    return rovei_read_span(r, rovei_read_u64(r));
}

rove_buf *rovei_move_positions_encode(const rovei_move_positions *p, const rove_alloc *a)
{
    size_t size = ROVEI_LINK_SIZE + 5 * 8;
    const rove_span parts[] = {p->head_payload, p->horizon, p->ledger, p->lanes};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].size > SIZE_MAX - 8 - size)
            return NULL;
        size += 8 + parts[i].size;
    }
    rove_buf *buf = rovei_buf_alloc(a, size);
    if (!buf)
        return NULL;
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), size);
    rovei_write_link(&w, &p->head);
    rovei_write_u64(&w, p->events_processed);
    rovei_write_u64(&w, p->events_emitted);
    rovei_write_u64(&w, p->errors);
    rovei_write_u64(&w, p->snapshots_taken);
    rovei_write_u64(&w, p->created_at);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        write_part(&w, parts[i]);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    return buf;
}

rove_err rovei_move_positions_decode(rovei_move_positions *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_move_positions p = {0};
    p.head = rovei_read_link(&r);
    p.events_processed = rovei_read_u64(&r);
    p.events_emitted = rovei_read_u64(&r);
    p.errors = rovei_read_u64(&r);
    p.snapshots_taken = rovei_read_u64(&r);
    p.created_at = rovei_read_u64(&r);
    p.head_payload = read_counted(&r);
    p.horizon = read_counted(&r);
    p.ledger = read_counted(&r);
    p.lanes = read_counted(&r);
    rove_err err = rovei_reader_end(&r);
    if (err == ROVE_OK)
        *ret = p;
    return err;
}
