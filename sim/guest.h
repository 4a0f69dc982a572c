/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest: a kind of one's own that runs in every cell of the simulator, inside of the simulator's
 * own daemon. The daemon goes on noting which events it applied, so that all rules of the mesh stay
 * checked; beside each daemon stands a reference, one instance of the guest that never moves and
 * gets the same events, and every copy must answer as the reference does (sim/README.md). */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include "truth.h"
#include <rove/kind.h>

#define SIM_GUEST_LINE_MAX 65536 /* bytes of one event */

typedef struct sim_guest {
    const rove_kind *kind;
    char *text; /* the file of events */
    rove_span *lines;
    size_t line_count;
} sim_guest;

/* Reads the events, one a line; `path` NULL: a few short ones. False: `ret_why` says why. */
bool sim_guest_events(sim_guest *g, const char *path, char *ret_why, size_t size);
void sim_guest_fini(sim_guest *g);

/* The bytes of an event, by its number in the seed. */
rove_span sim_guest_line(const sim_guest *g, uint64_t seed, uint64_t event);

/* ---- an instance inside of a cell ---- */
typedef struct sim_lodger {
    sim_world *world;
    sim_daemon *daemon;
    void *self;
} sim_lodger;
rove_err sim_lodger_create(sim_lodger *l, sim_world *w, sim_daemon *d, const rove_alloc *alloc);
void sim_lodger_destroy(sim_lodger *l);
/* The event that the line of the daemon ends with: by this instance and by the reference. */
rove_err sim_lodger_process(sim_lodger *l, rove_ctx *ctx, sim_event *e, const rove_event *event);
/* `applied`: how many events this instance has seen. */
rove_err sim_lodger_snapshot(sim_lodger *l, rove_ctx *ctx, uint64_t applied);
rove_err sim_lodger_restore(sim_lodger *l, rove_ctx *ctx, rove_span state);

/* At the end of the world. */
void sim_guest_forget(sim_daemon *d);

#endif
