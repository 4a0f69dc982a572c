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

#endif
