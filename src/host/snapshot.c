/* SPDX-License-Identifier: Apache-2.0
 *
 * Snapshots as objects and as bytes, and the walk over framed outputs. */
#include <base/buf.h>
#include <base/check.h>
#include <host/runtime.h>
#include <rove/sender.h>

bool rovei_frames_next(rove_span frames, size_t *it, rove_link *ret_link, rove_span *ret_payload)
{
    if (*it >= frames.size)
        return false;
    rove_span rest = {(const uint8_t *)frames.data + *it, frames.size - *it};
    rovei_reader r = rovei_reader_of(rest);
    if (!rovei_event_frame_read(&r, ret_link, ret_payload))
        return false;
    *it = frames.size - rovei_reader_left(&r);
    return true;
}

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
    rove_buf_unref(snapshot->bytes);
    rove_alloc alloc = snapshot->alloc;
    ROVEI_DELETE(&alloc, snapshot);
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
                                .state = s.state};
}

rove_err rove_snapshot_encode(const rove_snapshot *snapshot, rove_buf **ret)
{
    rovei_snapshot s = as_parsed(snapshot);
    s.has_envelope = false; /* one that came with the bytes was for another node */
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

rove_err rove_snapshot_decode(rove_snapshot **ret, rove_span bytes, const rove_alloc *alloc)
{
    const rove_alloc *a = alloc ? alloc : &rovei_alloc_libc;
    rove_snapshot *s = rovei_snapshot_new(a);
    if (!s)
        return ROVE_E_NOMEM;
    s->from_bytes = true;
    s->bytes = rovei_buf_copy(a, bytes.data, bytes.size);
    rove_err err =
        s->bytes ? rovei_snapshot_decode(&s->parsed, rove_buf_span(s->bytes)) : ROVE_E_NOMEM;
    if (err) {
        rove_snapshot_unref(s);
        return err;
    }
    s->entity = s->parsed.entity;
    *ret = s;
    return ROVE_OK;
}
