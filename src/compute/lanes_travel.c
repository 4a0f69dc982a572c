/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of a host's lanes that travels with the daemon: per lane its position, whether it is
 * closed, how long it has been idle, and the outcomes that its sender has not confirmed
 * (docs/protocol/lanes.md, "What travels"). */
#include <base/alloc.h>
#include <base/check.h>
#include <base/mutant.h>
#include <compute/lanes_inside.h>
#include <string.h>

#define FORMAT 1
enum {
    LANE_CLOSED = 1,
    LANE_UNREAD = 2, /* its sender may not read outputs */
    LANE_FEED = 4,   /* of a channel: the number is its incarnation, the sender its publisher */
};
#define LANE_SIZE (32 + 8 + 8 + 8 + 1 + 4) /* before the outcomes */

static uint64_t idle_of(const rovei_lane *lane, rovei_now now)
{
    uint64_t expiry = lane->set->node->env->limits.lane_expiry;
    uint64_t left = lane->expires > now.mono ? lane->expires - now.mono : 0;
    if (lane->subscribed)
        return 0; /* a channel that is quiet is not forgotten */
    return left < expiry ? expiry - left : 0;
}

static size_t export_size(const struct rovei_lanes *l)
{
    size_t size = 1 + 4;
    ROVEI_LIST_EACH (it, next, &l->all) {
        const rovei_lane *lane = ROVEI_CONTAINER(it, rovei_lane, all);
        size += LANE_SIZE;
        for (size_t i = 0; i < lane->kept_count; i++) {
            const rovei_kept *k = rovei_lane_kept(lane, i);
            size_t text = rovei_buf_size(k->text);
            size += ROVEI_LANE_OUTCOME_SIZE + rovei_buf_size(k->outputs) +
                    (text < ROVEI_LANE_TEXT_MAX ? text : ROVEI_LANE_TEXT_MAX);
        }
    }
    return size;
}

static void export_lane(rovei_writer *w, const rovei_lane *lane, rovei_now now)
{
    bool closed = lane->state == ROVEI_LANE_IS_CLOSED;
    rovei_write_entity(w, &lane->owner->entity);
    rovei_write_u64(w, lane->number);
    rovei_write_u64(w, lane->position);
    rovei_write_u64(w, idle_of(lane, now));
    rovei_write_u8(
        w, lane->feed ? LANE_FEED
                      : (uint8_t)((closed ? LANE_CLOSED : 0) | (lane->may_read ? 0 : LANE_UNREAD)));
    rovei_write_u32(w, (uint32_t)lane->kept_count);
    for (size_t i = 0; i < lane->kept_count; i++) {
        const rovei_kept *k = rovei_lane_kept(lane, i);
        rovei_lane_outcome o = {
            k->kind, 1, k->err, k->output_count, rove_buf_span(k->text), rove_buf_span(k->outputs)};
        if (o.text.size > ROVEI_LANE_TEXT_MAX)
            o.text.size = ROVEI_LANE_TEXT_MAX;
        rovei_lane_outcome_write(w, &o, true);
    }
}

rove_err rovei_lanes_export(const struct rovei_lanes *l, rovei_now now, rove_buf **ret)
{
    rove_buf *buf = rovei_buf_alloc(l->node->alloc, export_size(l));
    if (!buf)
        return ROVE_E_NOMEM;
    rovei_writer w = rovei_writer_of(rovei_buf_data(buf), rovei_buf_size(buf));
    rovei_write_u8(&w, FORMAT);
    rovei_write_u32(&w, (uint32_t)l->by_key.count);
    ROVEI_LIST_EACH (it, next, &l->all)
        export_lane(&w, ROVEI_CONTAINER(it, rovei_lane, all), now);
    ROVEI_CHECK(w.err == ROVE_OK && !rovei_writer_room(&w));
    *ret = buf;
    return ROVE_OK;
}

/* ---- and back ---- */

static rove_err import_outcome(rovei_lane *lane, rovei_reader *r)
{
    const rove_alloc *a = lane->set->node->alloc;
    rovei_lane_outcome o;
    if (!rovei_lane_outcome_read(r, &o))
        return r->err;
    if (o.kind == ROVEI_OUTCOME_PLAIN) /* what is kept is bounded by its bytes */
        return ROVE_E_FLAG;
    rovei_kept k = {.kind = o.kind, .err = o.err, .output_count = o.output_count};
    if (o.text.size)
        k.text = rovei_buf_copy(a, o.text.data, o.text.size);
    if (o.outputs.size)
        k.outputs = rovei_buf_copy(a, o.outputs.data, o.outputs.size);
    if ((o.text.size && !k.text) || (o.outputs.size && !k.outputs) ||
        !rovei_lane_reserve(lane, 1)) {
        rove_buf_unref(k.text);
        rove_buf_unref(k.outputs);
        return ROVE_E_NOMEM;
    }
    rovei_lane_keep(lane, &k);
    return ROVE_OK;
}

static rove_err import_lane(struct rovei_lanes *l, rovei_now now, rovei_reader *r)
{
    uint64_t expiry = l->node->env->limits.lane_expiry;
    rove_entity sender = rovei_read_entity(r);
    uint64_t number = rovei_read_u64(r);
    uint64_t position = rovei_read_u64(r);
    uint64_t idle = rovei_read_u64(r);
    uint8_t flags = rovei_read_u8(r);
    uint32_t count = rovei_read_count32(r, ROVEI_LANE_OUTCOME_SIZE, UINT32_MAX);
    if (!rovei_reader_ok(r))
        return r->err;
    if (flags & ~(LANE_CLOSED | LANE_UNREAD) && flags != LANE_FEED)
        return ROVE_E_FLAG;
    if (position > ROVEI_LANE_SEQUENCE_MAX || count > position)
        return ROVE_E_BOUND;
    bool closed = flags & LANE_CLOSED, feed = flags == LANE_FEED;
    if (!number || ((closed || feed) && count) ||
        (feed ? rovei_lane_find_feed : rovei_lane_find)(l, &sender, number))
        return ROVE_E_FORMAT;
    if (feed && ROVEI_MUTANT(FEED_POSITION_LEFT_BEHIND))
        return ROVE_OK;
    rovei_lane *lane;
    rove_err err = feed ? rovei_lane_new_feed(&lane, l, now, &sender, number)
                        : rovei_lane_new(&lane, l, now, &sender, number, closed);
    if (err)
        return err;
    lane->may_read = !feed && !(flags & LANE_UNREAD);
    lane->expires = rovei_time_add(now.mono, idle < expiry ? expiry - idle : 0);
    lane->position = lane->accepted = lane->told = position;
    for (uint32_t i = 0; i < count && !err; i++)
        err = import_outcome(lane, r);
    lane->told = rovei_lane_confirmed(lane);
    return err;
}

rove_err rovei_lanes_import(struct rovei_lanes *l, rovei_now now, rove_span bytes)
{
    rovei_reader r = rovei_reader_of(bytes);
    ROVEI_CHECK(!l->by_key.count);
    if (rovei_read_u8(&r) != FORMAT)
        rovei_reader_fail(&r, ROVE_E_VERSION);
    uint64_t most = l->node->env->limits.lanes_per_daemon;
    uint32_t count =
        rovei_read_count32(&r, LANE_SIZE, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
    rove_err err = ROVE_OK;
    for (uint32_t i = 0; i < count && !err && rovei_reader_ok(&r); i++)
        err = import_lane(l, now, &r);
    if (!err)
        err = rovei_reader_end(&r);
    if (err)
        ROVEI_LIST_EACH (it, next, &l->all)
            rovei_lane_free(ROVEI_CONTAINER(it, rovei_lane, all));
    return err;
}
