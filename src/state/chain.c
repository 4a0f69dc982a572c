/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal links, the chain builder, and the framing of events. A link's parent covers the link
 * before it and that event's own payload. */
#include <crypto/crypto.h>
#include <state/chain.h>
#include <string.h>

void rovei_link_encode(const rove_link *link, uint8_t ret[ROVEI_LINK_SIZE])
{
    rovei_store_link(ret, link);
}

rove_link rovei_link_decode(const uint8_t bytes[ROVEI_LINK_SIZE])
{
    return rovei_load_link(bytes);
}

bool rovei_link_equal(const rove_link *a, const rove_link *b)
{
    return a->origin == b->origin && a->horizon == b->horizon && a->sequence == b->sequence &&
           a->parent == b->parent;
}

rove_link rovei_link_genesis(uint64_t origin, uint64_t horizon)
{
    return (rove_link){.origin = origin, .horizon = horizon};
}

bool rovei_link_is_genesis(const rove_link *link)
{
    return link->sequence == 0 && link->parent == 0;
}

uint64_t rovei_link_forward(const rove_link *link, rove_span payload)
{
    uint8_t bytes[ROVEI_LINK_SIZE];
    rovei_link_encode(link, bytes);
    return rovei_xxh3_2(bytes, sizeof bytes, payload.data, payload.size);
}

rove_err rovei_link_next(rove_link *ret, const rove_link *link, rove_span payload, uint64_t horizon)
{
    if (link->sequence == UINT64_MAX)
        return ROVE_E_SEQUENCE_END;
    *ret =
        (rove_link){link->origin, horizon, link->sequence + 1, rovei_link_forward(link, payload)};
    return ROVE_OK;
}

static rove_err mismatch(rove_err err, uint64_t expected, uint64_t got, rovei_chain_detail *detail)
{
    if (detail)
        *detail = (rovei_chain_detail){expected, got};
    return err;
}

rove_err rovei_link_validate(const rove_link *prev, rove_span prev_payload, const rove_link *next,
                             rovei_chain_detail *detail)
{
    if (next->origin != prev->origin)
        return mismatch(ROVE_E_ORIGIN_MISMATCH, prev->origin, next->origin, detail);
    if (prev->sequence == UINT64_MAX)
        return mismatch(ROVE_E_SEQUENCE_GAP, UINT64_MAX, next->sequence, detail);
    if (next->sequence != prev->sequence + 1)
        return mismatch(ROVE_E_SEQUENCE_GAP, prev->sequence + 1, next->sequence, detail);
    uint64_t parent = rovei_link_forward(prev, prev_payload);
    if (next->parent != parent)
        return mismatch(ROVE_E_PARENT_MISMATCH, parent, next->parent, detail);
    return ROVE_OK;
}

void rovei_chain_init(rovei_chain *c, uint64_t origin)
{
    *c = (rovei_chain){rovei_link_genesis(origin, 0), NULL};
}

void rovei_chain_from_head(rovei_chain *c, const rove_link *head, rove_buf *payload)
{
    *c = (rovei_chain){*head, rove_buf_ref(payload)};
}

void rovei_chain_fini(rovei_chain *c)
{
    rove_buf_unref(c->payload);
    c->payload = NULL;
}

rove_err rovei_chain_append(rovei_chain *c, rove_buf *payload, uint64_t horizon, rove_link *ret)
{
    rove_link link;
    rove_err err = rovei_link_next(&link, &c->head, rove_buf_span(c->payload), horizon);
    if (err)
        return err;
    rove_buf *before = c->payload;
    c->payload = rove_buf_ref(payload);
    rove_buf_unref(before);
    c->head = link;
    *ret = link;
    return ROVE_OK;
}

void rovei_event_frame_write(rovei_writer *w, const rove_link *link, rove_span payload)
{
    if (payload.size > UINT32_MAX - ROVEI_LINK_SIZE ||
        rovei_writer_room(w) < ROVEI_EVENT_FRAME_OVERHEAD ||
        payload.size > rovei_writer_room(w) - ROVEI_EVENT_FRAME_OVERHEAD) {
        if (w->err == ROVE_OK)
            w->err = ROVE_E_FULL;
        return;
    }
    if (w->err)
        return;
    rovei_store32(w->at, (uint32_t)(ROVEI_LINK_SIZE + payload.size));
    rovei_store_link(w->at + 4, link);
    if (payload.size)
        memcpy(w->at + ROVEI_EVENT_FRAME_OVERHEAD, payload.data, payload.size);
    w->at += ROVEI_EVENT_FRAME_OVERHEAD + payload.size;
}

/* The whole size of the frame that the reader stands at; 0: there is none. */
static size_t frame_size(const rovei_reader *r)
{
    size_t left = rovei_reader_left(r);
    if (left < ROVEI_EVENT_FRAME_OVERHEAD || !rovei_reader_ok(r))
        return 0;
    size_t size = rovei_load32(r->at);
    return size < ROVEI_LINK_SIZE || size > left - 4 ? 0 : 4 + size;
}

bool rovei_event_frame_skip(rovei_reader *r)
{
    size_t size = frame_size(r);
    r->at += size;
    return size > 0;
}

bool rovei_event_frame_read(rovei_reader *r, rove_link *ret_link, rove_span *ret_payload)
{
    size_t size = frame_size(r);
    if (!size)
        return false;
    *ret_link = rovei_load_link(r->at + 4);
    *ret_payload =
        (rove_span){r->at + ROVEI_EVENT_FRAME_OVERHEAD, size - ROVEI_EVENT_FRAME_OVERHEAD};
    r->at += size;
    return true;
}
