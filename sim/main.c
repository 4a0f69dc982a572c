/* SPDX-License-Identifier: Apache-2.0
 *
 * The programs sim and sim-mutants: run seeds, print what happened over all of them
 * (sim/README.md). */
#include "guest.h"
#include "scenario.h"
#include "seed.h"
#include <base/mutant.h>
#include <errno.h>
#include <inttypes.h>
#include <shell/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifdef ROVEI_MUTANTS
enum rovei_mutant_id rovei_mutant;

static const struct {
    const char *name;
    enum rovei_mutant_id id;
} mutants[] = {
#define MUTANT_ROW(id, name) {name, ROVEI_MUTANT_##id},
    ROVEI_MUTANT_LIST(MUTANT_ROW)
#undef MUTANT_ROW
};

static bool choose_mutant(const char *name)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (!strcmp(mutants[i].name, name)) {
            rovei_mutant = mutants[i].id;
            return true;
        }
    return false;
}
#define PROGRAM "sim-mutants"
#else
#define PROGRAM "sim"
#endif

typedef struct options {
    uint64_t from, to;
    bool seeds_given, json, story;
    const char *history, *mutant, *scenario, *kind, *events;
} options;

static void usage(FILE *to)
{
    fputs("Usage: " PROGRAM " "
#ifdef ROVEI_MUTANTS
          "--mutant NAME "
#endif
          "--seeds A..B [--profile all] [--history FILE] [--json] [--story]\n"
          "Runs the seeds A to B, B included. Exit status: 0 nothing is violated, 1 something is,\n"
          "2 wrong usage. --story tells everything that happens. --scenario NUMBER|all instead of\n"
          "--seeds plays the scripted scenarios.\n"
          "--kind KIND.so runs a kind of your own in every daemon; --events FILE are its events,\n"
          "one a line (sim/README.md).\n",
          to);
#ifdef ROVEI_MUTANTS
    fputs("Mutants:", to);
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        fprintf(to, " %s", mutants[i].name);
    fputc('\n', to);
#endif
}

static bool parse_number(const char **at, uint64_t *ret)
{
    if (**at < '0' || **at > '9')
        return false;
    char *end;
    errno = 0;
    *ret = strtoull(*at, &end, 0);
    *at = end;
    return errno == 0;
}

static bool parse_seeds(const char *text, options *o)
{
    if (!parse_number(&text, &o->from))
        return false;
    o->to = o->from;
    if (*text) {
        if (strncmp(text, "..", 2) != 0)
            return false;
        text += 2;
        if (!parse_number(&text, &o->to) || *text)
            return false;
    }
    return o->from <= o->to;
}

static bool parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!strcmp(argv[i], "--json")) {
            o->json = true;
        } else if (!strcmp(argv[i], "--story")) {
            o->story = true;
        } else if (!strcmp(argv[i], "--seeds") && value) {
            o->seeds_given = parse_seeds(value, o);
            if (!o->seeds_given)
                return false;
            i++;
        } else if (!strcmp(argv[i], "--profile") && value) {
            if (strcmp(value, "all") != 0)
                return false;
            i++;
        } else if (!strcmp(argv[i], "--scenario") && value) {
            o->scenario = value;
            i++;
        } else if (!strcmp(argv[i], "--history") && value) {
            o->history = value;
            i++;
        } else if (!strcmp(argv[i], "--kind") && value) {
            o->kind = value;
            i++;
        } else if (!strcmp(argv[i], "--events") && value) {
            o->events = value;
            i++;
#ifdef ROVEI_MUTANTS
        } else if (!strcmp(argv[i], "--mutant") && value) {
            o->mutant = value;
            i++;
#endif
        } else {
            return false;
        }
    }
    return o->seeds_given != (o->scenario != NULL) && (!o->kind || o->seeds_given) &&
           (!o->events || o->kind);
}

static void add_totals(sim_totals *sum, const sim_totals *t)
{
#define ADD(name, must) sum->name += t->name;
    SIM_TOTALS(ADD)
#undef ADD
}

static void print_totals(const sim_totals *t, bool json)
{
    const char *separator = "";
    if (json)
        putchar('{');
#define PRINT(name, must)                                                                          \
    printf(json ? "%s\"" #name "\":%" PRIu64 : "%s" #name " %" PRIu64, separator, t->name);        \
    separator = json ? "," : "\n";
    SIM_TOTALS(PRINT)
#undef PRINT
    puts(json ? "}" : "");
}

/* The name of a total that should occur and does not, or NULL. */
static const char *missing(const sim_totals *t)
{
#define LOOK(name, must)                                                                           \
    if ((must) && !t->name)                                                                        \
        return #name;
    SIM_TOTALS(LOOK)
#undef LOOK
    return NULL;
}

/* A failed assertion inside of a core: the story comes first, then the process ends. */
static void on_abort(int number)
{
    (void)number;
    sim_seed_tell(stderr);
    fputs("an assertion of the core failed\n", stderr);
    fflush(NULL);
    _Exit(1);
}

static int run(const options *o, const sim_guest *guest)
{
    FILE *history = NULL;
    if (o->history && !(history = fopen(o->history, "w"))) {
        fprintf(stderr, PROGRAM ": cannot write %s: %s\n", o->history, strerror(errno));
        return 1;
    }
    sim_totals sum = {0};
    bool good = true;
    for (uint64_t seed = o->from; good; seed++) {
        sim_seed_options so = {
            .seed = seed, .history = history, .story = stderr, .guest = guest, .echo = o->story};
        sim_seed_result r;
        sim_seed_run(&so, &r);
        good = r.good;
        add_totals(&sum, &r.totals);
        if (seed == o->to)
            break;
    }
    if (history && fclose(history)) {
        fprintf(stderr, PROGRAM ": cannot write %s: %s\n", o->history, strerror(errno));
        good = false;
    }
    print_totals(&sum, o->json);
    const char *absent = missing(&sum);
    if (good && sum.seeds >= 200 && absent && !o->mutant) {
        fprintf(stderr, PROGRAM ": %s should occur in %" PRIu64 " seeds and does not\n", absent,
                sum.seeds);
        good = false;
    }
    return good ? 0 : 1;
}

/* The same with a kind out of a shared object. */
static int run_guest(const options *o)
{
    char why[256];
    rovei_plugin plugin;
    rove_err err = rovei_plugin_load(&plugin, o->kind, why, sizeof why);
    if (err) {
        fprintf(stderr, PROGRAM ": cannot load the kind %s: %s%s%s\n", o->kind, rove_strerror(err),
                why[0] ? ": " : "", why);
        return 2;
    }
    sim_guest guest = {.kind = plugin.kind};
    int status = 2;
    if (sim_guest_events(&guest, o->events, why, sizeof why))
        status = run(o, &guest);
    else
        fprintf(stderr, PROGRAM ": cannot take events from %s: %s\n", o->events, why);
    sim_guest_fini(&guest);
    rovei_plugin_unload(&plugin);
    return status;
}

/* The scenarios by number, from 1; wrong numbers are wrong usage. */
static int play(const options *o)
{
    uint64_t only = 0;
    const char *at = o->scenario;
    if (strcmp(at, "all") != 0 &&
        (!parse_number(&at, &only) || *at || only == 0 || only > sim_scenario_count)) {
        usage(stderr);
        return 2;
    }
    bool good = true;
    for (size_t i = 0; i < sim_scenario_count; i++) {
        if (only && i + 1 != only)
            continue;
        bool fine = sim_scenario_run(&sim_scenarios[i], stderr);
        printf("%2zu %s: %s\n", i + 1, fine ? "holds" : "FAILS", sim_scenarios[i].name);
        good = good && fine;
    }
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    options o = {0};
    if (argc == 2 && !strcmp(argv[1], "--help")) {
        usage(stdout);
        return 0;
    }
    if (!parse(argc, argv, &o)) {
        usage(stderr);
        return 2;
    }
#ifdef ROVEI_MUTANTS
    if (!o.mutant || !choose_mutant(o.mutant)) {
        fprintf(stderr, PROGRAM ": there is no mutant \"%s\"\n", o.mutant ? o.mutant : "");
        usage(stderr);
        return 2;
    }
#endif
    signal(SIGABRT, on_abort);
    if (o.scenario)
        return play(&o);
    return o.kind ? run_guest(&o) : run(&o, NULL);
}
