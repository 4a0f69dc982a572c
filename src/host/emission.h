/* SPDX-License-Identifier: Apache-2.0
 *
 * The outputs of an event that was delivered here, on their way to the channel of a daemon that has
 * one. They take the way back of the core's work, so that the core has them in the order of
 * application, among those of events that came over lanes. */
#ifndef ROVEI_HOST_EMISSION_H
#define ROVEI_HOST_EMISSION_H

#include <host/host.h>

typedef struct rovei_emission rovei_emission;
/* Before the event is applied, so that nothing can fail behind it. *ret is NULL for a daemon
 * without a channel. E_FULL: `pending_events` of this daemon have not reached the core yet;
 * E_NOMEM. For the runner of `r`. */
ROVE_MUST_USE rove_err rovei_emission_new(rovei_emission **ret, rovei_resident *r);
/* Sends what it gave; `applied` NULL: it was not applied here. Frees it in any case. For the
 * runner. */
void rovei_emission_end(rovei_emission *e, const rovei_applied *applied);

#endif
