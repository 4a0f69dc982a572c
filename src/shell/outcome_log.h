/* SPDX-License-Identifier: Apache-2.0
 *
 * The outcomes that a client of the control socket has not confirmed, in their order. They are
 * numbered from 1 as they come; what the client has is dropped from the front. */
#ifndef ROVEI_SHELL_OUTCOME_LOG_H
#define ROVEI_SHELL_OUTCOME_LOG_H

#include <base/alloc.h>
#include <base/cursor.h>

typedef struct rovei_outcome_log {
    const rove_alloc *alloc;
    uint8_t *bytes; /* entries in [at, size): u32 size, then the outcome */
    size_t at, size, room;
    uint64_t dropped, count; /* outcomes dropped, and all that ever came */
} rovei_outcome_log;

void rovei_outcome_log_init(rovei_outcome_log *l, const rove_alloc *alloc);
void rovei_outcome_log_fini(rovei_outcome_log *l);
/* Appends an outcome: `head`, then `rest`. E_NOMEM, E_TOO_LARGE; nothing is changed then. */
ROVE_MUST_USE rove_err rovei_outcome_log_add(rovei_outcome_log *l, rove_span head, rove_span rest);
/* Drops all up to the outcome of this number. E_BOUND when so many never came. */
ROVE_MUST_USE rove_err rovei_outcome_log_drop(rovei_outcome_log *l, uint64_t number);
/* Walks what is kept: start with *it = 0, false at the end. Borrowed until the next change. */
bool rovei_outcome_log_next(const rovei_outcome_log *l, size_t *it, rove_span *ret);
static inline size_t rovei_outcome_log_bytes(const rovei_outcome_log *l)
{
    return l->size - l->at;
}

#endif
