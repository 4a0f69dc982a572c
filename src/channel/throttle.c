/* SPDX-License-Identifier: Apache-2.0
 *
 * The throttle of requests that are not authorised. */
#include <channel/throttle.h>

bool rovei_throttle_refuses(rovei_throttle *t, uint64_t now)
{
    if (!t->until)
        return false;
    if (now < t->until)
        return true;
    *t = (rovei_throttle){0};
    return false;
}

void rovei_throttle_fail(rovei_throttle *t, const rove_limits *l, uint64_t now)
{
    if (l->auth_failures >= ROVEI_AUTH_FAILURES_ANY)
        return;
    if (!t->failures || now >= rovei_time_add(t->window, l->auth_window)) {
        t->window = now;
        t->failures = 0;
    }
    if (t->failures < UINT16_MAX)
        t->failures++;
    if (t->failures >= l->auth_failures)
        t->until = rovei_time_add(now, l->auth_throttle);
}

bool rovei_throttle_idle(const rovei_throttle *t, const rove_limits *l, uint64_t now)
{
    return now >= t->until && (!t->failures || now >= rovei_time_add(t->window, l->auth_window));
}
