/* SPDX-License-Identifier: Apache-2.0
 *
 * How often one node may ask for what it may not have (docs/protocol/channels.md, "Refusals").
 * Times are monotonic. A zeroed one is new. */
#ifndef ROVEI_CHANNEL_THROTTLE_H
#define ROVEI_CHANNEL_THROTTLE_H

#include <base/now.h>
#include <rove/limits.h>

#define ROVEI_AUTH_FAILURES_ANY 65535 /* of auth_failures: no throttle */

typedef struct rovei_throttle {
    uint64_t window; /* when it began; 0: none */
    uint64_t until;  /* refused until then; 0: not */
    uint16_t failures;
} rovei_throttle;

/* Whether it is refused now; forgets everything when that time has passed. */
bool rovei_throttle_refuses(rovei_throttle *t, uint64_t now);
/* One more request that was not authorised. */
void rovei_throttle_fail(rovei_throttle *t, const rove_limits *l, uint64_t now);
/* Nothing that is remembered matters any more. */
bool rovei_throttle_idle(const rovei_throttle *t, const rove_limits *l, uint64_t now);

#endif
