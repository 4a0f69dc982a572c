/* SPDX-License-Identifier: Apache-2.0
 *
 * The history file: one JSON object a line, for checkers outside of the simulator
 * (sim/README.md). Nothing is written when no file is open. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "truth.h"

void sim_history_seed(FILE *to, uint64_t seed);
void sim_history_invoke(sim_world *w, const char *who, const sim_event *e);
void sim_history_applied(sim_world *w, const sim_node *where, const sim_daemon *d,
                         const sim_event *e);
void sim_history_output(sim_world *w, const sim_daemon *d, const sim_event *e,
                        const rove_link *link, rove_span payload);
void sim_history_fate(sim_world *w, const char *who, const sim_event *e, const char *fate,
                      rove_err err);
void sim_history_restart(sim_world *w, const sim_node *where, const sim_daemon *d, uint64_t keep);

#endif
