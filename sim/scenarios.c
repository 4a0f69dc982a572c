/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of scenarios, and how one is played. */
#include "scenarios.h"
#include "cells.h"
#include "check.h"
#include "scenario.h"
#include "workload.h"

const sim_scenario sim_scenarios[] = {
    {"late commit beside a later holder", "gives-away-before-closed", 3, sim_play_f1},
    {"old messages of a finished move at a node that forgot", "ticket-ignored", 2, sim_play_f1b},
    {"acknowledged, then the target forgets", "ticket-ignored", 3, sim_play_f2},
    {"a source that knows nothing hears Prepared", "abort-from-ignorance", 2, sim_play_f3},
    {"a source that knows only its old record hears Prepared", "abort-from-ignorance", 3,
     sim_play_f3b},
    {"the source is gone for good, the target keeps", NULL, 2, sim_play_f3c},
    {"a forced copy makes the other one stand aside", NULL, 3, sim_play_f4b},
    {"the record names the one who forgot", NULL, 3, sim_play_f5},
    {"giving up does not stall the lane", NULL, 2, sim_play_f8},
    {"a frame that is missing is not skipped", "gap-in-silence", 2, sim_play_f8b},
    {"a refused lane stays refused", NULL, 2, sim_play_f9a},
    {"moving is no outcome", "moving-is-an-outcome", 3, sim_play_f9b},
    {"a closed lane stays closed, also when forgotten", "event-opens-a-lane", 2, sim_play_f10},
    {"no lane: what was acknowledged is reported lost", NULL, 3, sim_play_f11a},
    {"an outcome of the older state arrives late", NULL, 3, sim_play_f11b},
    {"a gap statement of the older state arrives late", NULL, 3, sim_play_f11d},
    {"idle senders hear of the restart", NULL, 3, sim_play_f11e},
    {"a gap statement that is lost is repeated", NULL, 2, sim_play_f11f},
    {"given up, then late: never after a later one", NULL, 2, sim_play_f12},
    {"diverted events come once, and before the next move", "gives-away-before-closed", 3,
     sim_play_f13},
    {"a target that refuses after the commit", NULL, 2, sim_play_f14},
    {"a place that was heard of is dialled at once", NULL, 3, sim_play_dials_at_once},
    {"a record with old addresses is no answer", NULL, 3, sim_play_old_record},
    {"what the asker knows is no answer", NULL, 3, sim_play_both_behind},
    {"a diverted event that is large for the target", NULL, 2, sim_play_large_diverted},
    {"a thief on the path is asked, and gets nothing", "path-unchallenged", 2, sim_play_thief},
    {"a thief is not asked for more than he sent", "amplifies", 2, sim_play_thief_in_silence},
    {"back from a backup that was taken under traffic", NULL, 3, sim_play_backup},
    {"a backup of a daemon that is about to move", NULL, 3, sim_play_backup_and_move},
};
const size_t sim_scenario_count = sizeof sim_scenarios / sizeof sim_scenarios[0];

bool sim_scenario_run(const sim_scenario *s, FILE *story)
{
    sim_shape shape = {.seed = 1, .nodes = s->nodes, .scripted = true};
    sim_world *w = sim_world_new(&shape);
    sim_net_quality(w, 100000, 1, 0, 0, 0, 0);
    s->play(w);
    sim_rules_clear(w);
    sim_cells_policy(w, NULL);
    if (!w->failed)
        sim_check_fates(w);
    sim_world_close(w);
    bool good = !w->failed;
    if (!good && story) {
        sim_story_print(&w->story, story);
        fprintf(story, "scenario \"%s\" fails: %s\n", s->name, w->failure);
    }
    sim_stage_clear();
    sim_world_free(w);
    return good;
}
