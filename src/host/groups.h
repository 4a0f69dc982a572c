/* SPDX-License-Identifier: Apache-2.0
 *
 * What groups of daemons take from a runtime, and nothing more: who lives here, how one is made,
 * the word of what was delivered, and the tick in which what is gone is replaced. Members are
 * ordinary daemons: they count, answer, stop and move like any other. A group holds a reference to
 * its runtime. Internal: applications have rove/runtime.h. */
#ifndef ROVEI_HOST_GROUPS_H
#define ROVEI_HOST_GROUPS_H

#include <capability/scheduler.h>
#include <host/recovery.h>
#include <host/runtime.h>
#include <rove/observer.h>

/* READY, and not cordoned: a group may spawn. Before and after it E_NOT_READY, E_SHUTTING_DOWN;
 * E_CORDONED. */
ROVE_MUST_USE rove_err rovei_groups_ready(rove_runtime *rt);

/* The choices of placement, over what nodes have announced: those of the node itself, with no
 * capabilities of this node beside what it announces. To be used on the loop thread only
 * (rovei_node_call), where the index changes. */
rovei_scheduler rovei_groups_scheduler(rove_runtime *rt);

/* The one registry, of members and all other daemons alike; good for as long as the runtime. */
rovei_registry *rovei_groups_registry(rove_runtime *rt);

/* What daemons of a kind are made of; to be looked up again for each change, since kinds come and
 * go. E_KIND_UNKNOWN. */
ROVE_MUST_USE rove_err rovei_groups_kind(rove_runtime *rt, const char *kind, rovei_made_of *ret);

/* Spawns a member under the identity of a derived seed, which the caller wipes. Nobody else is
 * asked whether it lives elsewhere when `drawn` says that the seed was never used before. As
 * rove_runtime_spawn. */
ROVE_MUST_USE rove_err rovei_groups_spawn(rove_runtime *rt, const char *kind,
                                          const uint8_t seed[32], bool drawn, rove_daemon *ret);

/* Observers are rove_runtime_observe and rove_runtime_unobserve: several for one daemon, called in
 * the order in which they came, with no lock held, so they may call the runtime and come and go
 * from inside of each other. rove_observed.index is taken with the daemon had, so whoever keeps
 * events for a replay sorts by it. */

#endif
