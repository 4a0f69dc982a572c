/* SPDX-License-Identifier: Apache-2.0
 *
 * What the calls that deliver share: one event on its way to one daemon, and whoever waits for what
 * becomes of it when it is diverted. */
#ifndef ROVEI_HOST_DELIVER_H
#define ROVEI_HOST_DELIVER_H

#include <host/emission.h>
#include <host/host.h>

typedef struct rovei_delivery {
    rovei_resident *resident;
    rovei_cell_event event; /* `owner` NULL: the payload is the caller's */
    bool here;              /* it was applied here */
    uint64_t wall, number;
    rovei_applied applied;
    uint64_t full_events, full_bytes; /* BUFFER_FULL: with this one counted in */
} rovei_delivery;

/* A caller who waits, or a completion that is still to come. */
typedef struct rovei_waiter {
    bool later;
    rovei_emission *emission; /* of the diverted event */
} rovei_waiter;

/* For the runner of the daemon, when it does not serve: what a local event gets. */
static inline rove_err rovei_deliver_refusal(const rovei_resident *r)
{
    return r->ended ? r->ended : ROVE_E_STALE;
}
/* Applies the event of a daemon that serves, for the runner; what the call of the cell gives. */
ROVE_MUST_USE rove_err rovei_deliver_apply(rovei_delivery *d, rovei_waiter *waiter);
/* Diverts the event of a frozen daemon, for the runner: E_DIVERTED, or it was not accepted. */
ROVE_MUST_USE rove_err rovei_deliver_divert(rovei_delivery *d, rovei_waiter *waiter);
/* Fills in what is given to the application; takes over what `d` holds of the result. */
void rovei_deliver_result(rovei_delivery *d, rove_result *ret);
/* The observers of an event that was applied here. */
void rovei_deliver_observed(const rovei_delivery *d, const rove_result *result);

/* ---- deliver_later.c ---- */
typedef struct rovei_later rovei_later;
/* The completion of a diverted event; it begins to count with the diversion. E_FULL, E_NOMEM. */
ROVE_MUST_USE rove_err rovei_later_new(rovei_later **ret, rovei_resident *r, size_t bytes,
                                       rove_deliver_fn *done, void *user);
void rovei_later_drop(rovei_later *l);
rovei_waiter *rovei_later_waiter(rovei_later *l);
/* For the runner: as rovei_deliver_end. */
void rovei_later_end(rovei_waiter *waiter, rove_err err, rovei_applied applied,
                     const rovei_cell_event *event, uint64_t wall);

#endif
