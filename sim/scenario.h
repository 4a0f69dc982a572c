/* SPDX-License-Identifier: Apache-2.0
 *
 * Scripted scenarios: the counterexamples that shaped the rules of lanes and moves, each as a world
 * that is led by hand to the point where a broken rule would show. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "world.h"

typedef struct sim_scenario {
    const char *name;
    const char *mutant; /* the rule without which it fails, or NULL */
    unsigned nodes;
    void (*play)(sim_world *w);
} sim_scenario;

extern const sim_scenario sim_scenarios[];
extern const size_t sim_scenario_count;

/* True when nothing was violated; the story of a failure goes to `story` unless NULL. */
bool sim_scenario_run(const sim_scenario *s, FILE *story);

/* ---- the stage ---- */
/* What happens to messages of the core, by tag and type, from one node to another. */
typedef enum sim_deed {
    SIM_KEEP = 1, /* a copy is put aside, the message goes on */
    SIM_SWALLOW,  /* put aside, and never sent */
} sim_deed;
void sim_rule(sim_world *w, sim_node *from, sim_node *to, uint16_t tag, unsigned type,
              sim_deed deed);
void sim_rules_clear(sim_world *w);
/* Hands a message that was put aside in again, as if it came now; the number of them. Type 0: all
 * of the tag, in the order in which they were sent. */
unsigned sim_inject(sim_world *w, sim_node *from, sim_node *to, uint16_t tag, unsigned type);
unsigned sim_kept(sim_world *w, const sim_node *from, const sim_node *to, uint16_t tag,
                  unsigned type);
/* Runs until the condition holds; a failure, with these words, when it does not in time. */
bool sim_until(sim_world *w, uint64_t bound, bool (*holds)(sim_world *w), const char *what);
void sim_pass(sim_world *w, uint64_t time);
void sim_cut_pair(sim_world *w, sim_node *a, sim_node *b, bool cut);
/* All nodes dial all others, and all sessions stand. */
void sim_mesh_up(sim_world *w);
/* After a restart: the node dials everybody again. */
void sim_return(sim_node *n);
void sim_stage_clear(void);

#endif
