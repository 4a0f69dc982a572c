/* SPDX-License-Identifier: Apache-2.0
 *
 * The outside of a core: carries out its effects in order, one mailbox per cell, with the delays of
 * a busy worker, and gives the completions back in the order of the work. */
#ifndef SIM_CELLS_H
#define SIM_CELLS_H

#include "truth.h"
#include <host/cell.h>

typedef struct sim_work sim_work;

struct sim_cell {
    sim_cell *next; /* in the node's list */
    sim_node *node;
    uint32_t life;
    uint64_t id;
    sim_daemon *daemon;
    rovei_cell *cell; /* NULL: the restore is still to come, or failed */
    sim_work *first, **last;
    bool busy;          /* the next piece of work is planned */
    uint64_t last_done; /* completions do not overtake each other */
    bool spawning;
    uint64_t forward; /* what the next output must name, as the state that came here says */
};

/* The kind "line", in a form of its state that a new cell of this world draws: whole, streamed or
 * both. They carry the same bytes. */
#define SIM_KIND_NAME "line"
const rove_kind *sim_kind_draw(sim_world *w);

/* What its instance believes. */
sim_belief sim_cell_belief(const sim_cell *c);
/* One effect; its references are taken. */
void sim_cells_effect(sim_node *n, rovei_effect *e);
/* A cell for a daemon that is about to be spawned here; NULL when none can be made. */
sim_cell *sim_cell_spawn(sim_node *n, sim_daemon *d);
/* The same with an identity that was given, not drawn: others are asked first. */
sim_cell *sim_cell_spawn_given(sim_node *n, sim_daemon *d);
/* On an operator's word, whatever is known. */
sim_cell *sim_cell_spawn_forced(sim_node *n, sim_daemon *d);

/* A daemon kept whole, of one point of its order. */
typedef struct sim_backup {
    bool done;
    rove_err err;
    rovei_image image;
    rovei_backup positions;
} sim_backup;
/* Takes one, at its place in the mailbox; `b` lives until it is done. */
void sim_cell_backup(sim_cell *c, sim_backup *b);
void sim_backup_fini(sim_backup *b);
/* A cell for a daemon that is to come back here. */
sim_cell *sim_cell_spawn_from(sim_node *n, sim_daemon *d, const sim_backup *b, bool force);
/* The spawn ended: the cell serves, or goes. */
void sim_cell_spawned(sim_cell *c, rove_err err);
/* A local deliver, at its place in the mailbox. */
void sim_cell_deliver(sim_cell *c, sim_event *e);
/* The cell of a daemon on a node that was made last, or NULL. */
sim_cell *sim_cell_find(sim_node *n, const sim_daemon *d);
/* Whether the cell can apply events now. */
bool sim_cell_serves(const sim_cell *c);
/* How the answers to the core's questions fall; NULL: drawn at random. For scenarios. */
typedef rove_err sim_policy(sim_node *n, const rovei_effect *question);
void sim_cells_policy(sim_world *w, sim_policy *policy);
void sim_cells_drop(sim_node *n);

#endif
