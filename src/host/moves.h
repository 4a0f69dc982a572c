/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files about moves share. On the loop thread, but for the first. */
#ifndef ROVEI_HOST_MOVES_H
#define ROVEI_HOST_MOVES_H

#include <host/host.h>

static inline rovei_attempt_id rovei_migration_attempt(rove_migration m)
{
    rovei_attempt_id a;
    memcpy(a.bytes, m.attempt, sizeof a.bytes);
    return a;
}

/* What the application sees of a move of the core. */
rove_migration_info rovei_migration_info(const rovei_move_info *i, rovei_now now);
/* E_GONE. */
ROVE_MUST_USE rove_err rovei_migration_get(rovei_node *core, rovei_now now,
                                           const rove_migration *migration,
                                           rove_migration_info *ret);

/* The end of a move that the core has forgotten meanwhile: what its note says of it. */
static inline void rovei_migration_ended(rove_migration_info *info, const rovei_note *note)
{
    info->phase = (rove_phase)note->phase;
    info->outcome = (rove_outcome)note->outcome;
    info->reason = note->err;
}

/* ---- move_watch.c: telling of moves ---- */
typedef struct rovei_move_watch rovei_move_watch;
/* NULL: out of memory. It is begun or freed. */
rovei_move_watch *rovei_move_watch_new(struct rovei_host *h);
void rovei_move_watch_free(struct rovei_host *h, rovei_move_watch *w);
void rovei_move_watch_begin(struct rovei_host *h, rovei_move_watch *w, rovei_now now,
                            const rovei_attempt_id *attempt, rove_move_fn *told, void *user);
/* For whoever is told of all moves, if anybody is. */
void rovei_host_watch_move(struct rovei_host *h, rovei_now now, const rovei_attempt_id *attempt);
/* The core may have forgotten it by the time that it is looked at. */
void rovei_host_watched_ended(struct rovei_host *h, rovei_node *core, const rovei_note *note);
/* Tells what is new; and that all have ended. */
void rovei_host_look_at_moves(struct rovei_host *h, rovei_node *core, rovei_now now);
void rovei_host_end_watches(struct rovei_host *h, rovei_node *core, rovei_now now);

#endif
