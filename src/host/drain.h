/* SPDX-License-Identifier: Apache-2.0
 *
 * One drain: a machine of the loop thread. */
#ifndef ROVEI_HOST_DRAIN_H
#define ROVEI_HOST_DRAIN_H

#include <host/host.h>
#include <rove/drain.h>

typedef struct rovei_drain_target {
    rove_entity node;
    uint64_t orders, refusals;
} rovei_drain_target;

typedef struct rovei_drain {
    struct rovei_host *host;
    rove_drain_options options; /* with `target` pointing to `to`, or NULL */
    rove_entity to;
    void (*ended)(struct rovei_drain *d); /* it is its owner's again, with `err` and `report` */
    rove_err err;
    rove_drain_report report;
    /* Inside. */
    uint64_t begun, deadline;
    rovei_timer timer;
    rovei_map items;                          /* entity -> item */
    rovei_list queued, running, paused, over; /* each item is in one */
    size_t running_count;
    rovei_drain_target *targets; /* those that were ever chosen */
    size_t target_count, target_room;
    bool cancelled;
} rovei_drain;

/* Fills in what does not need the loop thread. E_STRUCT_VERSION. */
ROVE_MUST_USE rove_err rovei_drain_init(rovei_drain *d, struct rovei_host *h,
                                        const rove_drain_options *options);
/* `ended` comes later, or at once. Loop thread, as all that follows. */
void rovei_drain_begin(rovei_drain *d, rovei_node *core, rovei_now now);
/* Looks at the moves that run. True when something was ordered. */
bool rovei_drain_turn(rovei_drain *d, rovei_node *core, rovei_now now);
void rovei_drain_end(rovei_drain *d, rove_err err);

/* ---- drain_target.c ---- */
/* Where `daemon` should go: a node that is not among those `tried` (a bit for each of
 * d->targets). Gives its place in d->targets. E_TARGET_UNAVAILABLE: there is none; E_NOMEM. */
ROVE_MUST_USE rove_err rovei_drain_choose(rovei_drain *d, const rovei_node *core,
                                          const rove_entity *daemon, uint64_t tried, size_t *ret);

#endif
