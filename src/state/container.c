/* SPDX-License-Identifier: Apache-2.0
 *
 * The container's bytes, out and in. */
#include <crypto/crypto.h>
#include <identity/entity.h>
#include <state/container.h>
#include <string.h>

#define VERSION 1

/* ---- out ---- */

rove_err rovei_container_head_size(const rovei_container *c, size_t *ret)
{
    const rove_span parts[] = {c->kind,   c->head_payload, c->horizon,
                               c->ledger, c->lanes,        c->envelope};
    size_t size = ROVEI_CONTAINER_FIXED;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].size > SIZE_MAX / 2 - size)
            return ROVE_E_SNAPSHOT_SIZE;
        size += parts[i].size;
    }
    *ret = size;
    return ROVE_OK;
}

void rovei_container_write_head(const rovei_container *c, rovei_writer *w)
{
    rovei_write_bytes(w, ROVEI_CONTAINER_MAGIC, ROVEI_CONTAINER_MAGIC_SIZE);
    rovei_write_u32(w, VERSION);
    rovei_write_u32(w, (c->envelope.size ? ROVEI_CONTAINER_SEALED : 0) |
                           (c->stateless ? ROVEI_CONTAINER_STATELESS : 0));
    rovei_write_entity(w, &c->entity);
    rovei_write_u64(w, c->created_at);
    rovei_write_u64(w, c->epoch);
    rovei_write_u64(w, c->sinc_number);
    rovei_write_u64(w, c->sinc_random);
    rovei_write_link(w, &c->head);
    rovei_write_u64(w, c->events_processed);
    rovei_write_u64(w, c->events_emitted);
    rovei_write_u64(w, c->errors);
    rovei_write_u64(w, c->snapshots_taken);
    rovei_write_u64(w, c->kind.size);
    rovei_write_u64(w, c->head_payload.size);
    rovei_write_u64(w, c->horizon.size);
    rovei_write_u64(w, c->ledger.size);
    rovei_write_u64(w, c->lanes.size);
    rovei_write_u64(w, c->state_size);
    rovei_write_span(w, c->kind);
    rovei_write_span(w, c->head_payload);
    rovei_write_span(w, c->horizon);
    rovei_write_span(w, c->ledger);
    rovei_write_span(w, c->lanes);
    rovei_write_span(w, c->envelope);
}

rove_err rovei_container_digest(const rove_alloc *a, rove_span head, rove_span state,
                                uint8_t ret[ROVEI_CONTAINER_DIGEST])
{
    struct rovei_digest *d = rovei_digest_new(a);
    if (!d)
        return ROVE_E_NOMEM;
    rovei_digest_add(d, head.data, head.size);
    rovei_digest_add(d, state.data, state.size);
    rovei_digest_end(d, ret);
    rovei_digest_free(d);
    return ROVE_OK;
}

/* ---- in ---- */

/* What the fixed part promises to follow it. */
typedef struct sizes {
    uint64_t kind, head_payload, horizon, ledger, lanes, envelope;
} sizes;

static void read_fixed(rovei_reader *r, rovei_container *c, sizes *s)
{
    uint8_t magic[ROVEI_CONTAINER_MAGIC_SIZE];
    rovei_read_bytes(r, magic, sizeof magic);
    if (rovei_reader_ok(r) && memcmp(magic, ROVEI_CONTAINER_MAGIC, sizeof magic) != 0)
        rovei_reader_fail(r, ROVE_E_MAGIC);
    if (rovei_read_u32(r) != VERSION)
        rovei_reader_fail(r, ROVE_E_VERSION);
    uint32_t flags = rovei_read_u32(r);
    if (flags & ~(uint32_t)(ROVEI_CONTAINER_SEALED | ROVEI_CONTAINER_STATELESS))
        rovei_reader_fail(r, ROVE_E_FLAG);
    c->stateless = flags & ROVEI_CONTAINER_STATELESS;
    s->envelope = flags & ROVEI_CONTAINER_SEALED ? ROVEI_ENVELOPE_SIZE : 0;
    c->entity = rovei_read_entity(r);
    c->created_at = rovei_read_u64(r);
    c->epoch = rovei_read_u64(r);
    c->sinc_number = rovei_read_u64(r);
    c->sinc_random = rovei_read_u64(r);
    c->head = rovei_read_link(r);
    c->events_processed = rovei_read_u64(r);
    c->events_emitted = rovei_read_u64(r);
    c->errors = rovei_read_u64(r);
    c->snapshots_taken = rovei_read_u64(r);
    s->kind = rovei_read_u64(r);
    s->head_payload = rovei_read_u64(r);
    s->horizon = rovei_read_u64(r);
    s->ledger = rovei_read_u64(r);
    s->lanes = rovei_read_u64(r);
    c->state_size = rovei_read_u64(r);
}

static void check_fixed(rovei_reader *r, const rovei_container *c, const sizes *s)
{
    if (!rovei_reader_ok(r))
        return;
    if (!c->epoch || c->epoch > ROVEI_CONTAINER_EPOCH_MAX || !c->sinc_number ||
        c->sinc_number > ROVEI_CONTAINER_EPOCH_MAX || !s->kind ||
        s->kind > ROVEI_CONTAINER_KIND_MAX || (c->stateless && c->state_size))
        rovei_reader_fail(r, ROVE_E_BOUND);
    else if (c->head.origin != rovei_entity_origin(&c->entity))
        rovei_reader_fail(r, ROVE_E_SNAPSHOT_ORIGIN);
}

rove_err rovei_container_read_head(rovei_container *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_container c = {0};
    sizes s = {0};
    read_fixed(&r, &c, &s);
    check_fixed(&r, &c, &s);
    c.kind = rovei_read_span(&r, s.kind);
    c.head_payload = rovei_read_span(&r, s.head_payload);
    c.horizon = rovei_read_span(&r, s.horizon);
    c.ledger = rovei_read_span(&r, s.ledger);
    c.lanes = rovei_read_span(&r, s.lanes);
    c.envelope = rovei_read_span(&r, s.envelope);
    if (rovei_reader_ok(&r) && memchr(c.kind.data, '\0', c.kind.size))
        rovei_reader_fail(&r, ROVE_E_FORMAT);
    rove_err err = rovei_reader_end(&r);
    if (err == ROVE_OK)
        *ret = c;
    return err;
}

rove_err rovei_container_read_fixed(rovei_container *ret, uint64_t *ret_kind, uint64_t *ret_whole,
                                    rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_container c = {0};
    sizes s = {0};
    read_fixed(&r, &c, &s);
    check_fixed(&r, &c, &s);
    rove_err err = rovei_reader_end(&r);
    const uint64_t parts[] = {s.kind,  s.head_payload, s.horizon,   s.ledger,
                              s.lanes, s.envelope,     c.state_size};
    uint64_t whole = ROVEI_CONTAINER_FIXED + ROVEI_CONTAINER_DIGEST;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !err; i++) {
        err = parts[i] > UINT64_MAX - whole ? ROVE_E_BOUND : ROVE_OK;
        whole += parts[i];
    }
    if (err)
        return err;
    *ret = c;
    *ret_kind = s.kind;
    *ret_whole = whole;
    return ROVE_OK;
}

/* ---- in, piece by piece ---- */

void rovei_intake_init(rovei_intake *in, const rove_alloc *alloc, const rove_limits *limits)
{
    /* Lanes with their outcomes, a head payload and a horizon, each bounded by its own limit where
     * it was made, which may have been more generous; and some room for what goes with each. */
    uint64_t lanes = 2 * limits->outputs_max +
                     limits->lanes_per_daemon * (256 + limits->lane_events * UINT64_C(128));
    *in = (rovei_intake){.alloc = alloc,
                         .parts_max = lanes + limits->outputs_max + limits->horizon_origins * 16 +
                                      (UINT64_C(128) << 20),
                         .state_max = limits->state_max};
}

void rovei_intake_fini(rovei_intake *in)
{
    rove_buf_unref(in->head);
    rove_buf_unref(in->state);
    *in = (rovei_intake){0};
}

/* Moves what there is of `bytes` to where it belongs, `size` in all; true: that is complete. */
static bool fill(void *to, size_t size, size_t *have, rove_span *bytes)
{
    size_t n = size - *have < bytes->size ? size - *have : bytes->size;
    if (n)
        memcpy((uint8_t *)to + *have, bytes->data, n);
    *have += n;
    bytes->data = n ? (const uint8_t *)bytes->data + n : bytes->data;
    bytes->size -= n;
    return *have == size;
}

/* The fixed part is there: room for what it promises, within the limits. */
static rove_err make_room(rovei_intake *in)
{
    rovei_reader r = rovei_reader_of((rove_span){in->fixed, sizeof in->fixed});
    rovei_container c = {0};
    sizes s = {0};
    read_fixed(&r, &c, &s);
    check_fixed(&r, &c, &s);
    if (!rovei_reader_ok(&r))
        return r.err;
    const uint64_t parts[] = {s.kind, s.head_payload, s.horizon, s.ledger, s.lanes, s.envelope};
    uint64_t size = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] > in->parts_max - size)
            return ROVE_E_BOUND;
        size += parts[i];
    }
    if (c.state_size > in->state_max || c.state_size > SIZE_MAX / 2)
        return ROVE_E_TOO_LARGE;
    if (size > SIZE_MAX / 2 - sizeof in->fixed)
        return ROVE_E_BOUND;
    in->head = rovei_buf_alloc(in->alloc, sizeof in->fixed + (size_t)size);
    in->state = in->head ? rovei_buf_alloc(in->alloc, (size_t)c.state_size) : NULL;
    if (!in->state)
        return ROVE_E_NOMEM;
    memcpy(rovei_buf_data(in->head), in->fixed, sizeof in->fixed);
    in->head_have = sizeof in->fixed;
    return ROVE_OK;
}

static rove_err add(rovei_intake *in, rove_span bytes)
{
    rove_err err = ROVE_OK;
    if (in->fixed_have < sizeof in->fixed) {
        if (!fill(in->fixed, sizeof in->fixed, &in->fixed_have, &bytes)) {
            /* What begins wrongly is not waited for. */
            size_t n = in->fixed_have < ROVEI_CONTAINER_MAGIC_SIZE ? in->fixed_have
                                                                   : ROVEI_CONTAINER_MAGIC_SIZE;
            return memcmp(in->fixed, ROVEI_CONTAINER_MAGIC, n) == 0 ? ROVE_OK : ROVE_E_MAGIC;
        }
        err = make_room(in);
        if (err)
            return err;
    }
    size_t head = rovei_buf_size(in->head);
    bool was_whole = in->head_have == head && in->container.epoch;
    if (!fill(rovei_buf_data(in->head), head, &in->head_have, &bytes))
        return ROVE_OK;
    if (!was_whole)
        err = rovei_container_read_head(&in->container, rove_buf_span(in->head));
    if (err || !fill(rovei_buf_data(in->state), rovei_buf_size(in->state), &in->state_have, &bytes))
        return err;
    (void)fill(in->digest, sizeof in->digest, &in->digest_have, &bytes);
    return bytes.size ? ROVE_E_TRAILING : ROVE_OK;
}

rove_err rovei_intake_add(rovei_intake *in, rove_span bytes)
{
    if (in->err == ROVE_OK)
        in->err = add(in, bytes);
    return in->err;
}

rove_err rovei_intake_end(rovei_intake *in)
{
    uint8_t digest[ROVEI_CONTAINER_DIGEST];
    if (in->err == ROVE_OK && in->digest_have < sizeof in->digest)
        in->err = ROVE_E_SHORT;
    if (in->err == ROVE_OK)
        in->err = rovei_container_digest(in->alloc, rove_buf_span(in->head),
                                         rove_buf_span(in->state), digest);
    if (in->err == ROVE_OK && memcmp(digest, in->digest, sizeof digest) != 0)
        in->err = ROVE_E_SNAPSHOT_DIGEST;
    return in->err;
}
