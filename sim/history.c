/* SPDX-License-Identifier: Apache-2.0
 *
 * The history file. */
#include "history.h"
#include <inttypes.h>

#define LINE(w, ...)                                                                               \
    do {                                                                                           \
        if ((w)->story.history)                                                                    \
            fprintf((w)->story.history, __VA_ARGS__);                                              \
    } while (0)

void sim_history_seed(FILE *to, uint64_t seed)
{
    if (to)
        fprintf(to, "{\"op\":\"seed\",\"seed\":\"0x%" PRIx64 "\"}\n", seed);
}

void sim_history_invoke(sim_world *w, const char *who, const sim_event *e)
{
    LINE(w,
         "{\"op\":\"invoke\",\"at_ns\":%" PRIu64 ",\"sender\":\"%s\",\"number\":%" PRIu64
         ",\"daemon\":\"%s\",\"event\":%" PRIu64 ",\"local\":%s}\n",
         w->now, who, e->number, e->daemon->name, e->id, e->local ? "true" : "false");
}

void sim_history_applied(sim_world *w, const sim_node *where, const sim_daemon *d,
                         const sim_event *e)
{
    LINE(w,
         "{\"op\":\"process\",\"at_ns\":%" PRIu64
         ",\"node\":\"%s\",\"daemon\":\"%s\",\"event\":%" PRIu64 ",\"index\":%zu}\n",
         w->now, where->name, d->name, e->id, d->applied_count);
}

void sim_history_output(sim_world *w, const sim_daemon *d, const sim_event *e,
                        const rove_link *link, rove_span payload)
{
    if (!w->story.history)
        return;
    fprintf(w->story.history,
            "{\"op\":\"output\",\"at_ns\":%" PRIu64 ",\"daemon\":\"%s\",\"event\":%" PRIu64
            ",\"sequence\":%" PRIu64 ",\"parent\":\"0x%" PRIx64 "\",\"payload\":\"",
            w->now, d->name, e->id, link->sequence, link->parent);
    const uint8_t *bytes = payload.data;
    for (size_t i = 0; i < payload.size; i++)
        fprintf(w->story.history, "%02x", bytes[i]);
    fputs("\"}\n", w->story.history);
}

void sim_history_fate(sim_world *w, const char *who, const sim_event *e, const char *fate,
                      rove_err err)
{
    LINE(w,
         "{\"op\":\"%s\",\"at_ns\":%" PRIu64 ",\"sender\":\"%s\",\"number\":%" PRIu64
         ",\"daemon\":\"%s\",\"event\":%" PRIu64 ",\"error\":",
         fate, w->now, who, e->number, e->daemon->name, e->id);
    if (err)
        LINE(w, "\"%s\"}\n", rove_err_name(err));
    else
        LINE(w, "null}\n");
}

void sim_history_restart(sim_world *w, const sim_node *where, const sim_daemon *d, uint64_t keep)
{
    LINE(w,
         "{\"op\":\"restart\",\"at_ns\":%" PRIu64
         ",\"node\":\"%s\",\"daemon\":\"%s\",\"kept\":%" PRIu64 "}\n",
         w->now, where->name, d->name, keep);
}
