/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots as objects and as bytes. */
#include <base/alloc.h>
#include <base/check.h>
#include <errno.h>
#include <host/cell.h>
#include <host/snapshot.h>
#include <string.h>
#include <unistd.h>

rove_snapshot *rovei_snapshot_new(const rove_alloc *a)
{
    rove_snapshot *s = ROVEI_NEW(a, rove_snapshot);
    if (!s)
        return NULL;
    s->alloc = *a;
    atomic_init(&s->refs, 1);
    return s;
}

rove_snapshot *rove_snapshot_ref(rove_snapshot *snapshot)
{
    if (snapshot)
        atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void rove_snapshot_unref(rove_snapshot *snapshot)
{
    if (!snapshot || atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) != 1)
        return;
    rovei_image_fini(&snapshot->image);
    rovei_backup_fini(&snapshot->positions);
    rove_buf_unref(snapshot->bytes);
    rove_alloc alloc = snapshot->alloc;
    ROVEI_DELETE(&alloc, snapshot);
}

rove_err rovei_snapshot_put_key(rove_snapshot *s, const rovei_env *env, const rovei_keypair *key,
                                const uint8_t target[32])
{
    rovei_envelope envelope;
    rove_err err = rovei_envelope_seal(&envelope, env, key, target, &s->image.head);
    if (err)
        return err;
    rovei_envelope_encode(&envelope, s->envelope);
    s->sealed = true;
    return ROVE_OK;
}

static rovei_snapshot as_parsed(const rove_snapshot *s)
{
    if (s->from_bytes)
        return s->parsed;
    return (rovei_snapshot){
        .entity = s->entity,
        .through_seq = s->image.head.sequence,
        .link = s->image.head,
        .created_at = s->image.created_at,
        .state = rove_buf_span(s->image.state),
        .bindings = rove_buf_span(s->image.ledger),
    };
}

rove_snapshot_info rove_snapshot_get_info(const rove_snapshot *snapshot)
{
    rovei_snapshot s = as_parsed(snapshot);
    return (rove_snapshot_info){.entity = s.entity,
                                .head = s.link,
                                .through_seq = s.through_seq,
                                .created_at = s.created_at,
                                .state = s.state,
                                .backup = snapshot->positions.epoch != 0,
                                .kind = snapshot->positions.kind,
                                .epoch = snapshot->positions.epoch,
                                .sealed = snapshot->sealed,
                                .stateless = snapshot->stateless};
}

/* ---- the common format ---- */

/* Everything of it but the state, which lies between *ret_head and *ret_tail. */
static rove_err encode_around(const rove_snapshot *snapshot, rove_buf **ret_head,
                              rove_buf **ret_tail)
{
    rovei_snapshot s = as_parsed(snapshot);
    s.has_envelope = false; /* one that came with the bytes was for another node */
    size_t whole;
    rove_err err = rovei_snapshot_size(&s, &whole);
    if (err)
        return err;
    size_t after = whole - ROVEI_SNAPSHOT_HEAD - s.state.size;
    rove_buf *head = rovei_buf_alloc(&snapshot->alloc, ROVEI_SNAPSHOT_HEAD);
    rove_buf *tail = rovei_buf_alloc(&snapshot->alloc, after);
    if (!head || !tail) {
        rove_buf_unref(head);
        rove_buf_unref(tail);
        return ROVE_E_NOMEM;
    }
    rovei_writer h = rovei_writer_of(rovei_buf_data(head), rovei_buf_size(head));
    rovei_writer t = rovei_writer_of(rovei_buf_data(tail), rovei_buf_size(tail));
    rovei_snapshot_encode_head(&s, &h);
    rovei_snapshot_encode_tail(&s, &t);
    ROVEI_CHECK(!h.err && !t.err && !rovei_writer_room(&h) && !rovei_writer_room(&t));
    *ret_head = head;
    *ret_tail = tail;
    return ROVE_OK;
}

rove_err rove_snapshot_encode(const rove_snapshot *snapshot, rove_buf **ret)
{
    if (!snapshot || !ret)
        return ROVE_E_USAGE;
    rovei_snapshot s = as_parsed(snapshot);
    s.has_envelope = false;
    size_t size;
    rove_err err = rovei_snapshot_size(&s, &size);
    if (err)
        return err;
    rove_buf *buf = rovei_buf_alloc(&snapshot->alloc, size);
    if (!buf)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), size);
    rovei_snapshot_encode(&s, &w);
    ROVEI_CHECK(w.err == ROVE_OK && rovei_writer_room(&w) == 0);
    *ret = buf;
    return ROVE_OK;
}

rove_err rovei_snapshot_of_buf(rove_snapshot **ret, rove_buf *bytes, const rove_alloc *alloc)
{
    rove_snapshot *s = rovei_snapshot_new(alloc);
    if (!s)
        return ROVE_E_NOMEM;
    s->from_bytes = true;
    s->bytes = rove_buf_ref(bytes);
    rove_err err = rovei_snapshot_decode(&s->parsed, rove_buf_span(s->bytes));
    if (err) {
        rove_snapshot_unref(s);
        return err;
    }
    s->entity = s->parsed.entity;
    *ret = s;
    return ROVE_OK;
}

rove_err rove_snapshot_decode(rove_snapshot **ret, rove_span bytes, const rove_alloc *alloc)
{
    if (!ret || (bytes.size && !bytes.data))
        return ROVE_E_USAGE;
    const rove_alloc *a = alloc ? alloc : &rovei_alloc_libc;
    rove_buf *copy = rovei_buf_copy(a, bytes.data, bytes.size);
    rove_err err = copy ? rovei_snapshot_of_buf(ret, copy, a) : ROVE_E_NOMEM;
    rove_buf_unref(copy);
    return err;
}

/* ---- the container, in ---- */

/* NULL for an empty part; `*failed` when memory is out. */
static rove_buf *part(const rove_alloc *a, rove_span bytes, bool *failed)
{
    rove_buf *buf = bytes.size ? rovei_buf_copy(a, bytes.data, bytes.size) : NULL;
    *failed |= bytes.size && !buf;
    return buf;
}

rove_err rovei_snapshot_of_intake(rove_snapshot **ret, const rovei_intake *in)
{
    const rovei_container *c = &in->container;
    rove_snapshot *s = rovei_snapshot_new(in->alloc);
    if (!s)
        return ROVE_E_NOMEM;
    bool failed = false;
    s->entity = c->entity;
    s->image = (rovei_image){
        .state = c->stateless ? NULL : rove_buf_ref(in->state),
        .state_size = c->state_size,
        .head = c->head,
        .head_payload = part(in->alloc, c->head_payload, &failed),
        .horizon = part(in->alloc, c->horizon, &failed),
        .ledger = part(in->alloc, c->ledger, &failed),
        .events_processed = c->events_processed,
        .events_emitted = c->events_emitted,
        .errors = c->errors,
        .snapshots_taken = c->snapshots_taken,
        .created_at = c->created_at,
    };
    s->positions = (rovei_backup){
        .daemon = c->entity,
        .epoch = c->epoch,
        .sinc = {c->sinc_number, c->sinc_random},
        .lanes = part(in->alloc, c->lanes, &failed),
    };
    s->stateless = c->stateless;
    s->sealed = c->envelope.size != 0;
    if (s->sealed)
        memcpy(s->envelope, c->envelope.data, sizeof s->envelope);
    rove_err err = failed                                     ? ROVE_E_NOMEM
                   : c->kind.size >= sizeof s->positions.kind ? ROVE_E_BOUND
                                                              : ROVE_OK;
    if (err == ROVE_OK) {
        memcpy(s->positions.kind, c->kind.data, c->kind.size);
        err = rovei_kind_name_check(s->positions.kind) ? ROVE_OK : ROVE_E_FORMAT;
    }
    if (err) {
        rove_snapshot_unref(s);
        return err;
    }
    *ret = s;
    return ROVE_OK;
}

static rove_err read_all(rovei_intake *in, rove_snapshot_source *source, void *user, uint8_t *room)
{
    rove_err err = ROVE_OK;
    for (size_t got = 1; got && !err;) {
        got = 0;
        err = source(user, room, ROVEI_SNAPSHOT_PIECE, &got);
        if (!err && got > ROVEI_SNAPSHOT_PIECE)
            err = ROVE_E_USAGE;
        if (!err && got)
            err = rovei_intake_add(in, (rove_span){room, got});
    }
    return err ? err : rovei_intake_end(in);
}

rove_err rove_snapshot_read(rove_snapshot **ret, rove_snapshot_source *source, void *user,
                            const rove_limits *limits, const rove_alloc *alloc)
{
    const rove_alloc *a = alloc ? alloc : &rovei_alloc_libc;
    rove_limits defaults;
    rove_limits_init(&defaults);
    if (!ret || !source)
        return ROVE_E_USAGE;
    if (limits && limits->struct_version != ROVE_LIMITS_VERSION)
        return ROVE_E_STRUCT_VERSION;
    rovei_intake in;
    uint8_t *room = rovei_alloc(a, ROVEI_SNAPSHOT_PIECE);
    if (!room)
        return ROVE_E_NOMEM;
    rovei_intake_init(&in, a, limits ? limits : &defaults);
    rove_err err = read_all(&in, source, user, room);
    if (err == ROVE_OK)
        err = rovei_snapshot_of_intake(ret, &in);
    rovei_intake_fini(&in);
    rovei_free(a, room, ROVEI_SNAPSHOT_PIECE);
    return err;
}

/* ---- out ---- */

rove_err rovei_snapshot_container_head(const rove_snapshot *s, rove_buf **ret)
{
    const rovei_image *i = &s->image;
    const rovei_backup *b = &s->positions;
    rovei_container c = {
        .entity = s->entity,
        .created_at = i->created_at,
        .epoch = b->epoch,
        .sinc_number = b->sinc.number,
        .sinc_random = b->sinc.random,
        .head = i->head,
        .events_processed = i->events_processed,
        .events_emitted = i->events_emitted,
        .errors = i->errors,
        .snapshots_taken = i->snapshots_taken,
        .kind = {b->kind, strlen(b->kind)},
        .head_payload = rove_buf_span(i->head_payload),
        .horizon = rove_buf_span(i->horizon),
        .ledger = rove_buf_span(i->ledger),
        .lanes = rove_buf_span(b->lanes),
        .envelope = {s->envelope, s->sealed ? sizeof s->envelope : 0},
        .stateless = s->stateless,
        .state_size = i->state ? rovei_buf_size(i->state) : i->state_size,
    };
    size_t size;
    rove_err err = rovei_container_head_size(&c, &size);
    if (err)
        return err;
    rove_buf *head = rovei_buf_alloc(&s->alloc, size);
    if (!head)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(head), size);
    rovei_container_write_head(&c, &w);
    ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w));
    *ret = head;
    return ROVE_OK;
}

static rove_err encode_container(const rove_snapshot *s, rove_buf **ret_head, rove_buf **ret_tail)
{
    rove_buf *head;
    rove_err err = rovei_snapshot_container_head(s, &head);
    if (err)
        return err;
    rove_buf *tail = rovei_buf_alloc(&s->alloc, ROVEI_CONTAINER_DIGEST);
    err = tail ? rovei_container_digest(&s->alloc, rove_buf_span(head),
                                        rove_buf_span(s->image.state), rovei_buf_data(tail))
               : ROVE_E_NOMEM;
    if (err) {
        rove_buf_unref(head);
        rove_buf_unref(tail);
        return err;
    }
    *ret_head = head;
    *ret_tail = tail;
    return ROVE_OK;
}

rove_err rovei_outflow_init(rovei_outflow *o, const rove_snapshot *snapshot, bool raw)
{
    rove_buf *head = NULL, *tail = NULL;
    if (!raw && !snapshot->positions.epoch)
        return ROVE_E_USAGE;
    rove_err err =
        raw ? encode_around(snapshot, &head, &tail) : encode_container(snapshot, &head, &tail);
    if (err)
        return err;
    rove_span state = as_parsed(snapshot).state;
    *o = (rovei_outflow){
        .head = head,
        .tail = tail,
        .parts = {rove_buf_span(head), state, rove_buf_span(tail)},
        .size = (uint64_t)rovei_buf_size(head) + state.size + rovei_buf_size(tail),
    };
    return ROVE_OK;
}

void rovei_outflow_of_state(rovei_outflow *o, const rove_snapshot *snapshot)
{
    rove_span state = as_parsed(snapshot).state;
    *o = (rovei_outflow){.parts = {state}, .size = state.size};
}

bool rovei_outflow_next(rovei_outflow *o, size_t most, rove_span *ret)
{
    while (o->part < 3 && o->at == o->parts[o->part].size) {
        o->part++;
        o->at = 0;
    }
    if (o->part == 3)
        return false;
    rove_span p = o->parts[o->part];
    size_t left = p.size - o->at;
    *ret = (rove_span){(const uint8_t *)p.data + o->at, left < most ? left : most};
    o->at += ret->size;
    return true;
}

void rovei_outflow_fini(rovei_outflow *o)
{
    rove_buf_unref(o->head);
    rove_buf_unref(o->tail);
    *o = (rovei_outflow){0};
}

rove_err rove_snapshot_write(const rove_snapshot *snapshot, rove_snapshot_sink *sink, void *user)
{
    rovei_outflow o;
    if (!snapshot || !sink)
        return ROVE_E_USAGE;
    rove_err err = rovei_outflow_init(&o, snapshot, false);
    if (err)
        return err;
    for (rove_span piece; !err && rovei_outflow_next(&o, ROVEI_SNAPSHOT_PIECE, &piece);)
        err = sink(user, piece);
    rovei_outflow_fini(&o);
    return err;
}

/* ---- file descriptors ---- */

static rove_err to_fd(void *user, rove_span bytes)
{
    const uint8_t *at = bytes.data;
    for (size_t left = bytes.size; left;) {
        ssize_t n = write(*(const int *)user, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ROVE_E_IO;
        at += n;
        left -= (size_t)n;
    }
    return ROVE_OK;
}

static rove_err from_fd(void *user, void *room, size_t size, size_t *ret_size)
{
    ssize_t n;
    do
        n = read(*(const int *)user, room, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return ROVE_E_IO;
    *ret_size = (size_t)n;
    return ROVE_OK;
}

rove_err rove_snapshot_write_fd(const rove_snapshot *snapshot, int fd)
{
    return rove_snapshot_write(snapshot, to_fd, &fd);
}

rove_err rove_snapshot_read_fd(rove_snapshot **ret, int fd, const rove_limits *limits,
                               const rove_alloc *alloc)
{
    return rove_snapshot_read(ret, from_fd, &fd, limits, alloc);
}
