/* SPDX-License-Identifier: Apache-2.0
 *
 * What happened, in words: a bounded tail of lines that is printed when a seed fails, a digest over
 * all lines ever said (two runs of one seed must agree), and the history file. */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include <rove/types.h>
#include <stdio.h>

#define SIM_STORY_LINES 400
#define SIM_STORY_WIDTH 200

typedef struct sim_story {
    char (*lines)[SIM_STORY_WIDTH];
    uint64_t said;   /* lines ever */
    uint64_t digest; /* over all of them */
    FILE *echo;      /* every line as it is said, or NULL */
    FILE *history;   /* JSON lines, or NULL */
} sim_story;

void sim_story_init(sim_story *s);
void sim_story_fini(sim_story *s);
/* One line; `who` may be NULL. */
void sim_story_say(sim_story *s, uint64_t at, const char *who, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Stirs a number into the digest without a line. */
void sim_story_stir(sim_story *s, uint64_t v);
void sim_story_print(const sim_story *s, FILE *to);

#endif
