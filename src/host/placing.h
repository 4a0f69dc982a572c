/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kind of a daemon asks of nodes, read for the core's choices. */
#ifndef ROVEI_HOST_PLACING_H
#define ROVEI_HOST_PLACING_H

#include <host/host.h>
#include <node/placing.h>
#include <rove/placement.h>

#define ROVEI_PREFERENCES_MAX 16 /* further ones of a kind are not looked at */

typedef struct rovei_wishes {
    rovei_where requires;
    rovei_where prefers[ROVEI_PREFERENCES_MAX];
    rovei_placing placing; /* refers to the above: not to be copied */
} rovei_wishes;

/* `kind` outlives the wishes. To spawn one that this node does not have, others may have it; of a
 * move E_KIND_UNKNOWN. E_WHERE, E_TOO_LARGE, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_wishes_init(rovei_wishes *ret, struct rovei_host *h, const char *kind,
                                         bool move);
void rovei_wishes_fini(rovei_wishes *w);
/* Where a daemon of this kind would be spawned. Loop thread. E_NO_CANDIDATE, as above. */
ROVE_MUST_USE rove_err rovei_host_choose_spawn(struct rovei_host *h, const rovei_node *core,
                                               const char *kind, rove_placement *ret);
/* Where a daemon of this node would go. Loop thread. E_NOT_FOUND, E_NO_TARGET, as above. */
ROVE_MUST_USE rove_err rovei_host_choose_target(struct rovei_host *h, const rovei_node *core,
                                                const rove_entity *daemon, rove_placement *ret);

#endif
