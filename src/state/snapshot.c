/* SPDX-License-Identifier: Apache-2.0
 *
 * The state snapshot: magic CDS1, version 2.
 *
 *   offset  size
 *        0     4  magic
 *        4     1  version
 *        5    32  entity
 *       37     8  through_seq
 *       45    32  link
 *       77     8  created_at
 *       85     4  S, then S bytes of state
 *     89+S     4  B, then B bytes of bindings
 *   93+S+B     1  envelope flag, 0 or 1; with 1 an identity envelope of 209 bytes follows
 *
 * What the decoder refuses, in the order of its checks:
 *
 *   fewer than 4 bytes, or another magic                 E_MAGIC
 *   no version byte                                      E_SHORT
 *   another version                                      E_VERSION
 *   the fixed part or a length is cut off                E_SHORT
 *   S or B is more than what is left                     E_SHORT
 *   no flag                                              E_SHORT
 *   a flag that is neither 0 nor 1                       E_FLAG
 *   flag 1 and the envelope is cut off or no version 1   E_SNAPSHOT_ENVELOPE
 *   bytes after the end                                  E_TRAILING
 *   link.sequence is not through_seq                     E_SNAPSHOT_SEQUENCE
 *   link.origin is not the entity's                      E_SNAPSHOT_ORIGIN
 */
#include <state/snapshot.h>
#include <string.h>

#define SNAPSHOT_VERSION 2
#define BARE_SIZE        94 /* without state, bindings and envelope */

static const uint8_t magic[4] = {'C', 'D', 'S', '1'};

rove_err rovei_snapshot_size(const rovei_snapshot *s, size_t *ret)
{
    if (s->state.size > UINT32_MAX || s->bindings.size > UINT32_MAX)
        return ROVE_E_SNAPSHOT_SIZE;
    size_t fixed = BARE_SIZE + (s->has_envelope ? ROVEI_ENVELOPE_SIZE : 0);
    if (s->state.size > SIZE_MAX - fixed || s->bindings.size > SIZE_MAX - fixed - s->state.size)
        return ROVE_E_SNAPSHOT_SIZE;
    *ret = fixed + s->state.size + s->bindings.size;
    return ROVE_OK;
}

void rovei_snapshot_encode_head(const rovei_snapshot *s, rovei_writer *w)
{
    rovei_write_bytes(w, magic, sizeof magic);
    rovei_write_u8(w, SNAPSHOT_VERSION);
    rovei_write_entity(w, &s->entity);
    rovei_write_u64(w, s->through_seq);
    rovei_write_link(w, &s->link);
    rovei_write_u64(w, s->created_at);
    rovei_write_u32(w, (uint32_t)s->state.size);
}

void rovei_snapshot_encode_tail(const rovei_snapshot *s, rovei_writer *w)
{
    rovei_write_u32(w, (uint32_t)s->bindings.size);
    rovei_write_span(w, s->bindings);
    rovei_write_u8(w, s->has_envelope);
    if (s->has_envelope) {
        uint8_t envelope[ROVEI_ENVELOPE_SIZE];
        rovei_envelope_encode(&s->envelope, envelope);
        rovei_write_bytes(w, envelope, sizeof envelope);
    }
}

void rovei_snapshot_encode(const rovei_snapshot *s, rovei_writer *w)
{
    size_t size;
    rove_err err = rovei_snapshot_size(s, &size);
    if (err) {
        if (w->err == ROVE_OK)
            w->err = err;
        return;
    }
    rovei_snapshot_encode_head(s, w);
    rovei_write_span(w, s->state);
    rovei_snapshot_encode_tail(s, w);
}

static void read_head(rovei_snapshot *s, rovei_reader *r)
{
    rove_span start = rovei_read_span(r, sizeof magic);
    if (!start.size || memcmp(start.data, magic, sizeof magic) != 0) {
        r->err = ROVE_E_MAGIC;
        return;
    }
    uint8_t version = rovei_read_u8(r);
    if (rovei_reader_ok(r) && version != SNAPSHOT_VERSION)
        rovei_reader_fail(r, ROVE_E_VERSION);
    s->entity = rovei_read_entity(r);
    s->through_seq = rovei_read_u64(r);
    s->link = rovei_read_link(r);
    s->created_at = rovei_read_u64(r);
}

static void read_envelope(rovei_snapshot *s, rovei_reader *r)
{
    uint8_t flag = rovei_read_u8(r);
    if (flag > 1)
        rovei_reader_fail(r, ROVE_E_FLAG);
    if (!rovei_reader_ok(r) || flag == 0)
        return;
    if (rovei_reader_left(r) < ROVEI_ENVELOPE_SIZE ||
        rovei_envelope_decode(&s->envelope, rovei_read_span(r, ROVEI_ENVELOPE_SIZE)) != ROVE_OK)
        rovei_reader_fail(r, ROVE_E_SNAPSHOT_ENVELOPE);
    s->has_envelope = true;
}

rove_err rovei_snapshot_decode(rovei_snapshot *ret, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    rovei_snapshot s = {0};
    read_head(&s, &r);
    s.state = rovei_read_span(&r, rovei_read_u32(&r));
    s.bindings = rovei_read_span(&r, rovei_read_u32(&r));
    read_envelope(&s, &r);
    rove_err err = rovei_reader_end(&r);
    if (err)
        return err;
    if (s.link.sequence != s.through_seq)
        return ROVE_E_SNAPSHOT_SEQUENCE;
    if (s.link.origin != rovei_entity_origin(&s.entity))
        return ROVE_E_SNAPSHOT_ORIGIN;
    *ret = s;
    return ROVE_OK;
}

rove_err rovei_snapshot_seal(rovei_snapshot *s, const rovei_env *env, const rovei_keypair *daemon,
                             const uint8_t target[32])
{
    rove_err err = rovei_envelope_seal(&s->envelope, env, daemon, target, &s->link);
    if (err == ROVE_OK)
        s->has_envelope = true;
    return err;
}

rove_err rovei_snapshot_open(rovei_keypair **ret, const rovei_env *env, const rovei_snapshot *s,
                             const uint8_t secret[32])
{
    if (!s->has_envelope) {
        *ret = NULL;
        return ROVE_OK;
    }
    rovei_keypair *k;
    rove_err err = rovei_envelope_open(&k, env, &s->envelope, secret, &s->link, &s->entity);
    if (err)
        return err;
    if (!rovei_entity_equal(rovei_keypair_entity(k), &s->entity)) {
        rovei_keypair_unref(k);
        return ROVE_E_ENVELOPE_ORIGIN;
    }
    *ret = k;
    return ROVE_OK;
}
