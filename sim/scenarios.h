/* SPDX-License-Identifier: Apache-2.0
 *
 * The scripts, named after the findings of the model that they replay. */
#ifndef SIM_SCENARIOS_H
#define SIM_SCENARIOS_H

#include "world.h"

void sim_play_f1(sim_world *w);
void sim_play_f1b(sim_world *w);
void sim_play_f2(sim_world *w);
void sim_play_f3(sim_world *w);
void sim_play_f3b(sim_world *w);
void sim_play_f3c(sim_world *w);
void sim_play_f4b(sim_world *w);
void sim_play_f5(sim_world *w);
void sim_play_f8(sim_world *w);
void sim_play_f8b(sim_world *w);
void sim_play_f9a(sim_world *w);
void sim_play_f9b(sim_world *w);
void sim_play_f10(sim_world *w);
void sim_play_f11a(sim_world *w);
void sim_play_f11b(sim_world *w);
void sim_play_f11d(sim_world *w);
void sim_play_f11e(sim_world *w);
void sim_play_f11f(sim_world *w);
void sim_play_f12(sim_world *w);
void sim_play_f13(sim_world *w);
void sim_play_f14(sim_world *w);
void sim_play_dials_at_once(sim_world *w);
void sim_play_old_record(sim_world *w);
void sim_play_both_behind(sim_world *w);
void sim_play_large_diverted(sim_world *w);
void sim_play_thief(sim_world *w);
void sim_play_thief_in_silence(sim_world *w);
void sim_play_backup(sim_world *w);
void sim_play_backup_and_move(sim_world *w);

#endif
