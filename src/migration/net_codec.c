/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes and texts of the messages of class net. */
#include <base/check.h>
#include <identity/entity.h>
#include <migration/net_codec.h>
#include <string.h>

static const char *const names[ROVEI_NETMOVE_TYPES] = {
    "TakeSnapshot",    "SnapshotReady",   "RestoreComplete", "ReplayComplete", "CutoverNotify",
    "CleanupComplete", "MigrationFailed", "BufferedEvents",  "ActivateTarget", "ActivateAck",
};

const char *rovei_netmove_type_name(rovei_netmove_type type)
{
    return (unsigned)type < ROVEI_NETMOVE_TYPES ? names[type] : "unknown";
}

/* ---- writing ---- */

static void write_fail(rovei_writer *w, rove_err err)
{
    if (!w->err)
        w->err = err;
}

static void write_chunk(rovei_writer *w, const rovei_netmove_chunk *c)
{
    if (c->bytes.size > ROVEI_NETMOVE_CHUNK_MAX)
        write_fail(w, ROVE_E_BOUND);
    rovei_write_u64(w, c->seq_through);
    rovei_write_u32(w, c->index);
    rovei_write_u32(w, c->total);
    rovei_write_u32(w, (uint32_t)c->bytes.size);
    rovei_write_span(w, c->bytes);
}

static void write_reason(rovei_writer *w, const rovei_netmove_reason *r)
{
    rovei_write_u16(w, (uint16_t)r->code);
    if (r->code == ROVEI_NETMOVE_NOT_READY_TIMEOUT)
        rovei_write_u8(w, r->attempts);
    if (!rovei_netmove_reason_has_text(r->code))
        return;
    if (r->text.size > UINT16_MAX)
        write_fail(w, ROVE_E_BOUND);
    rovei_write_u16(w, (uint16_t)r->text.size);
    rovei_write_span(w, r->text);
}

void rovei_netmove_event_write(rovei_writer *w, const rovei_netmove_event *e)
{
    if (e->payload.size > ROVEI_NETMOVE_CHUNK_MAX)
        write_fail(w, ROVE_E_BOUND);
    rovei_write_link(w, &e->link);
    rovei_write_u32(w, (uint32_t)e->payload.size);
    rovei_write_span(w, e->payload);
    rovei_write_u64(w, e->received_at);
}

void rovei_netmove_encode(const rovei_netmove_message *m, rovei_writer *w)
{
    rovei_write_u8(w, (uint8_t)m->type);
    rovei_write_u64(w, m->origin);
    switch (m->type) {
    case ROVEI_NETMOVE_TAKE_SNAPSHOT:
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        rovei_write_u64(w, m->node);
        break;
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        write_chunk(w, &m->chunk);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        rovei_write_u64(w, m->sequence);
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        rovei_write_u64(w, m->replayed.sequence);
        rovei_write_link(w, &m->replayed.head);
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        write_reason(w, &m->failed);
        break;
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
        rovei_write_u32(w, m->events.count);
        rovei_write_span(w, m->events.items);
        break;
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        break;
    }
}

/* ---- reading ---- */

static void fail(rovei_reader *r, rovei_text *why, rove_err err, const char *text)
{
    if (!rovei_reader_ok(r))
        return;
    rovei_reader_fail(r, err);
    rovei_text_set(why, text);
}

/* Without so many bytes: `text`, and `name` behind it. */
static bool needs(rovei_reader *r, uint64_t size, rovei_text *why, const char *text,
                  const char *name)
{
    if (rovei_reader_ok(r) && rovei_reader_left(r) < size) {
        fail(r, why, ROVE_E_SHORT, text);
        rovei_text_add(why, name);
    }
    return rovei_reader_ok(r);
}

static void too_many(rovei_reader *r, rovei_text *why, const char *what, uint64_t number,
                     const char *rest)
{
    fail(r, why, ROVE_E_BOUND, what);
    rovei_text_add_number(why, number);
    rovei_text_add(why, rest);
}

static void check_chunk(rovei_reader *r, const rovei_netmove_chunk *c, uint32_t size,
                        rovei_text *why)
{
    if (c->total == 0) {
        fail(r, why, ROVE_E_BOUND, "SnapshotReady: total_chunks must be >= 1");
    } else if (c->total > ROVEI_NETMOVE_CHUNKS_MAX) {
        too_many(r, why, "SnapshotReady: total_chunks ", c->total,
                 " exceeds MAX_TOTAL_CHUNKS (700000)");
    } else if (c->index >= c->total) {
        too_many(r, why, "SnapshotReady: chunk_index ", c->index,
                 " out of range for total_chunks ");
        rovei_text_add_number(why, c->total);
    } else if (size > ROVEI_NETMOVE_CHUNK_MAX) {
        too_many(r, why, "SnapshotReady: snapshot payload length ", size,
                 " exceeds MAX_SNAPSHOT_CHUNK_SIZE (7000)");
    }
}

static void read_chunk(rovei_reader *r, rovei_netmove_chunk *c, rovei_text *why)
{
    if (!needs(r, 20, why, "truncated ", "SnapshotReady"))
        return;
    c->seq_through = rovei_read_u64(r);
    c->index = rovei_read_u32(r);
    c->total = rovei_read_u32(r);
    uint32_t size = rovei_read_u32(r);
    check_chunk(r, c, size, why);
    if (needs(r, size, why, "truncated snapshot payload", ""))
        c->bytes = rovei_read_span(r, size);
}

static void read_reason_text(rovei_reader *r, rovei_netmove_reason *f, rovei_text *why)
{
    const char *name =
        f->code == ROVEI_NETMOVE_STATE_FAILED ? "StateFailed" : "IdentityTransportFailed";
    if (!needs(r, 2, why, "truncated ", name)) {
        rovei_text_add(why, " length prefix");
        return;
    }
    uint16_t size = rovei_read_u16(r);
    if (!needs(r, size, why, "truncated ", name)) {
        rovei_text_add(why, " body");
        return;
    }
    f->text = rovei_read_span(r, size);
    if (!rovei_is_utf8(f->text)) {
        fail(r, why, ROVE_E_FORMAT, name);
        rovei_text_add(why, " is not valid UTF-8");
    }
}

static void read_reason(rovei_reader *r, rovei_netmove_reason *f, rovei_text *why)
{
    if (!needs(r, 2, why, "truncated MigrationFailed header", ""))
        return;
    uint16_t code = rovei_read_u16(r);
    if (code > ROVEI_NETMOVE_NOT_READY_TIMEOUT) {
        fail(r, why, ROVE_E_FLAG, "unknown MigrationFailureReason code ");
        rovei_text_add_number(why, code);
        return;
    }
    f->code = (rovei_netmove_code)code;
    if (rovei_netmove_reason_has_text(f->code))
        read_reason_text(r, f, why);
    else if (f->code == ROVEI_NETMOVE_NOT_READY_TIMEOUT &&
             needs(r, 1, why, "truncated NotReadyTimeout attempts field", ""))
        f->attempts = rovei_read_u8(r);
}

bool rovei_netmove_event_read(rovei_reader *items, rovei_netmove_event *ret)
{
    if (!rovei_reader_left(items))
        return false;
    rove_link link = rovei_read_link(items);
    rove_span payload = rovei_read_span(items, rovei_read_u32(items));
    *ret = (rovei_netmove_event){link, payload, rovei_read_u64(items)};
    return rovei_reader_ok(items);
}

static void skip_event(rovei_reader *r, rovei_text *why)
{
    if (!needs(r, 36, why, "truncated buffered event", ""))
        return;
    (void)rovei_read_link(r);
    uint32_t size = rovei_read_u32(r);
    if (size > ROVEI_NETMOVE_CHUNK_MAX)
        too_many(r, why, "buffered event payload ", size, " exceeds per-event cap 7000");
    if (needs(r, (uint64_t)size + 8, why, "truncated event payload", ""))
        (void)rovei_read_span(r, (uint64_t)size + 8);
}

static void read_events(rovei_reader *r, rovei_netmove_message *m, rovei_text *why)
{
    if (!needs(r, 4, why, "truncated ", "BufferedEvents"))
        return;
    uint32_t count = rovei_read_u32(r);
    size_t most = rovei_reader_left(r) / ROVEI_NETMOVE_EVENT_LEAST;
    if (most > ROVEI_NETMOVE_EVENTS_MAX)
        most = ROVEI_NETMOVE_EVENTS_MAX;
    if (count > most) {
        too_many(r, why, "BufferedEvents: count ", count, " exceeds bound (");
        rovei_text_add_number(why, most);
        rovei_text_add(why, ")");
    }
    const uint8_t *first = r->at;
    for (uint32_t i = 0; i < count && rovei_reader_ok(r); i++)
        skip_event(r, why);
    m->events.count = count;
    m->events.items = (rove_span){first, (size_t)(r->at - first)};
}

static void read_rest(rovei_reader *r, rovei_netmove_message *m, rovei_text *why)
{
    const char *name = names[m->type];
    switch (m->type) {
    case ROVEI_NETMOVE_TAKE_SNAPSHOT:
    case ROVEI_NETMOVE_CUTOVER_NOTIFY:
        if (needs(r, 8, why, "truncated ", name))
            m->node = rovei_read_u64(r);
        break;
    case ROVEI_NETMOVE_SNAPSHOT_READY:
        read_chunk(r, &m->chunk, why);
        break;
    case ROVEI_NETMOVE_RESTORE_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_ACK:
        if (needs(r, 8, why, "truncated ", name))
            m->sequence = rovei_read_u64(r);
        break;
    case ROVEI_NETMOVE_REPLAY_COMPLETE:
        if (needs(r, 8 + 32, why, "truncated ", name)) {
            m->replayed.sequence = rovei_read_u64(r);
            m->replayed.head = rovei_read_link(r);
        }
        break;
    case ROVEI_NETMOVE_MIGRATION_FAILED:
        read_reason(r, &m->failed, why);
        break;
    case ROVEI_NETMOVE_BUFFERED_EVENTS:
        read_events(r, m, why);
        break;
    case ROVEI_NETMOVE_CLEANUP_COMPLETE:
    case ROVEI_NETMOVE_ACTIVATE_TARGET:
        break;
    }
}

rove_err rovei_netmove_decode(rovei_netmove_message *ret, rove_span bytes, rovei_text *why)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_netmove_message m = {0};
    if (!needs(&r, 1, why, "empty message", ""))
        return r.err;
    uint8_t type = rovei_read_u8(&r);
    if (type >= ROVEI_NETMOVE_TYPES) {
        fail(&r, why, ROVE_E_FLAG, "unknown message type: ");
        rovei_text_add_number(why, type);
        return r.err;
    }
    m.type = (rovei_netmove_type)type;
    bool failed = m.type == ROVEI_NETMOVE_MIGRATION_FAILED;
    if (!needs(&r, 8, why, "truncated ", failed ? "MigrationFailed header" : names[type]))
        return r.err;
    m.origin = rovei_read_u64(&r);
    read_rest(&r, &m, why);
    if (rovei_reader_ok(&r))
        *ret = m;
    return r.err;
}

/* ---- the head of a snapshot ---- */

#define HEAD_SIZE 37
static const uint8_t magic[4] = {'C', 'D', 'S', '1'};

static void add_bytes(rovei_text *why, const uint8_t *bytes, size_t size)
{
    rovei_text_add(why, "[");
    for (size_t i = 0; i < size; i++) {
        rovei_text_add(why, i ? ", " : "");
        rovei_text_add_number(why, bytes[i]);
    }
    rovei_text_add(why, "]");
}

rove_err rovei_netmove_check_head(uint64_t origin, rove_span chunk, rove_entity *ret_entity,
                                  rovei_text *why)
{
    const uint8_t *bytes = chunk.data;
    rovei_text_set(why, "SnapshotReady chunk 0 ");
    if (chunk.size < HEAD_SIZE) {
        rovei_text_add(why, "is ");
        rovei_text_add_number(why, chunk.size);
        rovei_text_add(why, " bytes \xE2\x80\x94 too short for snapshot envelope (need >= 37)");
        return ROVE_E_SHORT;
    }
    if (memcmp(bytes, magic, sizeof magic) != 0) {
        rovei_text_add(why, "has wrong magic bytes: ");
        add_bytes(why, bytes, sizeof magic);
        return ROVE_E_MAGIC;
    }
    if (bytes[4] != 2) {
        rovei_text_add(why, "carries snapshot version ");
        rovei_text_add_number(why, bytes[4]);
        rovei_text_add(why, " (expected 2)");
        return ROVE_E_VERSION;
    }
    rove_entity entity;
    memcpy(entity.bytes, bytes + 5, sizeof entity.bytes);
    if (rovei_entity_origin(&entity) != origin) {
        rovei_text_add(why, "entity_id origin ");
        rovei_text_add_hex(why, rovei_entity_origin(&entity));
        rovei_text_add(why, " does not match daemon_origin ");
        rovei_text_add_hex(why, origin);
        return ROVE_E_ORIGIN_MISMATCH;
    }
    *ret_entity = entity;
    return ROVE_OK;
}

/* ---- reasons ---- */

void rovei_netmove_reason_text(const rovei_netmove_reason *r, rovei_text *ret)
{
    static const char *const texts[] = {
        [ROVEI_NETMOVE_NOT_READY] = "target runtime not ready yet",
        [ROVEI_NETMOVE_NO_FACTORY] = "no factory registered on target for this daemon",
        [ROVEI_NETMOVE_NO_RUNTIME] = "target does not run a compute runtime",
        [ROVEI_NETMOVE_STATE_FAILED] = "state failed: ",
        [ROVEI_NETMOVE_ALREADY] = "daemon is already migrating",
        [ROVEI_NETMOVE_IDENTITY_FAILED] = "identity envelope transport failed: ",
        [ROVEI_NETMOVE_NOT_READY_TIMEOUT] = "source gave up after ",
    };
    ROVEI_CHECK((size_t)r->code < sizeof texts / sizeof *texts);
    rovei_text_set(ret, texts[r->code]);
    if (rovei_netmove_reason_has_text(r->code))
        rovei_text_add_span(ret, r->text);
    if (r->code == ROVEI_NETMOVE_NOT_READY_TIMEOUT) {
        rovei_text_add_number(ret, r->attempts);
        rovei_text_add(ret, " NotReady retries");
    }
}

/* Whether `text` begins with `start`, or has it behind the words of an unopened envelope. */
static bool says(rove_span text, const char *start)
{
    size_t skip = strlen(ROVEI_NETMOVE_NOT_OPENED), size = strlen(start);
    const char *p = text.data;
    if (text.size >= size && memcmp(p, start, size) == 0)
        return true;
    return text.size >= skip + size && memcmp(p, ROVEI_NETMOVE_NOT_OPENED, skip) == 0 &&
           memcmp(p + skip, start, size) == 0;
}

rove_err rovei_netmove_err_of(const rovei_netmove_reason *r)
{
    switch (r->code) {
    case ROVEI_NETMOVE_NOT_READY:
        return ROVE_E_TARGET_NOT_READY;
    case ROVEI_NETMOVE_NO_FACTORY:
        return ROVE_E_TARGET_NO_FACTORY;
    case ROVEI_NETMOVE_NO_RUNTIME:
        return ROVE_E_TARGET_NO_RUNTIME;
    case ROVEI_NETMOVE_STATE_FAILED:
    case ROVEI_NETMOVE_IDENTITY_FAILED:
        if (says(r->text, ROVEI_NETMOVE_NO_KEY))
            return ROVE_E_IDENTITY_MISSING;
        return r->code == ROVEI_NETMOVE_IDENTITY_FAILED || says(r->text, ROVEI_NETMOVE_NOT_OPENED)
                   ? ROVE_E_IDENTITY_TRANSPORT
                   : ROVE_E_STATE_FAILED;
    case ROVEI_NETMOVE_ALREADY:
        return ROVE_E_ALREADY_MIGRATING;
    case ROVEI_NETMOVE_NOT_READY_TIMEOUT:
        return ROVE_E_NOT_READY_TIMEOUT;
    }
    return ROVE_E_STATE_FAILED;
}

rovei_netmove_code rovei_netmove_code_of(rove_err err)
{
    switch ((int)err) {
    case ROVE_E_TARGET_NOT_READY:
    case ROVE_E_NOT_READY:
        return ROVEI_NETMOVE_NOT_READY;
    case ROVE_E_TARGET_NO_FACTORY:
    case ROVE_E_KIND_UNKNOWN:
    case ROVE_E_NOT_FOUND:
        return ROVEI_NETMOVE_NO_FACTORY;
    case ROVE_E_TARGET_NO_RUNTIME:
    case ROVE_E_SHUTTING_DOWN:
        return ROVEI_NETMOVE_NO_RUNTIME;
    case ROVE_E_ALREADY_MIGRATING:
        return ROVEI_NETMOVE_ALREADY;
    default:
        return ROVEI_NETMOVE_STATE_FAILED;
    }
}
