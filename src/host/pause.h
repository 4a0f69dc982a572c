/* SPDX-License-Identifier: Apache-2.0
 *
 * Named points at which a test can hold a call: it arms one, starts the call, waits until the call
 * stands there, does what is to happen meanwhile, and lets it go. In the library the macro is
 * nothing; only tests built with ROVEI_PAUSE_POINTS have the points. */
#ifndef ROVEI_HOST_PAUSE_H
#define ROVEI_HOST_PAUSE_H

typedef enum rovei_pause {
    ROVEI_PAUSE_SPAWN,       /* spawn: past the gate, before anything is claimed */
    ROVEI_PAUSE_SPAWN_CLAIM, /* spawn: claimed and made, before the core is asked */
    ROVEI_PAUSE_START,       /* start: before READY shows */
    ROVEI_PAUSE_EXPECT,      /* expect: past the gate, before the entry is made */
    ROVEI_PAUSE_DELIVER,     /* deliver: the daemon is found, and not yet had */
    ROVEI_PAUSE_SHUTDOWN,    /* shutdown: no longer READY, daemons still there */
    ROVEI_PAUSE_COUNT
} rovei_pause;

#ifdef ROVEI_PAUSE_POINTS
void rovei_pause_here(rovei_pause point);
/* The next call that comes to the point stops there. */
void rovei_pause_arm(rovei_pause point);
/* Returns when a call stands there. */
void rovei_pause_await(rovei_pause point);
void rovei_pause_release(rovei_pause point);
#define ROVEI_PAUSE(name) rovei_pause_here(ROVEI_PAUSE_##name)
#else
#define ROVEI_PAUSE(name) ((void)0)
#endif

#endif
