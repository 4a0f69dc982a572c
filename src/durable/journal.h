/* SPDX-License-Identifier: Apache-2.0
 *
 * What a core wants to be durable: records are put and deleted here, and one batch of them at a
 * time leaves as an effect (STORE). While it is written the next one grows, so that many waiters
 * share one write to the disk. A store that is full is asked again until it has room; nothing is
 * told to be durable that is not. docs/data-directory.md. */
#ifndef ROVEI_DURABLE_JOURNAL_H
#define ROVEI_DURABLE_JOURNAL_H

#include <base/list.h>
#include <base/now.h>

struct rovei_node;
struct rovei_completion;
typedef struct rovei_journal rovei_journal;

/* Of the node, with its timers and effects. E_NOMEM. */
ROVE_MUST_USE rove_err rovei_journal_new(rovei_journal **ret, struct rovei_node *n);
/* Nobody waits any more. NULL is fine. */
void rovei_journal_free(rovei_journal *j);

/* ---- records ---- */
/* Into the batch that leaves with the end of this turn; copied. What is put between two turns
 * becomes durable together. E_BOUND, E_TOO_LARGE (durable/batch.h); E_FULL: the store is slower
 * than this; E_STORE_FULL, E_STORE_MAP: nothing can be written at present, and `journal_bytes` wait
 * already; the error of a store that has failed for good; E_NOMEM. Nothing is changed then. */
ROVE_MUST_USE rove_err rovei_journal_put(rovei_journal *j, rove_span key, rove_span value);
ROVE_MUST_USE rove_err rovei_journal_delete(rovei_journal *j, rove_span key);
ROVE_MUST_USE rove_err rovei_journal_delete_prefix(rovei_journal *j, rove_span prefix);

/* For whoever puts several records that belong together, one of which may be refused: back to how
 * the batch was before the first of them. Within one turn. */
typedef struct rovei_journal_point {
    uint64_t number;
    size_t size, records;
} rovei_journal_point;
rovei_journal_point rovei_journal_here(const rovei_journal *j);
void rovei_journal_undo(rovei_journal *j, rovei_journal_point point);

/* ---- what is durable ---- */
/* Batches are numbered from 1. That of the batch with which all that was put so far is durable; 0
 * when nothing was. */
uint64_t rovei_journal_mark(const rovei_journal *j);
/* Every batch up to this one is. */
uint64_t rovei_journal_durable(const rovei_journal *j);

struct rovei_journal_wait;
/* The batch is durable (OK), or never will be as far as this process can tell: the store has failed
 * for good. Called in the order of the numbers, then in that in which they began to wait; `w`
 * is not waiting any more. */
typedef void rovei_journal_fn(struct rovei_journal_wait *w, rovei_now now, rove_err err);
typedef struct rovei_journal_wait {
    rovei_list all;
    uint64_t number;
    rovei_journal_fn *told;
} rovei_journal_wait;
/* False: it is durable already, and nothing will be told. `w` stays the caller's, who may stop
 * waiting at any time. */
ROVE_MUST_USE bool rovei_journal_await(rovei_journal *j, rovei_journal_wait *w, uint64_t number,
                                       rovei_journal_fn *told);
void rovei_journal_stop(rovei_journal_wait *w);

typedef struct rovei_journal_stats {
    uint64_t batches, records, bytes; /* that became durable */
    uint64_t refused;                 /* times that the store had no room for a batch */
    size_t waiting;                   /* bytes that are not durable yet */
    rove_err err;                     /* of the last batch */
} rovei_journal_stats;
rovei_journal_stats rovei_journal_stats_get(const rovei_journal *j);

/* ---- for the node ---- */
/* At the end of a turn: a batch leaves, if none is under way. */
void rovei_journal_turn(rovei_journal *j, rovei_now now);
void rovei_journal_complete(rovei_journal *j, rovei_now now, const struct rovei_completion *c);
void rovei_journal_check(const rovei_journal *j);

#endif
