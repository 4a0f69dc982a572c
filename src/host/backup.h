/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup that never lies in memory as a whole: the bytes of its container come piece by piece,
 * those of the state read from the daemon when they are asked for, in the daemon's own order, while
 * it goes on. For the loop thread; the reading itself is the workers'. */
#ifndef ROVEI_HOST_BACKUP_H
#define ROVEI_HOST_BACKUP_H

#include <host/cell.h>
#include <host/snapshot.h>
#include <rove/runtime.h>

/* Whether a cell is in a state to be backed up: OK, E_NOT_READY, E_ALREADY_MIGRATING,
 * E_MOVED, E_SUPERSEDED, E_STALE. */
rove_err rovei_backup_may_take(const rovei_cell *cell);

typedef struct rovei_backup_stream rovei_backup_stream;
/* There is something new: _next will say what. Loop thread; never inside of a call below. */
typedef void rovei_backup_ready_fn(void *user, rovei_node *core, rovei_now now);

/* What a backup is sealed for: nobody, or the node of this X25519 key. */
typedef struct rovei_recipient {
    bool any;
    uint8_t key[32];
} rovei_recipient;
/* NULL: nobody. E_PUBLIC_KEY, E_NO_IMAGE: `entity` can have nothing sealed for it. */
ROVE_MUST_USE rove_err rovei_recipient_of(rovei_recipient *ret, const rove_entity *entity);

/* The part of the work that is done in the daemon's mailbox, around an image that was taken: whose
 * it is, and its key where that is wanted. E_READ_ONLY, E_WEAK_SECRET. */
ROVE_MUST_USE rove_err rovei_backup_label(rove_snapshot *s, const rovei_env *env,
                                          const rovei_cell *cell, const rovei_recipient *recipient);

/* Takes the backup: its point is passed when `ready` is first called. E_FULL, E_NOMEM,
 * E_SHUTTING_DOWN, those of rovei_recipient_of. */
ROVE_MUST_USE rove_err rovei_backup_stream_new(rovei_backup_stream **ret, rove_runtime *rt,
                                               uint64_t origin, const rove_entity *sealed_for,
                                               rovei_backup_ready_fn *ready, void *user);
/* The next bytes, borrowed until the next call; none at the end. E_BUSY: `ready` will be called.
 * Errors of rove_runtime_backup, E_STALE (the daemon ended, or left, before all was read). */
ROVE_MUST_USE rove_err rovei_backup_stream_next(rovei_backup_stream *s, rove_span *ret);
/* What it is of, once it is ready: a snapshot without its state. Borrowed. */
const rove_snapshot *rovei_backup_stream_snapshot(const rovei_backup_stream *s);
/* Of the container; 0 while it is not ready, and after an error. */
uint64_t rovei_backup_stream_size(const rovei_backup_stream *s);
const rove_detail *rovei_backup_stream_detail(const rovei_backup_stream *s);
/* At the end or before it: `ready` is not called any more. */
void rovei_backup_stream_end(rovei_backup_stream *s);

#endif
