/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscriptions of a daemon, which travel with it (docs/protocol.md, "Subscription ledger"). */
#ifndef ROVEI_STATE_LEDGER_H
#define ROVEI_STATE_LEDGER_H

#include <base/cursor.h>
#include <channel/name.h>

/* Subscriptions of one daemon: far above what one uses, and the format's own bound is 2^32-1. */
#define ROVEI_LEDGER_MAX (UINT32_C(1) << 20)

typedef struct rovei_subscription {
    uint64_t publisher;
    rove_span channel;
    bool has_token;
    rove_span token; /* at most 65,535 bytes */
} rovei_subscription;

typedef struct rovei_ledger rovei_ledger;
ROVE_MUST_USE rove_err rovei_ledger_new(rovei_ledger **ret, const rove_alloc *a);
void rovei_ledger_free(rovei_ledger *l);
/* Adds, or replaces the token of the pair (publisher, channel). Copies. Channel errors, E_BOUND
 * for a token too long, E_FULL at ROVEI_LEDGER_MAX, E_NOMEM; nothing changes then. */
ROVE_MUST_USE rove_err rovei_ledger_record(rovei_ledger *l, const rovei_subscription *s);
void rovei_ledger_forget(rovei_ledger *l, uint64_t publisher, rove_span channel);
size_t rovei_ledger_count(const rovei_ledger *l);
/* By index below the count; borrowed until the next change. */
rovei_subscription rovei_ledger_at(const rovei_ledger *l, size_t index);

/* Size of the encoding; 4 for the empty ledger, which a snapshot carries as zero bytes instead. */
size_t rovei_ledger_size(const rovei_ledger *l);
/* In the order of recording. */
void rovei_ledger_encode(const rovei_ledger *l, rovei_writer *w);
/* Zero bytes are the empty ledger. E_SHORT, E_BOUND (count), E_FLAG, E_TRAILING, channel errors,
 * E_FORMAT (not UTF-8), E_NOMEM. Of several entries for one pair the last one counts. */
ROVE_MUST_USE rove_err rovei_ledger_decode(rovei_ledger **ret, const rove_alloc *a,
                                           rove_span bytes);

#endif
