/* SPDX-License-Identifier: Apache-2.0
 *
 * The causal chain of one entity: links, forward hashes, and the builder that appends
 * (docs/protocol.md, "Causal links"). */
#ifndef ROVEI_STATE_CHAIN_H
#define ROVEI_STATE_CHAIN_H

#include <base/buf.h>
#include <base/cursor.h>

#define ROVEI_LINK_SIZE 32

void rovei_link_encode(const rove_link *link, uint8_t ret[ROVEI_LINK_SIZE]);
rove_link rovei_link_decode(const uint8_t bytes[ROVEI_LINK_SIZE]);
bool rovei_link_equal(const rove_link *a, const rove_link *b);
rove_link rovei_link_genesis(uint64_t origin, uint64_t horizon);
bool rovei_link_is_genesis(const rove_link *link);
/* The parent hash of the event after (link, payload). */
uint64_t rovei_link_forward(const rove_link *link, rove_span payload);
/* The next link; E_SEQUENCE_END at 2^64-1. */
ROVE_MUST_USE rove_err rovei_link_next(rove_link *ret, const rove_link *link, rove_span payload,
                                       uint64_t horizon);

/* What was expected and what came, where the error has numbers. */
typedef struct rovei_chain_detail {
    uint64_t expected, got;
} rovei_chain_detail;
/* E_ORIGIN_MISMATCH, E_SEQUENCE_GAP, E_PARENT_MISMATCH, in this order; `detail` may be NULL. */
ROVE_MUST_USE rove_err rovei_link_validate(const rove_link *prev, rove_span prev_payload,
                                           const rove_link *next, rovei_chain_detail *detail);

/* The head of a chain and the payload behind it. */
typedef struct rovei_chain {
    rove_link head;
    rove_buf *payload; /* one reference; NULL = empty */
} rovei_chain;

void rovei_chain_init(rovei_chain *c, uint64_t origin);
/* Takes one reference of its own to `payload`, which may be NULL. */
void rovei_chain_from_head(rovei_chain *c, const rove_link *head, rove_buf *payload);
void rovei_chain_fini(rovei_chain *c);
/* Appends: gives the new link and keeps a reference to `payload`. E_SEQUENCE_END changes nothing.
 */
ROVE_MUST_USE rove_err rovei_chain_append(rovei_chain *c, rove_buf *payload, uint64_t horizon,
                                          rove_link *ret);

/* ---- framing: per event u32 length, link, payload; the count is outside ---- */
#define ROVEI_EVENT_FRAME_OVERHEAD (4 + ROVEI_LINK_SIZE)
/* E_FULL in the writer, and nothing of the frame written, when it does not fit whole. */
void rovei_event_frame_write(rovei_writer *w, const rove_link *link, rove_span payload);
/* The next event of a run: false at its end or at the first that is malformed; the reader then
 * stays before it. The payload is borrowed from the input. */
bool rovei_event_frame_read(rovei_reader *r, rove_link *ret_link, rove_span *ret_payload);
/* The same, without a look at it. */
bool rovei_event_frame_skip(rovei_reader *r);

#endif
