/* SPDX-License-Identifier: Apache-2.0
 *
 * Rove measured through its public interface, and beside it, in the same run, what else moves
 * messages on this machine. docs/performance.md says how each figure is taken. */
#include "bench.h"

#include <stdio.h>
#include <string.h>

static const struct measure {
    const char *name, *what;
    void (*run)(void);
} measures[] = {
    {"deliver", "local delivers, with and without outputs, beside Erlang", bench_deliver},
    {"lanes", "events over lanes, beside ZeroMQ, NATS and Erlang", bench_lanes},
    {"channels", "publishes to 1, 8 and 64 subscribers, here and there, beside lanes",
     bench_channels},
    {"roundtrip", "one event at a time, beside an echo over UDP", bench_round_trip},
    {"handshakes", "new sessions of one node", bench_handshakes},
    {"moves", "moves of states of four sizes, idle and under traffic", bench_moves},
    {"drain", "a node of a thousand daemons, idle and under traffic", bench_drain},
    {"memory", "a daemon, a lane, a session", bench_memory},
};
#define MEASURES (sizeof measures / sizeof measures[0])

static void usage(FILE *out)
{
    fputs("usage: bench [--only NAME]... [--quick] [--json]\n\n"
          "  --only NAME   this measure alone; may be given several times\n"
          "  --quick       one short round each: shows that it runs, not how fast\n"
          "  --json        one object a line\n\n"
          "measures:\n",
          out);
    for (size_t i = 0; i < MEASURES; i++)
        fprintf(out, "  %-12s  %s\n", measures[i].name, measures[i].what);
}

int main(int argc, char **argv)
{
    bool json = false, quick = false, some = false, chosen[MEASURES] = {false};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) {
            json = true;
        } else if (!strcmp(argv[i], "--quick")) {
            quick = true;
        } else if (!strcmp(argv[i], "--help")) {
            usage(stdout);
            return 0;
        } else if (!strcmp(argv[i], "--only") && i + 1 < argc) {
            size_t m = 0;
            for (i++; m < MEASURES && strcmp(measures[m].name, argv[i]) != 0; m++)
                ;
            if (m == MEASURES) {
                fprintf(stderr, "bench: no measure is named %s; see bench --help\n", argv[i]);
                return 2;
            }
            chosen[m] = some = true;
        } else {
            usage(stderr);
            return 2;
        }
    }
    bench_set(json, quick);
    for (size_t i = 0; i < MEASURES; i++) {
        if (some && !chosen[i])
            continue;
        if (!json)
            printf("%s: %s\n", measures[i].name, measures[i].what);
        measures[i].run();
    }
    return 0;
}
